// What one receiver knows of one RTP stream: duplicates, losses, what to NACK, and the
// report block to send (RFC 3550 A.1, A.3, A.8; RFC 4585).
//
// Pure accounting; time comes in. A gap is missing as soon as a later packet arrived,
// asked for again until kNackTries, and lost kLossPatience after it was seen missing: a
// packet that comes even later is taken off the losses again.
#pragma once

#include <bitset>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "datapath/base/units.h"
#include "datapath/proto/rtcp.h"

namespace spillway::peer {

inline constexpr Nanos kReorderPatience = millis(10);  // before the first NACK
inline constexpr Nanos kNackInterval = millis(50);
inline constexpr uint32_t kNackTries = 10;
inline constexpr Nanos kLossPatience = millis(1000);
// A jump further than this is a restart of the stream's numbering, not a loss.
inline constexpr uint64_t kSequenceJump = 3000;

class ReceiveStream {
 public:
  enum class Verdict : uint8_t { fresh, duplicate };

  explicit ReceiveStream(uint32_t clock_rate = 90'000) : clock_rate_(clock_rate) {}

  // sequence: extended. repaired: it came as RTX.
  Verdict receive(uint64_t sequence, uint32_t rtp_time, bool repaired, Nanos now);
  // The extension of a wire number near the highest one.
  uint64_t extend(uint16_t wire) const;

  // Sequence numbers to NACK now; at most `max`. Marks them asked.
  std::vector<uint16_t> take_nacks(Nanos now, size_t max);
  // Moves what was missing too long to the losses.
  void expire(Nanos now);

  void on_sender_report(uint32_t ntp_middle, Nanos now) {
    last_sr_ = ntp_middle;
    last_sr_at_ = now;
  }
  ReportBlock report(Ssrc ssrc, Nanos now);

  bool started() const { return started_; }
  uint64_t received() const { return received_; }      // without duplicates
  uint64_t duplicates() const { return duplicates_; }
  uint64_t repaired() const { return repaired_; }       // filled a gap as RTX
  uint64_t recovered_late() const { return late_; }     // after it was given up
  uint64_t lost() const { return lost_; }
  uint64_t gaps() const { return gaps_; }               // packets ever seen missing
  uint64_t pending() const { return missing_.size(); }
  uint64_t restarts() const { return restarts_; }
  uint64_t highest() const { return highest_; }

 private:
  static constexpr uint64_t kWindow = 8192;
  struct Missing {
    Nanos since{};
    Nanos next{};
    uint32_t tries = 0;
  };

  bool seen(uint64_t s) const { return window_[s % kWindow]; }

  uint32_t clock_rate_;
  bool started_ = false;
  uint64_t first_ = 0;
  uint64_t highest_ = 0;
  std::bitset<kWindow> window_;
  std::map<uint64_t, Missing> missing_;
  uint64_t received_ = 0, duplicates_ = 0, repaired_ = 0, late_ = 0, lost_ = 0, gaps_ = 0,
           restarts_ = 0;
  uint64_t reported_expected_ = 0, reported_received_ = 0;
  int64_t jitter_16_ = 0;  // times 16, RTP ticks
  int64_t transit_ = 0;
  bool has_transit_ = false;
  uint32_t last_sr_ = 0;
  Nanos last_sr_at_{};
};

}  // namespace spillway::peer
