// Turns the runs of a TxBatch into UDP messages and accounts for their fate: the
// half of tx_burst that the uring and mmsg back ends share.
//
//   run (1..64 segments) --GSO on--> one message with UDP_SEGMENT
//                        --GSO off-> one message per segment
//   chunk of <= 64 messages --submit()--> error per message
//     EAGAIN, ENOBUFS             dropped, tx_dropped_full
//     EINVAL, EIO, EMSGSIZE, EOPNOTSUPP of a GSO message: its first segment is
//       sent alone. Refused too: the destination is at fault, the rest of the run
//       is dropped (so an unreachable peer costs two messages, not 64). Accepted:
//       GSO is at fault, the rest follows singly; after kGsoFaultsMax such runs
//       without one good GSO message in between GSO stays off.
//     other                       dropped, tx_dropped_error
//
// A run sent again leaves after the later runs of its chunk. One thread.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <memory>

#include "datapath/io/packet_io.h"
#include "datapath/io/sockets.h"
#include "datapath/io/udp_message.h"

namespace spillway {

class UdpSender {
 public:
  // Refusals of GSO in a row before it is given up for good. Too low: one odd
  // route (IPsec) switches it off for all; too high: a device that cannot
  // checksum costs two extra system calls that many times.
  static constexpr uint32_t kGsoFaultsMax = 8;
  // Messages per system call. More gains nothing (32 to 256 measured equal,
  // 2026-11-21) and falls out of L1.
  static constexpr uint32_t kChunk = 64;
  static_assert(kChunk >= kMaxGsoSegments);

  bool gso_enabled() const { return gso_enabled_; }

 protected:
  // Messages in sending order. The pointers inside `headers` lead to the arrays
  // beside it, and to the batch.
  struct Chunk {
    mmsghdr headers[kChunk];
    iovec pieces[kChunk];
    SocketAddress names[kChunk];
    TxControl controls[kChunk];
    const TxBatch::Run* runs[kChunk];
    uint32_t segments[kChunk];
    bool v4[kChunk];
    int errors[kChunk];  // set by submit(): 0 = taken by the kernel, else errno
    uint32_t count;
  };

  UdpSender(MediaFds fds, PacketIoStats& stats);
  virtual ~UdpSender() = default;

  // Sends and clears the batch.
  void send(TxBatch& batch);

  // Hands every message of the chunk to the kernel without blocking and fills in
  // its error. On return the kernel holds no pointer into chunk or batch.
  virtual void submit(Chunk& chunk) = 0;

 private:
  void add(const TxBatch::Run& run, uint32_t offset, uint32_t bytes, uint32_t segments);
  void flush();
  void resend_singly(const TxBatch::Run& run);
  void account(int error, uint32_t segments, uint32_t bytes);

  MediaFds fds_;
  PacketIoStats& stats_;
  std::unique_ptr<Chunk> chunk_;
  bool gso_enabled_ = true;
  uint32_t gso_faults_in_row_ = 0;
};

}  // namespace spillway
