#include "datapath/io/uring/uring_io.h"

#include <algorithm>
#include <cerrno>

namespace spillway {

namespace {

// Longest single wait; a worker has housekeeping far more often.
constexpr Nanos kWaitMax = seconds(3600);
// Attempts to hand over requests when the kernel is short of memory or its
// completion queue is full, before they are dropped. Never loops without end.
constexpr int kSubmitTries = 4;

uint64_t tag(uint32_t request, uint32_t idx) {
  return uint64_t{request} << 32 | idx;
}

}  // namespace

UringIo::UringIo(MediaFds fds, uint16_t port, uint32_t rx_buffers)
    : UdpSender(fds, stats_),
      fds_(fds),
      port_(port),
      rx_buffers_(rx_buffers),
      lent_(rx_buffers),
      pending_(rx_buffers) {
  rx_template_.msg_namelen = kNameBytes;
  rx_template_.msg_controllen = sizeof(RxControl);
}

Result<std::unique_ptr<UringIo>> UringIo::create(MediaFds fds, uint16_t port, uint32_t rx_buffers) {
  std::unique_ptr<UringIo> io(new UringIo(fds, port, rx_buffers));
  if (auto r = io->waker_.open(); !r) return r.error();
  if (auto r = io->memory_.allocate(size_t{rx_buffers} * kBufferBytes); !r) return r.error();
  const int files[] = {fds.v4, fds.v6, io->waker_.fd()};
  // Room for every buffer, every failed send of two chunks, and the rest.
  const uint32_t cq_entries = rx_buffers + 2 * kSqEntries;
  if (auto r = io->ring_.open(files, kSqEntries, cq_entries, rx_buffers); !r) return r.error();
  for (uint32_t i = 0; i < rx_buffers; ++i) io->give_buffer(i);
  io->publish_buffers();
  return io;
}

void UringIo::bind_thread() {
  auto r = ring_.enable();
  // Cannot fail on a ring that was set up; going on would be a worker without media.
  SPILLWAY_ASSERT(r.ok());
}

void UringIo::give_buffer(uint32_t buffer) {
  io_uring_buf_ring_add(ring_.buffers(), buffer_at(buffer), kBufferBytes,
                        static_cast<uint16_t>(buffer), io_uring_buf_ring_mask(rx_buffers_),
                        static_cast<int>(buffers_unpublished_++));
}

void UringIo::publish_buffers() {
  if (buffers_unpublished_ == 0) return;
  io_uring_buf_ring_advance(ring_.buffers(), static_cast<int>(buffers_unpublished_));
  buffers_free_ += buffers_unpublished_;
  buffers_unpublished_ = 0;
}

void UringIo::arm() {
  io_uring* ring = ring_.get();
  // After ENOBUFS wait for a quarter: fewer would only end it again at once.
  const bool buffers_enough = buffers_free_ >= std::max(rx_buffers_ / 4, 1u);
  for (uint32_t request : {kRxV4, kRxV6}) {
    if (armed_[request] || !buffers_enough) continue;
    if ((request == kRxV4 ? fds_.v4 : fds_.v6) < 0) continue;
    io_uring_sqe* sqe = io_uring_get_sqe(ring);
    if (!sqe) return;
    io_uring_prep_recvmsg_multishot(sqe, static_cast<int>(request), &rx_template_, 0);
    sqe->flags = IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
    sqe->buf_group = Ring::kBufferGroup;
    sqe->user_data = tag(request, 0);
    armed_[request] = true;
  }
  if (!armed_[kWake]) {
    io_uring_sqe* sqe = io_uring_get_sqe(ring);
    if (!sqe) return;
    io_uring_prep_read(sqe, kWake, &wake_counter_, sizeof wake_counter_, 0);
    sqe->flags = IOSQE_FIXED_FILE;
    sqe->user_data = tag(kWake, 0);
    armed_[kWake] = true;
  }
}

void UringIo::enter(Nanos wait_max) {
  ++stats_.syscalls;
  int r = 0;
  if (wait_max.ns > 0) {
    const Nanos wait = std::min(wait_max, kWaitMax);
    __kernel_timespec timeout{wait.ns / 1'000'000'000, wait.ns % 1'000'000'000};
    io_uring_cqe* ignored = nullptr;
    r = io_uring_submit_and_wait_timeout(ring_.get(), &ignored, 1, &timeout, nullptr);
  } else {
    r = io_uring_submit_and_get_events(ring_.get());
  }
  // Timeout, signal and shortage are ordinary; anything else is a broken ring
  // (EEXIST: used from a second thread).
  SPILLWAY_ASSERT(r >= 0 || r == -ETIME || r == -EINTR || r == -EAGAIN || r == -EBUSY ||
                  r == -ENOMEM);
}

void UringIo::on_receive(uint32_t request, const io_uring_cqe& cqe) {
  if (!(cqe.flags & IORING_CQE_F_MORE)) armed_[request] = false;
  if (cqe.res == -ENOBUFS) ++stats_.rx_no_buffer;
  if (!(cqe.flags & IORING_CQE_F_BUFFER)) return;  // socket errors: armed again, nothing to do
  const uint32_t buffer = cqe.flags >> IORING_CQE_BUFFER_SHIFT;
  SPILLWAY_ASSERT(buffer < rx_buffers_ && pending_count_ < rx_buffers_);
  --buffers_free_;
  pending_[(pending_head_ + pending_count_++) & (rx_buffers_ - 1)] = {
      buffer, static_cast<uint32_t>(std::max(cqe.res, 0))};
}

void UringIo::reap() {
  io_uring* ring = ring_.get();
  unsigned head = 0;
  unsigned seen = 0;
  io_uring_cqe* cqe = nullptr;
  io_uring_for_each_cqe(ring, head, cqe) {
    ++seen;
    const auto request = static_cast<uint32_t>(cqe->user_data >> 32);
    if (request == kTx) {
      const auto i = static_cast<uint32_t>(cqe->user_data);
      SPILLWAY_ASSERT(sending_ && i < kChunk);  // none outlives its submit()
      if (cqe->res < 0) sending_->errors[i] = -cqe->res;
    } else if (request == kWake) {
      armed_[kWake] = false;
    } else {
      SPILLWAY_ASSERT(request <= kRxV6);
      on_receive(request, *cqe);
    }
  }
  io_uring_cq_advance(ring, seen);
}

bool UringIo::parse(const Filled& filled, RxPacket& out) {
  uint8_t* at = buffer_at(filled.buffer);
  io_uring_recvmsg_out head;
  if (filled.bytes < kHeadBytes) return false;
  std::memcpy(&head, at, sizeof head);
  const uint8_t* name = at + sizeof head;
  const uint8_t* control = name + kNameBytes;
  if (head.flags & MSG_TRUNC) {
    ++stats_.rx_truncated;
    return false;
  }
  if (!from_sockaddr(name, std::min(head.namelen, kNameBytes), out.path.remote)) return false;
  out.path.local = {{}, port_, 0};
  parse_control(control, std::min<size_t>(head.controllen, sizeof(RxControl)), out.path.local.ip);
  out.data = at + kHeadBytes;
  out.bytes = std::min(filled.bytes - kHeadBytes, kMaxDatagramBytes);
  out.handle = filled.buffer;
  return true;
}

uint32_t UringIo::rx_burst(std::span<RxPacket> out, Nanos wait_max) {
  SPILLWAY_DCHECK(out.size() <= kBurst && lent_.count() == 0);
  if (!ring_.enabled()) [[unlikely]]
    bind_thread();
  arm();
  if (pending_count_ == 0) reap();
  if (pending_count_ == 0) {
    if (ring_.work_pending() || io_uring_sq_ready(ring_.get()) > 0) {
      enter(Nanos{});
      reap();
    }
    if (pending_count_ == 0 && wait_max.ns > 0) {
      arm();  // what the completions just ended, the eventfd read above all
      if (waker_.begin_wait()) {
        enter(wait_max);
        waker_.end_wait();
        reap();
      }
    }
  }
  uint32_t n = 0;
  while (n < out.size() && pending_count_ > 0) {
    const Filled filled = pending_[pending_head_];
    pending_head_ = (pending_head_ + 1) & (rx_buffers_ - 1);
    --pending_count_;
    if (pending_count_ > 0) __builtin_prefetch(buffer_at(pending_[pending_head_].buffer));
    if (!parse(filled, out[n])) {
      give_buffer(filled.buffer);
      continue;
    }
    lent_.lend(filled.buffer);
    ++stats_.rx_datagrams;
    stats_.rx_bytes += out[n].bytes;
    ++n;
  }
  publish_buffers();
  return n;
}

void UringIo::release(std::span<const RxPacket> packets) {
  for (const RxPacket& p : packets) {
    lent_.take_back(p.handle);
    give_buffer(p.handle);
  }
  publish_buffers();
}

void UringIo::tx_burst(TxBatch& batch) {
  if (!ring_.enabled()) [[unlikely]]
    bind_thread();
  send(batch);
}

void UringIo::submit(Chunk& chunk) {
  io_uring* ring = ring_.get();
  std::fill_n(chunk.errors, chunk.count, 0);
  sending_ = &chunk;
  for (uint32_t i = 0; i < chunk.count; ++i) {
    io_uring_sqe* sqe = io_uring_get_sqe(ring);
    SPILLWAY_ASSERT(sqe);  // kSqEntries holds a chunk and all receive requests
    const uint32_t file = chunk.v4[i] ? kRxV4 : kRxV6;
    io_uring_prep_sendmsg(sqe, static_cast<int>(file), &chunk.headers[i].msg_hdr,
                          MSG_DONTWAIT | MSG_NOSIGNAL);
    sqe->flags = IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = tag(kTx, i);
  }
  for (int tries = 0; io_uring_sq_ready(ring) > 0 && tries < kSubmitTries; ++tries) {
    ++stats_.syscalls;
    [[maybe_unused]] int r = io_uring_submit(ring);
    SPILLWAY_ASSERT(r >= 0 || r == -EAGAIN || r == -EBUSY || r == -EINTR || r == -ENOMEM);
    reap();
  }
  // Requests the kernel did not take must not be sent by a later call, when the
  // messages they point to are others.
  uint64_t user_data = 0;
  while (io_uring_sq_ready(ring) > 0 && ring_.take_unsubmitted(user_data)) {
    const auto request = static_cast<uint32_t>(user_data >> 32);
    if (request == kTx)
      chunk.errors[static_cast<uint32_t>(user_data)] = EAGAIN;
    else
      armed_[request] = false;
  }
  sending_ = nullptr;
}

}  // namespace spillway
