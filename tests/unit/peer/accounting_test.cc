// What the figures of a run rest on: losses, duplicates, frames, freezes, digests.
#include <gtest/gtest.h>

#include "tests/peer/frame_tracker.h"
#include "tests/peer/proxy.h"
#include "tests/peer/receive_stream.h"
#include "tests/peer/stats.h"

namespace spillway::peer {
namespace {

using Verdict = ReceiveStream::Verdict;

TEST(ReceiveStream, AsksForAGapAndCountsTheRepair) {
  ReceiveStream s;
  Nanos now = seconds(1);
  s.receive(100, 0, false, now);
  s.receive(104, 0, false, now);
  EXPECT_TRUE(s.take_nacks(now, 10).empty()) << "reordering gets a little time";
  now += kReorderPatience;
  EXPECT_EQ(s.take_nacks(now, 2), (std::vector<uint16_t>{101, 102}));
  EXPECT_EQ(s.take_nacks(now, 10), (std::vector<uint16_t>{103}));
  EXPECT_EQ(s.receive(102, 0, true, now), Verdict::fresh);
  now += kNackInterval;
  EXPECT_EQ(s.take_nacks(now, 10), (std::vector<uint16_t>{101, 103}));
  now += kLossPatience;
  s.expire(now);
  EXPECT_EQ(s.lost(), 2u);
  EXPECT_EQ(s.repaired(), 1u);
  EXPECT_EQ(s.gaps(), 3u);
  s.receive(101, 0, true, now);
  EXPECT_EQ(s.lost(), 1u) << "what comes late is not lost";
  EXPECT_EQ(s.recovered_late(), 1u);
  EXPECT_EQ(s.received(), 4u);
}

TEST(ReceiveStream, CountsDuplicatesOnceEach) {
  ReceiveStream s;
  s.receive(10, 0, false, seconds(1));
  s.receive(11, 0, false, seconds(1));
  EXPECT_EQ(s.receive(10, 0, false, seconds(1)), Verdict::duplicate);
  EXPECT_EQ(s.receive(11, 0, true, seconds(1)), Verdict::duplicate);
  EXPECT_EQ(s.receive(9, 0, false, seconds(1)), Verdict::duplicate) << "from before the start";
  EXPECT_EQ(s.received(), 2u);
  EXPECT_EQ(s.duplicates(), 3u);
  EXPECT_EQ(s.lost(), 0u);
}

TEST(ReceiveStream, GoesOnAcrossTheWrapOfTheWire) {
  ReceiveStream s;
  s.receive(65'534, 0, false, seconds(1));
  EXPECT_EQ(s.extend(1), 65'537u);
  s.receive(s.extend(1), 0, false, seconds(1));
  EXPECT_EQ(s.take_nacks(seconds(2), 10), (std::vector<uint16_t>{65'535, 0}));
}

TEST(ReceiveStream, StopsAskingAfterTheLastTry) {
  ReceiveStream s;
  s.receive(1, 0, false, seconds(1));
  s.receive(3, 0, false, seconds(1));
  uint32_t asked = 0;
  for (int i = 1; i < 100; ++i)
    asked += static_cast<uint32_t>(s.take_nacks(seconds(1) + kNackInterval * i, 10).size());
  EXPECT_EQ(asked, kNackTries);
}

TEST(ReceiveStream, TakesAFarJumpAsANewStart) {
  ReceiveStream s;
  s.receive(1, 0, false, seconds(1));
  s.receive(30'000, 0, false, seconds(1));
  EXPECT_EQ(s.restarts(), 1u);
  EXPECT_EQ(s.pending(), 0u);
  EXPECT_EQ(s.gaps(), 0u);
}

TEST(ReceiveStream, ReportsTheFractionLostOfTheInterval) {
  ReceiveStream s;
  for (uint64_t i = 0; i < 100; ++i)
    if (i % 4 != 1) s.receive(i, 0, false, seconds(1));
  const ReportBlock b = s.report(Ssrc{5}, seconds(1));
  EXPECT_EQ(b.cumulative_lost, 25);
  EXPECT_EQ(b.fraction_lost, 64);
  EXPECT_EQ(b.highest_sequence, 99u);
  for (uint64_t i = 100; i < 200; ++i) s.receive(i, 0, false, seconds(1));
  EXPECT_EQ(s.report(Ssrc{5}, seconds(1)).fraction_lost, 0);
}

// A frame of `packets` packets from `sequence`; `leave_out`: index of one not sent.
void send(FrameTracker& t, uint64_t sequence, uint32_t frame, uint64_t packets, Nanos now,
          uint64_t leave_out = UINT64_MAX) {
  for (uint64_t i = 0; i < packets; ++i)
    if (i != leave_out)
      t.receive({sequence + i, frame * 3000, i == 0, i + 1 == packets, frame == 0 && i == 0}, now);
}

TEST(FrameTracker, CountsOnlyWholeFrames) {
  FrameTracker t;
  send(t, 0, 0, 3, seconds(1));
  send(t, 3, 1, 3, seconds(1), 1);
  EXPECT_EQ(t.complete(), 1u);
  EXPECT_EQ(t.key_frames(), 1u);
  EXPECT_TRUE(t.receive({4, 3000, false, false, false}, seconds(1)));  // the repair
  EXPECT_EQ(t.complete(), 2u);
  for (const uint64_t missing : {0, 2}) {
    FrameTracker u;
    send(u, 0, 0, 3, seconds(1), missing);
    EXPECT_EQ(u.complete(), 0u) << missing;
    u.finish(seconds(1));
    EXPECT_EQ(u.incomplete(), 1u);
  }
}

// Aim: codecs whose payload does not tell where a frame begins (AV1).
TEST(FrameTracker, TakesThePacketBehindAMarkerBitAsABegin) {
  FrameTracker t;
  const auto packet = [&](uint64_t sequence, uint32_t frame, bool last) {
    t.receive({sequence, frame * 3000, false, last, false}, seconds(1));
  };
  packet(10, 0, true);  // nobody knows whether there was more in front
  packet(11, 1, false);
  packet(12, 1, true);
  EXPECT_EQ(t.complete(), 1u);
  packet(14, 3, true);  // 13 is missing
  EXPECT_EQ(t.complete(), 1u);
  packet(13, 2, true);  // completes itself and the one behind it
  EXPECT_EQ(t.complete(), 3u);
}

TEST(FrameTracker, TimestampsMayWrap) {
  FrameTracker t;
  for (uint32_t i = 0; i < 10; ++i)
    t.receive({i, 0xffff'f000u + i * 3000, true, true, false}, seconds(1) + millis(33 * i));
  EXPECT_EQ(t.complete(), 10u);
}

TEST(FrameTracker, FindsFreezesAndTheLongestGap) {
  FrameTracker t;
  Nanos now = seconds(1);
  uint32_t frame = 0;
  const auto play = [&](int n) {
    for (int i = 0; i < n; ++i, now += millis(33)) send(t, frame, frame, 1, now), ++frame;
  };
  play(60);
  EXPECT_EQ(t.freezes(), 0u);
  now += millis(100);  // below average + 150 ms
  play(30);
  EXPECT_EQ(t.freezes(), 0u);
  now += millis(500);
  play(30);
  EXPECT_EQ(t.freezes(), 1u);
  EXPECT_EQ(t.longest_gap(), millis(533));
  t.finish(now + seconds(2));
  EXPECT_EQ(t.freezes(), 2u) << "a stream that stops is a freeze";
  EXPECT_EQ(t.longest_gap(), seconds(2) + millis(33));
}

TEST(Histogram, QuantilesAreWithinASixteenth) {
  Histogram h;
  for (int us = 1; us <= 10'000; ++us) h.add(micros(us));
  EXPECT_NEAR(static_cast<double>(h.quantile(0.5).us()), 5000, 5000 / 15.0);
  EXPECT_NEAR(static_cast<double>(h.quantile(0.99).us()), 9900, 9900 / 15.0);
  EXPECT_EQ(h.max(), millis(10));
  EXPECT_EQ(h.quantile(1.0), millis(10));
  Histogram other;
  other.add(seconds(3));
  other.add(Nanos{-5});  // clocks of two machines: never below the first bucket
  h.merge(other);
  EXPECT_EQ(h.count(), 10'002u);
  EXPECT_EQ(h.max(), seconds(3));
}

ViewerFigures viewer_with(uint32_t from, uint32_t to, uint32_t damaged_frame = 0,
                          uint32_t missing_frame = 0, bool reordered = false) {
  ViewerFigures v;
  for (uint32_t n = from; n <= to; ++n) {
    // Ten frames backwards, then the ten after them; the same for the packets of one.
    const uint32_t i = n - from;
    const uint32_t frame = reordered ? from + i / 10 * 10 + 9 - i % 10 : n;
    for (uint16_t k = 0; k < 2; ++k) {
      const auto p = static_cast<uint16_t>(reordered ? 1 - k : k);
      if (frame != missing_frame || p == 0)
        v.digests.add(frame, p, 2, frame * 10 + p + (frame == damaged_frame ? 1000 : 0));
    }
  }
  v.frames = to - from + 1;
  return v;
}

TEST(RunReport, SeesEqualPayloadsWhateverTheirOrder) {
  RunReport r;
  r.viewers = {viewer_with(10, 200), viewer_with(50, 209, 0, 0, true)};
  r.conclude({.same_payloads = true});
  EXPECT_TRUE(r.same_payloads);
  EXPECT_TRUE(r.missed.empty());
  EXPECT_EQ(r.digest_from, 50u);
  EXPECT_EQ(r.digest_to, 170u);
}

TEST(RunReport, SeesADifferentOrMissingPacket) {
  for (const auto& other : {viewer_with(10, 200, 100), viewer_with(10, 200, 0, 100)}) {
    RunReport r;
    r.viewers = {viewer_with(10, 200), other};
    r.conclude({.same_payloads = true});
    EXPECT_FALSE(r.same_payloads);
    EXPECT_EQ(r.missed.size(), 1u);
  }
  RunReport unmarked;
  unmarked.viewers.resize(2);
  unmarked.conclude({});
  EXPECT_FALSE(unmarked.same_payloads);
}

TEST(RunReport, HoldsARunToItsExpectations) {
  RunReport r;
  r.viewers = {viewer_with(10, 200), viewer_with(10, 200)};
  r.viewers[1].lost = 5;
  r.viewers[1].longest_gap = millis(700);
  r.conclude({.loss_max = 5, .gap_max_ms = 700, .viewers = 2});
  EXPECT_TRUE(r.missed.empty());
  r.conclude({.loss_max = 4, .gap_max_ms = 699, .viewers = 3});
  EXPECT_EQ(r.missed.size(), 3u);
  EXPECT_NE(r.json().find("\"lost\":5"), std::string::npos);
}

TEST(Proxy, LosesTheAskedShareAndTheSameForTheSameSeed) {
  Fate a({.loss_percent = 5, .seed = 9}), b({.loss_percent = 5, .seed = 9});
  uint32_t lost = 0;
  for (int i = 0; i < 20'000; ++i) {
    const bool gone = a.lost();
    EXPECT_EQ(gone, b.lost());
    lost += gone;
  }
  EXPECT_NEAR(lost, 1000, 150);
  Fate late({.delay = millis(5), .jitter = millis(2)});
  for (int i = 0; i < 100; ++i) {
    const Nanos wait = late.wait();
    EXPECT_TRUE(wait >= millis(5) && wait <= millis(7));
  }
}

}  // namespace
}  // namespace spillway::peer
