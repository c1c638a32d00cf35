// From the track rings to the viewers: choose the layer, rewrite, protect straight
// into the transmit batch.
#include <algorithm>
#include <cstring>

#include "datapath/core/engine.h"
#include "datapath/proto/video/vp8.h"

namespace spillway {

using abi::Count;
using abi::Drop;

namespace {

// Start-up cache: a joiner gets everything since the last key frame when that is at
// most this old and large (interop R7); otherwise it waits for a new one.
constexpr Nanos kCacheAgeMax = seconds(2);
constexpr uint64_t kCachePacketsMax = 1024;
// A joiner's backlog leaves in portions, or its own socket buffer drops it.
constexpr uint32_t kCatchUpPackets = 48;
constexpr Nanos kCatchUpPause = millis(2);
constexpr int64_t kRtxBudgetCap = 64 * 1024;

}  // namespace

bool Engine::run(Nanos now, TxBatch& tx) {
  run_now_ = now;
  bool more = drain_inboxes(now, tx);
  bool full = false;
  if (resume_track_ != kNoIndex) {
    uint32_t track = resume_track_;
    resume_track_ = kNoIndex;
    full = !serve_track(track, now, tx);
  }
  DirtyTracks& dirty = shared_.dirty[options_.worker];
  dirty.take([&](uint32_t track) {
    if (full) {
      dirty.mark(track);  // next call
      return;
    }
    full = !serve_track(track, now, tx);
  });
  flush_protect();
  return more || full;
}

bool Engine::serve_track(uint32_t track, Nanos now, TxBatch& tx) {
  uint32_t served = resume_skip_;
  resume_skip_ = 0;
  bool whole = viewers_.for_each(track, served, [&](ViewerRef ref) {
    Session& s = shared_.session(ref.slot);
    if (s.keyed && !s.expired && s.path.valid() && !serve_viewer(s, ref.media, now, tx))
      return false;
    ++served;
    return true;
  });
  if (!whole) {
    resume_track_ = track;
    resume_skip_ = served;
  }
  return whole;
}

// False: the batch is full, come back to this viewer.
bool Engine::serve_viewer(Session& s, uint32_t media, Nanos now, TxBatch& tx) {
  Egress& e = s.egress[media];
  Track& track = shared_.tracks[e.track];
  if (e.ring && (track.layers[e.layer].load(std::memory_order_acquire) != e.ring ||
                 e.ring->serial() != e.serial)) {
    e.ring = nullptr;  // another publisher, or a new stream: its packets start a new segment
    e.previous = {};
    e.current.ring = nullptr;
  }
  uint32_t best = track.best_layer.load(std::memory_order_relaxed);
  uint32_t wanted = e.wanted_layer == abi::kLayerAuto ? best : e.wanted_layer;
  const TrackRing* wanted_ring =
      wanted < kMaxLayers ? track.layers[wanted].load(std::memory_order_acquire) : nullptr;
  if (!wanted_ring) {
    wanted = best;
    wanted_ring = track.layers[best].load(std::memory_order_acquire);
  }
  if (!e.ring) {
    if (!wanted_ring || !start_reading(s, media, wanted, wanted_ring, now)) return true;
  } else if (wanted != e.layer && wanted_ring) {
    // Only a key frame newer than the wish to switch, or a young one, will do: going
    // back in time would show as a jump.
    uint64_t at = wanted_ring->key_frame();
    if (at != TrackRing::kNone &&
        now.ns - wanted_ring->at(at).arrival_ns < millis(300).ns) {
      e.layer = static_cast<uint8_t>(wanted);
      begin_segment(s, media, wanted_ring, at);
      count(Count::layer_switches);
    } else {
      want_key_frame(track, wanted);
    }
  }
  uint64_t head = e.ring->head();
  if (e.cursor == head) return true;
  if (now.ns < e.pace_until_ns) {
    pace_at(Nanos{e.pace_until_ns});
    return true;
  }
  uint32_t sent = 0;
  while (e.cursor < head) {
    if (!e.ring->still_safe(e.cursor)) {
      count(Count::reader_lapped);
      e.ring = nullptr;
      shared_.dirty[options_.worker].mark(e.track);
      return true;
    }
    if (!tx.has_room()) return false;
    if (sent == kCatchUpPackets && head - e.cursor > kCatchUpPackets) {
      e.pace_until_ns = now.ns + kCatchUpPause.ns;
      pace_at(Nanos{e.pace_until_ns});
      return true;
    }
    forward(s, media, e.ring->at(e.cursor), tx);
    ++e.cursor;
    ++sent;
  }
  return true;
}

// tick() marks the tracks of paced viewers again then.
void Engine::pace_at(Nanos at) { next_pace_ = std::min(next_pace_, at); }

bool Engine::start_reading(Session& s, uint32_t media, uint32_t layer, const TrackRing* ring,
                           Nanos now) {
  Egress& e = s.egress[media];
  uint64_t position = ring->head();
  if (e.kind == MediaKind::video) {
    uint64_t key = ring->key_frame();
    bool usable = key != TrackRing::kNone && position - key <= kCachePacketsMax &&
                  now.ns - ring->at(key).arrival_ns <= kCacheAgeMax.ns;
    if (!usable) {
      want_key_frame(shared_.tracks[e.track], layer);
      return false;
    }
    position = key;
  } else if (position == ring->oldest_safe()) {
    return false;  // nothing heard yet
  } else {
    --position;
  }
  e.layer = static_cast<uint8_t>(layer);
  begin_segment(s, media, ring, position);
  return true;
}

void Engine::begin_segment(Session& s, uint32_t media, const TrackRing* ring, uint64_t position) {
  Egress& e = s.egress[media];
  abi::EgressState& state = s.state->egress[media];
  const StoredPacket& first = ring->at(position);
  Segment next;
  next.ring = ring;
  next.serial = ring->serial();
  next.first_ext_seq = first.ext_seq;
  next.first_index = state.next_index;
  if (!state.started) {
    next.timestamp_offset = state.timestamp_offset;
  } else {
    uint32_t rate = clock_rate_of(first.codec);
    uint32_t target;
    auto from = e.current.ring ? e.current.ring->sender_report() : TrackRing::SenderReport{};
    auto to = ring->sender_report();
    if (e.current.ring && from.ntp != 0 && to.ntp != 0 && e.current.ring != ring) {
      // Both layers report the same clock: NTP time of the new packet, then the old
      // layer's RTP time of that instant.
      auto since_report = static_cast<int32_t>(first.timestamp - to.rtp);
      auto ntp = static_cast<int64_t>(to.ntp) + (int64_t{since_report} << 32) / rate;
      int64_t ntp_delta = ntp - static_cast<int64_t>(from.ntp);
      auto rtp_delta = static_cast<int64_t>((ntp_delta >> 16) * rate >> 16);
      target = from.rtp + static_cast<uint32_t>(rtp_delta) + e.current.timestamp_offset;
    } else {
      int64_t elapsed = first.arrival_ns - e.last_arrival_ns;
      if (e.last_arrival_ns == 0) elapsed = run_now_.ns - state.last_send_ns;
      target = state.last_timestamp + static_cast<uint32_t>(elapsed / 1000 * rate / 1'000'000);
    }
    // Time never stands still or runs backwards for the viewer.
    uint32_t least = state.last_timestamp + rate / 100;
    if (static_cast<int32_t>(target - least) < 0) target = least;
    next.timestamp_offset = target - first.timestamp;
  }
  if (first.codec == Codec::vp8) {
    if (auto d = parse_vp8(first.payload()); d && state.started) {
      next.picture_id_offset =
          static_cast<uint16_t>((state.last_picture_id + 1 - d->picture_id) & 0x7fff);
      next.tl0_offset = static_cast<uint8_t>(state.last_tl0 + 1 - d->tl0);
    }
  }
  state.timestamp_offset = next.timestamp_offset;
  state.picture_id_offset = next.picture_id_offset;
  state.tl0_offset = next.tl0_offset;
  e.previous = e.current;
  e.current = next;
  e.ring = ring;
  e.serial = next.serial;
  e.cursor = position;
}

bool Engine::map_payload(Egress& e, Codec codec) {
  if (e.payload_source != static_cast<uint8_t>(codec)) {
    e.payload_source = static_cast<uint8_t>(codec);
    e.pt = 0xff;
    e.rtx_pt = abi::kNoPayloadType;
    for (uint32_t i = 0; i < e.payload_count; ++i)
      if (e.payloads[i].codec == static_cast<uint8_t>(codec)) {
        e.pt = e.payloads[i].pt;
        e.rtx_pt = e.payloads[i].rtx_pt;
        break;
      }
  }
  return e.pt != 0xff;
}

namespace {

uint8_t extension_id(const Egress& e, ExtensionKind kind) {
  return e.extension_ids[static_cast<uint8_t>(kind)];
}

// VP8 descriptors carry numbers that must go on across a switch (RFC 7741 §4.2).
// Copies the payload to `out` with them moved by the segment's offsets.
const uint8_t* rewrite_vp8(const Segment& segment, const StoredPacket& packet, uint8_t* out,
                           abi::EgressState* state) {
  auto d = parse_vp8(packet.payload());
  if (!d) return packet.data + packet.header_bytes;
  if (d->picture_id_bits != 0)
    state->last_picture_id = static_cast<uint16_t>(
        (d->picture_id + segment.picture_id_offset) & ((1u << d->picture_id_bits) - 1));
  if (d->tl0_offset != 0) state->last_tl0 = static_cast<uint8_t>(d->tl0 + segment.tl0_offset);
  if (segment.picture_id_offset == 0 && segment.tl0_offset == 0)
    return packet.data + packet.header_bytes;
  std::memcpy(out, packet.data + packet.header_bytes, packet.payload_bytes);
  shift_vp8({out, packet.payload_bytes}, *d, segment.picture_id_offset, segment.tl0_offset);
  return out;
}

}  // namespace

bool Engine::forward(Session& s, uint32_t media, const StoredPacket& packet, TxBatch& tx) {
  Egress& e = s.egress[media];
  if (packet.ext_seq < e.current.first_ext_seq || !map_payload(e, packet.codec)) return false;
  abi::EgressState& state = s.state->egress[media];
  uint64_t index = e.current.first_index + (packet.ext_seq - e.current.first_ext_seq);
  uint32_t trailer = srtp_trailer_bytes(s.profile);
  uint8_t* out = tx.reserve(s.path, kMaxDatagramBytes);
  if (!out) return false;
  if (job_count_ == jobs_.size()) flush_protect();
  uint32_t timestamp = packet.timestamp + e.current.timestamp_offset;
  uint32_t header_bytes = write_header(s, e, packet, e.pt, e.ssrc, static_cast<uint16_t>(index),
                                       timestamp, out);
  uint32_t total = header_bytes + packet.payload_bytes + trailer;
  if (header_bytes == 0 || total > kMaxDatagramBytes) {
    drop(Drop::rtp_too_large);
    return false;
  }
  const uint8_t* payload = packet.data + packet.header_bytes;
  if (packet.codec == Codec::vp8)
    payload = rewrite_vp8(e.current, packet, scratch_[job_count_].data(), &state);
  // Used before it can leave the process (abi/session_state.h).
  if (index >= state.next_index) {
    state.next_index = index + 1;
    state.last_timestamp = timestamp;
    state.last_send_ns = run_now_.ns;
    e.last_arrival_ns = packet.arrival_ns;
  }
  state.started = 1;
  ++state.packet_count;
  state.octet_count += packet.payload_bytes;
  push_job(s, out, header_bytes, payload, packet.payload_bytes, index, e.ssrc);
  tx.commit(total);
  ++s.tx_packets;
  s.tx_bytes += total;
  e.rtx_budget_bytes = std::min<int64_t>(kRtxBudgetCap,
                                         e.rtx_budget_bytes + total * s.rtx_percent / 100);
  count(Count::forwarded_copies);
  auto latency = static_cast<uint64_t>(run_now_.ns - packet.arrival_ns);
  if (run_now_.ns >= packet.arrival_ns) {
    ++counters_.latency[abi::latency_bucket(latency)];
    count(Count::forward_latency_ns, latency);
  }
  return true;
}

// RFC 4588: own SSRC and sequence numbers, the original one in front of the payload.
bool Engine::retransmit(Session& s, uint32_t media, const Segment& segment,
                        const StoredPacket& packet, uint64_t index, TxBatch& tx) {
  Egress& e = s.egress[media];
  abi::EgressState& state = s.state->egress[media];
  if (job_count_ == jobs_.size()) flush_protect();
  uint8_t* out = tx.reserve(s.path, kMaxDatagramBytes);
  if (!out) return false;
  uint64_t rtx_index = state.next_rtx_index;
  uint32_t header_bytes =
      write_header(s, e, packet, e.rtx_pt, e.rtx_ssrc, static_cast<uint16_t>(rtx_index),
                   packet.timestamp + segment.timestamp_offset, out);
  uint32_t payload_bytes = packet.payload_bytes + 2u;
  uint32_t total = header_bytes + payload_bytes + srtp_trailer_bytes(s.profile);
  if (header_bytes == 0 || total > kMaxDatagramBytes) return false;
  uint8_t* scratch = scratch_[job_count_].data();
  store_be16(scratch, static_cast<uint16_t>(index));
  abi::EgressState unused{};
  const uint8_t* body = packet.codec == Codec::vp8
                            ? rewrite_vp8(segment, packet, scratch + 2, &unused)
                            : packet.data + packet.header_bytes;
  if (body != scratch + 2) std::memcpy(scratch + 2, body, packet.payload_bytes);
  state.next_rtx_index = rtx_index + 1;  // used before it can leave
  push_job(s, out, header_bytes, scratch, payload_bytes, rtx_index, e.rtx_ssrc);
  tx.commit(total);
  e.rtx_budget_bytes -= total;
  count(Count::rtx_sent);
  count(Count::rtx_bytes, total);
  return true;
}

uint32_t Engine::write_header(Session& s, const Egress& e, const StoredPacket& packet, uint8_t pt,
                              Ssrc ssrc, uint16_t sequence, uint32_t timestamp, uint8_t* out) {
  RtpFixedHeader h;
  h.marker = packet.marker != 0;
  h.pt = pt;
  h.sequence = sequence;
  h.timestamp = RtpTime{timestamp};
  h.ssrc = ssrc;
  ExtensionWriter extensions({out + kRtpFixedHeaderBytes, kMaxDatagramBytes - kRtpFixedHeaderBytes},
                             e.two_byte_allowed);
  if (uint8_t id = extension_id(e, ExtensionKind::mid))
    extensions.add(id, {e.mid.data(), e.mid_bytes});
  for (uint32_t i = 0; i < packet.extension_count; ++i) {
    const StoredExtension& x = packet.extensions[i];
    switch (x.kind) {
      case ExtensionKind::mid:
      case ExtensionKind::rid:
      case ExtensionKind::repaired_rid:
      case ExtensionKind::transport_cc:
      case ExtensionKind::abs_send_time:
        continue;  // ours to say
      default: break;
    }
    if (uint8_t id = extension_id(e, x.kind))
      extensions.add(id, {packet.data + x.offset, x.bytes});
  }
  if (uint8_t id = extension_id(e, ExtensionKind::abs_send_time)) {
    extensions.add_be24(id, abs_send_time(run_now_));
  }
  if (uint8_t id = extension_id(e, ExtensionKind::transport_cc)) {
    extensions.add_be16(id, s.state->transport_cc_seq++);
  }
  uint32_t block = extensions.finish();
  h.extension = block != 0;
  write_rtp_header({out, kRtpFixedHeaderBytes}, h);
  return kRtpFixedHeaderBytes + block;
}

void Engine::push_job(Session& s, uint8_t* out, uint32_t header_bytes, const uint8_t* payload,
                      uint32_t payload_bytes, uint64_t index, Ssrc ssrc) {
  RtpProtectJob& job = jobs_[job_count_++];
  job.keys = &s.tx_rtp;
  job.out = out;
  job.header_bytes = header_bytes;
  job.payload = payload;
  job.payload_bytes = payload_bytes;
  job.index = index;
  job.ssrc = ssrc;
}

void Engine::flush_protect() {
  if (job_count_ == 0) return;
  srtp_.protect_rtp({jobs_.data(), job_count_});
  job_count_ = 0;
}

}  // namespace spillway
