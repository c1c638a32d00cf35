// What happens by time: requests and reports to publishers, reports to viewers,
// consent, numbers for control.
#include <algorithm>
#include <cstring>

#include "datapath/base/sequence.h"
#include "datapath/core/engine.h"
#include "datapath/proto/transport_cc.h"

namespace spillway {

using abi::Count;
using abi::Drop;
using abi::SessionRole;

namespace {

constexpr Nanos kTickInterval = millis(10);
// RTCP to publishers comes from an SSRC of no media; RFC 3550 wants one.
constexpr Ssrc kReporter{1};
constexpr Nanos kNackRetry = millis(50);
constexpr uint8_t kNackTries = 6;
// After this many lost causes in a row the publisher plainly does not answer (OBS
// lower layers): asking on would only fill its uplink.
constexpr uint32_t kNackGiveUp = 50;
constexpr Nanos kKeyFrameInterval = millis(500);  // T10
constexpr Nanos kTransportCcInterval = millis(50);
constexpr uint32_t kLocalReportBytes = 1200;

// False once another publisher took the track over.
bool publishes(const Session& s, const Track& track) {
  return track.publisher.load(std::memory_order_relaxed) ==
         (uint64_t{s.slot} << 32 | s.generation);
}

}  // namespace

void Engine::tick(Nanos now, TxBatch& tx) {
  run_now_ = now;
  if (now >= next_pace_) {
    next_pace_ = kNever;
    for (uint32_t i = 0; i < owned_count_; ++i) {
      Session& s = shared_.session(owned_[i]);
      for (uint32_t m = 0; m < s.media_count; ++m)
        if (s.egress[m].pace_until_ns != 0 && s.egress[m].ring) {
          s.egress[m].pace_until_ns = 0;
          shared_.dirty[options_.worker].mark(s.egress[m].track);
        }
    }
  }
  if (now < next_tick_) return;
  for (uint32_t i = 0; i < publisher_count_; ++i)
    tick_publisher(shared_.session(publishers_owned_[i]), now, tx);
  // Everybody is visited once a second: 1/100 of the sessions each tick.
  uint32_t share = owned_count_ / 100 + 1;
  int64_t elapsed_ticks = std::clamp<int64_t>((now - last_tick_).ns / kTickInterval.ns, 1, 100);
  share = std::min<uint32_t>(owned_count_, share * static_cast<uint32_t>(elapsed_ticks));
  for (uint32_t n = 0; n < share && owned_count_ > 0; ++n) {
    if (second_cursor_ >= owned_count_) second_cursor_ = 0;
    Session& s = shared_.session(owned_[second_cursor_++]);
    if (now.ns - s.last_second_ns >= seconds(1).ns) each_second(s, now, tx);
  }
  flush_protect();
  counters_.counts[static_cast<uint32_t>(Count::sessions_owned)] = owned_count_;
  counters_.counts[static_cast<uint32_t>(Count::track_rings_used)] = shared_.rings.used();
  last_tick_ = now;
  next_tick_ = owned_count_ > 0 ? now + kTickInterval : now + millis(100);
}

Nanos Engine::deadline() const {
  return std::min(next_tick_, next_pace_);
}

void Engine::tick_publisher(Session& s, Nanos now, TxBatch& tx) {
  if (!s.keyed || s.expired || !s.path.valid()) return;
  for (uint32_t m = 0; m < s.media_count; ++m) {
    PublisherMedia& media = s.publisher->media[m];
    if (media.track == kNoIndex) continue;
    for (uint32_t l = 0; l < media.layer_count; ++l)
      if (media.layers[l].missing_count != 0) send_nacks(s, m, l, now, tx);
    if (media.kind == MediaKind::video) send_key_frame_requests(s, m, now, tx);
  }
  if (now.ns - s.publisher->arrivals.last_sent_ns >= kTransportCcInterval.ns)
    send_transport_cc(s, now, tx);
}

void Engine::send_nacks(Session& s, uint32_t m, uint32_t l, Nanos now, TxBatch& tx) {
  Ingress& in = s.publisher->media[m].layers[l];
  std::array<uint16_t, Ingress::kMissingMax> ask;
  uint32_t ask_count = 0;
  for (uint32_t i = 0; i < in.missing_count;) {
    MissingPacket& gap = in.missing[i];
    if (now.ns < gap.next_ns) {
      ++i;
      continue;
    }
    if (gap.tries == kNackTries || in.highest_ext_seq - gap.ext_seq > 1024) {
      gap = in.missing[--in.missing_count];
      ++in.unanswered;
      continue;
    }
    ++gap.tries;
    gap.next_ns = now.ns + kNackRetry.ns;
    ask[ask_count++] = static_cast<uint16_t>(gap.ext_seq);
    ++i;
  }
  if (ask_count == 0 || in.unanswered > kNackGiveUp) return;
  std::sort(ask.begin(), ask.begin() + ask_count,
            [](uint16_t a, uint16_t b) { return sequence_newer(b, a); });
  uint8_t buffer[512];
  Writer w(buffer);
  write_nack(w, kReporter, Ssrc{s.publisher_state->primary[m][l].ssrc}, {ask.data(), ask_count});
  if (!w.bad() && send_rtcp(s, buffer, static_cast<uint32_t>(w.size()), tx))
    count(Count::nack_sent, ask_count);
}

void Engine::request_key_frame(uint32_t slot, uint32_t generation) {
  if (!is_mine(slot, generation)) return;
  Session& s = shared_.session(slot);
  if (!s.publisher) return;
  for (const PublisherMedia& media : s.publisher->media)
    if (media.track != kNoIndex && media.kind == MediaKind::video)
      shared_.tracks[media.track].key_frame_wanted.store((1u << media.layer_count) - 1,
                                                         std::memory_order_relaxed);
}

// PLI and FIR of all viewers merged: at most one per layer and kKeyFrameInterval.
void Engine::send_key_frame_requests(Session& s, uint32_t m, Nanos now, TxBatch& tx) {
  PublisherMedia& media = s.publisher->media[m];
  Track& track = shared_.tracks[media.track];
  if (!publishes(s, track)) return;
  uint32_t wanted = track.key_frame_wanted.load(std::memory_order_relaxed);
  for (uint32_t l = 0; wanted != 0 && l < media.layer_count; ++l) {
    if ((wanted & 1u << l) == 0) continue;
    Ingress& in = media.layers[l];
    uint32_t ssrc = s.publisher_state->primary[m][l].ssrc;
    if (ssrc == 0 || !in.started) continue;  // asked once its packets are known
    if (in.key_frame_asked_ns != 0 && now.ns - in.key_frame_asked_ns < kKeyFrameInterval.ns)
      continue;
    uint8_t flags = 0;
    for (uint32_t i = 0; i < media.payload_count; ++i) flags |= media.payloads[i].flags;
    uint8_t buffer[64];
    Writer w(buffer);
    if (flags & abi::kFeedbackPli || !(flags & abi::kFeedbackFir))
      write_pli(w, kReporter, Ssrc{ssrc});
    else
      write_fir(w, kReporter, std::array{FirEntry{Ssrc{ssrc}, ++in.fir_seq}});
    if (!send_rtcp(s, buffer, static_cast<uint32_t>(w.size()), tx)) return;
    in.key_frame_asked_ns = now.ns;
    track.key_frame_wanted.fetch_and(~(1u << l), std::memory_order_relaxed);
    count(Count::pli_sent);
  }
}

void Engine::note_transport_cc(ArrivalLog& log, uint16_t wire, uint32_t ssrc, Nanos now) {
  log.media_ssrc = ssrc;
  if (!log.started) {
    log.started = true;
    log.highest = log.next_to_report = uint64_t{1} << 16 | wire;
  }
  uint64_t ext = extend_sequence(log.highest, wire);
  // Further than the log reaches: start over (threats A-20).
  if (ext > log.highest + ArrivalLog::kSlots || ext + ArrivalLog::kSlots <= log.highest) {
    log.next_to_report = ext;
    log.highest = ext;
  }
  log.highest = std::max(log.highest, ext);
  log.next_to_report = std::min(log.next_to_report, ext);
  if (log.highest - log.next_to_report >= ArrivalLog::kSlots)
    log.next_to_report = log.highest - ArrivalLog::kSlots + 1;
  log.sequence[ext % ArrivalLog::kSlots] = ext + 1;
  log.arrival_ns[ext % ArrivalLog::kSlots] = now.ns;
}

void Engine::send_transport_cc(Session& s, Nanos now, TxBatch& tx) {
  ArrivalLog& log = s.publisher->arrivals;
  log.last_sent_ns = now.ns;
  if (!log.started) return;
  for (uint32_t rounds = 0; rounds < 4 && log.next_to_report <= log.highest; ++rounds) {
    std::array<int64_t, 256> arrivals;
    uint64_t base = log.next_to_report;
    uint32_t n = 0;
    for (uint64_t q = base; q <= log.highest && n < arrivals.size(); ++q, ++n) {
      bool came = log.sequence[q % ArrivalLog::kSlots] == q + 1;
      arrivals[n] = came ? log.arrival_ns[q % ArrivalLog::kSlots] / kTransportCcTickNs
                         : kTransportCcLost;
    }
    uint8_t buffer[kLocalReportBytes + kMaxSrtcpTrailerBytes];
    Writer w({buffer, kLocalReportBytes});
    uint32_t reported = write_transport_cc(w, kReporter, Ssrc{log.media_ssrc},
                                           static_cast<uint16_t>(base), {arrivals.data(), n},
                                           log.feedback_count);
    if (reported == 0 || w.bad()) return;
    ++log.feedback_count;
    log.next_to_report = base + reported;
    if (!send_rtcp(s, buffer, static_cast<uint32_t>(w.size()), tx)) return;
    count(Count::transport_cc_sent);
  }
}

// --- once a second -----------------------------------------------------------------------

void Engine::each_second(Session& s, Nanos now, TxBatch& tx) {
  s.last_second_ns = now.ns;
  abi::SessionState& state = *s.state;
  int64_t silent_ns = now.ns - std::max(state.last_authenticated_ns, s.adopted_ns);
  int64_t limit_ms = s.keyed ? s.consent_timeout_ms : s.connect_timeout_ms;
  if (!s.expired && silent_ns > limit_ms * 1'000'000) {
    // RFC 7675 §5.1: without consent nothing more is sent. Control removes it.
    s.expired = true;
    emit(abi::EventType::expired, s, now);
  } else if (s.expired && silent_ns > limit_ms * 1'000'000) {
    emit(abi::EventType::expired, s, now);  // control may have missed the first
  }
  if (s.publisher) {
    measure_layers(s, now);
    if (s.keyed && !s.expired) send_receiver_reports(s, now, tx);
  } else if (s.keyed && !s.expired) {
    send_sender_reports(s, now, tx);
  }
  report(s, now);
}

void Engine::measure_layers(Session& s, Nanos now) {
  for (uint32_t m = 0; m < s.media_count; ++m) {
    PublisherMedia& media = s.publisher->media[m];
    if (media.track == kNoIndex) continue;
    Track& track = shared_.tracks[media.track];
    if (!publishes(s, track)) continue;
    uint32_t active = 0, best = 0;
    uint64_t best_bps = 0;
    for (uint32_t l = 0; l < media.layer_count; ++l) {
      Ingress& in = media.layers[l];
      uint64_t bytes = in.ring ? in.ring->bytes() : 0;
      int64_t span = now.ns - in.measured_ns;
      if (in.measured_ns != 0 && span > 0)
        in.bps = (bytes - in.bytes_at_second) * 8 * 1'000'000 / static_cast<uint64_t>(span / 1000);
      in.bytes_at_second = bytes;
      in.measured_ns = now.ns;
      if (in.bps > 0) active |= 1u << l;
      if (in.bps > best_bps) {
        best_bps = in.bps;
        best = l;
      }
    }
    uint32_t current = track.best_layer.load(std::memory_order_relaxed);
    track.active_layers.store(active, std::memory_order_relaxed);
    // Stay unless the current layer went silent or another is clearly richer: each
    // change costs every viewer a key frame.
    bool current_active = current < media.layer_count && (active & 1u << current) != 0;
    bool richer = current < media.layer_count && best_bps > media.layers[current].bps * 3 / 2;
    if (best_bps > 0 && (!current_active || richer) && best != current) {
      track.best_layer.store(best, std::memory_order_relaxed);
      uint32_t readers = track.readers.load(std::memory_order_relaxed);
      for (uint32_t w = 0; w < shared_.workers; ++w)
        if (readers & 1u << w && shared_.dirty[w].mark(media.track) && w != options_.worker)
          outputs_.wake_workers |= 1u << w;
    }
  }
}

void Engine::send_receiver_reports(Session& s, Nanos now, TxBatch& tx) {
  std::array<ReportBlock, kMaxMedia * kMaxLayers> blocks;
  uint32_t n = 0;
  for (uint32_t m = 0; m < s.media_count; ++m)
    for (uint32_t l = 0; l < s.publisher->media[m].layer_count; ++l) {
      Ingress& in = s.publisher->media[m].layers[l];
      if (!in.started) continue;
      uint64_t expected = in.highest_ext_seq - in.first_ext_seq + 1;
      uint64_t expected_now = expected - in.expected_prior;
      uint64_t received_now = in.received - in.received_prior;
      in.expected_prior = expected;
      in.received_prior = in.received;
      int64_t lost = static_cast<int64_t>(expected) - static_cast<int64_t>(in.received);
      uint64_t lost_now = expected_now > received_now ? expected_now - received_now : 0;
      ReportBlock& b = blocks[n++];
      b.ssrc = Ssrc{s.publisher_state->primary[m][l].ssrc};
      b.fraction_lost =
          expected_now == 0
              ? uint8_t{0}
              : static_cast<uint8_t>(std::min<uint64_t>(255, lost_now * 256 / expected_now));
      b.cumulative_lost = static_cast<int32_t>(std::clamp<int64_t>(lost, -0x800000, 0x7fffff));
      b.highest_sequence = static_cast<uint32_t>(in.highest_ext_seq);
      b.jitter = in.jitter_q4 >> 4;
      b.last_sr = static_cast<uint32_t>(in.last_sr_ntp >> 16);
      b.delay_since_sr =
          in.last_sr_ntp == 0
              ? 0
              : static_cast<uint32_t>((now.ns - in.last_sr_ns) / 1000 * 65536 / 1'000'000);
    }
  if (n == 0) return;
  uint8_t buffer[600];
  Writer w(buffer);
  write_receiver_report(w, kReporter, {blocks.data(), n});
  constexpr std::array<uint8_t, 8> kName{'s', 'p', 'i', 'l', 'l', 'w', 'a', 'y'};
  write_sdes(w, kReporter, kName);
  if (!w.bad() && send_rtcp(s, buffer, static_cast<uint32_t>(w.size()), tx))
    count(Count::reports_sent);
}

// The publisher's clock in the viewer's numbers, so that lips stay in sync: NTP time
// of the publisher now, and the RTP time that instant has in the viewer's stream.
void Engine::send_sender_reports(Session& s, Nanos now, TxBatch& tx) {
  for (uint32_t m = 0; m < s.media_count; ++m) {
    Egress& e = s.egress[m];
    abi::EgressState& state = s.state->egress[m];
    if (!e.ring || !state.started || e.payload_source == 0xff) continue;
    TrackRing::SenderReport source = e.ring->sender_report();
    if (source.ntp == 0) continue;
    int64_t elapsed = now.ns - source.arrival_ns;
    uint32_t rate = clock_rate_of(static_cast<Codec>(e.payload_source));
    SenderReport sr;
    sr.ssrc = e.ssrc;
    sr.ntp = NtpTime{source.ntp + static_cast<uint64_t>((elapsed / 1000 << 32) / 1'000'000)};
    sr.rtp = RtpTime{source.rtp + static_cast<uint32_t>(elapsed / 1000 * rate / 1'000'000) +
                          e.current.timestamp_offset};
    sr.packets = state.packet_count;
    sr.octets = state.octet_count;
    uint8_t buffer[128];
    Writer w(buffer);
    write_sender_report(w, sr, {});
    write_sdes(w, e.ssrc, {e.cname.data(), e.cname_bytes});
    if (!w.bad() && send_rtcp(s, buffer, static_cast<uint32_t>(w.size()), tx))
      count(Count::reports_sent);
  }
}

void Engine::report(Session& s, Nanos now) {
  if (report_count_ == reports_.size()) return;  // next second
  PendingReport& out = reports_[report_count_++];
  out.slot = s.slot;
  abi::SessionReport& r = out.report;
  r = {};
  r.generation = s.generation;
  auto phase = s.connected        ? abi::ReportPhase::connected
               : s.path.valid()   ? abi::ReportPhase::validated
                                  : abi::ReportPhase::checking;
  r.phase = static_cast<uint32_t>(phase);
  r.path = s.path;
  r.last_authenticated_ns = s.state->last_authenticated_ns;
  r.rx_packets = s.rx_packets;
  r.rx_bytes = s.rx_bytes;
  r.tx_packets = s.tx_packets;
  r.tx_bytes = s.tx_bytes;
  if (s.publisher)
    for (uint32_t m = 0; m < s.media_count; ++m)
      if (s.publisher->media[m].kind == MediaKind::video)
        for (uint32_t l = 0; l < kMaxLayers; ++l)
          r.layer_bps[l] = s.publisher->media[m].layers[l].bps;
  (void)now;
}

}  // namespace spillway
