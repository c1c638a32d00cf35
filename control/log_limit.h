// At most some lines per second of one kind; what was left out is said in the next
// line that passes (threats A-34). One object per log statement; one thread.
#pragma once

#include <cstdint>
#include <string>

#include "datapath/base/units.h"

namespace spillway {

class LogLimit {
 public:
  explicit LogLimit(uint32_t per_second = 20) : per_second_(per_second) {}

  bool allow(Nanos now) {
    if (now - window_ >= seconds(1) || now < window_) {
      window_ = now;
      passed_ = 0;
    }
    if (passed_ == per_second_) {
      ++suppressed_;
      return false;
    }
    ++passed_;
    return true;
  }
  // " (37 more not shown)" or nothing; forgets the number.
  std::string note() {
    if (suppressed_ == 0) return {};
    std::string out = " (" + std::to_string(suppressed_) + " more not shown)";
    suppressed_ = 0;
    return out;
  }

 private:
  uint32_t per_second_;
  uint32_t passed_ = 0;
  uint64_t suppressed_ = 0;
  Nanos window_{INT64_MIN / 2};
};

}  // namespace spillway
