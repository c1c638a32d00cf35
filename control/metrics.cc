#include "control/metrics.h"

#include <iterator>
#include <string_view>

#include <fmt/format.h>

#include "datapath/abi/messages.h"

namespace spillway {
namespace {

struct CountMetric {
  abi::Count count;
  std::string_view name;  // without spillway_
  std::string_view type;
  std::string_view help;
};

constexpr std::string_view kCounter = "counter";
constexpr std::string_view kGauge = "gauge";

using abi::Count;
// Gauges and durations are rendered apart from this list: see below.
constexpr CountMetric kCountMetrics[] = {
    {Count::rx_datagrams, "rx_datagrams_total", kCounter, "UDP datagrams received"},
    {Count::rx_bytes, "rx_bytes_total", kCounter, "UDP payload bytes received"},
    {Count::tx_datagrams, "tx_datagrams_total", kCounter, "UDP datagrams sent"},
    {Count::tx_bytes, "tx_bytes_total", kCounter, "UDP payload bytes sent"},
    {Count::tx_messages, "tx_messages_total", kCounter,
     "Sends; datagrams per message is the segmentation gain"},
    {Count::tx_dropped, "tx_dropped_total", kCounter, "Datagrams the kernel refused"},
    {Count::consumed_stun, "consumed_stun_total", kCounter, "STUN checks answered"},
    {Count::consumed_dtls, "consumed_dtls_total", kCounter, "DTLS datagrams passed to control"},
    {Count::consumed_rtcp, "consumed_rtcp_total", kCounter, "Authenticated SRTCP packets"},
    {Count::consumed_rtx, "consumed_rtx_total", kCounter, "RTX packets without news"},
    {Count::forwarded_sources, "forwarded_sources_total", kCounter,
     "RTP packets appended to a track"},
    {Count::forwarded_copies, "forwarded_copies_total", kCounter,
     "Protected copies sent to viewers, without RTX"},
    {Count::handovers, "handovers_total", kCounter, "Datagrams passed to another worker"},
    {Count::moves, "session_moves_total", kCounter, "Sessions that changed worker"},
    {Count::nack_received, "nack_received_total", kCounter,
     "Sequence numbers viewers asked for again"},
    {Count::nack_sent, "nack_sent_total", kCounter, "Sequence numbers asked of publishers"},
    {Count::rtx_sent, "rtx_sent_total", kCounter, "Retransmissions sent"},
    {Count::rtx_bytes, "rtx_bytes_total", kCounter, "Bytes of retransmissions sent"},
    {Count::rtx_refused_budget, "rtx_refused_budget_total", kCounter,
     "Retransmissions refused by the byte budget"},
    {Count::rtx_not_found, "rtx_not_found_total", kCounter,
     "Retransmissions of packets no longer kept"},
    {Count::pli_received, "pli_received_total", kCounter, "Key-frame requests of viewers"},
    {Count::pli_sent, "pli_sent_total", kCounter, "Key-frame requests sent to publishers"},
    {Count::key_frames, "key_frames_total", kCounter, "Key frames seen from publishers"},
    {Count::reader_lapped, "reader_lapped_total", kCounter,
     "Viewers that fell out of a track ring"},
    {Count::layer_switches, "layer_switches_total", kCounter, "Simulcast layer switches"},
    {Count::transport_cc_sent, "transport_cc_sent_total", kCounter,
     "Transport-wide feedback packets sent"},
    {Count::reports_sent, "rtcp_reports_sent_total", kCounter, "Sender and receiver reports sent"},
    {Count::srtp_index_exhausted, "srtp_index_exhausted_total", kCounter,
     "Packets not sent because a key's index space ended"},
    {Count::seqlock_contended, "seqlock_contended_total", kCounter,
     "Table reads that met a writer too often"},
    {Count::bad_table_entries, "bad_table_entries_total", kCounter,
     "Table entries the datapath refused"},
    {Count::ring_resyncs, "datapath_ring_resyncs_total", kCounter,
     "Impossible ring positions the datapath met"},
    {Count::turns, "worker_turns_total", kCounter, "Worker loop iterations"},
    {Count::turns_busy, "worker_turns_busy_total", kCounter, "Worker loop iterations with work"},
    {Count::sessions_owned, "sessions_owned", kGauge, "Sessions the workers hold"},
    {Count::track_rings_used, "track_rings_used", kGauge, "Track rings in use"},
};

// busy_ns and forward_latency_ns become seconds; the two ring fills are read from the
// rings themselves.
static_assert(std::size(kCountMetrics) + 4 == abi::kCountCount, "a Count without a metric");

class Text {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    fmt::format_to(out(), "# HELP spillway_{0} {2}\n# TYPE spillway_{0} {1}\n", name, type, help);
  }
  template <typename V>
  void sample(std::string_view name, V v) {
    fmt::format_to(out(), "spillway_{} {}\n", name, v);
  }
  template <typename V>
  void sample(std::string_view name, std::string_view labels, V v) {
    fmt::format_to(out(), "spillway_{}{{{}}} {}\n", name, labels, v);
  }
  template <typename V>
  void one(std::string_view name, std::string_view type, std::string_view help, V v) {
    family(name, type, help);
    sample(name, v);
  }
  std::string take() { return std::move(text_); }

