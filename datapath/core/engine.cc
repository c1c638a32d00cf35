// Life of sessions: adopting, configuring, moving between workers, letting go.
#include "datapath/core/engine.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "datapath/srtp/replay_window.h"

namespace spillway {

using abi::Count;
using abi::Drop;
using abi::SessionPhase;
using abi::SessionRole;

Engine::Engine(const EngineOptions& options, SharedCore& shared, SrtpEngine& srtp,
               abi::SessionState* states, abi::PublisherState* publishers)
    : options_(options),
      ice_keys_(options.ice_secret),
      shared_(shared),
      srtp_(srtp),
      states_(states),
      publishers_(publishers),
      random_state_(options.seed + options.worker * 0x9e3779b97f4a7c15),
      addresses_(options.hash_key),
      owned_(new uint32_t[kMaxSessions]),
      publishers_owned_(new uint32_t[kMaxSessions]) {}

uint64_t Engine::random() {
  uint64_t z = (random_state_ += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

void Engine::emit(abi::EventType type, Session& s, Nanos now, uint32_t ice_generation) {
  if (outputs_.event_count == EngineOutputs::kEventsMax) return;  // control re-reads reports
  // Turns of two workers overlap, and control reads their rings in any order: the time
  // tells it which of two paths is the newer one.
  s.last_event_ns = std::max(now.ns, s.last_event_ns + 1);
  abi::Event& e = outputs_.events[outputs_.event_count++];
  e = {static_cast<uint32_t>(type), s.slot, s.generation, ice_generation, s.path, s.last_event_ns};
}

bool Engine::is_mine(uint32_t slot, uint32_t generation) const {
  const Session& s = shared_.session(slot);
  return s.generation == generation && s.worker == options_.worker && s.owned_index != kNoIndex;
}

bool Engine::is_stale(const AddressTable::Value& v) const {
  return states_[v.slot].live_generation.load(std::memory_order_relaxed) != v.generation;
}

void Engine::own(Session& s) {
  s.worker = options_.worker;
  s.owned_index = owned_count_;
  owned_[owned_count_++] = s.slot;
  if (s.role == static_cast<uint8_t>(SessionRole::publisher)) {
    s.publisher_index = publisher_count_;
    publishers_owned_[publisher_count_++] = s.slot;
  }
}

void Engine::disown(Session& s) {
  uint32_t last = owned_[--owned_count_];
  owned_[s.owned_index] = last;
  shared_.session(last).owned_index = s.owned_index;
  s.owned_index = kNoIndex;
  if (s.publisher_index != kNoIndex) {
    uint32_t end = publishers_owned_[--publisher_count_];
    publishers_owned_[s.publisher_index] = end;
    shared_.session(end).publisher_index = s.publisher_index;
    s.publisher_index = kNoIndex;
  }
}

// --- commands ----------------------------------------------------------------------

void Engine::apply(uint32_t slot, const abi::SessionConfig& config, const abi::KeyConfig* keys,
                   Nanos now) {
  abi::SessionState& state = states_[slot];
  bool is_free = config.phase == static_cast<uint8_t>(SessionPhase::free);
  uint32_t live = state.live_generation.load(std::memory_order_acquire);
  if (live == 0) {
    // Nobody's: the home worker acts, so that exactly one does.
    uint32_t home = config.home_worker % shared_.workers;
    if (home != options_.worker) return pass_on(slot, home);
    if (!is_free)
      attach(slot, config, keys, now, false);
    else if (config.generation != 0)
      state.released_generation.store(config.generation, std::memory_order_release);
    return;
  }
  uint32_t owner = state.owner_worker.load(std::memory_order_acquire);
  if (owner != options_.worker) return pass_on(slot, owner);
  Session& s = shared_.session(slot);
  if (!is_mine(slot, live)) return;  // its adoption is queued; it reloads then
  if (is_free || config.generation != live) {
    detach(s, now, true);
    if (!is_free) attach(slot, config, keys, now, false);
    return;
  }
  // Changed in place: keys arrived, ICE restarted, another layer wanted.
  s.ice_generation = config.ice_generation;
  s.old_ice_valid = config.old_ice_valid != 0;
  s.remote_ufrag_bytes = config.remote_ufrag_bytes;
  std::copy_n(config.remote_ufrag, kMaxUfragBytes, s.remote_ufrag.begin());
  s.old_remote_ufrag_bytes = config.old_remote_ufrag_bytes;
  std::copy_n(config.old_remote_ufrag, kMaxUfragBytes, s.old_remote_ufrag.begin());
  if (keys && !s.keyed) {
    install_keys(s, *keys, false);
    if (s.role == static_cast<uint8_t>(SessionRole::viewer))
      for (uint32_t m = 0; m < s.media_count; ++m)
        if (s.egress[m].track != kNoIndex)
          shared_.dirty[options_.worker].mark(s.egress[m].track);
  }
  if (s.role == static_cast<uint8_t>(SessionRole::viewer))
    for (uint32_t m = 0; m < s.media_count; ++m) {
      Egress& e = s.egress[m];
      if (e.wanted_layer == config.media[m].selected_layer) continue;
      e.wanted_layer = config.media[m].selected_layer;
      if (e.track != kNoIndex) shared_.dirty[options_.worker].mark(e.track);
    }
}

void Engine::recover(uint32_t slot, const abi::SessionConfig& config, const abi::KeyConfig* keys,
                     Nanos now) {
  abi::SessionState& state = states_[slot];
  if (config.phase == static_cast<uint8_t>(SessionPhase::free)) {
    // Ended while no datapath ran: let the slot go, or control could never reuse it.
    if (config.generation == 0 || config.home_worker % shared_.workers != options_.worker) return;
    state.path = {};
    state.keyed = 0;
    state.live_generation.store(0, std::memory_order_release);
    state.released_generation.store(config.generation, std::memory_order_release);
    return;
  }
  bool ours = state.live_generation.load(std::memory_order_relaxed) == config.generation;
  uint32_t owner = ours ? state.owner_worker.load(std::memory_order_relaxed) : config.home_worker;
  if (owner >= shared_.workers) owner %= shared_.workers;
  if (ours && state.path.valid())
    addresses_.insert(state.path.remote, {slot, config.generation},
                      [&](const AddressTable::Value& v) { return is_stale(v); });
  if (owner == options_.worker) attach(slot, config, keys, now, ours);
}

// --- attaching ------------------------------------------------------------------------

void Engine::attach(uint32_t slot, const abi::SessionConfig& config, const abi::KeyConfig* keys,
                    Nanos now, bool recovered) {
  Session& s = *new (&shared_.session(slot)) Session{};
  s.slot = slot;
  s.generation = config.generation;
  s.state = &states_[slot];
  s.publisher_state = &publishers_[slot];
  s.adopted_ns = now.ns;
  s.role = config.role;
  s.media_count = config.media_count;
  abi::SessionState& state = *s.state;
  if (!recovered) {
    state.keyed = 0;
    state.ice_generation = config.ice_generation;
    state.transport_cc_seq = static_cast<uint16_t>(random());
    state.path = {};
    state.created_ns = now.ns;
    state.last_authenticated_ns = 0;
    state.next_srtcp_index = 1;
    for (auto& source : state.rtcp_sources) source = {};
    for (auto& e : state.egress) {
      e = {};
      // A first packet lost near 65535 would leave a receiver with the wrong ROC
      // (threats §2): start in the lower half.
      e.next_index = random() & 0x7fff;
      e.next_rtx_index = random() & 0x7fff;
      e.timestamp_offset = static_cast<uint32_t>(random());
    }
  } else {
    for (auto& e : state.egress) {
      e.next_index += abi::kIndexSkipOnRecovery;
      e.next_rtx_index += abi::kIndexSkipOnRecovery;
    }
    state.next_srtcp_index += abi::kIndexSkipOnRecovery;
    for (auto& source : state.rtcp_sources) mark_all_seen(source.replay);
    s.path = state.path;
    s.paths[0] = {state.path, now.ns};
    // Consent ran on while nobody listened; give it the whole time again.
    state.last_authenticated_ns = now.ns;
  }
  state.owner_worker.store(options_.worker, std::memory_order_relaxed);
  // release: who sees the generation also sees the owner. Pairs with acquire in
  // apply() and hand_over().
  state.live_generation.store(config.generation, std::memory_order_release);

  s.ice_generation = config.ice_generation;
  s.old_ice_valid = config.old_ice_valid != 0;
  s.remote_ufrag_bytes = config.remote_ufrag_bytes;
  std::copy_n(config.remote_ufrag, kMaxUfragBytes, s.remote_ufrag.begin());
  s.old_remote_ufrag_bytes = config.old_remote_ufrag_bytes;
  std::copy_n(config.old_remote_ufrag, kMaxUfragBytes, s.old_remote_ufrag.begin());
  s.connect_timeout_ms = config.connect_timeout_ms;
  s.consent_timeout_ms = config.consent_timeout_ms;
  s.rtx_percent = config.rtx_percent;
  own(s);
  if (s.role == static_cast<uint8_t>(SessionRole::publisher)) {
    new (&shared_.publisher(slot)) PublisherSide;
    s.publisher = &shared_.publisher(slot);
    if (!recovered) {
      for (auto& line : s.publisher_state->primary)
        for (auto& stream : line) stream = {};
      for (auto& line : s.publisher_state->rtx)
        for (auto& stream : line) stream = {};
    } else {
      // A duplicate of something forwarded before the restart must not be forwarded
      // again under another index (threats §4).
      for (auto& line : s.publisher_state->primary)
        for (auto& stream : line) mark_all_seen(stream.replay);
      for (auto& line : s.publisher_state->rtx)
        for (auto& stream : line) mark_all_seen(stream.replay);
    }
    configure_publisher(s, config, now);
  } else {
    configure_viewer(s, config);
  }
  if (keys) install_keys(s, *keys, recovered);
  next_tick_ = std::min(next_tick_, now + millis(10));
}

void Engine::install_keys(Session& s, const abi::KeyConfig& keys, bool recovered) {
  SrtpMasterKey rx, tx;
  rx.profile = tx.profile = static_cast<SrtpProfile>(keys.profile);
  std::memcpy(rx.key, keys.rx_key, sizeof rx.key);
  std::memcpy(rx.salt, keys.rx_salt, sizeof rx.salt);
  std::memcpy(tx.key, keys.tx_key, sizeof tx.key);
  std::memcpy(tx.salt, keys.tx_salt, sizeof tx.salt);
  bool expanded = srtp_.expand(rx, SrtpStreamKind::rtp, s.rx_rtp) &&
                  srtp_.expand(rx, SrtpStreamKind::rtcp, s.rx_rtcp) &&
                  srtp_.expand(tx, SrtpStreamKind::rtp, s.tx_rtp) &&
                  srtp_.expand(tx, SrtpStreamKind::rtcp, s.tx_rtcp);
  rx.wipe();
  tx.wipe();
  if (!expanded) return count(Count::bad_table_entries);
  s.profile = static_cast<SrtpProfile>(keys.profile);
  s.keyed = true;
  s.connected = recovered && s.state->keyed;
  s.state->keyed = 1;
}

namespace {

ExtensionIdMap extension_map(const abi::MediaConfig& m) {
  ExtensionIdMap map;
  for (uint32_t i = 0; i < m.extension_count; ++i)
    map.set(m.extensions[i].id, static_cast<ExtensionKind>(m.extensions[i].kind));
  return map;
}

std::array<uint8_t, kExtensionKindCount> extension_ids(const abi::MediaConfig& m) {
  ExtensionIdMap map = extension_map(m);
  std::array<uint8_t, kExtensionKindCount> ids{};
  for (uint8_t k = 1; k < kExtensionKindCount; ++k) ids[k] = map.id(static_cast<ExtensionKind>(k));
  return ids;
}

}  // namespace

void Engine::configure_publisher(Session& s, const abi::SessionConfig& config, Nanos now) {
  for (uint32_t m = 0; m < s.media_count; ++m) {
    const abi::MediaConfig& in = config.media[m];
    PublisherMedia& out = s.publisher->media[m];
    if (in.track == abi::kNoTrack) continue;
    out.track = in.track;
    out.kind = static_cast<MediaKind>(in.kind);
    out.extensions = extension_map(in);
    if (uint8_t id = out.extensions.id(ExtensionKind::transport_cc)) s.transport_cc_id = id;
    out.payload_count = in.payload_count;
    std::copy_n(in.payloads, kMaxPayloadTypes, out.payloads.begin());
    out.mid_bytes = in.mid_bytes;
    std::copy_n(in.mid, kMaxMidBytes, out.mid.begin());
    out.layer_count = std::max<uint8_t>(1, in.layer_count);
    for (uint32_t l = 0; l < kMaxLayers; ++l) {
      out.rid_bytes[l] = in.rid_bytes[l];
      std::copy_n(in.rid[l], kMaxRidBytes, out.rid[l].begin());
      if (in.ssrc[l] != 0 && s.publisher_state->primary[m][l].ssrc == 0)
        s.publisher_state->primary[m][l].ssrc = in.ssrc[l];
      if (in.rtx_ssrc[l] != 0 && s.publisher_state->rtx[m][l].ssrc == 0)
        s.publisher_state->rtx[m][l].ssrc = in.rtx_ssrc[l];
    }
    Track& track = shared_.tracks[in.track];
    track.publisher.store(uint64_t{s.slot} << 32 | s.generation, std::memory_order_relaxed);
    for (uint32_t l = 0; l < out.layer_count; ++l) {
      out.layers[l].ring = shared_.rings.acquire(out.kind, now);
      if (out.layers[l].ring)
        track.layers[l].store(out.layers[l].ring,
                              std::memory_order_release);  // pairs with start_reading()
    }
    // Viewers that waited want a key frame on whatever they will read.
    track.active_layers.store(0, std::memory_order_relaxed);
    track.best_layer.store(0, std::memory_order_relaxed);
    track.key_frame_wanted.store(out.kind == MediaKind::video ? (1u << out.layer_count) - 1 : 0,
                                 std::memory_order_relaxed);
  }
}

void Engine::configure_viewer(Session& s, const abi::SessionConfig& config) {
  for (uint32_t m = 0; m < s.media_count; ++m) {
    const abi::MediaConfig& in = config.media[m];
    Egress& e = s.egress[m];
    e.kind = static_cast<MediaKind>(in.kind);
    e.wanted_layer = in.selected_layer;
    e.ssrc = Ssrc{in.ssrc[0]};
    e.rtx_ssrc = Ssrc{in.rtx_ssrc[0]};
    e.extension_ids = extension_ids(in);
    e.two_byte_allowed = in.two_byte_allowed != 0;
    e.mid_bytes = in.mid_bytes;
    std::copy_n(in.mid, kMaxMidBytes, e.mid.begin());
    e.cname_bytes = in.cname_bytes;
    std::copy_n(in.cname, kMaxCnameBytes, e.cname.begin());
    e.payload_count = in.payload_count;
    std::copy_n(in.payloads, kMaxPayloadTypes, e.payloads.begin());
    // A first allowance: a burst right after joining may be repaired (T9: 64 KiB).
    e.rtx_budget_bytes = 64 * 1024;
    if (in.track == abi::kNoTrack) continue;
    e.track = in.track;
    e.viewer_ref = viewers_.add(in.track, {s.slot, m});
    shared_.tracks[in.track].readers.fetch_or(1u << options_.worker, std::memory_order_relaxed);
    shared_.dirty[options_.worker].mark(in.track);
  }
}

// --- letting go ------------------------------------------------------------------------

namespace {

// Takes a viewer out of this worker's lists.
void leave_tracks(Session& s, ViewerLists& viewers, SharedCore& shared, uint32_t worker) {
  for (uint32_t m = 0; m < s.media_count; ++m) {
    Egress& e = s.egress[m];
    if (e.viewer_ref == kNoIndex) continue;
    viewers.remove(e.track, e.viewer_ref, [&](ViewerRef ref, uint32_t place) {
      shared.session(ref.slot).egress[ref.media].viewer_ref = place;
    });
    e.viewer_ref = kNoIndex;
    if (viewers.empty(e.track))
      shared.tracks[e.track].readers.fetch_and(~(1u << worker), std::memory_order_relaxed);
  }
}

}  // namespace

void Engine::detach(Session& s, Nanos now, bool released) {
  leave_tracks(s, viewers_, shared_, options_.worker);
  if (s.publisher) {
    uint64_t self = uint64_t{s.slot} << 32 | s.generation;
    for (uint32_t m = 0; m < s.media_count; ++m) {
      PublisherMedia& media = s.publisher->media[m];
      if (media.track == kNoIndex) continue;
      Track& track = shared_.tracks[media.track];
      for (uint32_t l = 0; l < media.layer_count; ++l) {
        TrackRing* ring = media.layers[l].ring;
        if (!ring) continue;
        // A successor may already stand there (takeover): leave its ring alone.
        TrackRing* expected = ring;
        track.layers[l].compare_exchange_strong(expected, nullptr, std::memory_order_release);
        shared_.rings.give_back(ring, now);
        media.layers[l].ring = nullptr;
      }
      uint64_t expected = self;
      track.publisher.compare_exchange_strong(expected, 0, std::memory_order_relaxed);
    }
  }
  for (const KnownPath& k : s.paths)
    if (k.path.valid()) addresses_.erase(k.path.remote, {s.slot, s.generation});
  disown(s);
  s.tx_rtp.wipe();
  s.tx_rtcp.wipe();
  s.rx_rtp.wipe();
  s.rx_rtcp.wipe();
  uint32_t generation = s.generation;
  s.keyed = false;
  s.state->path = {};
  s.state->keyed = 0;
  s.state->live_generation.store(0, std::memory_order_release);
  if (released) {
    // Control may give the slot away from here on; pairs with its acquire.
    s.state->released_generation.store(generation, std::memory_order_release);
    emit(abi::EventType::released, s, now);
  }
  s.generation = 0;
}

void Engine::move_to(Session& s, uint32_t worker, Nanos now) {
  Inbox& inbox = shared_.inbox(options_.worker, worker);
  WorkerMessage* m = inbox.reserve();
  if (!m) return;  // full: it moves another time
  leave_tracks(s, viewers_, shared_, options_.worker);
  disown(s);
  s.foreign_datagrams = 0;
  s.worker = worker;
  m->type = WorkerMessage::Type::adopt;
  m->slot = s.slot;
  m->generation = s.generation;
  m->bytes = 0;
  m->arrival_ns = now.ns;
  abi::SessionState& state = *s.state;
  // First the message, then the sign: whoever sees the new owner and passes a
  // datagram on finds the adoption already queued before it.
  inbox.commit();
  state.owner_worker.store(worker, std::memory_order_release);  // pairs with hand_over()
  outputs_.wake_workers |= 1u << worker;
  count(Count::moves);
}

}  // namespace spillway
