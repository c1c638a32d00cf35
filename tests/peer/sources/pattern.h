// A moving test picture with sound that browsers can decode: VP8 by libvpx, Opus by
// libopus. Colour bars, a bouncing box, a clock of big digits, a frame counter, a soft
// tone with a beep at each full second.
#pragma once

#include <memory>

#include "datapath/base/result.h"
#include "tests/peer/sources/source.h"

namespace spillway::peer {

struct PatternOptions {
  uint32_t width = 1280;   // multiple of 16
  uint32_t height = 720;   // multiple of 16
  uint32_t fps = 30;
  uint32_t kbps = 1500;
  uint32_t key_interval_s = 10;  // viewers who join ask for one anyway
  bool audio = true;
};

Result<std::unique_ptr<MediaSource>> make_pattern_source(const PatternOptions& options);

}  // namespace spillway::peer
