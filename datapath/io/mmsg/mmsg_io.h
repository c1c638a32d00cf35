// PacketIo on recvmmsg, sendmmsg and ppoll: the same behaviour as uring where the
// kernel, a container's system call filter or a sysctl refuses io_uring.
//
// Differs in what the counters show (more system calls; no rx_no_buffer, since
// there are always as many buffers as the contract can lend) and in overload:
// when the socket buffer is full the rest of a system call's messages is
// dropped untried.
//
// Threads and memory: as packet_io.h. The sockets are borrowed.
#pragma once

#include <cstdint>
#include <memory>

#include "datapath/io/lent_set.h"
#include "datapath/io/packet_io.h"
#include "datapath/io/udp_sender.h"
#include "datapath/io/waker.h"

namespace spillway {

class MmsgIo final : public PacketIo, private UdpSender {
 public:
  // port: bound port of the sockets, host order.
  static Result<std::unique_ptr<MmsgIo>> create(MediaFds fds, uint16_t port);

  uint32_t rx_burst(std::span<RxPacket> out, Nanos wait_max) override;
  void release(std::span<const RxPacket> packets) override;
  void tx_burst(TxBatch& batch) override { send(batch); }
  void wake() override { waker_.wake(); }
  const PacketIoStats& stats() const override { return stats_; }
  std::string_view name() const override { return "mmsg"; }

 private:
  // All buffers are ours at the start of every rx_burst.
  struct Receive {
    mmsghdr headers[kBurst];
    iovec pieces[kBurst];
    SocketAddress names[kBurst];
    RxControl controls[kBurst];
    alignas(kCacheLine) uint8_t buffers[kBurst][kMaxDatagramBytes];
  };

  MmsgIo(MediaFds fds, uint16_t port);
  void submit(Chunk& chunk) override;
  uint32_t receive_both(std::span<RxPacket> out);
  uint32_t receive(int fd, std::span<RxPacket> out, uint32_t& slots_used);
  void wait(Nanos wait_max);

  MediaFds fds_;
  uint16_t port_;
  bool v6_first_ = false;  // alternates: no socket starves the other
  PacketIoStats stats_;
  Waker waker_;
  LentSet lent_;
  std::unique_ptr<Receive> rx_;
};

}  // namespace spillway
