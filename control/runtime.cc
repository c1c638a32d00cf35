#include "control/runtime.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <unistd.h>

#include <boost/asio/post.hpp>

namespace spillway {

namespace asio = boost::asio;

Nanos monotonic_now() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return {t.tv_sec * 1'000'000'000 + t.tv_nsec};
}

Runtime::Runtime(asio::io_context& io, DatapathLink& link, SessionManager& manager)
    : descriptor_(io), timer_(io), link_(link), manager_(manager) {}

Result<void> Runtime::start(int wake_fd) {
  int fd = ::dup(wake_fd);
  if (fd < 0) return errno_error("dup of the wake descriptor " + std::to_string(wake_fd));
  boost::system::error_code error;
  descriptor_.assign(fd, error);
  if (error) {
    ::close(fd);
    return Error{"wake descriptor " + std::to_string(wake_fd) + ": " + error.message(),
                 error.value()};
  }
  descriptor_.non_blocking(true, error);
  last_turn_ = monotonic_now();
  wait_readable();
  wait_timer();
  return {};
}

void Runtime::stop() {
  boost::system::error_code ignored;
  descriptor_.close(ignored);
  timer_.cancel();
}

void Runtime::wait_readable() {
  descriptor_.async_wait(asio::posix::stream_descriptor::wait_read,
                         [this](boost::system::error_code error) {
                           if (error) return;
                           uint64_t count = 0;
                           // Emptied before the rings are looked at: a wake after this
                           // read is seen by the next wait.
                           boost::system::error_code empty;
                           descriptor_.read_some(asio::buffer(&count, sizeof count), empty);
                           turn();
                           wait_readable();
                         });
}

void Runtime::wait_timer() {
  timer_.expires_after(std::chrono::nanoseconds(kTurnInterval.ns));
  timer_.async_wait([this](boost::system::error_code error) {
    if (error) return;
    Nanos now = monotonic_now();
    link_.heartbeat(now);
    worst_gap_ = std::max(worst_gap_, now - last_turn_);
    last_turn_ = now;
    turn();
    wait_timer();
  });
}

void Runtime::turn() {
  if (!manager_.turn() || turn_queued_) return;
  // More is waiting; let HTTP and the timer have their turn in between.
  turn_queued_ = true;
  asio::post(timer_.get_executor(), [this] {
    turn_queued_ = false;
    turn();
  });
}

}  // namespace spillway
