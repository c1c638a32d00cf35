// Fixed-size records of the rings between control and each worker.
//
// Positions and full policy are in ring.h and README.md: commands wait in control
// and are retried; events and DTLS datagrams are dropped when full, and counted.
#pragma once

#include <cstdint>
#include <type_traits>

#include "datapath/base/limits.h"
#include "datapath/base/packet.h"

namespace spillway::abi {

enum class CommandType : uint32_t {
  none = 0,
  session_changed = 1,    // re-read the table entry of `slot`
  request_key_frame = 2,  // ask the publisher in `slot` for a key frame on every layer
  drain = 3,              // stop soon: publish everything, then state HALT
};

struct Command {
  uint32_t type;        // CommandType
  uint32_t slot;        // < kMaxSessions
  uint32_t generation;
  uint32_t argument;
};

enum class EventType : uint32_t {
  none = 0,
  validated = 1,   // a STUN check verified; `path` is where DTLS may be sent
  connected = 2,   // keys installed and the first SRTP or SRTCP packet authenticated
  expired = 3,     // connect or consent timeout: control should remove the session
  released = 4,    // the slot is no longer used by the datapath
  rejected = 5,    // the table entry failed validate()
};

struct Event {
  uint32_t type;  // EventType
  uint32_t slot;
  uint32_t generation;
  uint32_t ice_generation;  // validated: which credentials the check used
  Path path;
  int64_t now_ns;           // monotonic; rises from event to event of a session, whichever
                            // worker's ring they come through
};
static_assert(sizeof(Event) == 64);

// One DTLS datagram, either way. From the datapath only from a validated path.
struct DtlsDatagram {
  uint32_t slot;
  uint32_t generation;
  Path path;
  uint32_t bytes;  // 1..kMaxDatagramBytes
  uint32_t reserved_zero;
  uint8_t data[kMaxDatagramBytes];
};

static_assert(std::has_unique_object_representations_v<Command>);
static_assert(std::has_unique_object_representations_v<Event>);
static_assert(std::has_unique_object_representations_v<DtlsDatagram>);
static_assert(sizeof(DtlsDatagram) % 8 == 0);

inline constexpr uint32_t kCommandRing = 16384;  // >= kMaxSessions: a full resync fits
inline constexpr uint32_t kEventRing = 4096;
inline constexpr uint32_t kDtlsRing = 512;
static_assert(kCommandRing >= kMaxSessions);

}  // namespace spillway::abi
