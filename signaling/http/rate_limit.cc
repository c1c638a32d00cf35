#include "signaling/http/rate_limit.h"

#include <algorithm>
#include <bit>

namespace spillway {

namespace {
constexpr int64_t kNano = 1'000'000'000;
}

uint32_t TokenBucket::take(const RateRule& rule, Nanos now) {
  if (rule.per_second == 0) return 0;
  const int64_t full = int64_t{std::max(rule.burst, 1u)} * kNano;
  if (nano_tokens_ < 0) {
    nano_tokens_ = full;
  } else if (now > last_) {
    // Past this many nanoseconds the bucket is full whatever was in it; the
    // comparison also keeps the product below from overflowing.
    const int64_t elapsed = (now - last_).ns;
    const int64_t fill_ns = full / rule.per_second + 1;
    nano_tokens_ = elapsed >= fill_ns
                       ? full
                       : std::min(full, nano_tokens_ + elapsed * int64_t{rule.per_second});
  }
  last_ = std::max(last_, now);
  if (nano_tokens_ >= kNano) {
    nano_tokens_ -= kNano;
    return 0;
  }
  const int64_t wait_ns = (kNano - nano_tokens_) / rule.per_second;
  return static_cast<uint32_t>(std::max<int64_t>(1, (wait_ns + kNano - 1) / kNano));
}

IpAddress limiter_prefix(const IpAddress& ip) {
  IpAddress prefix = ip;
  const size_t keep = ip.is_v4() ? 15 : 7;  // IPv4 /24, IPv6 /56
  std::fill(prefix.bytes.begin() + static_cast<std::ptrdiff_t>(keep), prefix.bytes.end(),
            uint8_t{0});
  return prefix;
}

PrefixLimiter::PrefixLimiter(RateRule rule, uint32_t entries, HashKey key)
    : rule_(rule), key_(key) {
  const uint32_t sets = std::bit_ceil(std::max(entries, kWays)) / kWays;
  set_mask_ = sets - 1;
  entries_.resize(size_t{sets} * kWays);
}

uint32_t PrefixLimiter::take(const IpAddress& ip, Nanos now) {
  if (rule_.per_second == 0) return 0;
  const IpAddress prefix = limiter_prefix(ip);
  const uint64_t hash = hash_endpoint(Endpoint{prefix, 0, 0}, key_);
  Entry* const set = &entries_[size_t{static_cast<uint32_t>(hash) & set_mask_} * kWays];
  Entry* oldest = set;
  for (Entry* e = set; e != set + kWays; ++e) {
    if (e->used.ns >= 0 && e->prefix == prefix) {
      e->used = now;
      return e->bucket.take(rule_, now);
    }
    if (e->used < oldest->used) oldest = e;
  }
  *oldest = Entry{prefix, {}, now};
  return oldest->bucket.take(rule_, now);
}

}  // namespace spillway
