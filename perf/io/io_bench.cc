// What sending and receiving a datagram costs with each back end, on loopback.
//
//   io_bench [--quick] [--commit TEXT]
//
// One sender and one receiver in one thread, in all combinations of back ends.
// Per round: fill a batch of 64 runs, at most 256 datagrams, time tx_burst alone,
// then time the rx_bursts that take them in. Combinations and run lengths
// alternate round by round, so that a slow phase of the host hits all alike. On
// loopback the receive path up to the socket buffer, the wake-up of an armed
// io_uring receive included, runs inside the send and is charged to the sender:
// compare senders with the same receiver.
//
// Prints JSON: median, 10th and 90th percentile in ns per datagram.
#include <sys/utsname.h>

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "datapath/io/make_packet_io.h"

namespace spillway {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint32_t kPayloadBytes = 1200;
constexpr uint32_t kDestinations = 64;

double ns_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
}

struct Samples {
  std::vector<double> ns;
  double at(double quantile) {
    std::sort(ns.begin(), ns.end());
    return ns[static_cast<size_t>(quantile * static_cast<double>(ns.size() - 1))];
  }
};

struct Pair {
  std::string tx_name, rx_name;
  MediaSocketSet from, to;
  std::unique_ptr<PacketIo> tx, rx;

  static Pair make(IoBackend tx_backend, IoBackend rx_backend) {
    Pair p;
    p.from = *open_media_sockets({});
    p.to = *open_media_sockets({});
    p.tx = std::move(make_packet_io({tx_backend, p.from.workers[0].fds()})->io);
    p.rx = std::move(make_packet_io({rx_backend, p.to.workers[0].fds()})->io);
    p.tx_name = p.tx->name();
    p.rx_name = p.rx->name();
    return p;
  }

  // Destinations are addresses of 127/8 on one port: one receiver takes all.
  Path path(uint32_t i) const {
    return {{IpAddress::v4(127, 0, 1, static_cast<uint8_t>(i + 1)), to.port, 0},
            {IpAddress::v4(127, 0, 0, 1), from.port, 0}};
  }
};

struct Round {
  double tx_ns = 0;  // per datagram
  double rx_ns = 0;
};

Round measure(Pair& pair, TxBatch& batch, uint32_t run_datagrams) {
  const uint32_t total = std::min(64 * run_datagrams, 256u);
  for (uint32_t i = 0; i < total; ++i) {
    const Path path = pair.path(i / run_datagrams % kDestinations);
    uint8_t* at = batch.reserve(path, kPayloadBytes);
    std::memset(at, static_cast<int>(i), kPayloadBytes);
    batch.commit(kPayloadBytes);
  }
  auto begin = Clock::now();
  pair.tx->tx_burst(batch);
  const double tx_ns = ns_since(begin);

  RxPacket burst[kBurst];
  uint32_t got = 0;
  begin = Clock::now();
  // Loopback delivers inside the send, or soon after when the kernel defers its
  // softirq: then the wait is part of a sample that the median leaves out.
  for (int empty = 0; got < total && empty < 100;) {
    const uint32_t n = pair.rx->rx_burst(burst, millis(10));
    empty += n == 0;
    got += n;
    pair.rx->release({burst, n});
  }
  const double rx_ns = ns_since(begin);
  return {tx_ns / total, got > 0 ? rx_ns / got : 0};
}

int run(uint32_t rounds, const std::string& commit) {
  std::vector<Pair> pairs;
  auto probe = open_media_sockets({});
  if (!probe) {
    std::fprintf(stderr, "%s\n", probe.error().text.c_str());
    return 1;
  }
  pairs.push_back(Pair::make(IoBackend::mmsg, IoBackend::mmsg));
  if (make_packet_io({IoBackend::uring, probe->workers[0].fds()})) {
    pairs.push_back(Pair::make(IoBackend::uring, IoBackend::mmsg));
    pairs.push_back(Pair::make(IoBackend::mmsg, IoBackend::uring));
    pairs.push_back(Pair::make(IoBackend::uring, IoBackend::uring));
  }

  TxBatch batch;
  std::map<std::pair<const Pair*, uint32_t>, std::pair<Samples, Samples>> results;
  for (uint32_t round = 0; round < rounds + rounds / 10; ++round)
    for (uint32_t run_datagrams : {1u, 8u, 32u})
      for (auto& pair : pairs) {
        const Round r = measure(pair, batch, run_datagrams);
        if (round < rounds / 10) continue;  // warm-up
        auto& [tx, rx] = results[{&pair, run_datagrams}];
        tx.ns.push_back(r.tx_ns);
        rx.ns.push_back(r.rx_ns);
      }

  utsname machine{};
  ::uname(&machine);
  std::printf(
      "{\"benchmark\":\"io\",\"commit\":\"%s\",\"kernel\":\"%s\",\"compiler\":\"%s\","
      "\"payload_bytes\":%u,\"rounds\":%u,\"results\":[",
      commit.c_str(), machine.release, __VERSION__, kPayloadBytes, rounds);
  const char* separator = "\n";
  for (auto& [key, samples] : results) {
    auto& [tx, rx] = samples;
    std::printf(
        "%s{\"tx\":\"%s\",\"rx\":\"%s\",\"run\":%u,\"tx_ns\":%.0f,\"tx_p10\":%.0f,\"tx_p90\":%.0f,"
        "\"rx_ns\":%.0f,\"rx_p10\":%.0f,\"rx_p90\":%.0f}",
        separator, key.first->tx_name.c_str(), key.first->rx_name.c_str(), key.second, tx.at(0.5),
        tx.at(0.1), tx.at(0.9), rx.at(0.5), rx.at(0.1), rx.at(0.9));
    separator = ",\n";
  }
  std::printf("\n]}\n");
  for (auto& p : pairs) {
    const auto& t = p.tx->stats();
    const auto& r = p.rx->stats();
    // A benchmark that drops measures something else.
    const uint64_t dropped = t.tx_dropped_full + t.tx_dropped_error;
    if (dropped == 0 && r.rx_datagrams == t.tx_datagrams) continue;
    std::fprintf(stderr, "%s to %s: sent %" PRIu64 ", dropped %" PRIu64 ", received %" PRIu64 "\n",
                 p.tx_name.c_str(), p.rx_name.c_str(), t.tx_datagrams, dropped, r.rx_datagrams);
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace spillway

int main(int argc, char** argv) {
  uint32_t rounds = 3000;
  std::string commit = "unknown";
  for (int i = 1; i < argc; ++i) {
    if (!std::strcmp(argv[i], "--quick")) {
      rounds = 20;
    } else if (!std::strcmp(argv[i], "--commit") && i + 1 < argc) {
      commit = argv[++i];
    } else {
      std::fprintf(stderr, "usage: %s [--quick] [--commit TEXT]\n", argv[0]);
      return 2;
    }
  }
  return spillway::run(rounds, commit);
}