 private:
  std::back_insert_iterator<std::string> out() { return std::back_inserter(text_); }
  std::string text_;
};

double to_seconds(Nanos t) { return static_cast<double>(t.ns) / 1e9; }

// Label values come from closed lists, except texts of the other process: kept to
// characters that need no escape.
std::string label_text(std::string_view text) {
  std::string out;
  for (char c : text)
    out += (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') ? c : '_';
  return out;
}

void datapath_counters(const MetricsInput& in, Text& t) {
  t.family("drops_total", kCounter, "Packets dropped by the datapath, by reason");
  for (uint32_t i = 0; i < abi::kDropCount; ++i)
    t.sample("drops_total", fmt::format("reason=\"{}\"", abi::kDropNames[i]),
             in.datapath.drops[i]);
  for (const CountMetric& m : kCountMetrics)
    t.one(m.name, m.type, m.help, in.datapath.counts[static_cast<size_t>(m.count)]);
  t.one("worker_busy_seconds_total", kCounter, "Time workers spent in turns with work",
        static_cast<double>(in.datapath.counts[static_cast<size_t>(Count::busy_ns)]) / 1e9);

  t.family("forward_latency_seconds", "histogram",
           "From the burst a packet arrived in to the hand-over of its copy to the back end");
  uint64_t sum = 0;
  for (uint32_t b = 0; b < abi::kLatencyBuckets; ++b) {
    sum += in.datapath.latency[b];
    if (b + 1 == abi::kLatencyBuckets) break;  // the last one is open: +Inf
    t.sample("forward_latency_seconds_bucket",
             fmt::format("le=\"{}\"", static_cast<double>(abi::latency_bucket_limit(b)) / 1e9), sum);
  }
  t.sample("forward_latency_seconds_bucket", "le=\"+Inf\"", sum);
  t.sample("forward_latency_seconds_sum",
           static_cast<double>(
               in.datapath.counts[static_cast<size_t>(Count::forward_latency_ns)]) / 1e9);
  t.sample("forward_latency_seconds_count", sum);
}

void handshakes(const MetricsInput& in, Text& t) {
  const ControlCounters& c = *in.control;
  t.one("dtls_handshakes_started_total", kCounter, "DTLS handshakes begun", c.handshakes_started);
  t.family("dtls_handshakes_total", kCounter, "DTLS handshakes ended, by result");
  t.sample("dtls_handshakes_total", "result=\"ok\"", c.handshakes_done);
  for (uint8_t f = 1; f < kHandshakeFailureCount; ++f)
    t.sample("dtls_handshakes_total",
             fmt::format("result=\"{}\"", name_of(static_cast<HandshakeFailure>(f))),
             c.handshakes_failed[f]);
  t.one("dtls_handshakes_running", kGauge, "DTLS handshakes under way", in.handshakes_running);
  t.family("dtls_handshake_seconds", "histogram", "Duration of successful DTLS handshakes");
  uint64_t sum = 0;
  for (size_t b = 0; b < ControlCounters::kHandshakeBucketsMs.size(); ++b) {
    sum += c.handshake_ms[b];
    t.sample("dtls_handshake_seconds_bucket",
             fmt::format("le=\"{}\"",
                         static_cast<double>(ControlCounters::kHandshakeBucketsMs[b]) / 1e3),
             sum);
  }
  sum += c.handshake_ms.back();
  t.sample("dtls_handshake_seconds_bucket", "le=\"+Inf\"", sum);
  t.sample("dtls_handshake_seconds_sum", to_seconds({c.handshake_sum_ns}));
  t.sample("dtls_handshake_seconds_count", sum);
  t.one("dtls_datagrams_total", kCounter, "DTLS datagrams of live sessions", c.dtls_in);
  t.one("dtls_ignored_total", kCounter, "DTLS datagrams no handshake wanted", c.dtls_ignored);
  t.one("dtls_out_dropped_total", kCounter, "DTLS datagrams lost to a full ring",
        c.dtls_out_dropped);
  t.one("dtls_last_flights_repeated_total", kCounter, "Last flights sent again",
        c.last_flights_repeated);
}

void sessions(const MetricsInput& in, Text& t) {
  constexpr std::string_view kRoles[] = {"publisher", "viewer"};
  constexpr std::string_view kStates[] = {"new", "validated", "keyed", "connected"};
  t.family("sessions", kGauge, "Sessions by role and state");
  for (size_t r = 0; r < 2; ++r)
    for (size_t s = 0; s < MetricsInput::kStates; ++s)
      t.sample("sessions", fmt::format("role=\"{}\",state=\"{}\"", kRoles[r], kStates[s]),
               in.sessions[r][s]);
  const ControlCounters& c = *in.control;
  t.family("sessions_created_total", kCounter, "Sessions accepted, by role");
  t.sample("sessions_created_total", "role=\"publisher\"", c.created_publishers);
  t.sample("sessions_created_total", "role=\"viewer\"", c.created_viewers);
  t.family("sessions_ended_total", kCounter, "Sessions ended, by reason");
  for (uint8_t i = 0; i < kEndReasonCount; ++i)
    t.sample("sessions_ended_total", fmt::format("reason=\"{}\"", kEndReasonNames[i]), c.ended[i]);
  t.one("sessions_recovered_total", kCounter, "Sessions found in the table at start", c.recovered);
  t.one("sessions_refused_total", kCounter, "Sessions refused for want of room",
        c.refused_overloaded);
  t.one("ice_restarts_total", kCounter, "ICE restarts", c.ice_restarts);
  t.one("streams", kGauge, "Open streams", in.streams);
  t.one("tracks_used", kGauge, "Track slots in use", in.tracks);
  t.one("slots_resting", kGauge, "Session slots the datapath has not released yet",
        in.resting_slots);
}

void processes(const MetricsInput& in, Text& t) {
  t.family("ring_fill", kGauge, "Records waiting in a shared ring");
  t.family("ring_capacity", kGauge, "Records a shared ring takes");
  t.sample("ring_capacity", "ring=\"commands\"", abi::kCommandRing);
  t.sample("ring_capacity", "ring=\"dtls_out\"", abi::kDtlsRing);
  t.sample("ring_capacity", "ring=\"events\"", abi::kEventRing);
  t.sample("ring_capacity", "ring=\"dtls_in\"", abi::kDtlsRing);
  for (size_t w = 0; w < in.rings.size(); ++w) {
    const RingFill& f = in.rings[w];
    t.sample("ring_fill", fmt::format("ring=\"commands\",worker=\"{}\"", w), f.commands);
    t.sample("ring_fill", fmt::format("ring=\"dtls_out\",worker=\"{}\"", w), f.dtls_out);
    t.sample("ring_fill", fmt::format("ring=\"events\",worker=\"{}\"", w), f.events);
    t.sample("ring_fill", fmt::format("ring=\"dtls_in\",worker=\"{}\"", w), f.dtls_in);
  }
  const ControlCounters& c = *in.control;
  t.one("commands_waiting", kGauge, "Doorbells held back by a full ring", in.doorbells_waiting);
  t.one("events_total", kCounter, "Events of the datapath", c.events);
  t.one("events_stale_total", kCounter, "Events of sessions that were gone", c.events_stale);
  t.one("bad_records_total", kCounter, "Records of the datapath that broke the rules",
        in.bad_records);
  t.one("control_ring_resyncs_total", kCounter, "Impossible ring positions control met",
        in.ring_resyncs);
  bool started = in.status.heartbeat.ns != 0;
  t.one("datapath_up", kGauge, "1 while the datapath says it runs",
        in.status.state == abi::ProcessState::run ? 1 : 0);
  t.one("datapath_heartbeat_age_seconds", kGauge, "Since the datapath's last sign of life",
        started ? to_seconds(in.datapath_heartbeat_age) : 0.0);
  t.one("datapath_starts_total", kCounter, "Times the datapath was started on this memory",
        in.status.starts);
  t.one("control_starts_total", kCounter, "Times control was started on this memory",
        in.control_starts);
  t.one("control_uptime_seconds", kGauge, "Since this control process started",
        to_seconds(in.uptime));
  t.one("draining", kGauge, "1 while stopping", in.draining ? 1 : 0);
  t.family("build_info", kGauge, "Always 1");
  t.sample("build_info",
           fmt::format("version=\"{}\",io=\"{}\",srtp=\"{}\"", label_text(in.version),
                       label_text(in.status.io_backend), label_text(in.status.srtp_backend)),
           1);
}

}  // namespace

std::string render_metrics(const MetricsInput& in) {
  Text t;
  sessions(in, t);
  handshakes(in, t);
  datapath_counters(in, t);
  processes(in, t);
  return t.take();
}

}  // namespace spillway
