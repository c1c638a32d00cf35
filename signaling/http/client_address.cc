#include "signaling/http/client_address.h"

#include <algorithm>
#include <charconv>

namespace spillway {

bool IpPrefix::contains(const IpAddress& other) const {
  const size_t whole = bits / 8;
  if (!std::equal(ip.bytes.begin(), ip.bytes.begin() + static_cast<std::ptrdiff_t>(whole),
                  other.bytes.begin()))
    return false;
  if (bits % 8 == 0) return true;
  const auto mask = static_cast<uint8_t>(0xff << (8 - bits % 8));
  return (ip.bytes[whole] & mask) == (other.bytes[whole] & mask);
}

std::optional<IpPrefix> IpPrefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto ip = IpAddress::parse(text.substr(0, slash));
  if (!ip) return std::nullopt;
  const uint8_t offset = ip->is_v4() ? 96 : 0;
  uint8_t bits = 128;
  if (slash != std::string_view::npos) {
    const std::string_view number = text.substr(slash + 1);
    unsigned value = 0;
    const auto [end, ec] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (ec != std::errc{} || end != number.data() + number.size() || value > 128u - offset)
      return std::nullopt;
    bits = static_cast<uint8_t>(value + offset);
  }
  return IpPrefix{*ip, bits};
}

bool is_trusted(const std::vector<IpPrefix>& proxies, const IpAddress& ip) {
  return std::any_of(proxies.begin(), proxies.end(),
                     [&](const IpPrefix& p) { return p.contains(ip); });
}

IpAddress client_address(const std::vector<IpPrefix>& proxies, const HttpRequest& request) {
  IpAddress client = request.peer;
  // Several lines are one list in the order of the lines (RFC 9110 §5.3).
  for (auto h = request.headers.rbegin(); h != request.headers.rend(); ++h) {
    if (!equals_ignoring_case(h->first, "X-Forwarded-For")) continue;
    std::string_view list = h->second;
    while (is_trusted(proxies, client)) {
      const auto comma = list.rfind(',');
      const std::string_view item =
          trim_blanks(comma == std::string_view::npos ? list : list.substr(comma + 1));
      const auto ip = IpAddress::parse(item);
      if (!ip) return client;
      client = *ip;
      if (comma == std::string_view::npos) break;
      list = list.substr(0, comma);
    }
  }
  return client;
}

}  // namespace spillway
