// What control itself counts; rendered by metrics.h. Plain numbers, one thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "control/dtls.h"
#include "datapath/base/units.h"

namespace spillway {

// Why a session ended; a closed list, because it is a metric label.
enum class EndReason : uint8_t {
  removed,          // DELETE
  replaced,         // another publisher took the stream over
  connect_timeout,  // never keyed
  consent,          // RFC 7675: nothing authenticated for too long
  rejected,         // the datapath refused the table entry
  no_publisher,     // a viewer waited in vain
  drained,          // control is stopping
  half_open,        // found half open after a restart: its handshake is lost
  damaged,          // found unreadable after a restart
};
inline constexpr uint8_t kEndReasonCount = 9;
inline constexpr std::array<std::string_view, kEndReasonCount> kEndReasonNames{
    "removed",  "replaced",     "connect_timeout", "consent", "rejected",
    "no_publisher", "drained", "half_open",       "damaged"};

struct ControlCounters {
  // Upper bounds of the handshake duration histogram, milliseconds; +Inf is implied.
  static constexpr std::array<int64_t, 12> kHandshakeBucketsMs{5,   10,  25,   50,   100,  250,
                                                               500, 1000, 2500, 5000, 10000, 20000};

  uint64_t created_publishers = 0;
  uint64_t created_viewers = 0;
  uint64_t recovered = 0;
  std::array<uint64_t, kEndReasonCount> ended{};
  uint64_t refused_overloaded = 0;  // POSTs: table or half-open limit, datapath down
  uint64_t ice_restarts = 0;

  uint64_t handshakes_started = 0;
  uint64_t handshakes_done = 0;
  std::array<uint64_t, kHandshakeFailureCount> handshakes_failed{};
  std::array<uint64_t, kHandshakeBucketsMs.size() + 1> handshake_ms{};
  int64_t handshake_sum_ns = 0;
  uint64_t dtls_in = 0;               // datagrams of live sessions
  uint64_t dtls_ignored = 0;          // no handshake under way and none to start
  uint64_t dtls_out_dropped = 0;      // ring full
  uint64_t last_flights_repeated = 0;

  uint64_t events = 0;
  uint64_t events_stale = 0;  // of another generation, or of an unknown type

  void handshake_done(Nanos took) {
    ++handshakes_done;
    handshake_sum_ns += took.ns;
    size_t b = 0;
    while (b < kHandshakeBucketsMs.size() && took > millis(kHandshakeBucketsMs[b])) ++b;
    ++handshake_ms[b];
  }
};

}  // namespace spillway
