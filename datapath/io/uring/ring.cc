#include "datapath/io/uring/ring.h"

#include <sys/mman.h>

#include <cerrno>
#include <string>

namespace spillway {

PageMemory::~PageMemory() {
  if (data_) ::munmap(data_, bytes_);
}

Result<void> PageMemory::allocate(size_t bytes) {
  void* p = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (p == MAP_FAILED) return errno_error("mmap " + std::to_string(bytes) + " bytes");
  data_ = static_cast<uint8_t*>(p);
  bytes_ = bytes;
  if (::madvise(p, bytes, MADV_DONTDUMP) != 0) return errno_error("madvise DONTDUMP");
  return {};
}

Ring::~Ring() {
  if (open_) io_uring_queue_exit(&ring_);
}

Result<void> Ring::open(std::span<const int> files, uint32_t sq_entries, uint32_t cq_entries,
                        uint32_t buffers) {
  constexpr uint32_t kAlways = IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL |
                               IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER |
                               IORING_SETUP_TASKRUN_FLAG;
  int r = 0;
  for (uint32_t taskrun : {IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_COOP_TASKRUN}) {
    io_uring_params params{};
    params.flags = kAlways | taskrun;
    params.cq_entries = cq_entries;
    r = io_uring_queue_init_params(sq_entries, &ring_, &params);
    if (r != -EINVAL) break;
  }
  // SINGLE_ISSUER came with the same release as multishot recvmsg (6.0), which
  // has no probe of its own.
  if (r == -EINVAL) return Error{"io_uring: the kernel is older than 6.0", EINVAL};
  if (r < 0) return errno_error("io_uring_setup", -r);
  open_ = true;

  r = io_uring_register_files(&ring_, files.data(), static_cast<unsigned>(files.size()));
  if (r < 0) return errno_error("io_uring register files", -r);

  if (auto m = buffer_ring_.allocate(buffers * sizeof(io_uring_buf)); !m) return m;
  io_uring_buf_ring_init(this->buffers());
  io_uring_buf_reg reg{};
  reg.ring_addr = reinterpret_cast<uintptr_t>(buffer_ring_.data());
  reg.ring_entries = buffers;
  reg.bgid = kBufferGroup;
  r = io_uring_register_buf_ring(&ring_, &reg, 0);
  if (r < 0) return errno_error("io_uring register buffer ring", -r);
  return restrict_ring();
}

Result<void> Ring::restrict_ring() {
  io_uring_restriction rules[5] = {};
  uint32_t n = 0;
  for (uint8_t op : {IORING_OP_RECVMSG, IORING_OP_SENDMSG, IORING_OP_READ}) {
    rules[n].opcode = IORING_RESTRICTION_SQE_OP;
    rules[n++].sqe_op = op;
  }
  rules[n].opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED;
  rules[n++].sqe_flags = IOSQE_FIXED_FILE;
  rules[n].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
  rules[n++].sqe_flags = IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS;
  // liburing 2.3 declares functions for this and for enabling, but its shared
  // library does not export them.
  int r = io_uring_register(static_cast<unsigned>(ring_.ring_fd), IORING_REGISTER_RESTRICTIONS,
                            rules, n);
  if (r < 0) return errno_error("io_uring register restrictions", -r);
  return {};
}

Result<void> Ring::enable() {
  int r = io_uring_register(static_cast<unsigned>(ring_.ring_fd), IORING_REGISTER_ENABLE_RINGS,
                            nullptr, 0);
  if (r < 0) return errno_error("io_uring enable", -r);
  enabled_ = true;
  return {};
}

bool Ring::take_unsubmitted(uint64_t& user_data) {
  io_uring_sq& sq = ring_.sq;
  // The kernel's head cannot be moved: the queue is emptied by pulling the tail
  // back to it once every request was looked at.
  const unsigned head = *sq.khead;
  if (taken_ == sq.sqe_tail - head) {
    sq.sqe_head = sq.sqe_tail = head;
    *sq.ktail = head;
    taken_ = 0;
    return false;
  }
  user_data = sq.sqes[(head + taken_++) & sq.ring_mask].user_data;
  return true;
}

}  // namespace spillway
