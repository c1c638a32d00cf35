#include "signaling/sdp/host_candidate.h"

namespace spillway {

std::vector<std::string> host_candidates(const std::vector<Endpoint>& endpoints, uint32_t max) {
  std::vector<std::string> out;
  for (const bool v4 : {true, false}) {
    for (const Endpoint& e : endpoints) {
      if (e.ip.is_v4() != v4 || !e.valid() || out.size() == max) continue;
      const auto n = static_cast<uint32_t>(out.size());
      // Type preference 126 (host), local preference from 65535 down, component 1.
      const uint32_t priority = 126U << 24 | (65535U - n) << 8 | 255U;
      out.push_back("candidate:" + std::to_string(n + 1) + " 1 udp " + std::to_string(priority) +
                    ' ' + e.ip.to_string() + ' ' + std::to_string(e.port) + " typ host");
    }
  }
  return out;
}

}  // namespace spillway
