// The one clock of the peer: CLOCK_MONOTONIC, the same for all processes of a host,
// so that a publisher's send times and a viewer's arrival times can be subtracted.
#pragma once

#include <ctime>

#include "datapath/base/units.h"

namespace spillway::peer {

inline Nanos clock_now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return {int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec};
}

// NTP time (RFC 5905) of the wall clock, for sender reports.
inline NtpTime ntp_now() {
  timespec t{};
  clock_gettime(CLOCK_REALTIME, &t);
  const auto seconds = static_cast<uint64_t>(t.tv_sec) + 2'208'988'800u;  // 1900 to 1970
  const auto fraction = (static_cast<uint64_t>(t.tv_nsec) << 32) / 1'000'000'000u;
  return NtpTime{seconds << 32 | fraction};
}

}  // namespace spillway::peer
