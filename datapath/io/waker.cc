#include "datapath/io/waker.h"

#include <sys/eventfd.h>

namespace spillway {

Result<void> Waker::open() {
  fd_ = UniqueFd(::eventfd(0, EFD_CLOEXEC));
  if (!fd_.valid()) return errno_error("eventfd");
  return {};
}

void Waker::wake() {
  requested_.store(true, std::memory_order_seq_cst);  // R; pairs with r in begin_wait
  if (waiting_.load(std::memory_order_seq_cst)) {     // w; pairs with W in begin_wait
    const uint64_t one = 1;
    // Fails only when the counter is at its end: then the owner is awake anyway.
    [[maybe_unused]] auto ignored = ::write(fd_.get(), &one, sizeof one);
  }
}

bool Waker::begin_wait() {
  waiting_.store(true, std::memory_order_seq_cst);             // W
  if (!requested_.exchange(false, std::memory_order_seq_cst))  // r
    return true;
  waiting_.store(false, std::memory_order_relaxed);  // late wakers may still write: harmless
  return false;
}

void Waker::end_wait() {
  waiting_.store(false, std::memory_order_relaxed);
  // Pairs with R: what the waker wrote before is visible from here.
  requested_.exchange(false, std::memory_order_seq_cst);
}

}  // namespace spillway
