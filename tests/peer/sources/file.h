// Plays files in a loop with their timing: one video file (IVF or Annex B), one Ogg file
// with Opus, or both. The first frame of a loop should be a key frame; key frames
// cannot be made on request, so a PLI starts the file from its beginning again.
#pragma once

#include <memory>
#include <string>

#include "datapath/base/result.h"
#include "tests/peer/sources/source.h"

namespace spillway::peer {

struct FileOptions {
  std::string ivf, h264, ogg;  // paths; at most one of the first two
  uint32_t fps = 30;           // of h264, which has no timing of its own
};

Result<std::unique_ptr<MediaSource>> make_file_source(const FileOptions& options);

}  // namespace spillway::peer
