#include "control/candidates.h"

#include <algorithm>

namespace spillway {

std::vector<Endpoint> candidate_endpoints(std::span<const std::string> addresses, uint16_t port) {
  std::vector<Endpoint> out;
  for (const std::string& text : addresses) {
    auto ip = IpAddress::parse(text);
    if (!ip || ip->unspecified()) continue;
    Endpoint e{*ip, port, 0};
    if (std::find(out.begin(), out.end(), e) == out.end()) out.push_back(e);
  }
  return out;
}

std::vector<Endpoint> order_candidates(std::span<const Endpoint> all, const IpAddress& client) {
  bool local = client.is_loopback();
  auto rank = [&](const Endpoint& e) {
    if (e.ip.is_loopback()) return local ? 0 : 6;
    int family = e.ip.is_v4() ? 2 : 3;
    return e.ip.is_link_local() ? family + 2 : family;
  };
  std::vector<Endpoint> out(all.begin(), all.end());
  std::stable_sort(out.begin(), out.end(), [&](const Endpoint& a, const Endpoint& b) {
    int ra = rank(a), rb = rank(b);
    if (ra != rb) return ra < rb;
    return a.ip.is_v4() && !b.ip.is_v4();
  });
  if (!local && !out.empty() && !out.front().ip.is_loopback())
    std::erase_if(out, [](const Endpoint& e) { return e.ip.is_loopback(); });
  return out;
}

}  // namespace spillway
