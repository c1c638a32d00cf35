// Datagrams and sessions crossing from one worker to another.
//
// The kernel (or the NIC) chooses the worker a flow arrives at; the session's owner
// may be another. Whoever verified the STUN check knows the address and passes
// datagrams on; when enough have come that way, the session moves to them instead.
#include <algorithm>
#include <cstring>

#include "datapath/core/engine.h"

namespace spillway {

using abi::Count;
using abi::Drop;

namespace {

// A session follows its packets after this many arrived elsewhere, and rests a
// second between moves: two flows of one peer must not make it swing.
constexpr uint32_t kMoveAfterDatagrams = 64;
constexpr Nanos kMoveRest = seconds(1);
constexpr uint8_t kMaxHops = 4;

}  // namespace

void Engine::hand_over(const RxPacket& p, const AddressTable::Value& to, Nanos now, uint8_t hops) {
  uint32_t owner = states_[to.slot].owner_worker.load(std::memory_order_acquire);
  if (owner >= shared_.workers || owner == options_.worker || hops >= kMaxHops)
    return drop(Drop::handover_stale);
  WorkerMessage* m = shared_.inbox(options_.worker, owner).reserve();
  if (!m) return drop(Drop::handover_full);
  m->type = WorkerMessage::Type::datagram;
  m->slot = to.slot;
  m->generation = to.generation;
  m->bytes = p.bytes;
  m->arrival_ns = now.ns;
  m->path = p.path;
  m->hops = static_cast<uint8_t>(hops + 1);
  std::memcpy(m->data, p.data, p.bytes);
  shared_.inbox(options_.worker, owner).commit();
  outputs_.wake_workers |= 1u << owner;
  count(Count::handovers);
}

void Engine::tell_owner(const Validated& v, Nanos now) {
  uint32_t owner = states_[v.slot].owner_worker.load(std::memory_order_acquire);
  if (owner >= shared_.workers || owner == options_.worker || v.hops >= kMaxHops ||
      v.remote_ufrag.size() > kMaxUfragBytes)
    return;
  WorkerMessage* m = shared_.inbox(options_.worker, owner).reserve();
  if (!m) return;  // the peer's next check repeats it
  m->type = WorkerMessage::Type::validated;
  m->slot = v.slot;
  m->generation = v.generation;
  m->bytes = v.via_worker;
  m->arrival_ns = now.ns;
  m->path = v.path;
  m->ice_generation = v.ice_generation;
  m->nominated = v.nominated ? 1 : 0;
  m->hops = v.hops;
  m->remote_ufrag_bytes = static_cast<uint8_t>(v.remote_ufrag.size());
  std::copy(v.remote_ufrag.begin(), v.remote_ufrag.end(), m->data);
  shared_.inbox(options_.worker, owner).commit();
  outputs_.wake_workers |= 1u << owner;
}

// True: the session was given to us, and the message that says so lies in another
// inbox. It was queued before the sender of `m` could see the new owner, so waiting
// for it ends.
bool Engine::adoption_pending(const WorkerMessage& m) const {
  const abi::SessionState& state = states_[m.slot];
  return state.live_generation.load(std::memory_order_acquire) == m.generation &&
         state.owner_worker.load(std::memory_order_acquire) == options_.worker &&
         !is_mine(m.slot, m.generation);
}

void Engine::reload(uint32_t slot) {
  if (outputs_.reload_count < EngineOutputs::kReloadMax)
    outputs_.reload[outputs_.reload_count++] = slot;
}

void Engine::pass_on(uint32_t slot, uint32_t worker) {
  if (worker >= shared_.workers || worker == options_.worker) return;
  WorkerMessage* m = shared_.inbox(options_.worker, worker).reserve();
  // Full: try again next turn, nothing of a command may be lost.
  if (!m) return reload(slot);
  m->type = WorkerMessage::Type::look;
  m->slot = slot;
  shared_.inbox(options_.worker, worker).commit();
  outputs_.wake_workers |= 1u << worker;
}

void Engine::send_dtls(const abi::DtlsDatagram& d, TxBatch& tx) {
  // Hostile input: only to where a check of this very session came from.
  if (d.slot >= kMaxSessions || d.bytes == 0 || d.bytes > kMaxDatagramBytes) return;
  if (states_[d.slot].live_generation.load(std::memory_order_acquire) != d.generation) return;
  auto known = addresses_.find(d.path.remote);
  if (!known || known->slot != d.slot || known->generation != d.generation) return;
  uint8_t* out = tx.reserve(d.path, d.bytes);
  if (!out) return;
  std::memcpy(out, d.data, d.bytes);
  tx.commit(d.bytes);
}

bool Engine::drain_inboxes(Nanos now, TxBatch& tx) {
  bool more = false;
  for (uint32_t from = 0; from < shared_.workers; ++from) {
    if (from == options_.worker) continue;
    Inbox& inbox = shared_.inbox(from, options_.worker);
    for (uint32_t n = 0; n < kBurst; ++n) {
      const WorkerMessage* m = inbox.front();
      if (!m) break;
      if (m->type != WorkerMessage::Type::adopt && m->type != WorkerMessage::Type::look &&
          adoption_pending(*m))
        break;
      take_message(*m, from, now, tx);
      inbox.pop();
    }
    more |= inbox.front() != nullptr;
  }
  finish_burst();
  return more;
}

void Engine::take_message(const WorkerMessage& m, uint32_t from, Nanos now, TxBatch& tx) {
  if (m.type == WorkerMessage::Type::adopt) {
    Session& s = shared_.session(m.slot);
    own(s);
    s.adopted_ns = now.ns;
    for (uint32_t i = 0; i < s.media_count; ++i) {
      Egress& e = s.egress[i];
      if (e.track == kNoIndex) continue;
      e.viewer_ref = viewers_.add(e.track, {s.slot, i});
      shared_.tracks[e.track].readers.fetch_or(1u << options_.worker, std::memory_order_relaxed);
      shared_.dirty[options_.worker].mark(e.track);
    }
    for (const KnownPath& k : s.paths)
      if (k.path.valid())
        addresses_.insert(k.path.remote, {s.slot, s.generation},
                          [&](const AddressTable::Value& v) { return is_stale(v); });
    next_tick_ = std::min(next_tick_, now + millis(10));
    reload(m.slot);  // what changed while it was between owners
    return;
  }
  if (m.type == WorkerMessage::Type::look) return reload(m.slot);
  Session& s = shared_.session(m.slot);
  bool mine = states_[m.slot].owner_worker.load(std::memory_order_acquire) == options_.worker &&
              is_mine(m.slot, m.generation);
  if (m.type == WorkerMessage::Type::validated) {
    // The session may have moved on meanwhile. A check must not get lost with it: the one
    // that nominates comes once, its next one in seconds (RFC 7675 §5.1).
    const Bytes ufrag{m.data, m.remote_ufrag_bytes};
    if (mine)
      validated(s, m.path, m.ice_generation, m.nominated != 0, ufrag, m.bytes, now);
    else
      tell_owner({m.slot, m.generation, m.path, m.ice_generation, m.nominated != 0, ufrag, m.bytes,
                  static_cast<uint8_t>(m.hops + 1)},
                 now);
    return;
  }
  // The record lies in a ring the sender does not touch until pop(): decrypt in place.
  RxPacket p{m.path, const_cast<uint8_t*>(m.data), m.bytes, 0};
  if (!mine) return hand_over(p, {m.slot, m.generation}, now, m.hops);
  receive_owned(s, p, now, tx);
  if (++s.foreign_datagrams >= kMoveAfterDatagrams && now - Nanos{s.adopted_ns} > kMoveRest)
    move_to(s, from, now);
}

}  // namespace spillway
