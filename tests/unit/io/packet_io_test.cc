// The PacketIo contract, the same tests for every back end.
#include "datapath/io/packet_io.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "tests/unit/io/io_rig.h"

namespace spillway::test {
namespace {

class PacketIoTest : public testing::TestWithParam<const char*> {
 protected:
  void make(uint32_t rx_buffers = 512) { rig_ = make_rig(GetParam(), rx_buffers); }
  PacketIo& io() { return rig_->io(); }
  // Server addresses to try a behaviour on.
  std::vector<Endpoint> servers() {
    std::vector<Endpoint> out = {rig_->v4(), rig_->v4_other()};
    if (rig_->has_v6()) out.push_back(rig_->v6());
    return out;
  }
  std::unique_ptr<Rig> rig_;
};

// Aim: bytes and both ends of the path are what the peer sent from and to.
TEST_P(PacketIoTest, DeliversBytesAndPath) {
  make();
  EXPECT_EQ(io().name(), GetParam());
  for (const Endpoint& server : servers()) {
    auto peer = rig_->peer(server.ip.is_v4());
    const auto sent = pattern(777, 1);
    peer->send(server, sent);
    std::vector<Path> paths;
    auto got = rig_->rx_all(1, &paths);
    ASSERT_EQ(got.size(), 1u) << server.to_string();
    EXPECT_EQ(got[0].payload, sent);
    EXPECT_EQ(paths[0].remote, peer->endpoint());
    EXPECT_EQ(paths[0].local, server);
  }
  EXPECT_EQ(io().stats().rx_datagrams, servers().size());
  EXPECT_EQ(io().stats().rx_bytes, servers().size() * 777);
}

// Aim: on a host with several addresses the answer comes from the one asked.
TEST_P(PacketIoTest, ReplyLeavesFromTheAddressThatWasHit) {
  make();
  TxBatch batch;
  for (const Endpoint& server : servers()) {
    auto peer = rig_->peer(server.ip.is_v4());
    peer->send(server, pattern(10, 2));
    RxPacket burst[kBurst];
    ASSERT_EQ(rig_->rx_some(burst), 1u);
    put(batch, burst[0].path, {burst[0].data, burst[0].bytes});
    io().release({burst, 1});
    io().tx_burst(batch);
    EXPECT_TRUE(batch.empty());
    auto reply = peer->receive();
    ASSERT_TRUE(reply) << server.to_string();
    EXPECT_EQ(reply->from, server);
    EXPECT_EQ(reply->payload, pattern(10, 2));
  }
}

// Aim: a run is one message for us and separate datagrams, in order, for the
// peer; the last may be short.
TEST_P(PacketIoTest, RunArrivesAsSeparateDatagramsInOrder) {
  make();
  TxBatch batch;
  uint64_t datagrams = 0;
  for (const Endpoint& server : servers()) {
    auto peer = rig_->peer(server.ip.is_v4());
    const Path path{peer->endpoint(), server};
    std::vector<Payload> sent;
    for (uint32_t i = 0; i < 31; ++i) sent.push_back(pattern(1200, i));
    sent.push_back(pattern(7, 99));
    for (const auto& p : sent) put(batch, path, p);
    ASSERT_EQ(batch.runs().size(), 1u);
    io().tx_burst(batch);
    datagrams += sent.size();
    for (const auto& p : sent) {
      auto got = peer->receive();
      ASSERT_TRUE(got);
      ASSERT_EQ(got->payload, p);
      ASSERT_EQ(got->from, server);
    }
  }
  EXPECT_EQ(io().stats().tx_datagrams, datagrams);
  EXPECT_EQ(io().stats().tx_messages, servers().size());
  EXPECT_EQ(io().stats().gso_fallbacks, 0u);
}

// Aim: the largest run the batch can build is accepted whole.
TEST_P(PacketIoTest, LargestRunsAreSent) {
  make();
  auto peer = rig_->peer();
  TxBatch batch;
  const Path path{peer->endpoint(), rig_->v4()};
  const uint32_t by_bytes = kMaxGsoBytes / kMaxDatagramBytes;
  for (uint32_t i = 0; i < by_bytes; ++i) put(batch, path, pattern(kMaxDatagramBytes, i));
  for (uint32_t i = 0; i < kMaxGsoSegments; ++i) put(batch, path, pattern(100, i));
  ASSERT_LE(batch.runs().size(), 3u);
  io().tx_burst(batch);
  EXPECT_EQ(io().stats().tx_datagrams, by_bytes + kMaxGsoSegments);
  EXPECT_EQ(io().stats().tx_dropped_error, 0u);
  for (uint32_t i = 0; i < by_bytes + kMaxGsoSegments; ++i) ASSERT_TRUE(peer->receive()) << i;
}

// Aim: the extremes of length arrive whole, in both directions.
TEST_P(PacketIoTest, ExtremeLengths) {
  make();
  auto peer = rig_->peer();
  TxBatch batch;
  for (size_t bytes : {size_t{0}, size_t{1}, size_t{kMaxDatagramBytes}}) {
    peer->send(rig_->v4(), pattern(bytes, 3));
    auto got = rig_->rx_all(1);
    ASSERT_EQ(got.size(), 1u);
    EXPECT_EQ(got[0].payload, pattern(bytes, 3));
    if (bytes == 0) continue;
    put(batch, {peer->endpoint(), rig_->v4()}, pattern(bytes, 4));
    io().tx_burst(batch);
    auto reply = peer->receive();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->payload, pattern(bytes, 4));
  }
}

// Aim: what is too long is dropped and counted, never handed up cut short; the
// buffer is not lost with it.
TEST_P(PacketIoTest, OverlongDatagramsAreCountedAndDropped) {
  make(8);
  auto peer = rig_->peer();
  for (uint32_t i = 0; i < 40; ++i) {
    peer->send(rig_->v4(), pattern(kMaxDatagramBytes + 1 + 100 * i, i));
    peer->send(rig_->v4(), pattern(50, i));
    auto got = rig_->rx_all(1);
    ASSERT_EQ(got.size(), 1u);
    ASSERT_EQ(got[0].payload, pattern(50, i));
  }
  EXPECT_EQ(io().stats().rx_truncated, 40u);
  EXPECT_EQ(io().stats().rx_datagrams, 40u);
}

// Aim: memory of the batch is free on return: scribbling over it at once changes
// nothing, round after round.
TEST_P(PacketIoTest, BatchMemoryIsFreeOnReturn) {
  make();
  auto peer = rig_->peer();
  TxBatch batch;
  const Path path{peer->endpoint(), rig_->v4()};
  for (uint32_t round = 0; round < 50; ++round) {
    std::vector<Payload> sent;
    // Falling lengths close a run each: 100 runs, two chunks.
    for (uint32_t i = 0; i < 100; ++i) sent.push_back(pattern(100 + i, round * 100 + i));
    for (const auto& p : sent) put(batch, path, p);
    uint8_t* slab = batch.runs()[0].data;
    const uint32_t bytes = batch.bytes();
    io().tx_burst(batch);
    std::fill_n(slab, bytes, uint8_t{0xee});
    for (const auto& p : sent) {
      auto got = peer->receive();
      ASSERT_TRUE(got);
      ASSERT_EQ(got->payload, p);
    }
  }
}

// Aim: one batch to many peers of both families: each gets its own, in order.
TEST_P(PacketIoTest, MixedDestinations) {
  make();
  std::vector<std::unique_ptr<Peer>> peers;
  for (int i = 0; i < 12; ++i) peers.push_back(rig_->peer(i % 3 != 0 || !rig_->has_v6()));
  TxBatch batch;
  for (uint32_t turn = 0; turn < 20; ++turn)
    for (uint32_t i = 0; i < peers.size(); ++i) {
      const auto to = peers[i]->endpoint();
      put(batch, {to, to.ip.is_v4() ? rig_->v4() : rig_->v6()}, pattern(60 + i, turn));
    }
  io().tx_burst(batch);
  EXPECT_EQ(io().stats().tx_datagrams, 240u);
  for (uint32_t i = 0; i < peers.size(); ++i)
    for (uint32_t turn = 0; turn < 20; ++turn) {
      auto got = peers[i]->receive();
      ASSERT_TRUE(got);
      ASSERT_EQ(got->payload, pattern(60 + i, turn));
    }
}

// Aim: more datagrams than buffers wait in the socket and come later, in order.
TEST_P(PacketIoTest, MoreDatagramsThanBuffers) {
  make(8);
  auto peer = rig_->peer();
  for (uint32_t i = 0; i < 300; ++i) peer->send(rig_->v4(), pattern(20 + i, i));
  auto got = rig_->rx_all(300);
  ASSERT_EQ(got.size(), 300u);
  for (uint32_t i = 0; i < 300; ++i) ASSERT_EQ(got[i].payload, pattern(20 + i, i)) << i;
  if (io().name() == "uring") {
    EXPECT_GT(io().stats().rx_no_buffer, 0u);
  }
}

// Aim: rx_burst fills no more than it is given, and what did not fit comes next.
TEST_P(PacketIoTest, SmallBurstsLoseNothing) {
  make();
  auto peer = rig_->peer();
  for (uint32_t i = 0; i < 100; ++i) peer->send(rig_->v4(), pattern(30, i));
  RxPacket burst[3];
  for (uint32_t at = 0; at < 100;) {
    uint32_t n = rig_->rx_some(burst);
    ASSERT_GT(n, 0u);
    ASSERT_LE(n, 3u);
    for (uint32_t i = 0; i < n; ++i, ++at)
      ASSERT_EQ(Payload(burst[i].data, burst[i].data + burst[i].bytes), pattern(30, at));
    io().release({burst, n});
  }
}

// Aim: every buffer comes back whatever the order of release: far more datagrams
// than buffers flow, in random parts and orders.
TEST_P(PacketIoTest, BuffersReturnInAnyOrder) {
  make(64);
  auto peer = rig_->peer();
  std::mt19937 random(7);
  RxPacket burst[kBurst];
  for (uint32_t sent = 0, got = 0; got < 5000;) {
    for (auto n = random() % 60; n > 0 && sent < 5000; --n)
      peer->send(rig_->v4(), pattern(9, sent++));
    if (sent == got) continue;
    uint32_t n = rig_->rx_some({burst, 1 + random() % kBurst});
    ASSERT_GT(n, 0u);
    for (uint32_t i = 0; i < n; ++i)
      ASSERT_EQ(Payload(burst[i].data, burst[i].data + burst[i].bytes), pattern(9, got + i));
    got += n;
    std::shuffle(burst, burst + n, random);
    const uint32_t part = static_cast<uint32_t>(random() % (n + 1));
    io().release({burst, part});
    io().release({burst + part, n - part});
  }
  EXPECT_EQ(io().stats().rx_datagrams, 5000u);
}

// Aim: with nothing there a call without waiting is 0, and waiting ends in time.
TEST_P(PacketIoTest, EmptyReturnsZero) {
  make();
  RxPacket burst[kBurst];
  EXPECT_EQ(io().rx_burst(burst, Nanos{}), 0u);
  EXPECT_EQ(io().rx_burst(burst, millis(20)), 0u);
  TxBatch batch;
  io().tx_burst(batch);
  EXPECT_EQ(io().stats().tx_messages, 0u);
}

// Aim: a peer whose port is closed (ICMP port unreachable) disturbs nobody.
TEST_P(PacketIoTest, UnreachablePeerDoesNotDisturbOthers) {
  make();
  auto peer = rig_->peer();
  auto gone = rig_->peer();
  const Path gone_path{gone->endpoint(), rig_->v4()};
  gone.reset();
  TxBatch batch;
  for (uint32_t round = 0; round < 200; ++round) {
    for (uint32_t i = 0; i < 8; ++i) put(batch, gone_path, pattern(200, i));
    put(batch, {peer->endpoint(), rig_->v4()}, pattern(300, round));
    io().tx_burst(batch);
    auto got = peer->receive();
    ASSERT_TRUE(got);
    ASSERT_EQ(got->payload, pattern(300, round));
    peer->send(rig_->v4(), pattern(40, round));
    auto up = rig_->rx_all(1);
    ASSERT_EQ(up.size(), 1u);
    ASSERT_EQ(up[0].payload, pattern(40, round));
  }
  EXPECT_EQ(io().stats().tx_dropped_full, 0u);
  EXPECT_EQ(io().stats().tx_datagrams, 200u * 9);
}

#ifdef SPILLWAY_CHECKS
using PacketIoDeathTest = PacketIoTest;

// Aim: a buffer given back twice or kept too long is caught where it happens.
TEST_P(PacketIoDeathTest, BufferMistakesAbort) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        make();
        auto peer = rig_->peer();
        peer->send(rig_->v4(), pattern(10, 1));
        RxPacket burst[kBurst];
        rig_->rx_some(burst);
        io().release({burst, 1});
        io().release({burst, 1});
      },
      "assertion failed");
  EXPECT_DEATH(
      {
        make();
        auto peer = rig_->peer();
        peer->send(rig_->v4(), pattern(10, 1));
        RxPacket burst[kBurst];
        rig_->rx_some(burst);
        rig_->rx_some(burst);
      },
      "assertion failed");
}
INSTANTIATE_TEST_SUITE_P(BackEnds, PacketIoDeathTest, testing::Values("uring", "mmsg", "sim"));
#endif

INSTANTIATE_TEST_SUITE_P(BackEnds, PacketIoTest, testing::Values("uring", "mmsg", "sim"),
                         [](const auto& p) { return std::string(p.param); });

}  // namespace
}  // namespace spillway::test
