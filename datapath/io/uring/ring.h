// One io_uring, locked down: it can do nothing but receive and send messages and
// read, on the descriptors it was given (threats A-42). Linux >= 6.0.
//
//   open()   any thread: set up disabled, register files and the buffer ring,
//            then the restrictions
//   enable() the owner: binds the ring to the calling thread (SINGLE_ISSUER) and
//            makes the restrictions final
//
// Who takes over this memory can still not use the ring to open, connect, write
// or map anything: opcodes are RECVMSG, SENDMSG and READ, every request must use
// a registered file (IOSQE_FIXED_FILE is required), and no registration call is
// accepted any more.
#pragma once

#include <liburing.h>

#include <cstdint>
#include <span>

#include "datapath/base/result.h"

namespace spillway {

// Memory from mmap: page-aligned, zero, left out of core dumps (received media
// is decrypted in it), unmapped on destruction.
class PageMemory {
 public:
  PageMemory() = default;
  ~PageMemory();
  PageMemory(const PageMemory&) = delete;
  PageMemory& operator=(const PageMemory&) = delete;
  Result<void> allocate(size_t bytes);
  uint8_t* data() const { return data_; }

 private:
  uint8_t* data_ = nullptr;
  size_t bytes_ = 0;
};

class Ring {
 public:
  static constexpr uint16_t kBufferGroup = 0;

  Ring() = default;
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // files: -1 = an index that stays empty. buffers: power of two <= 32768.
  // Flags are tried from DEFER_TASKRUN (6.1: completions are worked off only when
  // the owner asks) down to COOP_TASKRUN (6.0). Error.code is the errno of the
  // refusal: ENOSYS and EPERM mean that io_uring is not allowed here.
  Result<void> open(std::span<const int> files, uint32_t sq_entries, uint32_t cq_entries,
                    uint32_t buffers);
  Result<void> enable();
  bool enabled() const { return enabled_; }

  io_uring* get() { return &ring_; }
  io_uring_buf_ring* buffers() const {
    return reinterpret_cast<io_uring_buf_ring*>(buffer_ring_.data());
  }

  // True when the kernel has completions to work off or to flush that only
  // entering it makes visible.
  bool work_pending() const {
    return (__atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED) &
            (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
  }
  // Takes back one request that io_uring_submit() did not hand over, the oldest;
  // false = there is none. Legal because without SQPOLL the kernel reads the queue
  // only inside io_uring_enter. After a true one call until false.
  bool take_unsubmitted(uint64_t& user_data);

 private:
  Result<void> restrict_ring();

  io_uring ring_{};
  PageMemory buffer_ring_;
  uint32_t taken_ = 0;  // by take_unsubmitted()
  bool open_ = false;
  bool enabled_ = false;
};

}  // namespace spillway
