#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "datapath/base/bytes.h"
#include "datapath/base/endpoint.h"
#include "datapath/base/lazy_memory.h"
#include "datapath/base/packet.h"
#include "datapath/base/sequence.h"
#include "datapath/base/spsc_ring.h"

namespace spillway {
namespace {

TEST(Reader, StaysBadOnceItRanOut) {
  const uint8_t data[] = {1, 2, 3};
  Reader r(data);
  EXPECT_EQ(r.be16(), 0x0102);
  EXPECT_EQ(r.be16(), 0);
  EXPECT_TRUE(r.bad());
  EXPECT_EQ(r.u8(), 0) << "a byte is left, but the reader is bad";
}

TEST(Writer, NeverWritesPastItsEnd) {
  uint8_t data[5] = {0xee, 0xee, 0xee, 0xee, 0xee};
  Writer w({data, 4});
  w.be24(0x010203);
  w.be16(7);
  EXPECT_TRUE(w.bad());
  EXPECT_EQ(w.size(), 3u);
  EXPECT_EQ(data[3], 0xee);
  EXPECT_EQ(data[4], 0xee);
}

TEST(Endpoint, ParsesWhatItPrints) {
  for (const char* text : {"192.0.2.1:3478", "[2001:db8::1]:1", "127.0.0.1:65535"}) {
    auto e = Endpoint::parse(text);
    ASSERT_TRUE(e) << text;
    EXPECT_EQ(e->to_string(), text);
  }
  for (const char* text : {"", "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "::1:5", "host:1",
                           "1.2.3:4", "[::1]5", "1.2.3.4:1x"})
    EXPECT_FALSE(Endpoint::parse(text)) << text;
}

TEST(Endpoint, KnowsItsScopes) {
  EXPECT_TRUE(IpAddress::parse("127.1.2.3")->is_loopback());
  EXPECT_TRUE(IpAddress::parse("::1")->is_loopback());
  EXPECT_TRUE(IpAddress::parse("169.254.1.1")->is_link_local());
  EXPECT_TRUE(IpAddress::parse("fe80::1")->is_link_local());
  EXPECT_TRUE(IpAddress::parse("0.0.0.0")->unspecified());
  EXPECT_TRUE(IpAddress::parse("::")->unspecified());
  EXPECT_FALSE(IpAddress::parse("0.0.0.1")->unspecified());
}

// SipHash-1-3 has no short published vectors with this input shape; what we need of it
// is that the key matters and single bits spread.
TEST(Endpoint, HashDependsOnEveryBitAndOnTheKey) {
  Endpoint e{IpAddress::v4(10, 0, 0, 1), 1000};
  HashKey key{1, 2};
  uint64_t base = hash_endpoint(e, key);
  EXPECT_NE(base, hash_endpoint(e, {1, 3}));
  for (int bit = 0; bit < 128; ++bit) {
    Endpoint f = e;
    f.ip.bytes[static_cast<size_t>(bit / 8)] ^= static_cast<uint8_t>(1 << bit % 8);
    int changed = std::popcount(base ^ hash_endpoint(f, key));
    EXPECT_GT(changed, 10) << bit;
  }
}

TEST(Sequence, ExtendsEightBitNumbersLikeTheReference) {
  for (uint64_t reference = 0; reference < 2000; ++reference)
    for (uint32_t wire = 0; wire < 256; ++wire) {
      uint64_t got = extend_sequence<uint8_t>(reference, static_cast<uint8_t>(wire));
      // Reference: the candidate with the right low byte nearest to `reference`.
      int64_t best = -1;
      for (int64_t c = static_cast<int64_t>(wire); c < 3000; c += 256) {
        auto d = std::abs(c - static_cast<int64_t>(reference));
        if (best < 0 || d < std::abs(best - static_cast<int64_t>(reference))) best = c;
      }
      ASSERT_EQ(got, static_cast<uint64_t>(best)) << reference << " " << wire;
    }
}

TEST(Sequence, NewerIsAntisymmetricExceptHalfway) {
  for (uint32_t a = 0; a < 256; ++a)
    for (uint32_t b = 0; b < 256; ++b) {
      auto x = static_cast<uint8_t>(a), y = static_cast<uint8_t>(b);
      if (static_cast<uint8_t>(x - y) == 128) continue;
      if (x == y)
        EXPECT_FALSE(sequence_newer(x, y));
      else
        EXPECT_NE(sequence_newer(x, y), sequence_newer(y, x));
    }
}

TEST(SpscRing, BehavesLikeAQueue) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::mt19937_64 random(seed);
    auto ring = std::make_unique<SpscRing<uint64_t, 8>>();
    std::deque<uint64_t> model;
    for (uint64_t step = 0; step < 20000; ++step) {
      if (random() % 2) {
        bool ok = ring->push(step);
        ASSERT_EQ(ok, model.size() < 8);
        if (ok) model.push_back(step);
      } else {
        const uint64_t* front = ring->front();
        ASSERT_EQ(front != nullptr, !model.empty());
        if (!front) continue;
        ASSERT_EQ(*front, model.front());
        model.pop_front();
        ring->pop();
      }
      ASSERT_EQ(ring->size(), model.size());
    }
  }
}

