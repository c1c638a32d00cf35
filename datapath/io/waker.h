// Wakes a thread that sleeps in a system call, at no system call when it is awake.
//
// The two flags are Dekker's: each side stores its own, then loads the other's,
// all sequentially consistent, so at least one side sees the other:
//
//   owner, begin_wait()            any thread, wake()
//     W: waiting_   = true           R: requested_ = true
//     r: requested_ ?                w: waiting_ ?
//        yes -> does not sleep          yes -> writes the eventfd
//        no  -> sleeps                  no  -> nothing: the owner will see R
//
// W before r and R before w in the one total order: r sees R, or w sees W. A
// request is consumed by the wait it ends, so none is lost while the owner is
// busy with packets. Too many eventfd writes are harmless: a wait ends early.
#pragma once

#include <atomic>
#include <cstdint>

#include "datapath/base/limits.h"
#include "datapath/base/result.h"
#include "datapath/io/unique_fd.h"

namespace spillway {

class Waker {
 public:
  // Opens the eventfd.
  Result<void> open();

  // Any thread. Whatever the caller wrote before is visible to the owner after
  // the wait that this ends.
  void wake();

  // Owner: true = may sleep on fd() now, end_wait() must follow; false = a wake
  // was pending and is consumed, do not sleep.
  bool begin_wait();
  // Owner, after the sleep: consumes the request that may have ended it.
  void end_wait();

  // Counter to read (8 bytes) when readable; blocking mode.
  int fd() const { return fd_.get(); }

 private:
  UniqueFd fd_;
  // One line for both: written rarely, and always together.
  alignas(kNoShare) std::atomic<bool> waiting_{false};
  std::atomic<bool> requested_{false};
};

}  // namespace spillway
