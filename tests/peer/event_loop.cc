#include "tests/peer/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>

#include "tests/peer/clock.h"

namespace spillway::peer {

EventLoop::EventLoop() : epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  SPILLWAY_ASSERT(epoll_.valid() && wake_.valid());
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  SPILLWAY_ASSERT(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) == 0);
}

Result<void> EventLoop::add(int fd, Pollable* target) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = target;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return errno_error("epoll_ctl");
  return {};
}

void EventLoop::remove(int fd) { epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

void EventLoop::post(std::function<void()> f) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(f));
  }
  const uint64_t one = 1;
  [[maybe_unused]] const auto n = write(wake_.get(), &one, sizeof one);
}

void EventLoop::run_posted() {
  uint64_t count = 0;
  [[maybe_unused]] const auto n = read(wake_.get(), &count, sizeof count);
  std::vector<std::function<void()>> work;
  {
    const std::lock_guard lock(mutex_);
    work.swap(posted_);
  }
  for (auto& f : work) f();
}

void EventLoop::run() {
  std::array<epoll_event, 256> events{};
  Nanos now = clock_now();
  Nanos next_tick = now;
  Nanos deadline = now;
  while (!stopped_) {
    now = clock_now();
    if (now >= next_tick) {
      if (on_tick) on_tick(now);
      next_tick = now + kLoopTick;
    }
    if (on_deadline && now >= deadline) deadline = on_deadline(now);
    if (!on_deadline) deadline = kNever;
    now = clock_now();
    const Nanos until = std::max(Nanos{0}, std::min(next_tick, deadline) - now);
    const timespec wait{0, static_cast<int32_t>(std::min<int64_t>(until.ns, 999'999'999))};
    const int n = epoll_pwait2(epoll_.get(), events.data(), static_cast<int>(events.size()), &wait,
                               nullptr);
    now = clock_now();
    bool posted = false;
    for (int i = 0; i < n; ++i) {
      auto* target = static_cast<Pollable*>(events[static_cast<size_t>(i)].data.ptr);
      if (target) {
        target->readable(now);
      } else {
        posted = true;
      }
    }
    // After the sockets: posted work may destroy a target of this round.
    if (posted) run_posted();
  }
}

}  // namespace spillway::peer
