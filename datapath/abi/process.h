// The contract between the launcher and the two processes it starts: which
// descriptors they find at which numbers. Nothing else is inherited.
//
//   both        0,1,2   /dev/null, stdout, stderr (logs)
//   both        3       boot region (read-only)
//   both        4       control region
//   both        5       keys region
//   both        6       datapath region
//   both        7       effective configuration, JSON, sealed memfd
//   both        8       eventfd: datapath -> control, "events or DTLS are waiting"
//   control     9       DTLS identity, sealed memfd: PEM certificate then PEM key
//   datapath    16+2w   UDP socket of worker w, IPv4 (or -1 not passed: number unused)
//   datapath    17+2w   UDP socket of worker w, IPv6
//   both        48+w    eventfd: control -> worker w, "look at your rings"
//
// The sockets belong to the launcher: when the datapath dies they stay bound, so no
// ICMP unreachable leaves the machine and packets wait in the kernel for the next one.
#pragma once

#include <cstdint>

#include "datapath/base/limits.h"

namespace spillway::abi {

inline constexpr int kFdBoot = 3;
inline constexpr int kFdControl = 4;
inline constexpr int kFdKeys = 5;
inline constexpr int kFdDatapath = 6;
inline constexpr int kFdConfig = 7;
inline constexpr int kFdWakeControl = 8;
inline constexpr int kFdDtlsIdentity = 9;
constexpr int fd_socket_v4(uint32_t worker) { return 16 + static_cast<int>(2 * worker); }
constexpr int fd_socket_v6(uint32_t worker) { return 17 + static_cast<int>(2 * worker); }
constexpr int fd_wake_worker(uint32_t worker) { return 48 + static_cast<int>(worker); }
static_assert(16 + 2 * kMaxWorkers <= 48);

// A heartbeat is stored at least this often while running, and is stale after:
inline constexpr int64_t kHeartbeatIntervalNs = 20'000'000;
inline constexpr int64_t kHeartbeatStaleNs = 2'000'000'000;   // the launcher's watchdog
inline constexpr int64_t kHeartbeatFreshNs = 100'000'000;     // /readyz

}  // namespace spillway::abi
