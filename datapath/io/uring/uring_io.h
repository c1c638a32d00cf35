// PacketIo on one io_uring per worker.
//
// Receive: one multishot recvmsg per socket takes buffers from a provided-buffer
// ring; the kernel completes one entry per datagram, no request per packet.
//
//   buffer:  ring --kernel fills--> completion --> pending_ --rx_burst--> lent
//            ^-------------- release(), or dropped by us <-----------------'
//
//   layout of a buffer (kBufferBytes):
//   | io_uring_recvmsg_out 16 | name 32 | control 80 | payload 1472 |
//
// The receive ends when no buffer is left (counted rx_no_buffer; the kernel queues
// in the socket meanwhile), on a socket error, or when the completion queue
// overflows; the next rx_burst arms it again once a quarter of the buffers is free.
//
// Send: sendmsg requests with MSG_DONTWAIT and CQE_SKIP_SUCCESS. Such a request
// never outlives the submitting system call: the first attempt is made inline,
// and where EAGAIN would arm a poll, MSG_DONTWAIT (REQ_F_NOWAIT in the kernel)
// makes it fail instead. So messages and payload are free when submit returns,
// success costs no completion, and every failure has its completion by then.
//
// Threads and memory: as packet_io.h; the first rx_burst or tx_burst binds the
// ring to its thread. The sockets are borrowed.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "datapath/io/lent_set.h"
#include "datapath/io/packet_io.h"
#include "datapath/io/udp_sender.h"
#include "datapath/io/uring/ring.h"
#include "datapath/io/waker.h"

namespace spillway {

class UringIo final : public PacketIo, private UdpSender {
 public:
  // port: bound port of the sockets, host order. rx_buffers: power of two 8..4096.
  static Result<std::unique_ptr<UringIo>> create(MediaFds fds, uint16_t port, uint32_t rx_buffers);

  uint32_t rx_burst(std::span<RxPacket> out, Nanos wait_max) override;
  void release(std::span<const RxPacket> packets) override;
  void tx_burst(TxBatch& batch) override;
  void wake() override { waker_.wake(); }
  const PacketIoStats& stats() const override { return stats_; }
  std::string_view name() const override { return "uring"; }

 private:
  static constexpr uint32_t kNameBytes = 32;
  static constexpr uint32_t kHeadBytes =
      sizeof(io_uring_recvmsg_out) + kNameBytes + sizeof(RxControl);
  static constexpr uint32_t kBufferBytes = kHeadBytes + kMaxDatagramBytes;
  static_assert(kHeadBytes % kCacheLine == 0 && kBufferBytes % kCacheLine == 0);
  static constexpr uint32_t kSqEntries = 2 * kChunk;
  // Requests; also the index of the registered file for the first three.
  enum Request : uint32_t { kRxV4 = 0, kRxV6 = 1, kWake = 2, kTx = 3 };

  struct Filled {
    uint32_t buffer = 0;
    uint32_t bytes = 0;  // of the completion: head and payload
  };

  UringIo(MediaFds fds, uint16_t port, uint32_t rx_buffers);
  void submit(Chunk& chunk) override;
  void bind_thread();
  void arm();
  void enter(Nanos wait_max);
  void reap();
  void on_receive(uint32_t request, const io_uring_cqe& cqe);
  bool parse(const Filled& filled, RxPacket& out);
  void give_buffer(uint32_t buffer);
  void publish_buffers();
  uint8_t* buffer_at(uint32_t idx) const { return memory_.data() + size_t{idx} * kBufferBytes; }

  // The ring is destroyed first: it ends what may still point to the others.
  MediaFds fds_;
  uint16_t port_;
  uint32_t rx_buffers_;
  PacketIoStats stats_;
  Waker waker_;
  PageMemory memory_;
  LentSet lent_;
  std::vector<Filled> pending_;  // ring of rx_buffers_ entries
  uint32_t pending_head_ = 0;
  uint32_t pending_count_ = 0;
  uint32_t buffers_free_ = 0;  // with the kernel
  uint32_t buffers_unpublished_ = 0;
  bool armed_[3] = {};         // by Request
  msghdr rx_template_{};       // tells the kernel the layout of a buffer
  uint64_t wake_counter_ = 0;  // target of the eventfd read
  Chunk* sending_ = nullptr;   // receives errors while submit() runs
  Ring ring_;
};

}  // namespace spillway
