// The one media thread: epoll over all sessions' sockets, a coarse tick for every
// session, exact deadlines for sources, closures posted by other threads.
#pragma once

#include <functional>
#include <mutex>
#include <vector>

#include "datapath/base/result.h"
#include "datapath/base/units.h"
#include "datapath/io/unique_fd.h"

namespace spillway::peer {

// Timers of sessions are looked at this often. Lower: a thousand sessions are walked
// for nothing; higher: NACKs come late.
inline constexpr Nanos kLoopTick = millis(10);

class Pollable {
 public:
  virtual ~Pollable() = default;
  virtual void readable(Nanos now) = 0;
};

class EventLoop {
 public:
  EventLoop();
  // `target` must be removed (or its descriptor closed) before it dies.
  Result<void> add(int fd, Pollable* target);
  void remove(int fd);
  // Any thread; also wakes the loop.
  void post(std::function<void()> f);

  // Called each kLoopTick.
  std::function<void(Nanos)> on_tick;
  // Called when reached; gives the next deadline (kNever: none).
  std::function<Nanos(Nanos)> on_deadline;

  void run();
  void stop() { stopped_ = true; }  // from the loop's own thread

 private:
  void run_posted();

  UniqueFd epoll_;
  UniqueFd wake_;
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;
  bool stopped_ = false;
};

}  // namespace spillway::peer
