// From the network to the track ring: sort, authenticate, place, store once.
#include <algorithm>
#include <cstring>

#include "datapath/core/engine.h"
#include "datapath/proto/demux.h"
#include "datapath/proto/video/key_frame.h"
#include "datapath/srtp/replay_window.h"

namespace spillway {

using abi::Count;
using abi::Drop;

void Engine::receive(std::span<RxPacket> packets, Nanos now, TxBatch& tx) {
  for (RxPacket& p : packets) {
    count(Count::rx_datagrams);
    count(Count::rx_bytes, p.bytes);
    if (p.bytes == 0 || p.bytes > kMaxDatagramBytes) {
      drop(Drop::empty);
      continue;
    }
    PacketClass kind = classify({p.data, p.bytes});
    if (kind == PacketClass::stun) {
      receive_stun(p, now, tx);
      continue;
    }
    if (kind == PacketClass::drop) {
      drop(Drop::not_ours);
      continue;
    }
    bool dtls = kind == PacketClass::dtls;
    auto who = addresses_.find(p.path.remote);
    if (!who || is_stale(*who)) {
      drop(dtls ? Drop::dtls_unvalidated : Drop::unknown_address);
      continue;
    }
    if (dtls) {
      // Straight to control, whoever owns the session: it answers through this worker,
      // which knows the address.
      receive_dtls(p, *who);
      continue;
    }
    if (states_[who->slot].owner_worker.load(std::memory_order_acquire) != options_.worker) {
      hand_over(p, *who, now, 0);
      continue;
    }
    if (!is_mine(who->slot, who->generation)) {
      // Given to us, but the adoption is still in an inbox: take it first.
      drain_inboxes(now, tx);
      if (!is_mine(who->slot, who->generation)) {
        drop(Drop::handover_stale);
        continue;
      }
    }
    Session& s = shared_.session(who->slot);
    s.foreign_datagrams = 0;  // its packets do come here
    receive_owned(s, p, now, tx);
  }
  finish_burst();
}

void Engine::receive_dtls(const RxPacket& p, const AddressTable::Value& who) {
  if (outputs_.dtls_count == outputs_.dtls.size()) return drop(Drop::dtls_queue_full);
  outputs_.dtls[outputs_.dtls_count++] = {who.slot, who.generation, p.path, {p.data, p.bytes}};
  count(Count::consumed_dtls);
}

// Tells the readers of every track written in this burst, once.
void Engine::finish_burst() {
  for (uint32_t i = 0; i < written_count_; ++i) {
    uint32_t track = written_tracks_[i];
    uint32_t readers = shared_.tracks[track].readers.load(std::memory_order_relaxed);
    while (readers) {
      uint32_t w = static_cast<uint32_t>(__builtin_ctz(readers));
      readers &= readers - 1;
      if (shared_.dirty[w].mark(track) && w != options_.worker) outputs_.wake_workers |= 1u << w;
    }
  }
  written_count_ = 0;
}

void Engine::receive_owned(Session& s, const RxPacket& p, Nanos now, TxBatch& tx) {
  if (!s.keyed) return drop(Drop::session_not_keyed);
  if (classify({p.data, p.bytes}) == PacketClass::rtcp)
    receive_rtcp(s, p, now, tx);
  else
    receive_rtp(s, p, now);
}

namespace {

struct Placement {
  uint32_t media = kNoIndex;
  uint32_t layer = 0;
  bool rtx = false;
  bool known = false;  // the SSRC was seen before
};

Placement find_stream(const Session& s, uint32_t ssrc) {
  for (uint32_t m = 0; m < s.media_count; ++m)
    for (uint32_t l = 0; l < s.publisher->media[m].layer_count; ++l) {
      if (s.publisher_state->primary[m][l].ssrc == ssrc) return {m, l, false, true};
      if (s.publisher_state->rtx[m][l].ssrc == ssrc) return {m, l, true, true};
    }
  return {};
}

const abi::PayloadConfig* find_payload(PublisherMedia& media, uint8_t pt, bool* rtx) {
  for (uint32_t i = 0; i < media.payload_count; ++i) {
    const abi::PayloadConfig& p = media.payloads[i];
    if (p.pt == pt || p.rtx_pt == pt) {
      *rtx = p.pt != pt;
      return &p;
    }
  }
  return nullptr;
}

// Header extensions of an authenticated packet that say which stream it is.
struct StreamLabels {
  Bytes mid, rid, repaired_rid;
};

// An id means the same on every line of a bundle (RFC 9143), but a line names only the
// extensions it uses: rid stands on the video line alone. All lines are asked.
StreamLabels read_labels(const Session& s, Bytes packet, const RtpHeader& h) {
  StreamLabels labels;
  for_each_extension(h, packet, [&](uint8_t id, Bytes value) {
    for (uint32_t m = 0; m < s.media_count; ++m) {
      switch (s.publisher->media[m].extensions.kind(id)) {
        case ExtensionKind::mid: labels.mid = value; return;
        case ExtensionKind::rid: labels.rid = value; return;
        case ExtensionKind::repaired_rid: labels.repaired_rid = value; return;
        default: break;
      }
    }
  });
  return labels;
}

bool same(Bytes a, const uint8_t* b, size_t n) { return a.size() == n && std::equal(a.begin(), a.end(), b); }

// RFC 9143 §9.2 and RFC 8852: mid first, then payload type; rid names the layer, a
// line without rids has one layer (or signalled SSRCs, which find_stream knows).
Placement place_new(Session& s, const RtpHeader& h, const StreamLabels& labels) {
  for (uint32_t m = 0; m < s.media_count; ++m) {
    PublisherMedia& media = s.publisher->media[m];
    if (media.track == kNoIndex) continue;
    if (!labels.mid.empty() && !same(labels.mid, media.mid.data(), media.mid_bytes)) continue;
    bool rtx = false;
    if (!find_payload(media, h.pt, &rtx)) continue;
    Bytes rid = rtx && !labels.repaired_rid.empty() ? labels.repaired_rid : labels.rid;
    if (media.rid_bytes[0] == 0) return {m, 0, rtx, false};
    for (uint32_t l = 0; l < media.layer_count; ++l)
      if (!rid.empty() && same(rid, media.rid[l].data(), media.rid_bytes[l]))
        return {m, l, rtx, false};
  }
  return {};
}

}  // namespace

void Engine::receive_rtp(Session& s, const RxPacket& p, Nanos now) {
  if (!s.publisher) return drop(Drop::rtp_not_publisher);
  auto header = parse_rtp_header({p.data, p.bytes});
  if (!header) return drop(Drop::rtp_malformed);
  uint32_t ssrc = value(header->ssrc);

  // Nothing of the packet is believed before its tag was checked: an unknown SSRC
  // starts at ROC 0 (RFC 3711 §3.3.1) and gets its place afterwards.
  Placement place = find_stream(s, ssrc);
  abi::IngressStream* stream = nullptr;
  if (place.known)
    stream = place.rtx ? &s.publisher_state->rtx[place.media][place.layer]
                       : &s.publisher_state->primary[place.media][place.layer];
  uint64_t index = header->sequence;
  if (stream) {
    index = estimate_index(stream->replay, header->sequence);
    if (check(stream->replay, index) != ReplayVerdict::fresh) return drop(Drop::rtp_replayed);
  }
  auto plain = srtp_.unprotect_rtp(s.rx_rtp, header->ssrc, index, header->header_bytes,
                                   {p.data, p.bytes}, p.data + header->header_bytes);
  if (!plain) return drop(Drop::rtp_authentication);
  authenticated_from(s, p.path, now);
  ++s.rx_packets;
  s.rx_bytes += p.bytes;

  if (!stream) {
    place = place_new(s, *header, read_labels(s, {p.data, p.bytes}, *header));
    if (place.media == kNoIndex) return drop(Drop::rtp_unknown_stream);
    stream = place.rtx ? &s.publisher_state->rtx[place.media][place.layer]
                       : &s.publisher_state->primary[place.media][place.layer];
    // A line's stream may change its SSRC (a restarted encoder); signalled and
    // learnt ones are replaced, so the table never grows.
    *stream = {};
    stream->ssrc = ssrc;
    Ingress& in = s.publisher->media[place.media].layers[place.layer];
    if (!place.rtx && in.started) {
      TrackRing* ring = in.ring;
      in = {};
      in.ring = ring;
      if (ring) ring->reset();
    }
  }
  accept(stream->replay, index);

  PublisherMedia& media = s.publisher->media[place.media];
  if (uint8_t id = s.transport_cc_id) {
    for_each_extension(*header, {p.data, p.bytes}, [&](uint8_t element, Bytes v) {
      if (element == id && v.size() == 2)
        note_transport_cc(s.publisher->arrivals, load_be16(v.data()), ssrc, now);
    });
  }
  uint32_t packet_bytes = header->header_bytes + static_cast<uint32_t>(*plain);
  bool rtx_pt = false;
  const abi::PayloadConfig* payload = find_payload(media, header->pt, &rtx_pt);
  if (!payload || rtx_pt != place.rtx) return drop(Drop::rtp_unknown_stream);
  if (rtx_pt) {
    receive_rtx(s, place.media, place.layer, *payload, *header, {p.data, packet_bytes}, now);
    return;
  }
  store(media, place.layer, *payload, *header, {p.data, packet_bytes}, index, now);
}

void Engine::receive_rtx(Session& s, uint32_t media_index, uint32_t layer,
                         const abi::PayloadConfig& payload, const RtpHeader& header,
                         MutableBytes packet, Nanos now) {
  PublisherMedia& media = s.publisher->media[media_index];
  Ingress& in = media.layers[layer];
  abi::IngressStream& primary = s.publisher_state->primary[media_index][layer];
  auto bytes = rtp_payload_bytes(header, packet);
  // Padding-only RTX packets are bandwidth probes; so is anything before the stream.
  if (!bytes || *bytes < 2 || !in.started) return count(Count::consumed_rtx);
  uint16_t osn = load_be16(packet.data() + header.header_bytes);  // RFC 4588 §4
  uint64_t ext_seq = extend_sequence(in.highest_ext_seq, osn);
  if (check(primary.replay, ext_seq) != ReplayVerdict::fresh)
    return count(Count::consumed_rtx);
  accept(primary.replay, ext_seq);
  // Restore the original packet in place: the two OSN bytes go, header moves up.
  std::memmove(packet.data() + 2, packet.data(), header.header_bytes);
  RtpHeader original = header;
  original.pt = payload.pt;
  original.sequence = osn;
  original.ssrc = Ssrc{primary.ssrc};
  store(media, layer, payload, original, packet.subspan(2), ext_seq, now);
}

void Engine::store(PublisherMedia& media, uint32_t layer,
                   const abi::PayloadConfig& payload, const RtpHeader& header, Bytes packet,
                   uint64_t ext_seq, Nanos now) {
  Ingress& in = media.layers[layer];
  if (!in.ring) {
    in.ring = shared_.rings.acquire(media.kind, now);
    if (!in.ring) return drop(Drop::rtp_no_ring);
    shared_.tracks[media.track].layers[layer].store(in.ring, std::memory_order_release);
  }
  auto payload_bytes = rtp_payload_bytes(header, packet);
  if (!payload_bytes) return drop(Drop::rtp_bad_padding);
  note_arrival(in, payload, ext_seq, value(header.timestamp), now);
  uint32_t bytes = header.header_bytes + static_cast<uint32_t>(*payload_bytes);
  if (bytes > kMaxRtpBytes) return drop(Drop::rtp_too_large);
  // A packet of padding only is stored empty: it fills a sequence number, and without
  // it viewers would see a loss.
  StoredPacket& slot = in.ring->next();
  slot.ext_seq = ext_seq;
  slot.arrival_ns = now.ns;
  slot.timestamp = value(header.timestamp);
  slot.header_bytes = static_cast<uint16_t>(header.header_bytes);
  slot.payload_bytes = static_cast<uint16_t>(*payload_bytes);
  slot.source_pt = header.pt;
  slot.codec = static_cast<Codec>(payload.codec);
  slot.marker = header.marker ? 1 : 0;
  std::memcpy(slot.data, packet.data(), bytes);
  Bytes body{slot.data + slot.header_bytes, slot.payload_bytes};
  slot.key_frame_start =
      media.kind == MediaKind::video && starts_key_frame(slot.codec, body) ? 1 : 0;
  slot.extension_count = 0;
  for_each_extension(header, packet, [&](uint8_t id, Bytes v) {
    ExtensionKind kind = media.extensions.kind(id);
    if (kind == ExtensionKind::none || v.size() > 255 ||
        slot.extension_count == slot.extensions.size())
      return;
    slot.extensions[slot.extension_count++] = {kind, static_cast<uint8_t>(v.size()),
                                               static_cast<uint16_t>(v.data() - packet.data())};
  });
  in.codec = payload.codec;
  if (slot.key_frame_start) {
    // H.264 and H.265 parameter sets and slices each look like a start; one frame
    // (one timestamp) counts once and starts at its first packet.
    uint64_t previous = in.ring->key_frame();
    if (previous != TrackRing::kNone && in.ring->at(previous).timestamp == slot.timestamp)
      slot.key_frame_start = 0;
    else
      count(Count::key_frames);
  }
  in.ring->publish();
  count(Count::forwarded_sources);
  bool listed = false;
  for (uint32_t i = 0; i < written_count_; ++i) listed |= written_tracks_[i] == media.track;
  if (!listed) {
    if (written_count_ == written_tracks_.size()) finish_burst();
    written_tracks_[written_count_++] = media.track;
  }
}

// Sequence gaps to ask for, and the statistics of receiver reports.
void Engine::note_arrival(Ingress& in, const abi::PayloadConfig& payload, uint64_t ext_seq,
                          uint32_t timestamp, Nanos now) {
  ++in.received;
  if (!in.started) {
    in.started = true;
    in.first_ext_seq = in.highest_ext_seq = ext_seq;
  } else if (ext_seq > in.highest_ext_seq) {
    // A jump of more than the list holds is not a loss to repair but a new start.
    if (ext_seq - in.highest_ext_seq <= Ingress::kMissingMax &&
        (payload.flags & abi::kFeedbackNack)) {
      for (uint64_t q = in.highest_ext_seq + 1;
           q < ext_seq && in.missing_count < Ingress::kMissingMax; ++q)
        in.missing[in.missing_count++] = {q, now.ns, 0};
    }
    in.highest_ext_seq = ext_seq;
  } else {
    for (uint32_t i = 0; i < in.missing_count; ++i)
      if (in.missing[i].ext_seq == ext_seq) {
        in.missing[i] = in.missing[--in.missing_count];
        in.unanswered = 0;
        break;
      }
  }
  // RFC 3550 A.8, transit in RTP units, estimate scaled by 16.
  uint32_t rate = clock_rate_of(static_cast<Codec>(payload.codec));
  auto arrival = static_cast<uint32_t>(now.ns / 1000 * rate / 1'000'000);
  uint32_t transit = arrival - timestamp;
  if (in.received > 1) {
    auto d = static_cast<int32_t>(transit - in.last_transit);
    auto magnitude = static_cast<uint32_t>(d < 0 ? -static_cast<int64_t>(d) : d);
    if (magnitude < rate * 10)  // a source switch is not jitter
      in.jitter_q4 += magnitude - ((in.jitter_q4 + 8) >> 4);
  }
  in.last_transit = transit;
}

}  // namespace spillway
