#include "signaling/sdp/host_candidate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spillway {
namespace {

Endpoint at(const char* text) {
  return *Endpoint::parse(text);
}

// Aim: FFmpeg takes the first UDP host candidate, so the best IPv4 leads.
TEST(HostCandidate, Ipv4FirstEachFamilyInOrderWithFallingPriorities) {
  const auto c = host_candidates(
      {at("[2001:db8::1]:1"), at("192.0.2.1:2"), at("[2001:db8::2]:3"), at("192.0.2.2:4")}, 8);
  EXPECT_THAT(c, ::testing::ElementsAre("candidate:1 1 udp 2130706431 192.0.2.1 2 typ host",
                                        "candidate:2 1 udp 2130706175 192.0.2.2 4 typ host",
                                        "candidate:3 1 udp 2130705919 2001:db8::1 1 typ host",
                                        "candidate:4 1 udp 2130705663 2001:db8::2 3 typ host"));
}

TEST(HostCandidate, StopsAtMaxAndSkipsPortZero) {
  Endpoint none = at("192.0.2.9:1");
  none.port = 0;
  const auto c = host_candidates({none, at("192.0.2.1:2"), at("192.0.2.2:4")}, 1);
  EXPECT_THAT(c, ::testing::ElementsAre("candidate:1 1 udp 2130706431 192.0.2.1 2 typ host"));
}

}  // namespace
}  // namespace spillway
