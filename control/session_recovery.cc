// A new control process on old memory (DESIGN §5, threats T1, T2, F-01).
//
// Every slot ever used is looked at once:
//
//   torn or impossible entry      freed under a generation above any seen
//   free                          reusable once the datapath released it; keys wiped
//   half_open                     freed: its DTLS state died with the old process
//   keyed, record readable        goes on: same URL, etag, stream, tracks
//   keyed, record unreadable      freed
//
// All from our own regions, yet checked like anybody's: the process before us may have
// died of a wild pointer.
#include "control/session_manager.h"

#include <algorithm>

#include <openssl/crypto.h>
#include <spdlog/spdlog.h>

namespace spillway {
namespace {

bool is_stream_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '-' || c == '_';
  });
}

}  // namespace

void SessionManager::recover() {
  uint32_t used = link_.slots_used();
  slots_.recovered(used);
  uint32_t half_open = 0, damaged = 0;
  // Tracks of sessions that go on are spoken for before resting slots add their holds.
  for (uint32_t slot = 0; slot < used; ++slot) {
    if (!link_.session_was_written(slot)) {
      slots_.found({slot, 0}, SlotPool::Found::free);
      continue;
    }
    abi::SessionConfig config{};
    bool readable = link_.read_session(slot, &config) && abi::validate(config) &&
                    config.home_worker < link_.workers();
    if (!readable) {
      ++damaged;
      ++counters_.ended[static_cast<size_t>(EndReason::damaged)];
      abi::ControlRecord record{};
      link_.read_record(slot, &record);
      uint32_t generation = std::max(
          {config.generation, record.generation, link_.released_generation(slot)});
      config = {};
      write_free({slot, generation + 1 == 0 ? 1 : generation + 1}, config);
      slots_.found({slot, generation + 1 == 0 ? 1 : generation + 1}, SlotPool::Found::resting);
      continue;
    }
    SlotName name{slot, config.generation};
    if (config.phase == static_cast<uint8_t>(abi::SessionPhase::keyed) &&
        recover_keyed(slot, config)) {
      slots_.found(name, SlotPool::Found::taken);
      ++counters_.recovered;
      continue;
    }
    TrackList held = kNoTracks;
    for (uint32_t m = 0; m < config.media_count && m < kMaxMedia; ++m)
      if (tracks_.hold(config.media[m].track)) held[m] = config.media[m].track;
    if (config.phase == static_cast<uint8_t>(abi::SessionPhase::free)) {
      link_.wipe_keys(slot);  // in case the predecessor died just before it did
    } else {
      EndReason why = config.phase == static_cast<uint8_t>(abi::SessionPhase::half_open)
                          ? EndReason::half_open
                          : EndReason::damaged;
      ++(why == EndReason::half_open ? half_open : damaged);
      ++counters_.ended[static_cast<size_t>(why)];
      write_free(name, config);
    }
    slots_.found(name, SlotPool::Found::resting, held);
  }
  // Descriptions need the whole stream: publishers may lie after viewers.
  for (auto& s : by_slot_) {
    abi::SessionConfig config;
    if (s && s->publisher && link_.read_session(s->name.slot, &config))
      describe(*s->stream, config);
  }
  if (used > 0)
    spdlog::info("recovered sessions={} swept={} damaged={}", counters_.recovered, half_open,
                 damaged);
}

bool SessionManager::recover_keyed(uint32_t slot, const abi::SessionConfig& config) {
  abi::ControlRecord record;
  abi::KeyConfig keys;
  if (!link_.read_record(slot, &record) || !link_.read_keys(slot, &keys)) return false;
  bool has_keys = keys.generation == config.generation &&
                  keys.profile != static_cast<uint16_t>(SrtpProfile::none) && abi::validate(keys);
  OPENSSL_cleanse(&keys, sizeof keys);
  if (!has_keys || record.generation != config.generation || record.stream_bytes == 0 ||
      record.stream_bytes > kMaxStreamNameBytes)
    return false;
  std::string_view stream_name(reinterpret_cast<const char*>(record.stream), record.stream_bytes);
  SessionId id;
  std::copy_n(record.session_id, id.size(), id.data());
  if (!is_stream_name(stream_name) || by_id_.contains(id)) return false;

  bool publisher = config.role == static_cast<uint8_t>(abi::SessionRole::publisher);
  Stream& stream = streams_.open(stream_name, now_);
  bool ok = !(publisher && stream.live());
  auto session = std::make_unique<Session>();
  std::array<uint32_t, 2> ordinals{};
  for (uint32_t m = 0; ok && m < config.media_count; ++m) {
    const abi::MediaConfig& media = config.media[m];
    uint32_t ordinal = ordinals[media.kind]++;
    if (media.track == abi::kNoTrack) continue;
    ok = streams_.adopt_track(stream, static_cast<MediaKind>(media.kind), ordinal, media.track) &&
         tracks_.hold(media.track);
    if (ok) session->tracks[m] = media.track;
  }
  if (!ok) {
    for (uint32_t track : session->tracks) tracks_.drop(track);
    streams_.close_if_empty(stream);
    return false;
  }
  session->name = {slot, config.generation};
  session->id = id;
  session->stream = &stream;
  session->created = std::min(Nanos{record.created_ns}, now_);
  session->keyed_at = now_;
  session->ice_restarted = now_;
  session->client_ip.bytes = std::to_array(record.client_ip);
  session->home_worker = session->via_worker = config.home_worker;
  session->ice_generation = config.ice_generation;
  session->old_ice_valid = config.old_ice_valid != 0;
  session->publisher = publisher;
  session->keyed = true;
  session->reminders = 1;  // the predecessor's last doorbell may never have been rung
  add_session(std::move(session));
  return true;
}

}  // namespace spillway
