#include "datapath/io/mmsg/mmsg_io.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

namespace spillway {

MmsgIo::MmsgIo(MediaFds fds, uint16_t port)
    : UdpSender(fds, stats_), fds_(fds), port_(port), lent_(kBurst), rx_(new Receive()) {
  for (uint32_t i = 0; i < kBurst; ++i) {
    rx_->pieces[i] = {rx_->buffers[i], kMaxDatagramBytes};
    msghdr& h = rx_->headers[i].msg_hdr;
    h.msg_name = &rx_->names[i];
    h.msg_iov = &rx_->pieces[i];
    h.msg_iovlen = 1;
    h.msg_control = &rx_->controls[i];
  }
}

Result<std::unique_ptr<MmsgIo>> MmsgIo::create(MediaFds fds, uint16_t port) {
  std::unique_ptr<MmsgIo> io(new MmsgIo(fds, port));
  if (auto r = io->waker_.open(); !r) return r.error();
  return io;
}

uint32_t MmsgIo::receive(int fd, std::span<RxPacket> out, uint32_t& slots_used) {
  if (fd < 0 || out.empty()) return 0;
  const uint32_t first = slots_used;
  const auto room = static_cast<uint32_t>(out.size());
  for (uint32_t i = first; i < first + room; ++i) {
    msghdr& h = rx_->headers[i].msg_hdr;
    h.msg_namelen = sizeof(SocketAddress);
    h.msg_controllen = sizeof(RxControl);
    h.msg_flags = 0;
  }
  ++stats_.syscalls;
  const int got = ::recvmmsg(fd, &rx_->headers[first], room, MSG_DONTWAIT, nullptr);
  if (got <= 0) return 0;  // nothing there, or an error that this call consumed
  slots_used += static_cast<uint32_t>(got);
  uint32_t n = 0;
  for (uint32_t i = first; i < slots_used; ++i) {
    const msghdr& h = rx_->headers[i].msg_hdr;
    if (h.msg_flags & MSG_TRUNC) {
      ++stats_.rx_truncated;
      continue;
    }
    RxPacket& p = out[n];
    if (!from_sockaddr(&rx_->names[i], h.msg_namelen, p.path.remote)) continue;
    p.path.local = {{}, port_, 0};
    parse_control(&rx_->controls[i], h.msg_controllen, p.path.local.ip);
    p.data = rx_->buffers[i];
    p.bytes = rx_->headers[i].msg_len;
    p.handle = i;
    lent_.lend(i);
    ++stats_.rx_datagrams;
    stats_.rx_bytes += p.bytes;
    ++n;
  }
  return n;
}

uint32_t MmsgIo::receive_both(std::span<RxPacket> out) {
  v6_first_ = !v6_first_;
  uint32_t slots_used = 0;
  const uint32_t n = receive(v6_first_ ? fds_.v6 : fds_.v4, out, slots_used);
  // Slots with dropped datagrams are not reused within one call.
  const size_t room = out.size() - slots_used;
  return n + receive(v6_first_ ? fds_.v4 : fds_.v6, out.subspan(n, room), slots_used);
}

void MmsgIo::wait(Nanos wait_max) {
  if (!waker_.begin_wait()) return;
  // A negative descriptor is ignored by poll.
  pollfd fds[] = {{fds_.v4, POLLIN, 0}, {fds_.v6, POLLIN, 0}, {waker_.fd(), POLLIN, 0}};
  timespec timeout{wait_max.ns / 1'000'000'000, wait_max.ns % 1'000'000'000};
  ++stats_.syscalls;
  const int ready = ::ppoll(fds, 3, &timeout, nullptr);
  waker_.end_wait();
  if (ready > 0 && (fds[2].revents & POLLIN)) {
    uint64_t counter = 0;
    ++stats_.syscalls;
    [[maybe_unused]] auto ignored = ::read(waker_.fd(), &counter, sizeof counter);
  }
}

uint32_t MmsgIo::rx_burst(std::span<RxPacket> out, Nanos wait_max) {
  SPILLWAY_DCHECK(out.size() <= kBurst && lent_.count() == 0);
  uint32_t n = receive_both(out);
  if (n > 0 || wait_max.ns <= 0) return n;
  wait(wait_max);
  return receive_both(out);
}

void MmsgIo::release(std::span<const RxPacket> packets) {
  for (const RxPacket& p : packets) lent_.take_back(p.handle);
}

void MmsgIo::submit(Chunk& chunk) {
  std::fill_n(chunk.errors, chunk.count, 0);
  uint32_t at = 0;
  while (at < chunk.count) {
    // One system call per row of messages of one family keeps their order.
    uint32_t end = at + 1;
    while (end < chunk.count && chunk.v4[end] == chunk.v4[at]) ++end;
    ++stats_.syscalls;
    const int sent = ::sendmmsg(chunk.v4[at] ? fds_.v4 : fds_.v6, &chunk.headers[at], end - at,
                                MSG_DONTWAIT | MSG_NOSIGNAL);
    // An error is told only for the first message; a later one ends the call
    // short and is told by the next.
    if (sent > 0) {
      at += static_cast<uint32_t>(sent);
    } else if (errno == EAGAIN) {
      std::fill(&chunk.errors[at], &chunk.errors[end], EAGAIN);
      at = end;
    } else {
      chunk.errors[at++] = errno;
    }
  }
}

}  // namespace spillway
