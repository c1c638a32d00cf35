// ICE-lite (RFC 8445): answering checks, learning where a peer is, consent.
//
// A check is verified and answered by whichever worker it reaches, from the boot
// secret alone; only a verified check makes an address known. Before keys exist the
// newest nominated address is where DTLS goes. Afterwards a new address gets media
// only once SRTP or SRTCP from it authenticated (threats A-05): holding the ICE
// password is not enough to have media sent to a third party.
#include <algorithm>
#include <cstring>

#include "datapath/core/engine.h"

namespace spillway {

using abi::Count;
using abi::Drop;

namespace {
constexpr Nanos kPathSwitchRest = seconds(1);
}

void Engine::receive_stun(const RxPacket& p, Nanos now, TxBatch& tx) {
  auto message = parse_stun({p.data, p.bytes});
  if (!message || message->type != StunType::binding_request)
    return drop(Drop::stun_malformed);
  std::string_view username = message->username;
  size_t colon = username.find(':');
  if (colon == std::string_view::npos) return drop(Drop::stun_malformed);
  std::string_view local = username.substr(0, colon);
  std::string_view remote = username.substr(colon + 1);
  auto who = parse_local_ufrag(ice_keys_, local);
  if (!who || who->slot >= kMaxSessions) return drop(Drop::stun_unknown_ufrag);
  IcePassword password = derive_ice_password(ice_keys_, local);
  HmacSha1Key key(Bytes{reinterpret_cast<const uint8_t*>(password.text.data()),
                        password.text.size()});
  if (!verify_stun_integrity({p.data, p.bytes}, *message, key))
    return drop(Drop::stun_bad_integrity);
  abi::SessionState& state = states_[who->slot];
  if (state.live_generation.load(std::memory_order_acquire) != who->generation)
    return drop(Drop::stun_no_session);

  bool nominated = message->use_candidate;
  Bytes ufrag{reinterpret_cast<const uint8_t*>(remote.data()), remote.size()};
  bool given_to_us =
      state.owner_worker.load(std::memory_order_acquire) == options_.worker;
  if (given_to_us && !is_mine(who->slot, who->generation))
    drain_inboxes(now, tx);  // the adoption is still in an inbox: take it first
  if (is_mine(who->slot, who->generation)) {
    Session& s = shared_.session(who->slot);
    if (!validated(s, p.path, who->ice_generation, nominated, ufrag, options_.worker, now))
      return drop(Drop::stun_bad_integrity);
  } else {
    // The owner decides what the address is good for. Datagrams from it are passed on
    // from here.
    tell_owner({who->slot, who->generation, p.path, who->ice_generation, nominated, ufrag,
                options_.worker, 0},
               now);
    addresses_.insert(p.path.remote, {who->slot, who->generation},
                      [&](const AddressTable::Value& v) { return is_stale(v); });
  }
  count(Count::consumed_stun);
  uint8_t* out = tx.reserve(p.path, kMaxDatagramBytes);
  if (!out) return;
  uint32_t bytes =
      message->unknown_required_count > 0
          ? write_stun_unknown_attributes({out, kMaxDatagramBytes}, *message, key)
          : write_stun_success({out, kMaxDatagramBytes}, *message, p.path.remote, key);
  // Never more bytes out than came in (threats A-08).
  if (bytes > 0 && bytes <= p.bytes) tx.commit(bytes);
}

bool Engine::validated(Session& s, const Path& path, uint8_t ice_generation, bool nominated,
                       Bytes remote_ufrag, uint32_t via_worker, Nanos now) {
  bool current = ice_generation == s.ice_generation;
  bool old = s.old_ice_valid && ice_generation == static_cast<uint8_t>(s.ice_generation - 1);
  auto same = [&](const auto& ufrag, uint8_t bytes) {
    return remote_ufrag.size() == bytes && std::equal(remote_ufrag.begin(), remote_ufrag.end(),
                                                      ufrag.begin());
  };
  // Both halves of USERNAME belong to the session; a peer that gave no ufrag
  // yet cannot be checked.
  bool known = (current && (s.remote_ufrag_bytes == 0 || same(s.remote_ufrag, s.remote_ufrag_bytes))) ||
               (old && same(s.old_remote_ufrag, s.old_remote_ufrag_bytes));
  if (!known) return false;

  s.state->last_authenticated_ns = now.ns;
  if (current) s.state->ice_generation = ice_generation;
  KnownPath* place = nullptr;
  bool fresh = true;
  for (KnownPath& k : s.paths) {
    if (k.path == path) {
      place = &k;
      fresh = false;
      break;
    }
    bool in_use = k.path == s.path && s.path.valid();
    if (!in_use && (!place || k.checked_ns < place->checked_ns)) place = &k;
  }
  if (fresh && place->path.valid())
    addresses_.erase(place->path.remote, {s.slot, s.generation});
  place->path = path;
  place->checked_ns = now.ns;
  addresses_.insert(path.remote, {s.slot, s.generation},
                    [&](const AddressTable::Value& v) { return is_stale(v); });

  bool first = !s.path.valid();
  if (first || (!s.connected && nominated && !(s.path == path))) {
    switch_path(s, path, now);
    emit(abi::EventType::validated, s, now, ice_generation);
  } else if (fresh) {
    emit(abi::EventType::validated, s, now, ice_generation);
  }
  // Before media flows a move costs nothing: go where the packets arrive.
  if (via_worker != options_.worker && !s.connected) move_to(s, via_worker, now);
  return true;
}

void Engine::authenticated_from(Session& s, const Path& path, Nanos now) {
  s.state->last_authenticated_ns = now.ns;
  s.expired = false;
  if (!s.connected) {
    s.connected = true;
    emit(abi::EventType::connected, s, now);
    report(s, now);
  }
  if (!(path == s.path) && now.ns - s.last_path_switch_ns >= kPathSwitchRest.ns) {
    // An old path that is still spoken on must not pull media back and forth: only a
    // path checked at least as recently as the current one wins.
    int64_t current_checked = 0, candidate_checked = 0;
    for (const KnownPath& k : s.paths) {
      if (k.path == s.path) current_checked = k.checked_ns;
      if (k.path == path) candidate_checked = k.checked_ns;
    }
    if (candidate_checked >= current_checked) switch_path(s, path, now);
  }
}

void Engine::switch_path(Session& s, const Path& path, Nanos now) {
  s.path = path;
  s.state->path = path;
  s.last_path_switch_ns = now.ns;
}

}  // namespace spillway
