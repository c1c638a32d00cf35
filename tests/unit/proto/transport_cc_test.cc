#include "datapath/proto/transport_cc.h"

#include <gtest/gtest.h>

#include <vector>

#include "datapath/proto/rtcp.h"
#include "tests/unit/proto/bytes_testing.h"

namespace spillway {
namespace {

using namespace testing_bytes;
constexpr int64_t kLost = kTransportCcLost;

struct Read {
  TransportCcFeedback header;
  std::vector<int64_t> ticks;
};

// Reads one feedback packet with its RTCP header.
std::optional<Read> read(Bytes packet) {
  RtcpWalker walker(packet);
  auto p = walker.next();
  if (!p || !p->is(RtcpType::transport_feedback, kRtcpTransportCc)) return std::nullopt;
  auto f = parse_feedback(*p);
  if (!f) return std::nullopt;
  auto fb = parse_transport_cc(f->fci);
  if (!fb) return std::nullopt;
  Read out{*fb, {}};
  for_each_transport_cc(*fb, [&](uint16_t sequence, int64_t ticks) {
    EXPECT_EQ(sequence, static_cast<uint16_t>(fb->base + out.ticks.size()));
    out.ticks.push_back(ticks);
  });
  return out;
}

struct Built {
  uint32_t covered;
  Buffer bytes;
};
Built build(const std::vector<int64_t>& arrivals, size_t room = 20000, uint16_t base = 65530) {
  Buffer out(room, 0xee);
  Writer w(out);
  uint32_t covered = write_transport_cc(w, Ssrc{1}, Ssrc{2}, base, arrivals, 9);
  EXPECT_FALSE(w.bad());
  out.resize(w.size());
  return {covered, out};
}

TEST(TransportCc, WritesTheDraftsLayout) {
  // Ticks 512.. = reference time 2; deltas 1, lost, 2, and 300 (two bytes).
  Built b = build({513, kLost, 515, 815});
  EXPECT_EQ(b.covered, 4u);
  EXPECT_EQ(b.bytes, hex("afcd0006 00000001 00000002 fffa0004 00000209"
                         "d180"          // two-bit vector: small, lost, small, large
                         "01 02 012c"    // deltas
                         "0002"));       // padding, counted in its last byte
}

TEST(TransportCc, RoundTripOfRandomArrivals) {
  Random random(7);
  for (int round = 0; round < 3000; ++round) {
    std::vector<int64_t> arrivals;
    int64_t now = static_cast<int64_t>(random.below(1u << 30));
    uint32_t style = random.below(4);
    for (uint32_t i = 1 + random.below(400); i > 0; --i) {
      if (random.below(100) < (style == 0 ? 60u : style == 1 ? 5u : 0u)) {
        arrivals.push_back(kLost);
        continue;
      }
      now += static_cast<int64_t>(random.below(style == 3 ? 40 : 600)) - (style == 2 ? 250 : 0);
      arrivals.push_back(now);
    }
    size_t room = random.below(2) ? 20000 : 24 + random.below(200);
    Built b = build(arrivals, room);
    if (b.covered == 0) {
      ASSERT_TRUE(b.bytes.empty());
      continue;
    }
    ASSERT_LE(b.bytes.size(), room);
    ASSERT_EQ(b.bytes.size() % 4, 0u);
    auto r = read(b.bytes);
    ASSERT_TRUE(r) << "round " << round;
    arrivals.resize(b.covered);
    ASSERT_EQ(r->ticks, arrivals) << "round " << round;
    ASSERT_EQ(r->header.base, 65530);
    ASSERT_EQ(r->header.feedback_count, 9);
  }
}

// The caller goes on where a full packet ended until everything is covered.
TEST(TransportCc, SmallRoomIsCoveredInSeveralPackets) {
  std::vector<int64_t> arrivals;
  for (int64_t i = 0; i < 1000; ++i) arrivals.push_back(i % 7 == 3 ? kLost : i * 50);
  for (size_t room : {28u, 40u, 100u, 1200u}) {
    size_t done = 0;
    std::vector<int64_t> seen;
    for (int packets = 0; done < arrivals.size(); ++packets) {
      ASSERT_LT(packets, 1000);
      std::vector<int64_t> rest(arrivals.begin() + static_cast<int64_t>(done), arrivals.end());
      while (!rest.empty() && rest[0] == kLost) {  // begins with one that came
        seen.push_back(kLost);
        rest.erase(rest.begin());
        ++done;
      }
      Built b = build(rest, room);
      ASSERT_GT(b.covered, 0u) << room;
      auto r = read(b.bytes);
      ASSERT_TRUE(r);
      seen.insert(seen.end(), r->ticks.begin(), r->ticks.end());
      done += b.covered;
    }
    EXPECT_EQ(seen, arrivals) << room;
  }
}

TEST(TransportCc, StopsWhereADeltaDoesNotFit) {
  EXPECT_EQ(build({0, 10, 10 + 0x7fff, 10 + 0x7fff}).covered, 4u);
  EXPECT_EQ(build({0, 10, 10 + 0x8000, 10}).covered, 2u);
  EXPECT_EQ(build({0x9000, 0x1000, 0}).covered, 3u);
  EXPECT_EQ(build({0x9000, 0x0fff, 0}).covered, 1u) << "back by more than 2^15";
}

TEST(TransportCc, WritesNothingWithoutAnArrivalOrRoom) {
  EXPECT_EQ(build({}).covered, 0u);
  EXPECT_EQ(build({kLost, kLost}).covered, 0u);
  for (size_t room = 0; room < 24; ++room) {
    Built b = build({1, 2, 3}, room);
    EXPECT_EQ(b.covered, 0u) << room;
    EXPECT_TRUE(b.bytes.empty()) << room;
  }
  EXPECT_EQ(build({1, 2, 3}, 24).covered, 2u) << "one chunk and two deltas";
}

TEST(TransportCc, AtMostTheBoundOfStatuses) {
  std::vector<int64_t> arrivals(kMaxTransportCcStatuses + 100, 5);
  Built b = build(arrivals);
  EXPECT_EQ(b.covered, kMaxTransportCcStatuses);
  EXPECT_TRUE(read(b.bytes));
}

TEST(TransportCc, LongRunsAreShort) {
  std::vector<int64_t> arrivals(3000, kLost);
  arrivals[0] = 1;
  Built b = build(arrivals);
  EXPECT_EQ(b.covered, 3000u);
  EXPECT_LE(b.bytes.size(), 28u) << "two chunks and one delta";
}

TEST(TransportCc, ReferenceTimeWrapsAt24Bits) {
  int64_t base = (int64_t{1} << 24) * 256 * 3 + 77;  // three wraps
  auto r = read(build({base, base + 1}).bytes);
  ASSERT_TRUE(r);
  EXPECT_EQ(r->ticks, (std::vector<int64_t>{77, 78}));
  auto negative = read(build({-1, 0}).bytes);
  ASSERT_TRUE(negative);
  EXPECT_EQ(negative->header.reference_time, -1);
  EXPECT_EQ(negative->ticks, (std::vector<int64_t>{-1, 0}));
}

// claims that the bytes do not back.
TEST(TransportCc, RefusesMalformedFeedback) {
  struct Case {
    const char* name;
    const char* hex;
    bool good;
  };
  const Case cases[] = {
      {"one small delta", "0001 0001 000000 00 2001 05", true},
      {"large delta", "0001 0001 000000 00 4001 0500", true},
      {"cut off header", "0001 0001 000000", false},
      {"no chunk", "0001 0001 000000 00", false},
      {"no delta", "0001 0001 000000 00 2001", false},
      {"half a large delta", "0001 0001 000000 00 4001 05", false},
      {"status count 0", "0001 0000 000000 00 2001 05", false},
      {"reserved run symbol", "0001 0001 000000 00 6001 05050505", false},
      {"reserved vector symbol", "0001 0007 000000 00 f000 05050505", false},
      {"reserved symbol behind the count", "0001 0001 000000 00 d0ff 05", true},
      {"run of 0", "0001 0001 000000 00 2000 05", false},
      {"65535 statuses of lost", "0001 ffff 000000 00 1fff 1fff 1fff 1fff 1fff 1fff 1fff 1fff 1fff",
       false},
      {"more statuses than chunks", "0001 0010 000000 00 8000", false},
  };
  for (const Case& c : cases)
    with_exact(hex(c.hex), [&](Bytes fci) {
      EXPECT_EQ(parse_transport_cc(fci).has_value(), c.good) << c.name;
    });
}

TEST(TransportCc, DamagedFeedbackStaysInBounds) {
  Buffer packet =
      build({1, kLost, 400, 401, 402, -900, kLost, 5, 6, 7, 8, 9, 10, 11, 12, 13}).bytes;
  with_damaged(Bytes{packet}.subspan(12), [](Bytes fci) {
    auto fb = parse_transport_cc(fci);
    if (!fb) return;
    uint32_t n = 0;
    for_each_transport_cc(*fb, [&](uint16_t, int64_t) { ++n; });
    ASSERT_EQ(n, fb->status_count);
  });
}

}  // namespace
}  // namespace spillway
