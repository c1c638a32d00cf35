#include "datapath/base/endpoint.h"

#include <arpa/inet.h>
#include <bit>
#include <charconv>
#include <cstring>

namespace spillway {

bool IpAddress::is_loopback() const {
  if (is_v4()) return bytes[12] == 127;
  for (size_t i = 0; i < 15; ++i)
    if (bytes[i] != 0) return false;
  return bytes[15] == 1;
}

bool IpAddress::is_link_local() const {
  if (is_v4()) return bytes[12] == 169 && bytes[13] == 254;
  return bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  char z[INET6_ADDRSTRLEN];
  if (text.empty() || text.size() >= sizeof z) return std::nullopt;
  std::memcpy(z, text.data(), text.size());
  z[text.size()] = 0;
  in_addr a4{};
  if (inet_pton(AF_INET, z, &a4) == 1) return v4(ntohl(a4.s_addr));
  IpAddress ip;
  if (inet_pton(AF_INET6, z, ip.bytes.data()) == 1) return ip;
  return std::nullopt;
}

std::string IpAddress::to_string() const {
  char z[INET6_ADDRSTRLEN] = {};
  if (is_v4())
    inet_ntop(AF_INET, &bytes[12], z, sizeof z);
  else
    inet_ntop(AF_INET6, bytes.data(), z, sizeof z);
  return z;
}

std::optional<Endpoint> Endpoint::parse(std::string_view text) {
  auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  auto host = text.substr(0, colon);
  auto port_text = text.substr(colon + 1);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string_view::npos)
    return std::nullopt;
  auto ip = IpAddress::parse(host);
  uint16_t port = 0;
  auto [end, ec] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (!ip || ec != std::errc{} || end != port_text.data() + port_text.size()) return std::nullopt;
  return Endpoint{*ip, port};
}

std::string Endpoint::to_string() const {
  auto host = ip.to_string();
  return (ip.is_v4() ? host : "[" + host + "]") + ":" + std::to_string(port);
}

uint64_t hash_endpoint(const Endpoint& e, const HashKey& key) {
  uint64_t v0 = key.k0 ^ 0x736f6d6570736575, v1 = key.k1 ^ 0x646f72616e646f6d;
  uint64_t v2 = key.k0 ^ 0x6c7967656e657261, v3 = key.k1 ^ 0x7465646279746573;
  auto round = [&] {
    v0 += v1, v1 = std::rotl(v1, 13) ^ v0, v0 = std::rotl(v0, 32);
    v2 += v3, v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3, v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1, v1 = std::rotl(v1, 17) ^ v2, v2 = std::rotl(v2, 32);
  };
  uint64_t words[3] = {};
  std::memcpy(words, e.ip.bytes.data(), 16);
  words[2] = e.port | uint64_t{18} << 56;  // SipHash ends with the length, 18 bytes here
  for (uint64_t m : words) {
    v3 ^= m;
    round();
    v0 ^= m;
  }
  v2 ^= 0xff;
  round();
  round();
  round();
  return v0 ^ v1 ^ v2 ^ v3;
}

}  // namespace spillway
