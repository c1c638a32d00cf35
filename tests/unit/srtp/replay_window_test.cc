// Replay window and index estimation against the plainest possible models.
#include "datapath/srtp/replay_window.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "datapath/base/limits.h"

namespace spillway {
namespace {

// RFC 3711 §3.3.1 word by word, except that ROC - 1 of ROC 0 is ROC 0.
template <typename Wire>
uint64_t rfc_estimate(uint64_t highest, Wire seq) {
  constexpr uint64_t kRange = uint64_t{1} << (8 * sizeof(Wire));
  const uint64_t roc = highest / kRange, s_l = highest % kRange;
  uint64_t v = roc;
  if (s_l < kRange / 2) {
    if (seq > s_l && seq - s_l > kRange / 2) v = roc == 0 ? 0 : roc - 1;
  } else if (s_l - kRange / 2 > seq) {
    v = roc + 1;
  }
  return v * kRange + seq;
}

TEST(EstimateIndex, IsTheRuleOfTheRfcForEveryEightBitState) {
  for (uint64_t highest = 0; highest < 1024; ++highest) {
    ReplayState<64> s;
    s.highest_plus_one = highest + 1;
    for (unsigned seq = 0; seq < 256; ++seq)
      ASSERT_EQ(estimate_index<uint8_t>(s, static_cast<uint8_t>(seq)),
                rfc_estimate<uint8_t>(highest, static_cast<uint8_t>(seq)))
          << "highest " << highest << " seq " << seq;
  }
}

TEST(EstimateIndex, IsTheRuleOfTheRfcForRandomSixteenBitStates) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 200'000; ++i) {
    ReplayState<64> s;
    const uint64_t highest = random() >> (16 + random() % 47);
    s.highest_plus_one = highest + 1;
    const auto seq = static_cast<uint16_t>(random());
    ASSERT_EQ(estimate_index(s, seq), rfc_estimate<uint16_t>(highest, seq)) << highest;
  }
}

TEST(EstimateIndex, TakesTheFirstCycleBeforeAnythingWasAccepted) {
  ReplayState<64> s;
  EXPECT_EQ(estimate_index(s, uint16_t{65535}), 65535u);
}

TEST(EstimateIndex, FollowsASenderThroughManyWraps) {
  ReplayState<kReplayWindow> s;
  for (uint64_t sent = 65000; sent < 65000 + 5 * 65536; sent += 300) {
    ASSERT_EQ(estimate_index(s, static_cast<uint16_t>(sent)), sent);
    accept(s, sent);
  }
}

// Remembers everything.
template <uint32_t Bits>
struct Model {
  std::set<uint64_t> seen;
  uint64_t highest_plus_one = 0;
  ReplayVerdict check(uint64_t i) const {
    if (highest_plus_one > i && highest_plus_one - i > Bits) return ReplayVerdict::too_old;
    return seen.count(i) != 0 ? ReplayVerdict::replayed : ReplayVerdict::fresh;
  }
  void accept(uint64_t i) {
    seen.insert(i);
    highest_plus_one = std::max(highest_plus_one, i + 1);
  }
};

template <uint32_t Bits>
void random_model_run(uint64_t seed) {
  std::mt19937_64 random(seed);
  ReplayState<Bits> s;
  Model<Bits> model;
  uint64_t centre = random() % 1000;
  for (int step = 0; step < 20'000; ++step) {
    // Mostly near the edge; sometimes jumps of up to three windows.
    const uint64_t kind = random() % 100;
    uint64_t index = centre + random() % (kind < 2 ? 3 * Bits : kind < 20 ? Bits : 8);
    const uint64_t back = random() % (kind < 50 ? 4 : 2 * Bits);
    index = index > back ? index - back : 0;
    const ReplayVerdict expected = model.check(index);
    ASSERT_EQ(check(s, index), expected) << "seed " << seed << " step " << step;
    // An unauthenticated packet is checked but never accepted.
    if (expected == ReplayVerdict::fresh && random() % 8 != 0) {
      accept(s, index);
      model.accept(index);
    }
    centre = model.highest_plus_one;
  }
  ASSERT_EQ(s.highest_plus_one, model.highest_plus_one);
}

TEST(ReplayWindow, BehavesLikeASetOfEverythingSeen) {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    random_model_run<64>(seed);
    random_model_run<kSrtcpReplayWindow>(seed);
    random_model_run<kReplayWindow>(seed);
  }
}

TEST(ReplayWindow, ForgetsNothingAcrossEveryJumpLength) {
  for (uint64_t jump = 1; jump <= 200; ++jump) {
    ReplayState<128> s;
    for (uint64_t i = 1000; i < 1128; ++i) accept(s, i);
    accept(s, 1127 + jump);
    for (uint64_t i = 900; i <= 1127 + jump; ++i) {
      const bool old = i + 128 < 1128 + jump;
      const bool seen = i <= 1127 || i == 1127 + jump;
      const ReplayVerdict expected = old    ? ReplayVerdict::too_old
                                     : seen ? ReplayVerdict::replayed
                                            : ReplayVerdict::fresh;
      ASSERT_EQ(check(s, i), expected) << "jump " << jump << " index " << i;
    }
  }
}

TEST(ReplayWindow, RefusesEverythingUpToTheHighestAfterMarkAllSeen) {
  ReplayState<128> s;
  accept(s, 5000);
  accept(s, 5010);
  mark_all_seen(s);
  for (uint64_t i = 0; i <= 5010; ++i) ASSERT_NE(check(s, i), ReplayVerdict::fresh) << i;
  // And is an ordinary window from there on.
  EXPECT_EQ(check(s, 5012), ReplayVerdict::fresh);
  accept(s, 5012);
  EXPECT_EQ(check(s, 5011), ReplayVerdict::fresh);
  EXPECT_EQ(check(s, 5012), ReplayVerdict::replayed);
}

TEST(ReplayWindow, StaysOpenWhenMarkedBeforeTheFirstPacket) {
  ReplayState<128> s;
  mark_all_seen(s);
  EXPECT_EQ(check(s, 7), ReplayVerdict::fresh);
  accept(s, 7);
  EXPECT_EQ(check(s, 7), ReplayVerdict::replayed);
  EXPECT_EQ(check(s, 6), ReplayVerdict::fresh) << "marks of the empty window must be gone";
}

TEST(ReplayWindow, SurvivesAnyDamagedState) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 10'000; ++i) {
    ReplayState<128> s;
    s.highest_plus_one = i % 3 == 0 ? UINT64_MAX - random() % 4 : random();
    s.bits[0] = random();
    const uint64_t index = estimate_index(s, static_cast<uint16_t>(random()));
    if (check(s, index) == ReplayVerdict::fresh) accept(s, index);
  }
}

}  // namespace
}  // namespace spillway
