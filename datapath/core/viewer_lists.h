// Which viewers of this worker read which track: per track a chain of chunks of
// (slot, media) references, dense inside a chunk and walked in order.
//
// Fixed memory: chunks come from one pool that covers every m-line of every session.
// One owner thread. Removing moves the chain's last reference into the gap; the
// caller is told whose place changed.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "datapath/base/assert.h"
#include "datapath/base/limits.h"

namespace spillway {

struct ViewerRef {
  uint32_t slot;
  uint32_t media;
};

class ViewerLists {
 public:
  static constexpr uint32_t kPerChunk = 31;
  static constexpr uint32_t kNone = 0xffffffff;
  // Worst case: every m-line alone in a chunk of its own track.
  static constexpr uint32_t kChunks = kMaxTracks + kMaxSessions * kMaxMedia / kPerChunk + 1;

  ViewerLists()
      : first_(new uint32_t[kMaxTracks]), chunks_(new Chunk[kChunks]) {
    for (uint32_t t = 0; t < kMaxTracks; ++t) first_[t] = kNone;
    for (uint32_t c = 0; c < kChunks; ++c) chunks_[c].next = c + 1 < kChunks ? c + 1 : kNone;
  }

  bool empty(uint32_t track) const { return first_[track] == kNone; }

  // Returns the place to pass to remove().
  uint32_t add(uint32_t track, ViewerRef ref) {
    uint32_t c = first_[track];
    if (c == kNone || chunks_[c].count == kPerChunk) {
      uint32_t fresh = free_;
      SPILLWAY_ASSERT(fresh != kNone);
      free_ = chunks_[fresh].next;
      chunks_[fresh].next = c;
      chunks_[fresh].count = 0;
      first_[track] = c = fresh;
    }
    uint32_t i = chunks_[c].count++;
    chunks_[c].refs[i] = ref;
    return c * kPerChunk + i;
  }

  // moved(ref, new_place) is called when another reference took the place.
  template <typename F>
  void remove(uint32_t track, uint32_t place, F moved) {
    uint32_t head = first_[track];
    Chunk& h = chunks_[head];
    ViewerRef last = h.refs[--h.count];
    uint32_t last_place = head * kPerChunk + h.count;
    if (last_place != place) {
      chunks_[place / kPerChunk].refs[place % kPerChunk] = last;
      moved(last, place);
    }
    if (h.count == 0) {
      first_[track] = h.next;
      h.next = free_;
      free_ = head;
    }
  }

  // Walks the references after the first `skip`. f(ref) -> bool: false stops the
  // walk at that reference. Returns false when stopped.
  template <typename F>
  bool for_each(uint32_t track, uint32_t skip, F f) const {
    for (uint32_t c = first_[track]; c != kNone; c = chunks_[c].next) {
      const Chunk& chunk = chunks_[c];
      if (skip >= chunk.count) {
        skip -= chunk.count;
        continue;
      }
      for (uint32_t i = skip; i < chunk.count; ++i)
        if (!f(chunk.refs[i])) return false;
      skip = 0;
    }
    return true;
  }

 private:
  struct Chunk {
    uint32_t next;
    uint32_t count;
    std::array<ViewerRef, kPerChunk> refs;
  };
  std::unique_ptr<uint32_t[]> first_;
  std::unique_ptr<Chunk[]> chunks_;
  uint32_t free_ = 0;
};

}  // namespace spillway
