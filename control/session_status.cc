// Numbers for people: streams, sessions, layers, health, metrics.
#include "control/session_manager.h"

#include <algorithm>

#include "control/metrics.h"
#include "datapath/abi/process.h"

namespace spillway {
namespace {

// A snapshot of the session, or zeros when the datapath has none of this generation.
abi::SessionReport report_of(const DatapathLink& link, const Session& s) {
  abi::SessionReport r{};
  if (!link.read_report(s.name.slot, &r) || r.generation != s.name.generation) r = {};
  return r;
}

uint32_t clamp32(uint64_t v) {
  return static_cast<uint32_t>(std::min<uint64_t>(v, UINT32_MAX));
}

}  // namespace

StreamDescription SessionManager::describe_stream(std::string_view stream) const {
  const Stream* s = streams_.find(stream);
  if (!s) return {};
  return {s->live(), s->description};
}

std::vector<LayerStatus> SessionManager::layers(std::string_view stream) const {
  std::vector<LayerStatus> out;
  const Stream* s = streams_.find(stream);
  abi::SessionConfig config;
  if (!s || !s->live() || !link_.read_session(s->publisher, &config)) return out;
  abi::SessionReport report = report_of(link_, *by_slot_[s->publisher]);
  for (uint32_t m = 0; m < config.media_count && m < kMaxMedia; ++m) {
    const abi::MediaConfig& media = config.media[m];
    if (media.kind != static_cast<uint8_t>(MediaKind::video)) continue;
    uint32_t count = std::clamp<uint32_t>(media.layer_count, 1, kMaxLayers);
    for (uint32_t l = 0; l < count; ++l)
      out.push_back({rid_of(media, l), report.layer_bps[l] > 0, clamp32(report.layer_bps[l])});
    break;
  }
  return out;
}

std::vector<StreamStatus> SessionManager::streams() const {
  std::vector<StreamStatus> out;
  for (const auto& [name, s] : streams_) {
    StreamStatus status;
    status.name = name;
    status.live = s.live();
    status.viewers = static_cast<uint32_t>(s.viewers.size());
    if (s.live()) {
      abi::SessionReport r = report_of(link_, *by_slot_[s.publisher]);
      status.rx_packets = r.rx_packets;
      status.rx_bytes = r.rx_bytes;
      status.layers = layers(name);
    }
    for (uint32_t slot : s.viewers) {
      abi::SessionReport r = report_of(link_, *by_slot_[slot]);
      status.tx_packets += r.tx_packets;
      status.tx_bytes += r.tx_bytes;
    }
    status.tracks = s.description;
    out.push_back(std::move(status));
  }
  return out;
}

std::vector<SessionStatus> SessionManager::sessions(std::string_view stream) const {
  std::vector<SessionStatus> out;
  const Stream* s = streams_.find(stream);
  if (!s) return out;
  Nanos now = clock_();
  auto add = [&](uint32_t slot) {
    const Session& session = *by_slot_[slot];
    abi::SessionReport r = report_of(link_, session);
    Path path = r.path.valid() ? r.path : session.path;
    SessionStatus status;
    status.stream = s->name;
    status.publisher = session.publisher;
    if (session.keyed)
      status.state = session.connected ? "connected" : "handshake";
    else if (session.path.valid())
      status.state = "handshake";
    else
      status.state = r.phase == static_cast<uint32_t>(abi::ReportPhase::checking) ? "checking"
                                                                                   : "new";
    if (path.valid()) status.remote = path.remote.to_string();
    status.age_ms = static_cast<uint64_t>(std::max<int64_t>(0, (now - session.created).ms()));
    status.rx_packets = r.rx_packets;
    status.rx_bytes = r.rx_bytes;
    status.tx_packets = r.tx_packets;
    status.tx_bytes = r.tx_bytes;
    out.push_back(std::move(status));
  };
  if (s->live()) add(s->publisher);
  for (uint32_t slot : s->viewers) add(slot);
  return out;
}

Health SessionManager::health() const {
  Nanos now = clock_();
  DatapathStatus d = link_.datapath_status();
  bool starting = d.state == abi::ProcessState::boot;
  Nanos fresh = starting ? seconds(1) : Nanos{abi::kHeartbeatFreshNs};
  Nanos age = now - d.heartbeat;
  Health out;
  out.datapath_ok = d.heartbeat.ns != 0 && age < fresh && age > seconds(-1) &&
                    (starting || d.state == abi::ProcessState::run);
  out.draining = draining_;
  out.io_backend = d.io_backend;
  out.io_note = d.note;
  if (!link_.lock_note().empty())
    out.io_note += (out.io_note.empty() ? "" : "; ") + link_.lock_note();
  out.srtp_backend = d.srtp_backend;
  out.workers = link_.workers();
  out.datapath_restarts = d.starts > 0 ? d.starts - 1 : 0;
  out.uptime_ms = static_cast<uint64_t>(std::max<int64_t>(0, (now - started_).ms()));
  return out;
}

std::string SessionManager::metrics_text() const {
  MetricsInput in;
  Nanos now = clock_();
  in.version = options_.version;
  in.control = &counters_;
  in.datapath = link_.counters();
  in.status = link_.datapath_status();
  in.control_starts = link_.starts();
  in.datapath_heartbeat_age = now - in.status.heartbeat;
  in.uptime = now - started_;
  in.draining = draining_;
  in.streams = streams_.size();
  in.tracks = tracks_.used();
  in.resting_slots = slots_.resting();
  in.handshakes_running = handshaking_.size();
  in.doorbells_waiting = link_.doorbells_waiting();
  in.bad_records = link_.bad_records();
  in.ring_resyncs = link_.resyncs();
  for (uint32_t w = 0; w < link_.workers(); ++w) in.rings.push_back(link_.fill(w));
  for (const auto& s : by_slot_) {
    if (!s) continue;
    auto state = s->connected       ? MetricsInput::kConnected
                 : s->keyed         ? MetricsInput::kKeyed
                 : s->path.valid()  ? MetricsInput::kValidated
                                    : MetricsInput::kNew;
    ++in.sessions[s->publisher ? 0 : 1][state];
  }
  return render_metrics(in);
}

}  // namespace spillway
