#include "control/streams.h"

namespace spillway {

Stream* StreamTable::find(std::string_view name) {
  auto it = streams_.find(name);
  return it == streams_.end() ? nullptr : &it->second;
}

const Stream* StreamTable::find(std::string_view name) const {
  auto it = streams_.find(name);
  return it == streams_.end() ? nullptr : &it->second;
}

Stream& StreamTable::open(std::string_view name, Nanos now) {
  if (Stream* s = find(name)) return *s;
  Stream& s = streams_[std::string(name)];
  s.name = name;
  s.publisher_gone = now;
  return s;
}

bool StreamTable::close_if_empty(Stream& stream) {
  if (!stream.empty()) return false;
  for (const Stream::Track& t : stream.tracks) {
    owner_.erase(t.track);
    pool_.drop(t.track);
  }
  streams_.erase(streams_.find(stream.name));
  return true;
}

uint32_t StreamTable::track(Stream& stream, MediaKind kind, uint32_t ordinal, bool create) {
  for (const Stream::Track& t : stream.tracks)
    if (t.kind == kind && t.ordinal == ordinal) return t.track;
  if (!create) return abi::kNoTrack;
  auto taken = pool_.take();
  if (!taken) return abi::kNoTrack;
  stream.tracks.push_back({kind, ordinal, *taken});
  owner_[*taken] = &stream;
  return *taken;
}

bool StreamTable::adopt_track(Stream& stream, MediaKind kind, uint32_t ordinal, uint32_t track) {
  for (const Stream::Track& t : stream.tracks)
    if (t.kind == kind && t.ordinal == ordinal) return t.track == track;
  if (owner_.contains(track) || !pool_.hold(track)) return false;
  stream.tracks.push_back({kind, ordinal, track});
  owner_[track] = &stream;
  return true;
}

}  // namespace spillway
