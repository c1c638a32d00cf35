// The contract between a worker and the network: four calls, chosen once at
// start (io/uring, io/sim; io/xdp to come). One virtual call per batch, never per
// packet.
//
// Threads: every method is called by the one worker that owns the object, except
// wake(), which any thread may call. Memory: received buffers belong to the back
// end and are lent until release(); the TxBatch belongs to the worker.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "datapath/base/packet.h"
#include "datapath/base/result.h"
#include "datapath/base/units.h"

namespace spillway {

struct PacketIoStats {
  uint64_t rx_datagrams = 0;
  uint64_t rx_bytes = 0;           // UDP payload
  uint64_t rx_truncated = 0;       // longer than kMaxDatagramBytes: dropped
  uint64_t rx_no_buffer = 0;       // receive stopped for want of buffers (kernel queues meanwhile)
  uint64_t tx_datagrams = 0;       // accepted by the kernel, segments counted singly
  uint64_t tx_bytes = 0;
  uint64_t tx_messages = 0;        // system-level sends; datagrams/messages = GSO gain
  uint64_t tx_dropped_full = 0;    // EAGAIN/ENOBUFS: datagrams dropped, never queued by us
  uint64_t tx_dropped_error = 0;   // any other errno (unreachable, EPERM, ...): datagrams
  uint64_t gso_fallbacks = 0;      // runs sent singly because UDP_SEGMENT was refused
  uint64_t syscalls = 0;
};

class PacketIo {
 public:
  virtual ~PacketIo() = default;

  // Takes at most out.size() (<= kBurst) datagrams. With none ready waits until
  // one arrives, wake() is called, or wait_max has passed (0 = do not wait).
  // Returns how many were filled in. Transient socket errors (ICMP) are consumed.
  virtual uint32_t rx_burst(std::span<RxPacket> out, Nanos wait_max) = 0;

  // Gives buffers back; every packet of an rx_burst exactly once, any order,
  // before the next rx_burst.
  virtual void release(std::span<const RxPacket> packets) = 0;

  // Sends all runs and clears the batch. Never blocks; what the kernel refuses is
  // dropped and counted. All memory of the batch is free again on return.
  virtual void tx_burst(TxBatch& batch) = 0;

  // Any thread: makes a waiting or the next waiting rx_burst return. Cheap when
  // the owner is not waiting (a flag), a system call when it is.
  virtual void wake() = 0;

  virtual const PacketIoStats& stats() const = 0;

  // "uring", "mmsg", "sim": for logs, /readyz and metrics.
  virtual std::string_view name() const = 0;
};

}  // namespace spillway
