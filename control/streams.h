// Streams by name: who publishes, who watches, which track slots carry it.
//
//   absent --first publisher or viewer--> open --last session gone--> absent
//
// A stream owns its track slots while it is open: one per kind and ordinal (the n-th
// audio or video line of its publisher), so that a publisher may leave, return or be
// replaced and its viewers stay where they are. A viewer's line whose ordinal the
// publisher never had gets no track; it stays silent for that session.
//
// Plain memory, no clock; control's one thread. A map of ordered names: whoever
// chooses names cannot choose collisions (threats A-37).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "control/control_api.h"
#include "control/slots.h"

namespace spillway {

inline constexpr uint32_t kNoSlot = 0xffffffff;

struct Stream {
  struct Track {
    MediaKind kind;
    uint32_t ordinal;  // among the lines of this kind
    uint32_t track;    // < kMaxTracks
  };
  std::string name;
  uint32_t publisher = kNoSlot;
  Nanos publisher_gone{};             // since when there is none
  std::vector<uint32_t> viewers;      // slots, in no order
  std::vector<Track> tracks;
  std::vector<TrackDescription> description;  // of the publisher; empty without one

  bool live() const { return publisher != kNoSlot; }
  bool empty() const { return !live() && viewers.empty(); }
};

class StreamTable {
 public:
  explicit StreamTable(TrackPool& pool) : pool_(pool) {}

  Stream* find(std::string_view name);
  const Stream* find(std::string_view name) const;
  // Existing or new. Addresses stay valid while the stream is open.
  Stream& open(std::string_view name, Nanos now);
  // Drops the stream and its holds on tracks if nobody is left; true if it went.
  bool close_if_empty(Stream& stream);

  // The track of the ordinal-th line of `kind`; kNoTrack when there is none and
  // `create` is false, or the pool is empty.
  uint32_t track(Stream& stream, MediaKind kind, uint32_t ordinal, bool create);
  // Recovery: `track` was this stream's. False = another stream holds it.
  bool adopt_track(Stream& stream, MediaKind kind, uint32_t ordinal, uint32_t track);

  auto begin() const { return streams_.begin(); }
  auto end() const { return streams_.end(); }
  size_t size() const { return streams_.size(); }

 private:
  TrackPool& pool_;
  std::map<std::string, Stream, std::less<>> streams_;
  std::map<uint32_t, const Stream*> owner_;  // of each track in use by a stream
};

}  // namespace spillway
