// Which buffers a worker holds between rx_burst and release: finds a buffer that
// is given back twice, never lent, or kept over the next rx_burst. These are
// program faults (STYLE: errors), checked where SPILLWAY_CHECKS is set; the count
// is kept always. One thread.
#pragma once

#include <cstdint>
#include <vector>

#include "datapath/base/assert.h"

namespace spillway {

class LentSet {
 public:
  explicit LentSet(uint32_t buffers) : lent_(buffers, 0) {}

  void lend(uint32_t idx) {
    SPILLWAY_DCHECK(idx < lent_.size() && lent_[idx] == 0);
    lent_[idx] = 1;
    ++count_;
  }
  void take_back(uint32_t idx) {
    SPILLWAY_DCHECK(idx < lent_.size() && lent_[idx] == 1);
    lent_[idx] = 0;
    --count_;
  }
  uint32_t count() const { return count_; }

 private:
  std::vector<uint8_t> lent_;
  uint32_t count_ = 0;
};

}  // namespace spillway
