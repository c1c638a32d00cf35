// Tools of the parser tests: hex text, inputs in memory of exactly their size (address
// sanitizer then sees one byte too far), every truncation and every mutated byte.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string_view>
#include <vector>

#include "datapath/base/bytes.h"

namespace spillway::testing_bytes {

using Buffer = std::vector<uint8_t>;

inline Buffer hex(std::string_view text) {
  Buffer out;
  uint32_t value = 0, digits = 0;
  for (char c : text) {
    uint32_t d = 0;
    if (c >= '0' && c <= '9')
      d = static_cast<uint32_t>(c - '0');
    else if (c >= 'a' && c <= 'f')
      d = static_cast<uint32_t>(c - 'a') + 10;
    else
      continue;
    value = value << 4 | d;
    if (++digits % 2 == 0) out.push_back(static_cast<uint8_t>(value));
  }
  return out;
}

inline Buffer buffer(Bytes b) { return {b.begin(), b.end()}; }
inline Bytes text(std::string_view s) {
  return {reinterpret_cast<const uint8_t*>(s.data()), s.size()};
}

// Calls f(Bytes) with a copy in an allocation of exactly that size.
template <typename F>
void with_exact(Bytes b, F&& f) {
  std::unique_ptr<uint8_t[]> copy(new uint8_t[b.size()]);
  for (size_t i = 0; i < b.size(); ++i) copy[i] = b[i];
  f(Bytes{copy.get(), b.size()});
}

// f on every proper prefix, and on every copy with one byte replaced by each of a few
// values that are extreme for flags, counts and lengths.
template <typename F>
void with_damaged(Bytes b, F&& f) {
  for (size_t n = 0; n < b.size(); ++n) with_exact(b.first(n), f);
  for (size_t i = 0; i < b.size(); ++i) {
    Buffer copy = buffer(b);
    for (int v : {0x00, 0x01, 0x7f, 0x80, 0xff, copy[i] ^ 0x01, copy[i] ^ 0x10, copy[i] ^ 0x80}) {
      copy[i] = static_cast<uint8_t>(v);
      with_exact(copy, f);
      copy[i] = b[i];
    }
  }
}

class Random {
 public:
  explicit Random(uint64_t seed) : rng_(seed) {}
  // 0..bound-1
  uint32_t below(uint32_t bound) { return static_cast<uint32_t>(rng_() % bound); }
  uint32_t u32() { return static_cast<uint32_t>(rng_()); }
  uint64_t u64() { return rng_(); }
  Buffer bytes(size_t n) {
    Buffer out(n);
    for (auto& b : out) b = static_cast<uint8_t>(rng_());
    return out;
  }

 private:
  std::mt19937_64 rng_;
};

}  // namespace spillway::testing_bytes
