// What happens by itself: events of the datapath, and time passing.
#include "control/session_manager.h"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "control/log_limit.h"
#include "datapath/abi/process.h"

namespace spillway {
namespace {

// Resting slots looked at per turn; at 50 turns a second that is more than the table.
constexpr uint32_t kRestingPerTurn = 512;
// The datapath ends sessions itself; this is for events that were lost.
constexpr Nanos kConsentGrace = seconds(10);
// A client-role handshake that failed is tried again after:
constexpr Nanos kClientRetry = seconds(1);

}  // namespace

bool SessionManager::datapath_alive() const {
  DatapathStatus d = link_.datapath_status();
  Nanos age = now_ - d.heartbeat;
  return d.heartbeat.ns != 0 && age < Nanos{abi::kHeartbeatStaleNs} && age > seconds(-1) &&
         (d.state == abi::ProcessState::run || d.state == abi::ProcessState::boot);
}

bool SessionManager::turn() {
  now_ = clock_();
  if (!datapath_alive())
    datapath_alive_since_ = kNever;
  else if (datapath_alive_since_ == kNever)
    datapath_alive_since_ = now_;

  uint32_t worker = 0;
  uint32_t events = 0;
  for (abi::Event e; events < kEventsPerTurn && link_.next_event(&e, &worker); ++events)
    take_event(e, worker);
  uint32_t datagrams = 0;
  for (abi::DtlsDatagram d; datagrams < kDtlsPerTurn && link_.next_dtls(&d, &worker); ++datagrams)
    take_dtls(d, worker);
  tick_handshakes();
  slots_.poll(
      kRestingPerTurn, now_, seconds(1),
      [this](uint32_t slot) { return link_.released_generation(slot); },
      [this](const TrackList& tracks) {
        for (uint32_t track : tracks) tracks_.drop(track);
      },
      [this](SlotName name) {
        abi::SessionConfig config{};
        link_.read_session(name.slot, &config);
        link_.ring(name.slot, name.generation, config.home_worker);
      });
  sweep();
  link_.flush();
  return events == kEventsPerTurn || datagrams == kDtlsPerTurn;
}

void SessionManager::take_event(const abi::Event& event, uint32_t worker) {
  ++counters_.events;
  Session* s = at(event.slot, event.generation);
  auto type = static_cast<abi::EventType>(event.type);
  if (!s || event.type > static_cast<uint32_t>(abi::EventType::rejected)) {
    // `released` names a session that is gone already: slots_.poll() sees the same.
    if (type != abi::EventType::released) ++counters_.events_stale;
    return;
  }
  switch (type) {
    case abi::EventType::none:
    case abi::EventType::released: ++counters_.events_stale; return;
    case abi::EventType::validated:
      if (!event.path.valid()) return;
      // A session that moves tells of two paths through two rings: the newer one holds. A
      // time from the future must not shut out what comes later.
      if (event.now_ns < s->path_told_ns) return;
      s->path_told_ns = std::min(event.now_ns, now_.ns);
      s->path = event.path;
      s->via_worker = static_cast<uint8_t>(worker);
      if (s->old_ice_valid && event.ice_generation == s->ice_generation) retire_old_ice(*s);
      if (!s->keyed && s->local_role == DtlsRole::client && !s->handshake &&
          now_ - s->handshake_began >= kHandshakePause)
        start_handshake(*s);
      return;
    case abi::EventType::connected: s->connected = s->keyed; return;
    case abi::EventType::expired:
      end(*s, s->keyed ? EndReason::consent : EndReason::connect_timeout);
      return;
    case abi::EventType::rejected: {
      static LogLimit limit;
      if (limit.allow(now_))
        spdlog::error("the datapath refused the table entry of slot {}{}", event.slot,
                      limit.note());
      end(*s, EndReason::rejected);
      return;
    }
  }
}

void SessionManager::retire_old_ice(Session& session) {
  session.old_ice_valid = false;
  abi::SessionConfig config;
  if (!link_.read_session(session.name.slot, &config)) return;
  config.old_ice_valid = 0;
  config.old_remote_ufrag_bytes = 0;
  std::fill_n(config.old_remote_ufrag, kMaxUfragBytes, uint8_t{0});
  link_.write_session(session.name.slot, config);
  link_.ring(session.name.slot, session.name.generation, session.home_worker);
}

void SessionManager::sweep() {
  Nanos elapsed = now_ - last_sweep_;
  uint32_t used = slots_.used();
  if (used == 0 || elapsed.ns <= 0) return;
  auto due = static_cast<uint32_t>(
      std::min<int64_t>(used, elapsed.ns / std::max<int64_t>(1, kSweepPeriod.ns / used)));
  if (due == 0) return;
  last_sweep_ = now_;
  for (; due > 0; --due) {
    sweep_cursor_ = (sweep_cursor_ + 1) % used;
    if (Session* s = by_slot_[sweep_cursor_].get()) check(*s);
  }
}

void SessionManager::check(Session& session) {
  const Config::Sessions& limits = options_.limits;
  if (!session.keyed && now_ - session.created >= seconds(limits.connect_timeout_s))
    return end(session, EndReason::connect_timeout);
  const Stream& stream = *session.stream;
  if (!session.publisher && !stream.live()) {
    uint32_t wait_s = limits.wait_for_publisher_s ? limits.wait_for_publisher_s : kOrphanSeconds;
    if (now_ - std::max(session.created, stream.publisher_gone) >= seconds(wait_s))
      return end(session, EndReason::no_publisher);
  }
  if (session.old_ice_valid && now_ - session.ice_restarted >= kOldIceLifetime)
    retire_old_ice(session);
  if (session.reminders > 0) {
    --session.reminders;
    link_.ring(session.name.slot, session.name.generation, session.home_worker);
  }
  if (!session.keyed) {
    if (session.local_role == DtlsRole::client && !session.handshake && session.path.valid() &&
        now_ - session.handshake_began >= kClientRetry)
      start_handshake(session);
    return;
  }
  // The table of reports stands in for events that were lost.
  if (datapath_alive_since_ == kNever) return;
  Nanos last = std::max(session.keyed_at, datapath_alive_since_);
  abi::SessionReport report;
  if (link_.read_report(session.name.slot, &report) &&
      report.generation == session.name.generation) {
    last = std::max(last, Nanos{report.last_authenticated_ns});
    if (report.phase == static_cast<uint32_t>(abi::ReportPhase::connected))
      session.connected = true;
    if (report.path.valid()) session.path = report.path;
  }
  if (now_ - last >= seconds(limits.consent_timeout_s) + kConsentGrace)
    end(session, EndReason::consent);
}

}  // namespace spillway
