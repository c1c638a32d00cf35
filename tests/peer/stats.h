// What a run measured: latency histograms, one viewer's figures, the whole report as
// JSON, and the expectations a run can be held to.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "datapath/base/result.h"
#include "datapath/base/units.h"

namespace spillway::peer {

// Microseconds in buckets of at most 1/16 relative width; 0 .. 2^40 us.
class Histogram {
 public:
  void add(Nanos value);
  void merge(const Histogram& other);
  uint64_t count() const { return count_; }
  Nanos max() const { return max_; }
  // q 0..1: the upper edge of the bucket that holds the quantile; 0 when empty.
  Nanos quantile(double q) const;

 private:
  static constexpr uint32_t kSub = 16;
  static constexpr uint32_t kBuckets = 40 * kSub;
  static uint32_t bucket(uint64_t us);
  static uint64_t upper_us(uint32_t bucket);
  std::array<uint32_t, kBuckets> buckets_{};
  uint64_t count_ = 0;
  Nanos max_{};
};

// Digests of the frames a viewer has whole, by frame number. 0 = not whole.
class FrameDigests {
 public:
  static constexpr uint32_t kFramesMax = 100'000;  // 55 minutes at 30 fps
  // One intact marked packet; packets: of its frame.
  void add(uint32_t frame, uint16_t packet, uint16_t packets, uint64_t hash);
  bool any() const { return first_.has_value(); }
  uint32_t first() const { return first_.value_or(0); }
  uint32_t last() const { return last_; }
  // Over frames from..to inclusive; missing: how many of them are not whole.
  uint64_t digest(uint32_t from, uint32_t to, uint64_t* missing) const;

 private:
  struct Frame {
    uint64_t sum = 0;
    uint16_t have = 0;
    uint16_t want = 0;
  };
  std::optional<uint32_t> base_;   // frame number of frames_[0]
  std::vector<Frame> frames_;
  std::optional<uint32_t> first_;  // whole
  uint32_t last_ = 0;
};

struct ViewerFigures {
  uint32_t id = 0;
  std::string state;  // "playing", "failed", ...
  std::string error;
  std::string srtp;
  uint64_t packets = 0, bytes = 0;  // RTP, without RTX; payload bytes
  // Streams with retransmission (video) and without (audio) apart: the latter's losses are
  // the network's, nobody could repair them.
  uint64_t audio_lost = 0, audio_gaps = 0;
  uint64_t lost = 0, gaps = 0, pending = 0, duplicates = 0, replayed = 0, bad_tag = 0;
  uint64_t nacks = 0, nacked = 0, rtx_received = 0, rtx_useless = 0, repaired = 0, padding = 0;
  uint64_t from_cache = 0;  // marked packets sent before the viewer was connected; no latency
  uint64_t plis = 0, restarts = 0, unknown = 0, damaged = 0;
  uint64_t sender_reports = 0, transport_cc_sent = 0;
  uint64_t frames = 0, frames_incomplete = 0, key_frames = 0, freezes = 0;
  Nanos frozen{}, longest_gap{};
  // Since POST; nullopt: never.
  std::optional<Nanos> answered, connected, first_packet, first_frame;
  Histogram latency;
  FrameDigests digests;
};

struct Expectations {
  std::optional<uint64_t> loss_max{};     // video, sum over viewers
  std::optional<uint64_t> audio_loss_max{};
  std::optional<int64_t> gap_max_ms{};    // of each viewer
  std::optional<uint64_t> viewers{};      // that got at least one frame
  bool same_payloads = false;
  std::optional<std::pair<uint32_t, uint32_t>> digest_frames{};
};

struct RunReport {
  std::vector<ViewerFigures> viewers;
  double seconds = 0;       // wall time of the run
  double cpu_seconds = 0;   // of this process
  // Filled by conclude().
  uint32_t digest_from = 0, digest_to = 0;
  bool same_payloads = false;
  std::vector<std::string> missed;  // expectations not met, as sentences

  // Computes the common range of frames and judges.
  void conclude(const Expectations& e);
  std::string json() const;
  std::string summary() const;  // some lines for people
};

}  // namespace spillway::peer
