// Keeps the two children alive and ends them in order.
//
//            start            both RUN              SIGTERM/SIGINT
//   (none) ---------> starting --------> running ------------------> draining
//                        |  ^  a child died: restart       |   control: SIGTERM, up to
//                        |  '--------------'               |   drain_timeout + grace
//     exit code 78 before it ever ran                      v
//                        '-------> refused            stopping the datapath --> ended
//
// A child that dies is started again on the same memory after restart_delay. More
// than `burst` deaths within `window` double the delay each time, up to
// restart_delay_max; a child that lived for `window` is forgiven.
//
// The watchdog kills a child whose heartbeat is older than `stale`, but only after
// that very process (its pid is in its status) has once reached RUN: slow starts are
// not hangs. When the launcher itself was stopped for a while, so were the children;
// heartbeats get `stale` to recover then.
//
// A second SIGTERM or SIGINT ends the drain: SIGTERM to both, SIGKILL after a second;
// a third one kills at once. SIGHUP counts as SIGTERM unless it is ignored (nohup).
//
// One thread: run() blocks SIGTERM, SIGINT, SIGHUP and SIGCHLD for the process, reads
// them from a signalfd and is back only when no child is left.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include "control/launcher/child_process.h"
#include "datapath/abi/process.h"
#include "datapath/abi/regions.h"
#include "datapath/base/units.h"

namespace spillway {

inline constexpr int kExitUsage = 64;    // EX_USAGE
inline constexpr int kExitRefused = 78;  // EX_CONFIG: starting again will not help

struct SupervisorOptions {
  Nanos restart_delay = millis(50);
  Nanos restart_delay_max = seconds(2);
  Nanos window = seconds(10);
  uint32_t burst = 5;
  Nanos stale = {abi::kHeartbeatStaleNs};
  bool watchdog = true;
  Nanos drain_timeout = seconds(10);
  Nanos drain_grace = seconds(2);  // on top: control's own shutdown
  Nanos stop_timeout = seconds(3);
  Nanos forced_timeout = seconds(1);
};

struct SupervisedChild {
  ChildSpec spec;
  const abi::ProcessStatus* status = nullptr;  // mapped read-only; outlives the supervisor
};

struct SupervisorHooks {
  std::function<void(const std::string&)> info;   // one line
  std::function<void(const std::string&)> alarm;  // one line about something wrong
  std::function<void()> ready;                    // once, when both are RUN
  std::function<void()> stopping;                 // once
  std::function<void()> turn;                     // at least every 250 ms
};

class Supervisor {
 public:
  Supervisor(SupervisorOptions options, SupervisedChild control, SupervisedChild datapath,
             SupervisorHooks hooks);
  ~Supervisor();  // no child outlives it
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Exit code: 0 after an orderly end, kExitRefused when a child refused to start or
  // could not be started at all.
  int run();

 private:
  enum class Phase : uint8_t { running, draining, stopping, ended };
  struct Child {
    SupervisedChild what;
    pid_t pid = -1;
    Nanos started{};
    Nanos restart_at = kNever;
    Nanos delay{};
    std::deque<Nanos> deaths;  // within the window
    bool ready = false;        // this incarnation reached RUN
    bool ever_ready = false;
    bool slow_told = false;
    Nanos down_since = kNever;
    std::string killed_because;
  };

  void start(Child& child, Nanos now);
  void reap(Child& child, Nanos now);
  void died(Child& child, const std::string& how, Nanos now);
  void look_at(Child& child, Nanos now);
  void read_signals(int fd, Nanos now);
  void stop_requested(const std::string& why, Nanos now);
  void advance_stop(Nanos now);
  void refuse(const std::string& why, Nanos now);
  bool may_restart(const Child& child) const;
  Nanos next_deadline(Nanos now) const;
  static void send(const Child& child, int signal);

  SupervisorOptions options_;
  SupervisorHooks hooks_;
  Child control_;
  Child datapath_;
  std::array<Child*, 2> children_{&datapath_, &control_};  // in order of starting
  Phase phase_ = Phase::running;
  uint32_t stop_signals_ = 0;
  Nanos kill_at_ = kNever;  // of what is being stopped
  Nanos watchdog_from_{};   // not before
  bool announced_ = false;
  int exit_code_ = 0;
};

}  // namespace spillway
