// STUN Binding (RFC 8489) with the attributes of ICE (RFC 8445 §16.1).
//
//   |0 0|  type 14   |  length 16, without these 20 bytes  |
//   |              magic cookie 0x2112A442                 |
//   |              transaction id, 96 bits                 |
//   attributes: | type 16 | length 16 | value, padded to 4 |
//
// Parsing borrows from the packet and trusts nothing: act on a message only after
// verify_stun_integrity. Only short-term credentials and HMAC-SHA1 (what ICE uses).
// Attributes after MESSAGE-INTEGRITY are ignored except FINGERPRINT (RFC 8489 §14.5), and
// FINGERPRINT must be last (§14.7). Requests without PRIORITY, role or FINGERPRINT are
// accepted (interop R1). Nothing allocates; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "datapath/base/bytes.h"
#include "datapath/base/endpoint.h"
#include "datapath/proto/hmac_sha1.h"

namespace spillway {

inline constexpr uint32_t kStunHeaderBytes = 20;
inline constexpr uint32_t kStunMagicCookie = 0x2112A442;
using StunTransactionId = std::array<uint8_t, 12>;

// Method Binding in its four classes; other methods (GOOG-PING, TURN) do not parse.
enum class StunType : uint16_t {
  binding_request = 0x0001,
  binding_indication = 0x0011,
  binding_success = 0x0101,
  binding_error = 0x0111,
};

enum class IceRole : uint8_t { none, controlling, controlled };

// Unknown comprehension-required attributes remembered for the 420 answer.
inline constexpr uint32_t kMaxStunUnknown = 16;

struct StunMessage {
  StunType type = StunType::binding_request;
  StunTransactionId transaction_id{};
  uint16_t bytes = 0;             // of the whole message
  std::string_view username;      // empty = absent; <= 513 bytes (§14.3)
  bool has_priority = false;
  uint32_t priority = 0;
  bool use_candidate = false;
  IceRole role = IceRole::none;
  uint64_t tie_breaker = 0;       // valid when role != none
  std::optional<Endpoint> mapped; // XOR-MAPPED-ADDRESS
  uint16_t error_code = 0;        // 300..699; 0 = absent
  uint16_t integrity_offset = 0;  // of the attribute's header; 0 = absent
  uint16_t fingerprint_offset = 0;
  uint8_t unknown_required_count = 0;
  std::array<uint16_t, kMaxStunUnknown> unknown_required{};
};

// packet: one datagram. nullopt: not a Binding message, or a length is wrong. Looks at
// structure only; neither MESSAGE-INTEGRITY nor FINGERPRINT is computed here, so that
// garbage costs little (threats A-09). Of repeated attributes the first counts.
std::optional<StunMessage> parse_stun(Bytes packet);

// True when MESSAGE-INTEGRITY is there and right and FINGERPRINT, if there, is right too.
// message: parsed from this packet. The key version saves two SHA-1 blocks.
bool verify_stun_integrity(Bytes packet, const StunMessage& message, const HmacSha1Key& key);
bool verify_stun_integrity(Bytes packet, const StunMessage& message, std::string_view password);
// True when absent or right.
bool verify_stun_fingerprint(Bytes packet, const StunMessage& message);

// --- builders --------------------------------------------------------------------------
// All give the bytes written to `out`, 0 when it is too small. `password` is the one
// the request was (or will be) checked with: for answers our own.

// The two answers are never longer than the request (threats A-08, T7): FINGERPRINT is left
// out when it would make them so and the request had none; 0 when still too long (which
// a request with one of our user fragments in USERNAME cannot cause).
//   64 bytes for IPv4, 76 for IPv6 (XOR-MAPPED-ADDRESS, MESSAGE-INTEGRITY, FINGERPRINT)
uint32_t write_stun_success(MutableBytes out, const StunMessage& request, const Endpoint& mapped,
                            const HmacSha1Key& key);
uint32_t write_stun_success(MutableBytes out, const StunMessage& request, const Endpoint& mapped,
                            std::string_view password);
// 420 with UNKNOWN-ATTRIBUTES (§6.3.1). The reason phrase is empty.
uint32_t write_stun_unknown_attributes(MutableBytes out, const StunMessage& request,
                                       const HmacSha1Key& key);
uint32_t write_stun_unknown_attributes(MutableBytes out, const StunMessage& request,
                                       std::string_view password);
// Any other error (the peer answers 487 to a role conflict). code 300..699.
uint32_t write_stun_error(MutableBytes out, const StunMessage& request, uint16_t code,
                          const HmacSha1Key& key);

struct StunRequest {
  StunTransactionId transaction_id{};  // unpredictable (§5): drawn by the caller
  std::string_view username;           // "theirs:ours", 1..513 bytes
  uint32_t priority = 0;               // RFC 8445 §7.1.1
  IceRole role = IceRole::controlled;  // none leaves the attribute out
  uint64_t tie_breaker = 0;
  bool use_candidate = false;          // only a controlling agent
};
// A check: for the peer, and for our own path checks (threats A-05). password: the
// remote one.
uint32_t write_stun_request(MutableBytes out, const StunRequest& request, const HmacSha1Key& key);
uint32_t write_stun_request(MutableBytes out, const StunRequest& request,
                            std::string_view password);

}  // namespace spillway
