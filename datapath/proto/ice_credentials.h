// Our ICE user fragment and password, computed instead of stored.
//
// The fragment names the session and carries a keyed tag; the password is derived from
// the fragment. Any worker can so check a STUN request from the boot secret alone, and
// a half-open session costs the datapath nothing (threats A-09, T8).
//
//   ufrag, 16 ice-chars = 12 bytes in base64 (RFC 4648 §4, its alphabet is ice-char):
//     | slot 24 | generation 32 | ice generation 8 | tag 32 |
//   tag      = first 4 bytes of HMAC-SHA1(secret, 0x01 | the 8 bytes before)
//   password = base64 of the first 18 bytes of HMAC-SHA1(secret, 0x02 | ufrag text)
//
// 18 bytes are 144 bit, RFC 8445 §5.3 asks for 128. The tag only saves work: who guesses
// one (1 in 2^32) still lacks the password. No state; nothing allocates; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "datapath/base/bytes.h"
#include "datapath/proto/hmac_sha1.h"

namespace spillway {

// Drawn once per boot by the launcher; kept across restarts of both processes.
struct IceSecret {
  std::array<uint8_t, 32> bytes{};
};

inline constexpr uint32_t kLocalUfragBytes = 16;
inline constexpr uint32_t kLocalIcePasswordBytes = 24;
inline constexpr uint32_t kMaxUfragSlot = (1u << 24) - 1;

struct LocalUfrag {
  std::array<char, kLocalUfragBytes> text{};
  constexpr std::string_view view() const { return {text.data(), text.size()}; }
};

struct IcePassword {
  std::array<char, kLocalIcePasswordBytes> text{};
  constexpr std::string_view view() const { return {text.data(), text.size()}; }
};

struct UfragFields {
  uint32_t slot = 0;           // 0..kMaxUfragSlot
  uint32_t generation = 0;     // of the slot
  uint8_t ice_generation = 0;  // counts ICE restarts of the session, modulo 256
  friend constexpr bool operator==(const UfragFields&, const UfragFields&) = default;
};

// The secret in the form that is quick to use (two SHA-1 blocks saved per call). Key
// material, like the secret.
class IceKeys {
 public:
  explicit IceKeys(const IceSecret& secret) : hmac_(Bytes{secret.bytes}) {}
  const HmacSha1Key& hmac() const { return hmac_; }

 private:
  HmacSha1Key hmac_;
};

// slot: 0..kMaxUfragSlot (asserted).
LocalUfrag make_local_ufrag(const IceKeys& keys, uint32_t slot, uint32_t generation,
                            uint8_t ice_generation);
// nullopt: not 16 ice-chars, or the tag is not ours. One HMAC of 9 bytes (two blocks).
std::optional<UfragFields> parse_local_ufrag(const IceKeys& keys, std::string_view text);
// ufrag: any text; meaningful for one that parse_local_ufrag accepted. Two blocks.
IcePassword derive_ice_password(const IceKeys& keys, std::string_view ufrag);

// The same for callers that do it rarely: they expand the secret each time.
inline LocalUfrag make_local_ufrag(const IceSecret& secret, uint32_t slot, uint32_t generation,
                                   uint8_t ice_generation) {
  return make_local_ufrag(IceKeys(secret), slot, generation, ice_generation);
}
inline std::optional<UfragFields> parse_local_ufrag(const IceSecret& secret,
                                                    std::string_view text) {
  return parse_local_ufrag(IceKeys(secret), text);
}
inline IcePassword derive_ice_password(const IceSecret& secret, std::string_view ufrag) {
  return derive_ice_password(IceKeys(secret), ufrag);
}

}  // namespace spillway
