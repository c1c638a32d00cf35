// Which video frames arrived whole, and how evenly: complete frames, the longest gap
// between two, freezes.
//
// A frame is the packets of one RTP timestamp: whole when its first packet (told by the
// codec, or by standing behind a marker bit), the one with the marker bit and all between
// have arrived. A freeze is an
// interval between complete frames above max(3 d, d + 150 ms), d the average of the last
// 30 intervals (as in W3C webrtc-stats freezeCount).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "datapath/base/units.h"

namespace spillway::peer {

class FrameTracker {
 public:
  struct Packet {
    uint64_t sequence = 0;  // extended
    uint32_t rtp_time = 0;
    bool first = false;  // begins a frame, as far as the codec says
    bool last = false;   // marker bit
    bool key = false;    // a decoder can start here
  };
  // Fresh packets only. True: the packet's frame became complete with it.
  bool receive(const Packet& p, Nanos now);
  // Counts the time since the last complete frame as a gap too: a stream that stopped
  // must not look smooth.
  void finish(Nanos now);

  uint64_t complete() const { return complete_; }
  uint64_t incomplete() const { return incomplete_; }  // pushed out unfinished
  uint64_t key_frames() const { return key_frames_; }
  uint64_t freezes() const { return freezes_; }
  Nanos frozen() const { return frozen_; }
  Nanos longest_gap() const { return longest_gap_; }
  std::optional<Nanos> first_complete() const { return first_complete_; }
  std::optional<Nanos> last_complete() const { return last_complete_; }

 private:
  static constexpr size_t kFramesOpen = 128;  // four seconds of unfinished frames
  struct Frame {
    std::optional<uint64_t> first, last;
    uint64_t lowest = UINT64_MAX;
    uint64_t packets = 0;
    bool key = false;
  };
  bool complete_if_whole(int64_t time, Nanos now);
  void completed(bool key, Nanos now);
  void gap(Nanos interval);

  // By unwrapped timestamp.
  std::map<int64_t, Frame> open_;
  std::map<int64_t, bool> done_;  // the latest complete ones: repeats must not reopen them
  std::set<uint64_t> ends_;       // the latest sequence numbers with a marker bit
  int64_t newest_time_ = 0;
  bool started_ = false;
  uint64_t complete_ = 0, incomplete_ = 0, key_frames_ = 0, freezes_ = 0;
  Nanos frozen_{};
  Nanos longest_gap_{};
  Nanos average_{};
  uint32_t intervals_ = 0;
  std::optional<Nanos> first_complete_, last_complete_;
};

}  // namespace spillway::peer
