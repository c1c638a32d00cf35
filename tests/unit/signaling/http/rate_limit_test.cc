// Token buckets on a virtual clock, alone and as the router uses them.
#include "signaling/http/rate_limit.h"

#include <gtest/gtest.h>

#include "router_fixture.h"

namespace spillway::test {
namespace {

TEST(TokenBucket, GivesTheBurstThenTheRate) {
  TokenBucket bucket;
  const RateRule rule{2, 5};
  Nanos now = seconds(100);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(bucket.take(rule, now), 0u);
  EXPECT_EQ(bucket.take(rule, now), 1u);
  now += millis(499);
  EXPECT_EQ(bucket.take(rule, now), 1u);
  now += millis(1);
  EXPECT_EQ(bucket.take(rule, now), 0u);
  EXPECT_EQ(bucket.take(rule, now), 1u);
  now += seconds(1'000'000);  // never more than the burst
  for (int i = 0; i < 5; ++i) EXPECT_EQ(bucket.take(rule, now), 0u);
  EXPECT_NE(bucket.take(rule, now), 0u);
}

TEST(TokenBucket, SurvivesExtremeClocksAndRates) {
  TokenBucket bucket;
  const RateRule rule = rate_rule(UINT32_MAX);
  EXPECT_EQ(bucket.take(rule, Nanos{0}), 0u);
  EXPECT_EQ(bucket.take(rule, Nanos{INT64_MAX}), 0u);
  EXPECT_EQ(bucket.take(rule, Nanos{1}), 0u);  // backwards: nothing is gained or lost
  TokenBucket unlimited;
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(unlimited.take(rate_rule(0), Nanos{0}), 0u);
}

TEST(PrefixLimiter, CountsIpv4By24AndIpv6By56) {
  PrefixLimiter limiter(RateRule{1, 1}, 64, HashKey{1, 2});
  const auto take = [&](const char* ip) { return limiter.take(*IpAddress::parse(ip), seconds(1)); };
  EXPECT_EQ(take("192.0.2.1"), 0u);
  EXPECT_NE(take("192.0.2.254"), 0u);
  EXPECT_EQ(take("192.0.3.1"), 0u);
  EXPECT_EQ(take("2001:db8:0:100::1"), 0u);
  EXPECT_NE(take("2001:db8:0:1ff::2"), 0u);
  EXPECT_EQ(take("2001:db8:0:200::1"), 0u);
}

TEST(PrefixLimiter, AFullTableForgetsTheLeastRecentlyUsed) {
  PrefixLimiter limiter(RateRule{1, 1}, PrefixLimiter::kWays, HashKey{3, 4});  // one set
  const auto prefix = [](uint32_t i) { return IpAddress::v4(i << 8); };
  for (uint32_t i = 1; i <= 8; ++i) EXPECT_EQ(limiter.take(prefix(i), seconds(i)), 0u);
  EXPECT_NE(limiter.take(prefix(1), Nanos{seconds(8).ns + 1} - seconds(7)), 0u);
  EXPECT_EQ(limiter.take(prefix(1), seconds(9)), 0u);    // still known, refilled; now the newest
  EXPECT_EQ(limiter.take(prefix(100), seconds(9)), 0u);  // pushes out prefix 2
  EXPECT_NE(limiter.take(prefix(1), seconds(9)), 0u);    // kept
  EXPECT_EQ(limiter.take(prefix(2), seconds(9)), 0u);    // forgotten, so fresh
}

class RateTest : public RouterTest {
 protected:
  int posts_until_refused(uint16_t status) {
    for (int i = 0; i < 10'000; ++i) {
      const auto r = post_whip();
      if (r.status == status) {
        EXPECT_NE(header(r, "Retry-After"), "(absent)");
        return i;
      }
      EXPECT_EQ(r.status, 201);
    }
    return -1;
  }
};

TEST_F(RateTest, H35_PostsPerPrefixAre429WithRetryAfter) {
  options.posts_per_second_per_ip = 10;
  EXPECT_EQ(posts_until_refused(429), 20);
  peer = IpAddress::v4(203, 0, 113, 200);  // same /24
  EXPECT_EQ(post_whip().status, 429);
  peer = IpAddress::v4(203, 0, 114, 1);
  EXPECT_EQ(post_whip().status, 201);
  peer = IpAddress::v4(203, 0, 113, 9);
  now += seconds(1);
  EXPECT_EQ(posts_until_refused(429), 10);
  EXPECT_EQ(metrics.rejects(HttpReject::rate_limit_prefix), 3u);
}

TEST_F(RateTest, H35_PostsOfEverybodyTogetherAre503) {
  options.posts_per_second = 10;
  EXPECT_EQ(posts_until_refused(503), 20);
  peer = IpAddress::v4(198, 51, 100, 1);
  EXPECT_EQ(type_of(post_whip()), "overloaded");
  EXPECT_EQ(metrics.rejects(HttpReject::rate_limit_global), 2u);
}

TEST_F(RateTest, H35_PatchAndDeleteArePerPrefixToo) {
  options.changes_per_second_per_ip = 5;
  const std::string url = session();
  const std::string body = fragment("abcd", "abcdefghijklmnopqrstuvwx");
  for (int i = 0; i < 10; ++i) EXPECT_EQ(patch(url, body).status, 204);
  EXPECT_EQ(patch(url, body).status, 429);
  EXPECT_EQ(send(HttpMethod::del, url).status, 429);
  now += seconds(1);
  EXPECT_EQ(send(HttpMethod::del, url).status, 200);
}

TEST_F(RateTest, GuessingSessionIdsIsLimitedButOwnersAreServed) {
  options.guesses_per_second_per_ip = 5;
  const std::string url = session();
  int misses = 0;
  while (send(HttpMethod::get, "/w/BBBBBBBBBBBBBBBBBBBBBB").status == 404) ASSERT_LT(++misses, 100);
  EXPECT_EQ(misses, 10);
  const auto limited = send(HttpMethod::del, "/w/BBBBBBBBBBBBBBBBBBBBBB");
  EXPECT_EQ(limited.status, 429);
  EXPECT_TRUE(limited.close);
  EXPECT_EQ(send(HttpMethod::get, url).status, 204);
  EXPECT_EQ(send(HttpMethod::del, url).status, 200);
  EXPECT_GE(metrics.rejects(HttpReject::session_guess), 2u);
}

TEST_F(RateTest, AForgedForwardedHeaderDoesNotEscapeTheLimit) {
  options.posts_per_second_per_ip = 5;
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(
        post_whip("/whip/cam", {{"X-Forwarded-For", "10.0." + std::to_string(i) + ".1"}}).status,
        201);
  EXPECT_EQ(post_whip("/whip/cam", {{"X-Forwarded-For", "10.9.9.9"}}).status, 429);
}

TEST_F(RateTest, BehindATrustedProxyClientsAreTellApart) {
  options.posts_per_second_per_ip = 5;
  options.trusted_proxies = {"203.0.113.9"};
  for (int i = 0; i < 30; ++i)
    EXPECT_EQ(
        post_whip("/whip/cam", {{"X-Forwarded-For", "198.51." + std::to_string(i) + ".1"}}).status,
        201);
  EXPECT_EQ(control.published.back().client_ip, IpAddress::v4(198, 51, 29, 1));
}

}  // namespace
}  // namespace spillway::test
