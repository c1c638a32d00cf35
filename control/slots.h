// Which slots of the session table are free, and which track slots.
//
// A session slot's life here; (slot, generation) names one session for ever:
//
//   unused --take--> taken --give_back--> resting --datapath released it--> free
//                      ^-----------------------take--------------------------'
//
// While resting, its tracks are still held: a track slot goes to another stream only
// after the datapath has let go of every session that used it, so that no viewer can
// be served what another stream left in a ring.
//
// Plain memory, no clock; control's one thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "datapath/abi/session_config.h"
#include "datapath/base/limits.h"
#include "datapath/base/units.h"

namespace spillway {

using TrackList = std::array<uint32_t, kMaxMedia>;  // abi::kNoTrack where unused
inline constexpr TrackList kNoTracks{abi::kNoTrack, abi::kNoTrack, abi::kNoTrack, abi::kNoTrack};
static_assert(kMaxMedia == 4, "kNoTracks");

class TrackPool {
 public:
  TrackPool();
  // A free track with one hold on it; nullopt = all kMaxTracks in use.
  std::optional<uint32_t> take();
  // One hold on a track chosen earlier (recovery); false = out of range.
  bool hold(uint32_t track);
  void drop(uint32_t track);  // kNoTrack is ignored
  uint32_t holds(uint32_t track) const { return holds_[track]; }
  uint32_t used() const { return used_; }

 private:
  std::vector<uint32_t> holds_;
  std::vector<uint32_t> free_;  // may hold tracks taken by hold(): skipped by take()
  uint32_t used_ = 0;
};

struct SlotName {
  uint32_t slot = 0;
  uint32_t generation = 0;
};

class SlotPool {
 public:
  explicit SlotPool(uint32_t capacity = kMaxSessions);

  // A slot nobody uses, under its next generation (never 0).
  std::optional<SlotName> take();
  // Undoes take() of a slot whose entry was not written.
  void cancel(SlotName name);
  // The entry says free; the slot rests until the datapath released it.
  void give_back(SlotName name, const TrackList& tracks, Nanos now);

  // Recovery, before the first take(): what the table said about one slot.
  enum class Found { free, resting, taken };
  void found(SlotName name, Found what, const TrackList& tracks = kNoTracks);
  void recovered(uint32_t slots_used);

  // Looks at up to `count` resting slots, oldest first. released(slot) -> the newest
  // generation the datapath let go; on_free(tracks) once per slot that became free;
  // on_waiting(SlotName) for those still held whose last reminder is older than
  // `remind_after`.
  template <typename Released, typename OnFree, typename OnWaiting>
  void poll(uint32_t count, Nanos now, Nanos remind_after, Released released, OnFree on_free,
            OnWaiting on_waiting) {
    for (uint32_t n = std::min<uint32_t>(count, static_cast<uint32_t>(resting_.size())); n > 0;
         --n) {
      Resting r = resting_.front();
      resting_.pop_front();
      if (released(r.slot) == generation_[r.slot]) {
        free_.push_back(r.slot);
        on_free(r.tracks);
        continue;
      }
      if (now - r.reminded >= remind_after) {
        r.reminded = now;
        on_waiting(SlotName{r.slot, generation_[r.slot]});
      }
      resting_.push_back(r);
    }
  }

  uint32_t used() const { return used_; }  // slots ever taken: the table's high-water mark
  size_t resting() const { return resting_.size(); }

 private:
  struct Resting {
    uint32_t slot;
    TrackList tracks;
    Nanos reminded{INT64_MIN / 2};
  };
  uint32_t capacity_;
  uint32_t used_ = 0;
  std::vector<uint32_t> generation_;
  std::vector<uint32_t> free_;
  std::deque<Resting> resting_;
};

}  // namespace spillway
