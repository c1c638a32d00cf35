#include "datapath/proto/stun.h"

#include <algorithm>

#include "datapath/proto/crc32.h"

namespace spillway {
namespace {

// RFC 8489 §18.3 and RFC 8445 §16.1.
enum class Attribute : uint16_t {
  mapped_address = 0x0001,
  username = 0x0006,
  message_integrity = 0x0008,
  error_code = 0x0009,
  unknown_attributes = 0x000A,
  realm = 0x0014,
  nonce = 0x0015,
  message_integrity_sha256 = 0x001C,
  password_algorithm = 0x001D,
  userhash = 0x001E,
  xor_mapped_address = 0x0020,
  priority = 0x0024,
  use_candidate = 0x0025,
  fingerprint = 0x8028,
  ice_controlled = 0x8029,
  ice_controlling = 0x802A,
};

constexpr uint32_t kAttributeHeader = 4;
constexpr uint32_t kIntegrityBytes = kAttributeHeader + kSha1Bytes;
constexpr uint32_t kFingerprintBytes = kAttributeHeader + 4;
constexpr uint32_t kFingerprintXor = 0x5354554E;  // §14.7
constexpr size_t kMaxUsernameBytes = 513;         // §14.3

Bytes as_bytes(std::string_view s) {
  return {reinterpret_cast<const uint8_t*>(s.data()), s.size()};
}

std::optional<Endpoint> read_xor_mapped(Bytes v, const uint8_t* header) {
  if (v.size() < 8) return std::nullopt;
  Endpoint e;
  e.port = static_cast<uint16_t>(load_be16(&v[2]) ^ kStunMagicCookie >> 16);
  if (v[1] == 0x01 && v.size() == 8) {
    e.ip = IpAddress::v4(load_be32(&v[4]) ^ kStunMagicCookie);
  } else if (v[1] == 0x02 && v.size() == 20) {
    // XOR with cookie and transaction id: the 16 header bytes from the cookie on.
    for (size_t i = 0; i < 16; ++i) e.ip.bytes[i] = v[4 + i] ^ header[4 + i];
  } else {
    return std::nullopt;
  }
  return e;
}

// Attributes in the order they come, until MESSAGE-INTEGRITY. False: malformed value.
bool take(StunMessage& m, uint16_t type, Bytes v, const uint8_t* header) {
  switch (static_cast<Attribute>(type)) {
    case Attribute::username:
      if (v.empty() || v.size() > kMaxUsernameBytes) return false;
      if (m.username.empty())
        m.username = {reinterpret_cast<const char*>(v.data()), v.size()};
      return true;
    case Attribute::priority:
      if (v.size() != 4) return false;
      if (!m.has_priority) m.priority = load_be32(v.data());
      m.has_priority = true;
      return true;
    case Attribute::use_candidate:
      m.use_candidate = true;
      return v.empty();
    case Attribute::ice_controlled:
    case Attribute::ice_controlling:
      if (v.size() != 8) return false;
      if (m.role == IceRole::none) {
        m.role = static_cast<Attribute>(type) == Attribute::ice_controlling ? IceRole::controlling
                                                                            : IceRole::controlled;
        m.tie_breaker = load_be64(v.data());
      }
      return true;
    case Attribute::xor_mapped_address:
      if (!m.mapped) {
        m.mapped = read_xor_mapped(v, header);
        return m.mapped.has_value();
      }
      return true;
    case Attribute::error_code: {
      if (v.size() < 4) return false;
      uint32_t hundreds = v[2] & 7, rest = v[3];
      if (hundreds < 3 || hundreds > 6 || rest > 99) return false;
      if (m.error_code == 0) m.error_code = static_cast<uint16_t>(hundreds * 100 + rest);
      return true;
    }
    // Known, of no use with short-term credentials of ICE.
    case Attribute::mapped_address:
    case Attribute::unknown_attributes:
    case Attribute::realm:
    case Attribute::nonce:
    case Attribute::message_integrity_sha256:
    case Attribute::password_algorithm:
    case Attribute::userhash: return true;
    default: break;
  }
  if (type < 0x8000 && m.unknown_required_count < kMaxStunUnknown)
    m.unknown_required[m.unknown_required_count++] = type;
  return true;
}

// Lays out one message. The caller knows the total before: the length in the header
// must already count what is hashed (§14.5, §14.7).
class Builder {
 public:
  Builder(MutableBytes out, StunType type, const StunTransactionId& id) : w_(out) {
    w_.be16(static_cast<uint16_t>(type));
    w_.be16(0);
    w_.be32(kStunMagicCookie);
    w_.bytes(id);
  }
  Writer& attribute(Attribute type, uint32_t bytes) {
    w_.be16(static_cast<uint16_t>(type));
    w_.be16(static_cast<uint16_t>(bytes));
    return w_;
  }
  void text(Attribute type, std::string_view v) {
    attribute(type, static_cast<uint32_t>(v.size())).bytes(as_bytes(v));
    w_.zeros((4 - v.size() % 4) % 4);
  }
  // MESSAGE-INTEGRITY, FINGERPRINT when wanted; the bytes of the whole, 0 = no room.
  uint32_t finish(const HmacSha1Key& key, bool fingerprint) {
    if (w_.bad() || w_.left() < kIntegrityBytes + (fingerprint ? kFingerprintBytes : 0)) return 0;
    set_length(kIntegrityBytes);
    Sha1Digest mac = key({w_.written()});
    attribute(Attribute::message_integrity, kSha1Bytes).bytes(mac);
    if (fingerprint) {
      set_length(kFingerprintBytes);
      uint32_t crc = crc32(w_.written()) ^ kFingerprintXor;
      attribute(Attribute::fingerprint, 4).be32(crc);
    }
    return static_cast<uint32_t>(w_.size());
  }

