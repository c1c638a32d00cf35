// RTCP from peers: feedback of viewers, reports of publishers.
#include <algorithm>
#include <cstring>

#include "datapath/core/engine.h"
#include "datapath/srtp/replay_window.h"

namespace spillway {

using abi::Count;
using abi::Drop;

namespace {

// A lost packet is repeated at most once in this time per viewer: its NACK may be
// on the way while the repair is (T9: once per RTT; ours is not known).
constexpr Nanos kRepeatPause = millis(30);

// Only for an authenticated packet: its SSRC may take another's place.
abi::RtcpSource& rtcp_source(abi::SessionState& state, uint32_t ssrc) {
  abi::RtcpSource* place = &state.rtcp_sources[0];
  for (abi::RtcpSource& source : state.rtcp_sources) {
    if (source.in_use != 0 && source.ssrc == ssrc) return source;
    if (place->in_use != 0 && (source.in_use == 0 || source.heard_ns < place->heard_ns))
      place = &source;
  }
  *place = {};
  place->ssrc = ssrc;
  place->in_use = 1;
  return *place;
}

}  // namespace

void Engine::receive_rtcp(Session& s, const RxPacket& p, Nanos now, TxBatch& tx) {
  auto plain = srtp_.unprotect_rtcp(s.rx_rtcp, {p.data, p.bytes});
  if (!plain) return drop(Drop::rtcp_authentication);
  abi::RtcpSource& source = rtcp_source(*s.state, load_be32(p.data + 4));
  if (check(source.replay, uint64_t{plain->index}) != ReplayVerdict::fresh)
    return drop(Drop::rtcp_replayed);
  accept(source.replay, uint64_t{plain->index});
  source.heard_ns = now.ns;
  authenticated_from(s, p.path, now);
  run_now_ = now;
  RtcpWalker walker({p.data, plain->plain_bytes});
  while (auto packet = walker.next()) {
    if (s.publisher) {
      if (auto sr = parse_sender_report(*packet)) note_sender_report(s, *sr, now);
    } else if (packet->is(RtcpType::transport_feedback, kRtcpNack)) {
      if (auto feedback = parse_feedback(*packet)) answer_nack(s, *feedback, now, tx);
    } else if (packet->is(RtcpType::payload_feedback)) {
      if (auto feedback = parse_feedback(*packet)) key_frame_asked(s, *feedback);
    }
  }
  flush_protect();
  if (walker.bad())
    drop(Drop::rtcp_malformed);
  else
    count(Count::consumed_rtcp);
}

void Engine::note_sender_report(Session& s, const SenderReport& sr, Nanos now) {
  for (uint32_t m = 0; m < s.media_count; ++m)
    for (uint32_t l = 0; l < s.publisher->media[m].layer_count; ++l) {
      if (s.publisher_state->primary[m][l].ssrc != value(sr.ssrc)) continue;
      Ingress& in = s.publisher->media[m].layers[l];
      in.last_sr_ntp = value(sr.ntp);
      in.last_sr_ns = now.ns;
      if (in.ring) in.ring->set_sender_report(value(sr.ntp), value(sr.rtp), now.ns);
    }
}

void Engine::want_key_frame(Track& track, uint32_t layer) {
  uint32_t bit = 1u << layer;
  if ((track.key_frame_wanted.load(std::memory_order_relaxed) & bit) == 0)
    track.key_frame_wanted.fetch_or(bit, std::memory_order_relaxed);
}

void Engine::key_frame_asked(Session& s, const RtcpFeedback& feedback) {
  if (feedback.format != kRtcpPli && feedback.format != kRtcpFir) return;
  for (uint32_t m = 0; m < s.media_count; ++m) {
    Egress& e = s.egress[m];
    if (e.track == kNoIndex || e.kind != MediaKind::video) continue;
    bool hit = false;
    if (feedback.format == kRtcpPli) {
      hit = feedback.media == e.ssrc;
    } else {
      for_each_fir(feedback.fci, [&](const FirEntry& fir) {
        if (fir.ssrc != e.ssrc || (e.fir_seen && fir.sequence == e.last_fir_seq)) return;
        e.fir_seen = true;
        e.last_fir_seq = fir.sequence;
        hit = true;
      });
    }
    if (!hit) continue;
    count(Count::pli_received);
    want_key_frame(shared_.tracks[e.track], e.layer);
  }
}

void Engine::answer_nack(Session& s, const RtcpFeedback& nack, Nanos now, TxBatch& tx) {
  for (uint32_t m = 0; m < s.media_count; ++m) {
    Egress& e = s.egress[m];
    if (e.ssrc != nack.media || e.track == kNoIndex) continue;
    abi::EgressState& state = s.state->egress[m];
    if (!state.started) return;
    for_each_nack(nack.fci, [&](uint16_t sequence) {
      count(Count::nack_received);
      // Without RTX there is no index to send it under (threats A-31).
      if (e.rtx_pt == abi::kNoPayloadType || e.rtx_ssrc == Ssrc{})
        return count(Count::rtx_not_found);
      uint64_t index = extend_sequence(state.next_index - 1, sequence);
      const Segment* segment = nullptr;
      if (e.current.ring && index >= e.current.first_index)
        segment = &e.current;
      else if (e.previous.ring && index >= e.previous.first_index)
        segment = &e.previous;
      if (index >= state.next_index || !segment || segment->ring->serial() != segment->serial)
        return count(Count::rtx_not_found);
      uint64_t position =
          segment->ring->find(segment->first_ext_seq + (index - segment->first_index));
      if (position == TrackRing::kNone) return count(Count::rtx_not_found);
      Egress::Recent& recent = e.recent[index % e.recent.size()];
      if (recent.index == index && now.ns - recent.at_ns < kRepeatPause.ns)
        return count(Count::rtx_refused_budget);
      const StoredPacket& stored = segment->ring->at(position);
      if (e.rtx_budget_bytes < stored.payload_bytes) return count(Count::rtx_refused_budget);
      if (retransmit(s, m, *segment, stored, index, tx)) recent = {index, now.ns};
    });
    return;
  }
}

// plain: room for the SRTCP trailer behind `bytes`.
bool Engine::send_rtcp(Session& s, MutableBytes plain, uint32_t bytes, TxBatch& tx) {
  if (!s.keyed || s.expired || !s.path.valid() || bytes == 0) return false;
  uint32_t index = s.state->next_srtcp_index;
  if (index >= kSrtcpIndexLimit) {
    count(Count::srtp_index_exhausted);
    return false;
  }
  uint8_t* out = tx.reserve(s.path, kMaxDatagramBytes);
  if (!out || bytes + kMaxSrtcpTrailerBytes > kMaxDatagramBytes) return false;
  std::memcpy(out, plain.data(), bytes);
  s.state->next_srtcp_index = index + 1;  // used before it can leave
  uint32_t total = srtp_.protect_rtcp(s.tx_rtcp, {out, kMaxDatagramBytes}, bytes, index,
                                      Ssrc{load_be32(out + 4)});
  if (total == 0) return false;
  tx.commit(total);
  return true;
}

}  // namespace spillway
