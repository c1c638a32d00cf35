#include "control/launcher/supervisor.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>

#include "datapath/io/unique_fd.h"

namespace spillway {
namespace {

constexpr Nanos kTurn = millis(250);         // watchdog granularity
constexpr Nanos kStartingTurn = millis(20);  // until both are up
constexpr Nanos kSlowStart = seconds(10);
// A gap between two turns above this means that we, and likely all, were stopped.
constexpr Nanos kPaused = seconds(1);

Nanos monotonic() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return {t.tv_sec * 1'000'000'000 + t.tv_nsec};
}

std::string ms_text(Nanos n) {
  return std::to_string(n.ms()) + " ms";
}

}  // namespace

Supervisor::Supervisor(SupervisorOptions options, SupervisedChild control, SupervisedChild datapath,
                       SupervisorHooks hooks)
    : options_(options), hooks_(std::move(hooks)) {
  control_.what = std::move(control);
  datapath_.what = std::move(datapath);
  for (Child* c : children_) c->delay = options_.restart_delay;
}

Supervisor::~Supervisor() {
  for (Child* c : children_) {
    if (c->pid < 0) continue;
    send(*c, SIGKILL);
    while (::waitpid(c->pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
}

void Supervisor::send(const Child& child, int signal) {
  if (child.pid > 0) ::kill(child.pid, signal);
}

int Supervisor::run() {
  sigset_t mask;
  sigemptyset(&mask);
  for (int s : {SIGTERM, SIGINT, SIGCHLD}) sigaddset(&mask, s);
  struct sigaction hangup {};
  ::sigaction(SIGHUP, nullptr, &hangup);
  if (hangup.sa_handler != SIG_IGN) sigaddset(&mask, SIGHUP);
  ::signal(SIGCHLD, SIG_DFL);  // ignored SIGCHLD would take the exit codes away
  ::signal(SIGPIPE, SIG_IGN);
  ::sigprocmask(SIG_BLOCK, &mask, nullptr);
  UniqueFd signals(::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals.valid()) {
    hooks_.alarm(errno_error("signalfd").text);
    return kExitRefused;
  }

  Nanos now = monotonic();
  for (Child* c : children_)
    if (phase_ == Phase::running) start(*c, now);
  while (phase_ != Phase::ended) {
    const Nanos wait = std::max(next_deadline(now) - now, Nanos{0});
    pollfd p{signals.get(), POLLIN, 0};
    ::poll(&p, 1, static_cast<int>((wait.ns + 999'999) / 1'000'000));
    const Nanos last = now;
    now = monotonic();
    if (now - last > kPaused) watchdog_from_ = now + options_.stale;
    read_signals(signals.get(), now);
    for (Child* c : children_) {
      reap(*c, now);
      if (c->pid < 0 && c->restart_at <= now && may_restart(*c)) start(*c, now);
      look_at(*c, now);
    }
    if (!announced_ && control_.ready && datapath_.ready && phase_ == Phase::running) {
      announced_ = true;
      hooks_.ready();
    }
    advance_stop(now);
    hooks_.turn();
  }
  return exit_code_;
}

// While control drains, viewers still want their media.
bool Supervisor::may_restart(const Child& child) const {
  return phase_ == Phase::running || (phase_ == Phase::draining && &child == &datapath_);
}

Nanos Supervisor::next_deadline(Nanos now) const {
  const bool all_ready = control_.ready && datapath_.ready;
  Nanos next = now + (all_ready ? kTurn : kStartingTurn);
  for (const Child* c : children_)
    if (c->pid < 0 && may_restart(*c)) next = std::min(next, c->restart_at);
  return std::min(next, kill_at_);
}

void Supervisor::start(Child& child, Nanos now) {
  child.restart_at = kNever;
  child.ready = false;
  child.slow_told = false;
  child.killed_because.clear();
  child.started = now;
  auto pid = spawn_child(child.what.spec);
  if (pid) {
    child.pid = *pid;
    return;
  }
  if (child.ever_ready)
    died(child, "could not be started: " + pid.error().text, now);
  else
    refuse(pid.error().text, now);
}

void Supervisor::reap(Child& child, Nanos now) {
  if (child.pid < 0) return;
  int status = 0;
  const pid_t got = ::waitpid(child.pid, &status, WNOHANG);
  if (got != child.pid) return;
  const std::string who = child.what.spec.name + " (pid " + std::to_string(child.pid) + ")";
  child.pid = -1;
  if (!may_restart(child)) {
    if (status != 0 && child.killed_because.empty())
      hooks_.alarm(who + " " + describe_exit(status) + " while it was being stopped");
    return;
  }
  if (!child.ever_ready && WIFEXITED(status) && WEXITSTATUS(status) == kExitRefused) {
    refuse(child.what.spec.name + " refused to start; its reason stands above", now);
    return;
  }
  died(child, child.killed_because.empty() ? describe_exit(status) : child.killed_because, now);
}

void Supervisor::died(Child& child, const std::string& how, Nanos now) {
  if (child.down_since == kNever) child.down_since = now;
  if (child.ready && now - child.started >= options_.window) {
    child.deaths.clear();
    child.delay = options_.restart_delay;
  }
  child.deaths.push_back(now);
  while (now - child.deaths.front() > options_.window) child.deaths.pop_front();
  if (child.deaths.size() > options_.burst)
    child.delay = std::min(child.delay * 2, options_.restart_delay_max);
  child.ready = false;
  child.restart_at = now + child.delay;
  hooks_.alarm(child.what.spec.name + " " + how + "; starting it again in " + ms_text(child.delay) +
               (child.deaths.size() > options_.burst
                    ? " (death " + std::to_string(child.deaths.size()) + " within " +
                          std::to_string(options_.window.ms() / 1000) + " s)"
                    : ""));
}

void Supervisor::look_at(Child& child, Nanos now) {
  if (child.pid < 0) return;
  const abi::ProcessStatus& status = *child.what.status;
  // Written by the child: believed only as far as "this pid says it runs".
  const bool runs =
      status.pid.load(std::memory_order_relaxed) == static_cast<uint32_t>(child.pid) &&
      // acquire: pairs with the child's release when it becomes RUN
      status.state.load(std::memory_order_acquire) == static_cast<uint32_t>(abi::ProcessState::run);
  if (!child.ready) {
    if (runs) {
      child.ready = true;
      child.ever_ready = true;
      if (child.down_since != kNever)
        hooks_.info(child.what.spec.name + " runs again (pid " + std::to_string(child.pid) + "), " +
                    ms_text(now - child.down_since) + " after it died");
      child.down_since = kNever;
    } else if (!child.slow_told && now - child.started > kSlowStart) {
      child.slow_told = true;
      hooks_.alarm(child.what.spec.name + " (pid " + std::to_string(child.pid) +
                   ") is still starting after " + ms_text(now - child.started));
    }
    return;
  }
  if (!options_.watchdog || !runs || now < watchdog_from_ || !child.killed_because.empty()) return;
  const int64_t beat = status.heartbeat_ns.load(std::memory_order_relaxed);
  // A heartbeat of the future or of before its own start says nothing.
  const Nanos age = now - std::max(Nanos{beat}, child.started);
  if (age <= options_.stale) return;
  child.killed_because = "hung (no heartbeat for " + ms_text(age) + ") and was killed";
  send(child, SIGKILL);
}

void Supervisor::read_signals(int fd, Nanos now) {
  signalfd_siginfo info{};
  while (::read(fd, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    const int signal = static_cast<int>(info.ssi_signo);
    if (signal == SIGCHLD) continue;  // reap() looks at every turn
    stop_requested("SIG" + std::string(::sigabbrev_np(signal)), now);
  }
}

void Supervisor::stop_requested(const std::string& why, Nanos now) {
  ++stop_signals_;
  if (stop_signals_ == 1) {
    if (phase_ != Phase::running) return;  // already ending because of a refusal
    hooks_.stopping();
    hooks_.info(why + ": draining for at most " +
                std::to_string(options_.drain_timeout.ms() / 1000) +
                " s; once more to stop at once");
    phase_ = Phase::draining;
    kill_at_ = now + options_.drain_timeout + options_.drain_grace;
    send(control_, SIGTERM);
    return;
  }
  hooks_.info(why + ": stopping at once");
  phase_ = Phase::stopping;
  const bool kill_now = stop_signals_ > 2;
  kill_at_ = kill_now ? now : now + options_.forced_timeout;
  for (Child* c : children_) send(*c, kill_now ? SIGKILL : SIGTERM);
}

void Supervisor::refuse(const std::string& why, Nanos now) {
  hooks_.alarm(why);
  exit_code_ = kExitRefused;
  phase_ = Phase::stopping;
  kill_at_ = now + options_.forced_timeout;
  for (Child* c : children_) send(*c, SIGTERM);
}

void Supervisor::advance_stop(Nanos now) {
  if (phase_ == Phase::running) return;
  if (now >= kill_at_) {
    for (Child* c : children_) {
      if (c->pid < 0 || (phase_ == Phase::draining && c != &control_)) continue;
      c->killed_because = "did not end in time";
      hooks_.alarm(c->what.spec.name + " (pid " + std::to_string(c->pid) +
                   ") did not end in time and is killed");
      send(*c, SIGKILL);
    }
    kill_at_ = now + options_.stop_timeout;  // a killed process is gone within that
  }
  if (phase_ == Phase::draining && control_.pid < 0) {
    phase_ = Phase::stopping;
    kill_at_ = now + options_.stop_timeout;
    send(datapath_, SIGTERM);
  }
  if (phase_ == Phase::stopping && control_.pid < 0 && datapath_.pid < 0) phase_ = Phase::ended;
}

}  // namespace spillway
