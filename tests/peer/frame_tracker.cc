#include "tests/peer/frame_tracker.h"

#include <algorithm>

namespace spillway::peer {

bool FrameTracker::receive(const Packet& p, Nanos now) {
  int64_t time = p.rtp_time;
  if (started_) {
    time = newest_time_ + static_cast<int32_t>(p.rtp_time - static_cast<uint32_t>(newest_time_));
    newest_time_ = std::max(newest_time_, time);
  } else {
    newest_time_ = time;
    started_ = true;
  }
  if (done_.contains(time)) return false;
  Frame& f = open_[time];
  ++f.packets;
  // Codecs with several starting packets in a frame: the earliest counts.
  if (p.first && (!f.first || p.sequence < *f.first)) f.first = p.sequence;
  if (p.last) f.last = p.sequence;
  f.lowest = std::min(f.lowest, p.sequence);
  f.key |= p.key;
  const bool whole = complete_if_whole(time, now);
  if (p.last) {
    ends_.insert(p.sequence);
    if (ends_.size() > kFramesOpen) ends_.erase(ends_.begin());
    // A late marker bit can be what told where the frame behind it begins.
    const auto next = std::find_if(open_.begin(), open_.end(), [&](const auto& f2) {
      return f2.second.lowest == p.sequence + 1;
    });
    if (next != open_.end()) complete_if_whole(next->first, now);
  }
  while (open_.size() > kFramesOpen) {
    open_.erase(open_.begin());
    ++incomplete_;
  }
  return whole;
}

bool FrameTracker::complete_if_whole(int64_t time, Nanos now) {
  const Frame f = open_.at(time);
  if (!f.last || (!f.first && !ends_.contains(f.lowest - 1))) return false;
  const uint64_t first = f.first.value_or(f.lowest);
  if (*f.last < first || f.packets <= *f.last - first) return false;
  open_.erase(time);
  done_[time] = true;
  if (done_.size() > kFramesOpen) done_.erase(done_.begin());
  completed(f.key, now);
  return true;
}

void FrameTracker::completed(bool key, Nanos now) {
  ++complete_;
  key_frames_ += key;
  if (!first_complete_) first_complete_ = now;
  if (last_complete_) {
    const Nanos interval = now - *last_complete_;
    gap(interval);
    ++intervals_;
    const auto n = static_cast<int64_t>(std::min(intervals_, 30u));
    average_ = {average_.ns + (interval.ns - average_.ns) / n};
  }
  last_complete_ = now;
}

void FrameTracker::gap(Nanos interval) {
  longest_gap_ = std::max(longest_gap_, interval);
  // A frame repaired with its successors comes in a burst; a few intervals are needed
  // before "usual" means something.
  if (intervals_ < 5) return;
  if (interval > std::max(average_ * 3, average_ + millis(150))) {
    ++freezes_;
    frozen_ += interval;
  }
}

void FrameTracker::finish(Nanos now) {
  if (last_complete_) gap(now - *last_complete_);
  incomplete_ += open_.size();
  open_.clear();
}

}  // namespace spillway::peer
