#include "control/slots.h"

#include "datapath/base/assert.h"

namespace spillway {

TrackPool::TrackPool() : holds_(kMaxTracks, 0) {
  free_.reserve(kMaxTracks);
  for (uint32_t t = kMaxTracks; t > 0; --t) free_.push_back(t - 1);
}

std::optional<uint32_t> TrackPool::take() {
  while (!free_.empty()) {
    uint32_t track = free_.back();
    free_.pop_back();
    if (holds_[track] != 0) continue;
    holds_[track] = 1;
    ++used_;
    return track;
  }
  return std::nullopt;
}

bool TrackPool::hold(uint32_t track) {
  if (track >= kMaxTracks) return false;
  if (holds_[track]++ == 0) ++used_;
  return true;
}

void TrackPool::drop(uint32_t track) {
  if (track == abi::kNoTrack) return;
  SPILLWAY_ASSERT(track < kMaxTracks && holds_[track] > 0);
  if (--holds_[track] > 0) return;
  --used_;
  free_.push_back(track);
}

SlotPool::SlotPool(uint32_t capacity) : capacity_(capacity), generation_(capacity, 0) {}

std::optional<SlotName> SlotPool::take() {
  uint32_t slot;
  if (!free_.empty()) {
    slot = free_.back();
    free_.pop_back();
  } else if (used_ < capacity_) {
    slot = used_++;
  } else {
    return std::nullopt;
  }
  if (++generation_[slot] == 0) generation_[slot] = 1;
  return SlotName{slot, generation_[slot]};
}

void SlotPool::cancel(SlotName name) {
  SPILLWAY_ASSERT(generation_[name.slot] == name.generation);
  --generation_[name.slot];
  free_.push_back(name.slot);
}

void SlotPool::give_back(SlotName name, const TrackList& tracks, Nanos now) {
  SPILLWAY_ASSERT(generation_[name.slot] == name.generation);
  resting_.push_back({name.slot, tracks, now});
}

void SlotPool::found(SlotName name, Found what, const TrackList& tracks) {
  generation_[name.slot] = name.generation;
  if (what == Found::free) free_.push_back(name.slot);
  if (what == Found::resting) resting_.push_back({name.slot, tracks});
}

void SlotPool::recovered(uint32_t slots_used) { used_ = std::min(slots_used, capacity_); }

}  // namespace spillway
