// What a publisher sends: frames, already cut into RTP payloads, each at its time.
//
// One thread. A source is asked when its deadline is reached and gives what is due.
#pragma once

#include <cstdint>
#include <vector>

#include "datapath/base/media.h"
#include "datapath/base/units.h"

namespace spillway::peer {

struct MediaFrame {
  MediaKind kind = MediaKind::video;
  uint8_t layer = 0;       // simulcast layer, 0 = lowest
  bool key = false;
  uint32_t rtp_time = 0;   // from 0; the publisher adds a random offset
  std::vector<std::vector<uint8_t>> payloads;  // the marker bit goes on the last one of video
};

class MediaSource {
 public:
  virtual ~MediaSource() = default;
  virtual Codec video() const = 0;  // Codec::none: no video
  virtual bool audio() const = 0;   // Opus
  virtual uint8_t layers() const { return 1; }
  // When produce() is next wanted. Before start(): meaningless.
  virtual Nanos deadline() const = 0;
  virtual void start(Nanos now) = 0;
  // Appends what is due.
  virtual void produce(Nanos now, std::vector<MediaFrame>& out) = 0;
  virtual void request_key_frame(uint8_t layer) = 0;
};

}  // namespace spillway::peer
