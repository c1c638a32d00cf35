// A UDP proxy that impairs: loses, delays, jitters. Both directions, one upstream socket
// per client so that the server sees as many addresses as there are clients.
//
//   client --(loss, delay)--> proxy --> server, and back
#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "datapath/base/units.h"

namespace spillway::peer {

struct Impairment {
  double loss_percent = 0;  // 0..100, each datagram by itself
  Nanos delay{};
  Nanos jitter{};  // each datagram waits delay + 0 .. jitter; may reorder
  uint64_t seed = 1;
};

// The fate of one datagram after another; the same for the same seed.
class Fate {
 public:
  explicit Fate(const Impairment& i) : i_(i), random_(i.seed) {}
  bool lost() { return unit_(random_) * 100 < i_.loss_percent; }
  Nanos wait() {
    return i_.jitter.ns == 0 ? i_.delay
                             : i_.delay + Nanos{static_cast<int64_t>(
                                              unit_(random_) * static_cast<double>(i_.jitter.ns))};
  }

 private:
  Impairment i_;
  std::mt19937_64 random_;
  std::uniform_real_distribution<double> unit_{0, 1};
};

struct ProxyArguments {
  std::string listen;  // "127.0.0.1:5000"
  std::string to;
  Impairment up, down;    // client to server, server to client
  double duration_s = 0;  // 0: until interrupted
};
inline constexpr size_t kProxyClientsMax = 4096;

int proxy_command(const ProxyArguments& arguments);

}  // namespace spillway::peer
