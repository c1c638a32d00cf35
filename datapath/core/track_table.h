// Tracks: what publishers write and viewers read, by number, for the whole process.
//
// A track outlives publishers: a takeover or a return replaces the rings behind it.
// Threads: `publisher` and `layers` are written by the worker that owns the
// publisher; `readers` bits by the worker they name; `key_frame_wanted` by any
// worker (set) and the publisher's (clear). Everything is a relaxed hint except
// `layers`, whose release store publishes the ring behind it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "datapath/base/limits.h"
#include "datapath/core/track_ring.h"

namespace spillway {

struct alignas(kNoShare) Track {
  std::atomic<uint64_t> publisher{0};  // slot << 32 | generation; 0 = none
  std::array<std::atomic<TrackRing*>, kMaxLayers> layers{};
  std::atomic<uint32_t> best_layer{0};       // highest rate among the active ones
  std::atomic<uint32_t> active_layers{0};    // bit per layer: packets in the last second
  std::atomic<uint32_t> key_frame_wanted{0}; // bit per layer
  std::atomic<uint32_t> readers{0};          // bit per worker that has viewers
};

// Per worker: which tracks have something new. A writer sets the bit of every
// worker in Track::readers after a burst; the reader takes whole words.
struct alignas(kNoShare) DirtyTracks {
  static constexpr uint32_t kWords = kMaxTracks / 64;
  std::array<std::atomic<uint64_t>, kWords> words{};
  std::atomic<uint64_t> summary[kWords / 64]{};  // bit per word

  // Any worker. True when the bit was clear: the reader may need waking.
  bool mark(uint32_t track) {
    uint64_t bit = uint64_t{1} << (track % 64);
    auto& word = words[track / 64];
    if (word.load(std::memory_order_relaxed) & bit) return false;
    // release pairs with the acquire exchange in take(): ring heads published before
    // are visible to who takes the bit.
    if (word.fetch_or(bit, std::memory_order_release) & bit) return false;
    summary[track / 4096].fetch_or(uint64_t{1} << (track / 64 % 64), std::memory_order_release);
    return true;
  }
  // Owner: calls f(track) for each marked track and clears the marks.
  template <typename F>
  void take(F f) {
    for (uint32_t s = 0; s < kWords / 64; ++s) {
      if (summary[s].load(std::memory_order_relaxed) == 0) continue;
      uint64_t in = summary[s].exchange(0, std::memory_order_acquire);
      while (in) {
        uint32_t w = s * 64 + static_cast<uint32_t>(__builtin_ctzll(in));
        in &= in - 1;
        uint64_t bits = words[w].exchange(0, std::memory_order_acquire);  // pairs with mark()
        while (bits) {
          f(w * 64 + static_cast<uint32_t>(__builtin_ctzll(bits)));
          bits &= bits - 1;
        }
      }
    }
  }
};
static_assert(DirtyTracks::kWords % 64 == 0);

class TrackTable {
 public:
  TrackTable() : tracks_(new Track[kMaxTracks]) {}
  Track& operator[](uint32_t track) { return tracks_[track]; }

 private:
  std::unique_ptr<Track[]> tracks_;
};

}  // namespace spillway
