// DTLS of sessions: which datagram goes to which handshake, and what a finished one
// leaves behind.
#include "control/session_manager.h"

#include <algorithm>

#include <openssl/crypto.h>
#include <spdlog/spdlog.h>

#include "control/log_limit.h"

namespace spillway {

void SessionManager::take_dtls(const abi::DtlsDatagram& datagram, uint32_t worker) {
  Session* s = at(datagram.slot, datagram.generation);
  if (!s) {
    ++counters_.dtls_ignored;
    return;
  }
  ++counters_.dtls_in;
  Bytes bytes{datagram.data, datagram.bytes};
  // The datapath passes DTLS only from paths that a STUN check verified, so the
  // answer goes back where the datagram came from.
  if (!s->keyed) s->path = datagram.path;
  s->via_worker = static_cast<uint8_t>(worker);
  if (s->keyed) {
    // The OpenSSL object is gone. A repeated flight wants ours again; anything else,
    // close_notify included, cannot be read (README).
    if (is_handshake(bytes))
      repeat_last_flight(*s);
    else
      ++counters_.dtls_ignored;
    return;
  }
  if (!s->handshake) {
    if (s->local_role != DtlsRole::server || !is_client_hello(bytes) ||
        now_ - s->handshake_began < kHandshakePause) {
      ++counters_.dtls_ignored;
      return;
    }
    start_handshake(*s);
  }
  s->handshake->receive(bytes, now_);
  after_handshake_step(*s);
}

void SessionManager::start_handshake(Session& session) {
  session.handshake = std::make_unique<DtlsHandshake>(dtls_, session.local_role,
                                                      session.fingerprints, now_);
  session.handshake_began = now_;
  session.handshake_index = static_cast<uint32_t>(handshaking_.size());
  handshaking_.push_back(session.name.slot);
  ++counters_.handshakes_started;
  if (session.local_role == DtlsRole::client) {
    session.handshake->start(now_);
    after_handshake_step(session);
  } else {
    session.handshake_deadline = session.handshake->deadline(now_);
  }
}

void SessionManager::after_handshake_step(Session& session) {
  DtlsHandshake& h = *session.handshake;
  send_flight(session, h.output());
  switch (h.state()) {
    case DtlsHandshake::State::running:
      h.output().clear();
      session.handshake_deadline = h.deadline(now_);
      return;
    case DtlsHandshake::State::done: return handshake_done(session);
    case DtlsHandshake::State::failed:
      // The attempt is over, not the session: the next ClientHello starts anew.
      ++counters_.handshakes_failed[static_cast<size_t>(h.failure())];
      static LogLimit limit;
      if (limit.allow(now_))
        spdlog::warn("dtls handshake failed stream={} reason={} remote={}{}",
                     session.stream->name, name_of(h.failure()),
                     session.path.remote.to_string(), limit.note());
      drop_handshake(session);
      return;
  }
}

void SessionManager::handshake_done(Session& session) {
  uint32_t slot = session.name.slot;
  DtlsHandshake& h = *session.handshake;
  abi::SessionConfig config;
  abi::KeyConfig keys;
  abi::ControlRecord record;
  if (!link_.read_session(slot, &config) || !link_.read_keys(slot, &keys) ||
      !link_.read_record(slot, &record))
    return end(session, EndReason::damaged);

  const SrtpKeys& srtp = h.keys();
  keys.profile = static_cast<uint16_t>(srtp.profile);
  std::copy_n(srtp.rx_key.data(), sizeof keys.rx_key, keys.rx_key);
  std::copy_n(srtp.rx_salt.data(), sizeof keys.rx_salt, keys.rx_salt);
  std::copy_n(srtp.tx_key.data(), sizeof keys.tx_key, keys.tx_key);
  std::copy_n(srtp.tx_salt.data(), sizeof keys.tx_salt, keys.tx_salt);
  SPILLWAY_ASSERT(abi::validate(keys));
  link_.write_keys(slot, keys);
  OPENSSL_cleanse(&keys, sizeof keys);

  Bytes close_notify = h.close_notify();
  record.close_notify_bytes = static_cast<uint8_t>(close_notify.size());
  std::copy_n(close_notify.data(), close_notify.size(), record.close_notify);
  link_.write_record(slot, record);

  // Keys first: an entry that says keyed always has them.
  config.phase = static_cast<uint8_t>(abi::SessionPhase::keyed);
  link_.write_session(slot, config);
  link_.ring(slot, session.name.generation, session.home_worker);

  if (!h.last_flight().empty() && last_flights_.size() < kLastFlightsMax) {
    last_flights_[slot] = {session.name.generation, h.last_flight(), now_, 0, now_};
    last_flight_order_.emplace_back(slot, now_ + kLastFlightLifetime);
  }
  counters_.handshake_done(now_ - h.started());
  drop_handshake(session);
  session.fingerprints = {};
  session.keyed = true;
  session.keyed_at = now_;
  session.reminders = 2;
  --half_open_;
}

void SessionManager::drop_handshake(Session& session) {
  if (!session.handshake) return;
  uint32_t last = handshaking_.back();
  handshaking_[session.handshake_index] = last;
  by_slot_[last]->handshake_index = session.handshake_index;
  handshaking_.pop_back();
  session.handshake.reset();
  session.handshake_deadline = kNever;
}

void SessionManager::tick_handshakes() {
  // Backwards: a step may take its own entry out, and puts the last one in its place.
  for (size_t i = handshaking_.size(); i-- > 0;) {
    Session& s = *by_slot_[handshaking_[i]];
    if (now_ < s.handshake_deadline) continue;
    s.handshake->tick(now_);
    after_handshake_step(s);
  }
  while (!last_flight_order_.empty() && last_flight_order_.front().second <= now_) {
    auto it = last_flights_.find(last_flight_order_.front().first);
    if (it != last_flights_.end() && now_ - it->second.kept_since >= kLastFlightLifetime)
      last_flights_.erase(it);
    last_flight_order_.pop_front();
  }
}

void SessionManager::send_flight(Session& session, const DatagramList& flight) {
  for (size_t i = 0; i < flight.count(); ++i)
    if (!link_.send_dtls(session.via_worker, session.name.slot, session.name.generation,
                         session.path, flight[i]))
      ++counters_.dtls_out_dropped;
}

void SessionManager::repeat_last_flight(Session& session) {
  auto it = last_flights_.find(session.name.slot);
  if (it == last_flights_.end() || it->second.generation != session.name.generation ||
      it->second.repeats >= kLastFlightRepeats || now_ - it->second.sent < kHandshakePause) {
    ++counters_.dtls_ignored;
    return;
  }
  ++it->second.repeats;
  it->second.sent = now_;
  ++counters_.last_flights_repeated;
  send_flight(session, it->second.flight);
}

void SessionManager::send_close_notify(const Session& session) {
  abi::ControlRecord record;
  abi::SessionReport report;
  if (!link_.read_record(session.name.slot, &record) || record.close_notify_bytes == 0 ||
      record.close_notify_bytes > abi::kMaxCloseNotifyBytes)
    return;
  Path path = session.path;
  if (link_.read_report(session.name.slot, &report) &&
      report.generation == session.name.generation && report.path.valid())
    path = report.path;
  if (path.valid())
    link_.send_dtls(session.via_worker, session.name.slot, session.name.generation, path,
                    {record.close_notify, record.close_notify_bytes});
}

}  // namespace spillway
