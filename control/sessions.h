// One session as control holds it, beside its entry in the shared table.
//
//   new --a check verified--> validated --DTLS done--> keyed --first SRTP--> connected
//    \-------- connect timeout --------/                  \--DELETE, consent--> gone
//
// What the table holds (credentials, media lines, layers) is not repeated here: it is
// read back from our own region when needed. Plain memory; control's one thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "control/control_api.h"
#include "control/dtls.h"
#include "control/slots.h"
#include "control/streams.h"
#include "datapath/base/packet.h"

namespace spillway {

using SessionId = std::array<uint8_t, 16>;

struct Session {
  SlotName name;
  SessionId id{};
  Stream* stream = nullptr;
  TrackList tracks = kNoTracks;  // held until the datapath releases the slot
  Nanos created{};
  Nanos keyed_at{};
  Nanos ice_restarted{};         // while old_ice_valid
  Nanos last_report{};           // newest sign in `reports`; see SessionManager::check()
  Path path;                     // where DTLS goes: the newest path the datapath vouched for
  IpAddress client_ip;
  uint32_t viewer_index = 0;     // place in stream->viewers
  uint8_t home_worker = 0;
  int64_t path_told_ns = 0;      // time of the event `path` came with; older ones are late
  uint8_t via_worker = 0;        // who last heard from the peer: DTLS leaves through it
  uint8_t ice_generation = 0;
  uint8_t reminders = 0;         // doorbells still to repeat
  bool publisher = false;
  bool keyed = false;
  bool connected = false;
  bool old_ice_valid = false;
  DtlsRole local_role = DtlsRole::server;

  // While half open.
  std::vector<Fingerprint> fingerprints;
  std::unique_ptr<DtlsHandshake> handshake;
  Nanos handshake_deadline = kNever;
  Nanos handshake_began{INT64_MIN / 2};  // of the newest attempt; paces new ones
  uint32_t handshake_index = 0;  // place in the manager's list, while `handshake`
};

}  // namespace spillway
