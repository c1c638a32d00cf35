// Token buckets: one for everybody, and a bounded table of them keyed by network
// prefix (IPv4 /24, IPv6 /56: what one customer gets), H35, A-25, A-26.
//
// The table is set-associative: a keyed hash picks a set of 8, the least recently
// used entry makes room. It never grows and never allocates after construction;
// someone with more prefixes than it has entries is met by the global bucket.
// Time is passed in. Single thread.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "datapath/base/endpoint.h"
#include "datapath/base/units.h"

namespace spillway {

struct RateRule {
  uint32_t per_second = 0;  // 0 = no limit
  uint32_t burst = 0;       // bucket size, >= 1 when per_second > 0
};
// Two seconds' worth, at least 5: a page reload with several players passes.
constexpr RateRule rate_rule(uint32_t per_second) {
  const uint32_t burst = per_second > UINT32_MAX / 2 ? UINT32_MAX : 2 * per_second;
  return {per_second, burst < 5 ? 5 : burst};
}

class TokenBucket {
 public:
  // 0: taken. Otherwise whole seconds until one token is there (>= 1).
  uint32_t take(const RateRule& rule, Nanos now);

 private:
  // In nano-tokens, so that slow rates do not lose fractions.
  int64_t nano_tokens_ = -1;  // -1: never used = full
  Nanos last_{};
};

// The address with everything below the limiter's prefix zeroed.
IpAddress limiter_prefix(const IpAddress& ip);

class PrefixLimiter {
 public:
  static constexpr uint32_t kWays = 8;

  // entries: rounded up to a power of two, at least kWays. The key keeps outsiders
  // from choosing collisions.
  PrefixLimiter(RateRule rule, uint32_t entries, HashKey key);
  uint32_t take(const IpAddress& ip, Nanos now);  // as TokenBucket::take

 private:
  struct Entry {
    IpAddress prefix;
    TokenBucket bucket;
    Nanos used{-1};  // -1: free
  };
  RateRule rule_;
  HashKey key_;
  uint32_t set_mask_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace spillway
