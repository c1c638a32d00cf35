// What the engines of all workers of one process share.
//
//   tracks, rings   publisher's worker writes, every worker reads (track_table.h)
//   sessions        one owner at a time (session.h)
//   dirty[w]        "worker w: these tracks have something new"
//   inboxes         one SPSC ring per (from, to) pair of workers
//
// Built once at start; nothing is allocated later. The simulator builds one with
// any number of engines on a single thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "datapath/base/lazy_memory.h"
#include "datapath/base/limits.h"
#include "datapath/base/packet.h"
#include "datapath/base/spsc_ring.h"
#include "datapath/core/session.h"
#include "datapath/core/track_ring.h"
#include "datapath/core/track_table.h"

namespace spillway {

// A message from one worker to another.
struct WorkerMessage {
  enum class Type : uint32_t {
    datagram,   // raw, arrived at `from` for a session `to` owns
    validated,  // `from` verified and answered a STUN check of a session `to` owns
    adopt,      // `to` owns the session from here on
    look,       // the table entry of `slot` changed, and `to` seems to own it
  };
  Type type = Type::datagram;
  uint32_t slot = 0;
  uint32_t generation = 0;
  uint32_t bytes = 0;           // datagram
  int64_t arrival_ns = 0;
  Path path;
  uint8_t ice_generation = 0;   // validated
  uint8_t nominated = 0;        // validated: USE-CANDIDATE was present
  uint8_t remote_ufrag_bytes = 0;
  uint8_t hops = 0;             // datagram: forwarded this often
  uint8_t data[kMaxDatagramBytes];  // datagram; validated: the remote ufrag
};

using Inbox = SpscRing<WorkerMessage, 512>;

struct SharedCore {
  SharedCore(uint32_t workers, uint32_t video_rings, uint32_t audio_rings);

  Session& session(uint32_t slot) {
    return static_cast<Session*>(session_memory.data())[slot];
  }
  PublisherSide& publisher(uint32_t slot) {
    return static_cast<PublisherSide*>(publisher_memory.data())[slot];
  }
  Inbox& inbox(uint32_t from, uint32_t to) { return inboxes[from * workers + to]; }

  uint32_t workers;
  TrackTable tracks;
  RingPool rings;
  LazyMemory session_memory;    // Session[kMaxSessions]
  LazyMemory publisher_memory;  // PublisherSide[kMaxSessions]
  std::array<DirtyTracks, kMaxWorkers> dirty;
  std::unique_ptr<Inbox[]> inboxes;
};

}  // namespace spillway
