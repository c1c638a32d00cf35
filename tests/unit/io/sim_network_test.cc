// The virtual network: each fault does what it says, all is counted, and one seed
// gives one run.
#include "datapath/io/sim/sim_network.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/unit/io/io_rig.h"

namespace spillway::test {
namespace {

const Endpoint kA{IpAddress::v4(10, 0, 0, 1), 1000, 0};
const Endpoint kB{IpAddress::v4(10, 0, 0, 2), 2000, 0};

struct Arrival {
  Nanos at;
  Payload payload;
  friend bool operator==(const Arrival&, const Arrival&) = default;
};

// Sends `count` numbered datagrams from A to B, one per `spacing`, and collects
// what arrives, in order, until nothing is in flight.
std::vector<Arrival> run(SimNetwork& net, uint32_t count, Nanos spacing, size_t bytes = 100) {
  SimPort* a = net.open_port({kA.ip}, kA.port);
  SimPort* b = net.open_port({kB.ip}, kB.port);
  std::vector<Arrival> out;
  auto collect = [&] {
    while (auto got = b->receive()) {
      out.push_back({net.now(), Payload(got->data, got->data + got->bytes)});
      b->discard(got->handle);
    }
  };
  auto advance = [&](Nanos t) {
    for (Nanos e = net.next_event(); e <= t; e = net.next_event()) {
      net.advance_to(e);
      collect();
    }
    net.advance_to(t);
  };
  for (uint32_t i = 0; i < count; ++i) {
    Payload p = pattern(bytes, i);
    store_be32(p.data(), i);
    a->send({kB, kA}, p);
    advance(net.now() + spacing);
  }
  while (net.in_flight() > 0) advance(net.next_event());
  net.close_port(a);
  net.close_port(b);
  return out;
}

void expect_conserved(const SimNetwork& net) {
  const auto& s = net.stats();
  EXPECT_EQ(s.sent + s.duplicated, s.delivered + s.lost + s.no_port + s.queue_full + s.pool_full +
                                       s.link_queue_full + net.in_flight());
}

uint32_t number(const Arrival& a) {
  return load_be32(a.payload.data());
}

// Aim: a clean link delivers all, in order, after exactly its delay.
TEST(SimNetwork, CleanLinkDelays) {
  SimNetwork net(1);
  SimLink link;
  link.delay = millis(20);
  net.set_link(kA.ip, kB.ip, link);
  auto got = run(net, 100, millis(1));
  ASSERT_EQ(got.size(), 100u);
  for (uint32_t i = 0; i < 100; ++i) {
    EXPECT_EQ(number(got[i]), i);
    EXPECT_EQ(got[i].at, millis(i) + millis(20));
  }
  expect_conserved(net);
  EXPECT_EQ(net.packets_used(), 0u);
}

// Aim: the same seed repeats the run to the nanosecond and the bit; another does not.
TEST(SimNetwork, OneSeedOneRun) {
  auto noisy = [](uint64_t seed) {
    SimNetwork net(seed);
    SimLink link;
    link.loss_ppm = 100'000;
    link.duplicate_ppm = 50'000;
    link.reorder_ppm = 50'000;
    link.corrupt_ppm = 50'000;
    link.jitter = millis(3);
    net.set_default_link(link);
    auto got = run(net, 2000, micros(500));
    expect_conserved(net);
    EXPECT_EQ(net.packets_used(), 0u);
    return got;
  };
  EXPECT_EQ(noisy(42), noisy(42));
  EXPECT_NE(noisy(42), noisy(43));
}

// Aim: each fault has about its rate and only its effect.
TEST(SimNetwork, FaultsHaveTheirRates) {
  constexpr uint32_t kCount = 20000;
  auto with = [](auto set, SimNetworkStats* stats) {
    SimNetwork net(7);
    SimLink link;
    set(link);
    net.set_default_link(link);
    auto got = run(net, kCount, micros(100));
    *stats = net.stats();
    return got;
  };
  SimNetworkStats s;
  auto lossy = with([](SimLink& l) { l.loss_ppm = 100'000; }, &s);
  EXPECT_NEAR(static_cast<double>(s.lost), kCount / 10, kCount / 100);
  EXPECT_EQ(lossy.size(), kCount - s.lost);

  auto twice = with([](SimLink& l) { l.duplicate_ppm = 100'000; }, &s);
  EXPECT_NEAR(static_cast<double>(s.duplicated), kCount / 10, kCount / 100);
  EXPECT_EQ(twice.size(), kCount + s.duplicated);

  auto corrupt = with([](SimLink& l) { l.corrupt_ppm = 100'000; }, &s);
  ASSERT_EQ(corrupt.size(), kCount);
  uint64_t bits = 0;
  for (uint32_t i = 0; i < kCount; ++i) {
    Payload sent = pattern(100, i);
    store_be32(sent.data(), i);
    for (size_t k = 0; k < 100; ++k)
      bits += static_cast<uint64_t>(__builtin_popcount(sent[k] ^ corrupt[i].payload[k]));
  }
  EXPECT_EQ(bits, s.corrupted);  // one bit each
  EXPECT_NEAR(static_cast<double>(s.corrupted), kCount / 10, kCount / 100);

  auto mixed = with([](SimLink& l) { l.reorder_ppm = 100'000; }, &s);
  ASSERT_EQ(mixed.size(), kCount);
  uint64_t late = 0;
  for (uint32_t i = 1; i < kCount; ++i) late += number(mixed[i]) < number(mixed[i - 1]);
  EXPECT_GT(late, s.reordered / 2);
  EXPECT_LE(late, s.reordered);
}

// Aim: jitter spreads the delay within its bound and keeps the order.
TEST(SimNetwork, JitterKeepsOrder) {
  SimNetwork net(3);
  SimLink link;
  link.delay = millis(10);
  link.jitter = millis(8);
  net.set_default_link(link);
  auto got = run(net, 1000, micros(200));
  ASSERT_EQ(got.size(), 1000u);
  Nanos least = kNever, most{};
  for (uint32_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(number(got[i]), i);
    const Nanos took = got[i].at - micros(200) * i;
    least = std::min(least, took);
    most = std::max(most, took);
  }
  EXPECT_GE(least, millis(10));
  EXPECT_LE(most, millis(18));
  EXPECT_GT(most, millis(17));
}

// Aim: a bottleneck lets its rate through and drops what its queue cannot hold.
TEST(SimNetwork, CapacityLimitsRateAndQueue) {
  SimNetwork net(3);
  SimLink link;
  link.delay = {};
  link.bits_per_second = 8'000'000;  // 1000 bytes per ms
  link.queue_bytes = 10'000;
  net.set_default_link(link);
  auto got = run(net, 400, micros(500), 1000);  // offered: twice the rate, 200 ms
  const auto& s = net.stats();
  EXPECT_EQ(got.size() + s.link_queue_full, 400u);
  EXPECT_NEAR(static_cast<double>(got.size()), 210, 3);  // 200 ms of the rate + the queue
  for (size_t i = 1; i < got.size(); ++i) ASSERT_GE(got[i].at - got[i - 1].at, millis(1));
  expect_conserved(net);
}

// Aim: a partition loses all in its direction, and ends.
TEST(SimNetwork, PartitionIsOneWayAndEnds) {
  SimNetwork net(1);
  SimPort* a = net.open_port({kA.ip}, kA.port);
  SimPort* b = net.open_port({kB.ip}, kB.port);
  SimLink down;
  down.down = true;
  net.set_link(kA.ip, kB.ip, down);
  a->send({kB, kA}, pattern(10, 1));
  b->send({kA, kB}, pattern(10, 2));
  net.advance_to(seconds(1));
  EXPECT_EQ(b->queued(), 0u);
  EXPECT_EQ(a->queued(), 1u);
  net.set_link(kA.ip, kB.ip, SimLink{});
  a->send({kB, kA}, pattern(10, 3));
  net.advance_to(seconds(2));
  EXPECT_EQ(b->queued(), 1u);
}

// Aim: the bounds hold and are counted: receive queue, packets, unknown endpoint.
TEST(SimNetwork, BoundsAreCounted) {
  SimNetwork net(1, 8);
  SimPort* b = net.open_port({kB.ip}, kB.port, 3);
  for (uint32_t i = 0; i < 10; ++i) net.send(kA, kB, pattern(10, i));
  EXPECT_EQ(net.stats().pool_full, 2u);
  net.advance_to(seconds(1));
  EXPECT_EQ(net.stats().queue_full, 5u);
  EXPECT_EQ(b->queued(), 3u);
  net.send(kA, {kB.ip, 2001, 0}, pattern(10, 1));
  net.advance_to(seconds(2));
  EXPECT_EQ(net.stats().no_port, 1u);
  expect_conserved(net);
  net.close_port(b);  // what was queued is gone, and accounted for
  EXPECT_EQ(net.packets_used(), 0u);
  expect_conserved(net);
}

// Aim: ports on one endpoint share flows as SO_REUSEPORT does: a flow stays.
TEST(SimNetwork, PortsShareAnEndpointByFlow) {
  SimNetwork net(1);
  SimPort* ports[2] = {net.open_port({kB.ip}, kB.port), net.open_port({kB.ip}, kB.port)};
  uint32_t got[2][64] = {};
  for (uint32_t turn = 0; turn < 3; ++turn)
    for (uint16_t flow = 0; flow < 64; ++flow)
      net.send({kA.ip, static_cast<uint16_t>(5000 + flow), 0}, kB, pattern(10, flow));
  net.advance_to(seconds(1));
  for (size_t w = 0; w < 2; ++w)
    while (auto r = ports[w]->receive()) {
      ++got[w][r->path.remote.port - 5000];
      ports[w]->discard(r->handle);
    }
  uint32_t first = 0;
  for (uint32_t flow = 0; flow < 64; ++flow) {
    EXPECT_EQ(got[0][flow] + got[1][flow], 3u);
    EXPECT_TRUE(got[0][flow] == 0 || got[1][flow] == 0);
    first += got[0][flow] > 0;
  }
  EXPECT_GT(first, 8u);
  EXPECT_LT(first, 56u);
}

// Aim: SimIo drops what is too long, counts refused sends, tells of wakes, and
// gives back what it still holds when it dies.
TEST(SimIo, Faults) {
  SimNetwork net(1);
  SimPort* a = net.open_port({kA.ip}, kA.port);
  SimPort* b = net.open_port({kB.ip}, kB.port);
  {
    SimIo io(b);
    net.send(kA, kB, pattern(kMaxDatagramBytes + 1, 1));
    net.send(kA, kB, pattern(20, 2));
    net.advance_to(seconds(1));
    RxPacket burst[kBurst];
    ASSERT_EQ(io.rx_burst(burst, seconds(1)), 1u);
    EXPECT_EQ(io.stats().rx_truncated, 1u);
    EXPECT_EQ(burst[0].bytes, 20u);

    io.refuse_tx(3);
    TxBatch batch;
    for (uint32_t i = 0; i < 8; ++i) put(batch, {kA, kB}, pattern(100, i));
    io.tx_burst(batch);
    EXPECT_EQ(io.stats().tx_dropped_full, 3u);
    EXPECT_EQ(io.stats().tx_datagrams, 5u);
    net.advance_to(seconds(2));
    EXPECT_EQ(a->queued(), 5u);

    EXPECT_FALSE(io.take_wake());
    io.wake();
    EXPECT_TRUE(io.take_wake());
    EXPECT_FALSE(io.take_wake());
    EXPECT_EQ(net.packets_used(), 6u);
  }
  EXPECT_EQ(net.packets_used(), 5u);
  net.close_port(a);
  EXPECT_EQ(net.packets_used(), 0u);
}

}  // namespace
}  // namespace spillway::test
