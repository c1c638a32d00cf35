// Packets that look like VP8 and Opus to a server and carry markers for the viewers.
#pragma once

#include <array>

#include "datapath/base/limits.h"
#include "tests/peer/sources/source.h"

namespace spillway::peer {

struct SyntheticOptions {
  uint64_t bps = 2'000'000;  // video payload, of the highest layer; each lower one a quarter
  uint32_t fps = 30;
  uint32_t packet_bytes = 1200;  // RTP payload
  uint32_t key_interval_s = 2;
  uint8_t layers = 1;  // 1..kMaxLayers
  bool audio = true;   // 50 packets of 80 bytes a second
  uint32_t source_id = 0;
};

class SyntheticSource : public MediaSource {
 public:
  explicit SyntheticSource(const SyntheticOptions& options);

  Codec video() const override { return Codec::vp8; }
  bool audio() const override { return options_.audio; }
  uint8_t layers() const override { return options_.layers; }
  Nanos deadline() const override;
  void start(Nanos now) override;
  void produce(Nanos now, std::vector<MediaFrame>& out) override;
  void request_key_frame(uint8_t layer) override;

 private:
  MediaFrame video_frame(uint8_t layer, Nanos now);

  SyntheticOptions options_;
  Nanos started_{};
  uint32_t frame_ = 0;
  uint32_t audio_packet_ = 0;
  std::array<bool, kMaxLayers> key_wanted_{};
  std::array<uint8_t, kMaxLayers> tl0_{};
  std::array<uint32_t, kMaxLayers> last_key_{};
  std::array<int64_t, kMaxLayers> credit_bytes_{};
};

}  // namespace spillway::peer
