#include "control/launcher/child_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "datapath/io/unique_fd.h"

namespace spillway {
namespace {

// Copies are made above this number first: a source may stand where another one's
// target is.
constexpr int kParkingFd = 256;
constexpr unsigned kCloseRangeCloexec = 1u << 2;  // CLOSE_RANGE_CLOEXEC, Linux 5.11

struct Parked {
  UniqueFd fd;
  int number;
};

Result<UniqueFd> park(const Inherited& from) {
  UniqueFd own;
  int source = from.fd;
  if (from.read_only) {
    const std::string link = "/proc/self/fd/" + std::to_string(from.fd);
    own = UniqueFd(::open(link.c_str(), O_RDONLY | O_CLOEXEC));
    if (!own.valid()) return errno_error("open " + link + " for reading");
    source = own.get();
  }
  UniqueFd parked(::fcntl(source, F_DUPFD_CLOEXEC, kParkingFd));
  if (!parked.valid()) return errno_error("duplicate descriptor " + std::to_string(from.fd));
  return parked;
}

// Between fork and exec: async-signal-safe calls only.

void close_on_exec(unsigned first, unsigned last) {
  if (first > last) return;
  if (::syscall(SYS_close_range, first, last, kCloseRangeCloexec) == 0) return;
  for (unsigned fd = first; fd <= std::min(last, 4096u); ++fd)
    ::fcntl(static_cast<int>(fd), F_SETFD, FD_CLOEXEC);
}

[[noreturn]] void become_child(const std::vector<Parked>& parked, int null_fd, int report_fd,
                               pid_t launcher, char* const* argv, char* const* envp) {
  auto fail = [&] {
    const int error = errno;
    [[maybe_unused]] const ssize_t n = ::write(report_fd, &error, sizeof error);
    ::_exit(127);
  };
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail();
  if (::getppid() != launcher) ::_exit(127);
  ::setpgid(0, 0);
  for (int signal = 1; signal < NSIG; ++signal)
    if (signal != SIGKILL && signal != SIGSTOP) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);

  if (::dup2(null_fd, 0) < 0) fail();
  int next = 3;  // parked is sorted by number
  for (const Parked& p : parked) {
    if (::dup2(p.fd.get(), p.number) < 0) fail();
    close_on_exec(static_cast<unsigned>(next), static_cast<unsigned>(p.number - 1));
    next = p.number + 1;
  }
  close_on_exec(static_cast<unsigned>(next), ~0u);
  ::execve(argv[0], argv, envp);
  fail();
  ::_exit(127);
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (std::string& t : texts) out.push_back(t.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

Result<pid_t> spawn_child(const ChildSpec& spec) {
  std::vector<Parked> parked;
  for (const Inherited& d : spec.descriptors) {
    SPILLWAY_ASSERT(d.number >= 3 && d.number < kParkingFd);
    auto fd = park(d);
    if (!fd) return Error{spec.name + ": " + fd.error().text, fd.error().code};
    parked.push_back({std::move(*fd), d.number});
  }
  std::sort(parked.begin(), parked.end(),
            [](const Parked& a, const Parked& b) { return a.number < b.number; });

  UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!null.valid()) return errno_error("open /dev/null");
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error("pipe2");
  UniqueFd reading(ends[0]);
  // Out of the way of the targets as well.
  UniqueFd writing(::fcntl(ends[1], F_DUPFD_CLOEXEC, kParkingFd));
  UniqueFd(ends[1]).reset();
  if (!writing.valid()) return errno_error("duplicate pipe");

  std::vector<std::string> argument_texts{spec.path};
  argument_texts.insert(argument_texts.end(), spec.arguments.begin(), spec.arguments.end());
  std::vector<std::string> environment_texts = spec.environment;
  const std::vector<char*> argv = pointers(argument_texts);
  const std::vector<char*> envp = pointers(environment_texts);

  const pid_t launcher = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return errno_error("fork for " + spec.name);
  if (pid == 0) become_child(parked, null.get(), writing.get(), launcher, argv.data(), envp.data());

  writing.reset();
  int error = 0;
  ssize_t n;
  do n = ::read(reading.get(), &error, sizeof error);
  while (n < 0 && errno == EINTR);
  if (n == 0) return pid;  // the pipe was closed by exec
  ::waitpid(pid, nullptr, 0);
  return errno_error("start " + spec.path, error);
}

std::vector<std::string> child_environment() {
  std::vector<std::string> out;
  for (char** p = environ; p && *p; ++p) {
    const std::string_view entry = *p;
    bool hidden = false;
    for (std::string_view prefix : {"SPILLWAY_", "NOTIFY_SOCKET=", "WATCHDOG_", "LISTEN_"})
      hidden = hidden || entry.starts_with(prefix);
    if (!hidden) out.emplace_back(entry);
  }
  return out;
}

std::string describe_exit(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    const int signal = WTERMSIG(wait_status);
    return "was killed by signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")";
  }
  return "exited with code " + std::to_string(WEXITSTATUS(wait_status));
}

}  // namespace spillway
