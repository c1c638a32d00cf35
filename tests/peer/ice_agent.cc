#include "tests/peer/ice_agent.h"

#include <algorithm>

#include "tests/peer/random.h"

namespace spillway::peer {
namespace {

Bytes as_bytes(const std::string& s) {
  return {reinterpret_cast<const uint8_t*>(s.data()), s.size()};
}
// Host candidate, RFC 8445 §5.1.2: what our own check would be worth as peer-reflexive.
constexpr uint32_t kPeerReflexivePriority = 110u << 24 | 65535u << 8 | 255u;

}  // namespace

IceAgent::IceAgent(IceCredentials local, uint64_t seed, Sink sink)
    : local_(std::move(local)),
      local_key_(as_bytes(local_.password)),
      sink_(std::move(sink)),
      jitter_(static_cast<uint32_t>(seed | 1)),
      tie_breaker_(seed) {}

void IceAgent::start(IceCredentials remote, std::vector<IceCandidate> candidates, Nanos now) {
  remote_ = std::move(remote);
  remote_key_.emplace(as_bytes(remote_.password));
  username_ = remote_.ufrag + ":" + local_.ufrag;
  std::stable_sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) {
    return a.priority > b.priority;
  });
  if (candidates.size() > kMaxPairs) candidates.resize(kMaxPairs);
  pairs_.clear();
  for (const IceCandidate& c : candidates) {
    Pair pair;
    pair.candidate = c;
    pair.next = now;
    pairs_.push_back(pair);
  }
  started_ = now;
  state_ = IceState::checking;
  tick(now);
}

void IceAgent::send_check(Pair& pair, bool nominate, Nanos now) {
  // A repeat keeps the transaction, so that a late answer to the first one counts.
  if (!pair.waiting || pair.nominating != nominate) {
    random_bytes(pair.transaction);
    pair.sent = now;
  }
  pair.nominating = nominate;
  pair.waiting = true;
  StunRequest request;
  request.transaction_id = pair.transaction;
  request.username = username_;
  request.priority = kPeerReflexivePriority;
  request.role = IceRole::controlling;
  request.tie_breaker = tie_breaker_;
  request.use_candidate = nominate;
  uint8_t out[700];
  const uint32_t bytes = write_stun_request(out, request, *remote_key_);
  if (bytes > 0) sink_(pair.candidate.address, {out, bytes});
}

Nanos IceAgent::next_consent(Nanos now) {
  const int64_t permille = 800 + static_cast<int64_t>(jitter_() % 401);
  return now + Nanos{kConsentInterval.ns / 1000 * permille};
}

void IceAgent::tick(Nanos now) {
  if (state_ == IceState::checking) {
    if (now - started_ > kCheckTimeout) {
      state_ = IceState::failed;
      return;
    }
    Pair* best = nullptr;
    for (Pair& pair : pairs_)
      if (pair.succeeded && !best) best = &pair;
    const bool settled = best && (best == &pairs_.front() || now - first_success_ >= kNominationPatience);
    for (Pair& pair : pairs_) {
      if (settled ? &pair != best : pair.succeeded) continue;
      if (now < pair.next && !(settled && !pair.nominating)) continue;
      send_check(pair, settled, now);
      pair.next = now + kCheckInterval;
    }
  } else if (state_ == IceState::connected) {
    if (now - last_consent_ > kConsentTimeout) {
      state_ = IceState::failed;
      return;
    }
    for (Pair& pair : pairs_) {
      if (pair.candidate.address != selected_ || now < pair.next) continue;
      pair.waiting = false;  // each consent check is a transaction of its own
      send_check(pair, true, now);
      pair.next = next_consent(now);
    }
  }
}

void IceAgent::receive(const Endpoint& from, Bytes datagram, Nanos now) {
  const auto m = parse_stun(datagram);
  if (!m || state_ == IceState::gathering) {
    ++rejected_;
    return;
  }
  if (m->type == StunType::binding_request) {
    on_request(from, datagram, *m);
  } else if (m->type == StunType::binding_success || m->type == StunType::binding_error) {
    on_answer(from, datagram, *m, now);
  }
}

void IceAgent::on_request(const Endpoint& from, Bytes datagram, const StunMessage& m) {
  const size_t colon = m.username.find(':');
  if (m.username.substr(0, colon) != local_.ufrag ||
      !verify_stun_integrity(datagram, m, local_key_)) {
    ++rejected_;
    return;
  }
  uint8_t out[200];
  // We control and never switch (RFC 8445 §7.3.1.1): 487 tells the other end to.
  const uint32_t bytes = m.role == IceRole::controlling && m.tie_breaker < tie_breaker_
                             ? write_stun_error(out, m, 487, local_key_)
                             : write_stun_success(out, m, from, local_key_);
  if (bytes == 0) return;
  sink_(from, {out, bytes});
  ++checks_answered_;
}

void IceAgent::on_answer(const Endpoint& from, Bytes datagram, const StunMessage& m, Nanos now) {
  const auto pair = std::find_if(pairs_.begin(), pairs_.end(), [&](const Pair& p) {
    return p.waiting && p.transaction == m.transaction_id;
  });
  // RFC 8445 §7.2.5.2.1: the answer must come from where the request went.
  if (pair == pairs_.end() || pair->candidate.address != from ||
      !verify_stun_integrity(datagram, m, *remote_key_)) {
    ++rejected_;
    return;
  }
  pair->waiting = false;
  if (m.type == StunType::binding_error) return;
  if (m.mapped) mapped_ = *m.mapped;
  round_trip_ = now - pair->sent;
  pair->succeeded = true;
  if (state_ == IceState::connected) {
    if (from == selected_) last_consent_ = now;
    return;
  }
  if (first_success_.ns == 0) first_success_ = now;
  if (pair->nominating) {
    state_ = IceState::connected;
    selected_ = from;
    last_consent_ = now;
    pair->next = next_consent(now);
    return;
  }
  tick(now);
}

}  // namespace spillway::peer
