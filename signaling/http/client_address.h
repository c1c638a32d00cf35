// Whose request it is: the TCP peer, or what a trusted proxy says. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "datapath/base/endpoint.h"
#include "signaling/http/message.h"

namespace spillway {

struct IpPrefix {
  IpAddress ip;
  uint8_t bits = 128;  // of the 128-bit form: an IPv4 /24 is 120

  bool contains(const IpAddress& other) const;
  // "10.0.0.0/8", "2001:db8::/32", "192.0.2.1".
  static std::optional<IpPrefix> parse(std::string_view text);
};

bool is_trusted(const std::vector<IpPrefix>& proxies, const IpAddress& ip);

// Walks X-Forwarded-For from the right (the side our own proxies append to) and
// takes the first address that is not a trusted proxy. From an untrusted peer the
// header is ignored; where it stops making sense, the last good address stands.
IpAddress client_address(const std::vector<IpPrefix>& proxies, const HttpRequest& request);

}  // namespace spillway