Path path(uint16_t port) {
  return {{IpAddress::v4(127, 0, 0, 1), port}, {IpAddress::v4(127, 0, 0, 1), 1}};
}

void put(TxBatch& tx, const Path& p, uint32_t bytes) {
  ASSERT_NE(tx.reserve(p, kMaxDatagramBytes), nullptr);
  tx.commit(bytes);
}

TEST(TxBatch, JoinsEqualSegmentsToOnePath) {
  TxBatch tx;
  Path a = path(1), b = path(2);
  put(tx, a, 1000);
  put(tx, a, 1000);
  put(tx, a, 400);   // shorter: the last of its run
  put(tx, a, 400);   // a new run
  put(tx, b, 400);
  put(tx, b, 500);   // longer never joins
  auto runs = tx.runs();
  ASSERT_EQ(runs.size(), 4u);
  EXPECT_EQ(runs[0].segments, 3u);
  EXPECT_EQ(runs[0].bytes, 2400u);
  EXPECT_EQ(runs[1].segments, 1u);
  EXPECT_EQ(runs[2].path, b);
  EXPECT_EQ(tx.datagrams(), 6u);
}

TEST(TxBatch, KeepsTheKernelsLimits) {
  TxBatch tx;
  Path a = path(1);
  for (uint32_t i = 0; i < 200; ++i) put(tx, a, 1200);
  for (auto& run : tx.runs()) {
    EXPECT_LE(run.segments, kMaxGsoSegments);
    EXPECT_LE(run.bytes, kMaxGsoBytes);
  }
}

TEST(TxBatch, SaysWhenItIsFullAndForgetsWhatWasNotCommitted) {
  TxBatch tx;
  Path a = path(1);
  uint8_t* first = tx.reserve(a, 100);
  EXPECT_EQ(tx.reserve(a, 200), first) << "no commit: the same memory";
  uint32_t n = 0;
  while (tx.has_room()) {
    put(tx, path(static_cast<uint16_t>(n % 2 + 1)), 1472);
    ++n;
  }
  EXPECT_GE(n, TxBatch::kSlabBytes / 1472 - 1);
  EXPECT_EQ(tx.reserve(a, 1472), nullptr);
  tx.clear();
  EXPECT_TRUE(tx.has_room());
}

TEST(LazyMemory, IsZero) {
  LazyMemory m(1 << 20);
  auto* bytes = static_cast<uint8_t*>(m.data());
  for (uint64_t i = 0; i < m.bytes(); i += 4096) EXPECT_EQ(bytes[i], 0);
}

}  // namespace
}  // namespace spillway