 private:
  void set_length(uint32_t more) {
    store_be16(w_.written().data() + 2,
               static_cast<uint16_t>(w_.size() - kStunHeaderBytes + more));
  }
  Writer w_;
};

// An answer of `bytes` (without FINGERPRINT) to a request: room for FINGERPRINT within the
// request's size? nullopt: even without it the answer would be longer.
std::optional<bool> fingerprint_fits(const StunMessage& request, uint32_t bytes) {
  if (bytes > request.bytes) return std::nullopt;
  bool fits = bytes + kFingerprintBytes <= request.bytes;
  // A request with FINGERPRINT must be answered with one (§6.3.1).
  if (!fits && request.fingerprint_offset != 0) return std::nullopt;
  return fits;
}

}  // namespace

std::optional<StunMessage> parse_stun(Bytes packet) {
  if (packet.size() < kStunHeaderBytes || packet.size() > 0xffff) return std::nullopt;
  const uint8_t* p = packet.data();
  StunMessage m;
  m.type = static_cast<StunType>(load_be16(p));
  switch (m.type) {
    case StunType::binding_request:
    case StunType::binding_indication:
    case StunType::binding_success:
    case StunType::binding_error: break;
    default: return std::nullopt;
  }
  if (load_be32(p + 4) != kStunMagicCookie) return std::nullopt;
  size_t length = load_be16(p + 2);
  if (length % 4 != 0 || length != packet.size() - kStunHeaderBytes) return std::nullopt;
  m.bytes = static_cast<uint16_t>(packet.size());
  std::copy_n(p + 8, m.transaction_id.size(), m.transaction_id.begin());

  Reader r(packet.subspan(kStunHeaderBytes));
  while (r.left() > 0) {
    if (m.fingerprint_offset != 0) return std::nullopt;  // it must be last
    auto offset = static_cast<uint16_t>(kStunHeaderBytes + r.position());
    uint16_t type = r.be16();
    uint16_t bytes = r.be16();
    Bytes v = r.bytes(bytes);
    r.skip((4u - bytes % 4u) % 4u);
    if (r.bad()) return std::nullopt;
    if (static_cast<Attribute>(type) == Attribute::fingerprint) {
      if (v.size() != 4) return std::nullopt;
      m.fingerprint_offset = offset;
    } else if (m.integrity_offset != 0) {
      continue;
    } else if (static_cast<Attribute>(type) == Attribute::message_integrity) {
      if (v.size() != kSha1Bytes) return std::nullopt;
      m.integrity_offset = offset;
    } else if (!take(m, type, v, p)) {
      return std::nullopt;
    }
  }
  return m;
}

bool verify_stun_fingerprint(Bytes packet, const StunMessage& message) {
  size_t at = message.fingerprint_offset;
  if (at == 0) return true;
  if (packet.size() != at + kFingerprintBytes) return false;
  return (crc32(packet.first(at)) ^ kFingerprintXor) == load_be32(&packet[at + kAttributeHeader]);
}

bool verify_stun_integrity(Bytes packet, const StunMessage& message, const HmacSha1Key& key) {
  size_t at = message.integrity_offset;
  if (at < kStunHeaderBytes || packet.size() < at + kIntegrityBytes) return false;
  // The length field counts up to and including MESSAGE-INTEGRITY while hashing.
  uint8_t head[4];
  std::copy_n(packet.data(), 2, head);
  store_be16(head + 2, static_cast<uint16_t>(at + kIntegrityBytes - kStunHeaderBytes));
  Sha1Digest mac = key({head, packet.subspan(4, at - 4)});
  return equal_constant_time(mac, packet.subspan(at + kAttributeHeader, kSha1Bytes)) &&
         verify_stun_fingerprint(packet, message);
}

bool verify_stun_integrity(Bytes packet, const StunMessage& message, std::string_view password) {
  return verify_stun_integrity(packet, message, HmacSha1Key(as_bytes(password)));
}

uint32_t write_stun_success(MutableBytes out, const StunMessage& request, const Endpoint& mapped,
                            const HmacSha1Key& key) {
  bool v4 = mapped.ip.is_v4();
  uint32_t address_bytes = v4 ? 8 : 20;
  auto fingerprint = fingerprint_fits(
      request, kStunHeaderBytes + kAttributeHeader + address_bytes + kIntegrityBytes);
  if (!fingerprint) return 0;
  Builder b(out, StunType::binding_success, request.transaction_id);
  Writer& w = b.attribute(Attribute::xor_mapped_address, address_bytes);
  w.u8(0);
  w.u8(v4 ? 0x01 : 0x02);
  w.be16(static_cast<uint16_t>(mapped.port ^ kStunMagicCookie >> 16));
  if (v4) {
    w.be32(mapped.ip.v4_value() ^ kStunMagicCookie);
  } else {
    std::array<uint8_t, 16> mask;
    store_be32(mask.data(), kStunMagicCookie);
    std::copy(request.transaction_id.begin(), request.transaction_id.end(), mask.begin() + 4);
    for (size_t i = 0; i < 16; ++i) w.u8(mapped.ip.bytes[i] ^ mask[i]);
  }
  return b.finish(key, *fingerprint);
}

uint32_t write_stun_success(MutableBytes out, const StunMessage& request, const Endpoint& mapped,
                            std::string_view password) {
  return write_stun_success(out, request, mapped, HmacSha1Key(as_bytes(password)));
}

uint32_t write_stun_unknown_attributes(MutableBytes out, const StunMessage& request,
                                       const HmacSha1Key& key) {
  uint32_t n = std::min<uint32_t>(request.unknown_required_count, kMaxStunUnknown);
  uint32_t list_bytes = (2 * n + 3) & ~3u;
  auto fingerprint =
      fingerprint_fits(request, kStunHeaderBytes + kAttributeHeader + 4 + kAttributeHeader +
                                    list_bytes + kIntegrityBytes);
  if (!fingerprint) return 0;
  Builder b(out, StunType::binding_error, request.transaction_id);
  b.attribute(Attribute::error_code, 4).be32(4u << 8 | 20);
  Writer& w = b.attribute(Attribute::unknown_attributes, 2 * n);
  for (uint32_t i = 0; i < n; ++i) w.be16(request.unknown_required[i]);
  w.zeros(list_bytes - 2 * n);
  return b.finish(key, *fingerprint);
}

uint32_t write_stun_unknown_attributes(MutableBytes out, const StunMessage& request,
                                       std::string_view password) {
  return write_stun_unknown_attributes(out, request, HmacSha1Key(as_bytes(password)));
}

uint32_t write_stun_error(MutableBytes out, const StunMessage& request, uint16_t code,
                          const HmacSha1Key& key) {
  if (code < 300 || code > 699) return 0;
  auto fingerprint =
      fingerprint_fits(request, kStunHeaderBytes + kAttributeHeader + 4 + kIntegrityBytes);
  if (!fingerprint) return 0;
  Builder b(out, StunType::binding_error, request.transaction_id);
  b.attribute(Attribute::error_code, 4)
      .be32(static_cast<uint32_t>(code / 100) << 8 | static_cast<uint32_t>(code % 100));
  return b.finish(key, *fingerprint);
}

uint32_t write_stun_request(MutableBytes out, const StunRequest& request,
                            const HmacSha1Key& key) {
  if (request.username.empty() || request.username.size() > kMaxUsernameBytes) return 0;
  Builder b(out, StunType::binding_request, request.transaction_id);
  b.text(Attribute::username, request.username);
  b.attribute(Attribute::priority, 4).be32(request.priority);
  if (request.role != IceRole::none)
    b.attribute(request.role == IceRole::controlling ? Attribute::ice_controlling
                                                     : Attribute::ice_controlled,
                8)
        .be64(request.tie_breaker);
  if (request.use_candidate) b.attribute(Attribute::use_candidate, 0);
  return b.finish(key, true);
}

uint32_t write_stun_request(MutableBytes out, const StunRequest& request,
                            std::string_view password) {
  return write_stun_request(out, request, HmacSha1Key(as_bytes(password)));
}

}  // namespace spillway
