// A UDP transport address: IP address and port.
//
// Shape: 16 address bytes in network order (IPv4 as ::ffff:a.b.c.d, RFC 4291
// §2.5.5.2) and a port in host order. One form for both families, so tables need
// one key type. Plain value, no padding, may lie in shared memory; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace spillway {

struct IpAddress {
  std::array<uint8_t, 16> bytes{};  // network order; all zero = unspecified

  friend constexpr bool operator==(const IpAddress&, const IpAddress&) = default;

  static constexpr IpAddress v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
    IpAddress ip;
    ip.bytes = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d};
    return ip;
  }
  // host_order: 0x7f000001 is 127.0.0.1.
  static constexpr IpAddress v4(uint32_t host_order) {
    return v4(static_cast<uint8_t>(host_order >> 24), static_cast<uint8_t>(host_order >> 16),
              static_cast<uint8_t>(host_order >> 8), static_cast<uint8_t>(host_order));
  }
  constexpr bool is_v4() const {
    for (size_t i = 0; i < 10; ++i)
      if (bytes[i] != 0) return false;
    return bytes[10] == 0xff && bytes[11] == 0xff;
  }
  // Only for is_v4(): the address in host order.
  constexpr uint32_t v4_value() const {
    return static_cast<uint32_t>(bytes[12]) << 24 | static_cast<uint32_t>(bytes[13]) << 16 |
           static_cast<uint32_t>(bytes[14]) << 8 | bytes[15];
  }
  constexpr bool unspecified() const {
    for (size_t i = 0; i < 16; ++i)
      if (bytes[i] != 0 && !(is_v4() && (i == 10 || i == 11))) return false;
    return true;
  }
  bool is_loopback() const;
  bool is_link_local() const;

  // Numeric text only, never resolved: "192.0.2.1", "2001:db8::1".
  static std::optional<IpAddress> parse(std::string_view text);
  std::string to_string() const;
};

struct Endpoint {
  IpAddress ip;
  uint16_t port = 0;           // host order
  uint16_t reserved_zero = 0;  // keeps the object free of padding

  friend constexpr bool operator==(const Endpoint&, const Endpoint&) = default;

  constexpr bool valid() const { return port != 0; }
  // "192.0.2.1:3478", "[2001:db8::1]:3478".
  static std::optional<Endpoint> parse(std::string_view text);
  std::string to_string() const;
};

static_assert(sizeof(Endpoint) == 20);
static_assert(std::has_unique_object_representations_v<Endpoint>);

// Keyed 64-bit hash (SipHash-1-3) so that nobody outside can choose collisions
// (threats A-37). `key` is drawn once per boot.
struct HashKey {
  uint64_t k0 = 0;
  uint64_t k1 = 0;
};
uint64_t hash_endpoint(const Endpoint& e, const HashKey& key);

}  // namespace spillway
