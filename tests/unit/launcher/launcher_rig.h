// A launcher process with fake children, watched from outside: its output, its
// children's event log, its exit code. Used by supervisor_test and launcher_test.
#pragma once

#include <gtest/gtest.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace spillway {

// Generous: a loaded two-core machine may lose seconds. Nothing waits this long unless
// it fails.
inline constexpr std::chrono::seconds kPatience{30};

inline bool eventually(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < end) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return holds();
}

// Not counting a zombie whose new parent takes its time.
inline bool exists(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  const std::string text((std::istreambuf_iterator<char>(stat)), {});
  const size_t at = text.rfind(") ");
  return at != std::string::npos && text.compare(at + 2, 1, "Z") != 0;
}

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string path = "/tmp/spillway-launcher-XXXXXX";
    EXPECT_NE(::mkdtemp(path.data()), nullptr);
    path_ = path;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  std::string path() const { return path_.string(); }
  std::string read(const std::string& name) const {
    std::ifstream file(path_ / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::filesystem::path path_;
};

// A child of the test whose stdout and stderr are collected.
class WatchedProcess {
 public:
  // body runs in the child; its return value is the exit code. Own process group.
  explicit WatchedProcess(const std::function<int()>& body) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::setpgid(0, 0);
      ::dup2(ends[1], 1);
      ::dup2(ends[1], 2);
      ::close(ends[0]);
      ::_exit(body());
    }
    ::close(ends[1]);
    out_ = ends[0];
    ::fcntl(out_, F_SETFL, O_NONBLOCK);
  }
  ~WatchedProcess() {
    if (!code_ && pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    ::close(out_);
  }
  WatchedProcess(const WatchedProcess&) = delete;
  WatchedProcess& operator=(const WatchedProcess&) = delete;

  pid_t pid() const { return pid_; }
  void signal(int number) const { ::kill(pid_, number); }
  const std::string& output() {
    char block[4096];
    for (ssize_t n; (n = ::read(out_, block, sizeof block)) > 0;)
      output_.append(block, static_cast<size_t>(n));
    return output_;
  }
  bool prints(const std::string& text) {
    const bool ok = eventually([&] { return output().find(text) != std::string::npos; });
    EXPECT_TRUE(ok) << "never printed: " << text << "\nbut: " << output_;
    return ok;
  }
  // Exit code, 1000 + signal, or -1 when it does not end.
  int wait_end() {
    const bool ended = eventually([&] {
      int status = 0;
      if (!code_ && ::waitpid(pid_, &status, WNOHANG) == pid_)
        code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
      output();
      return code_.has_value();
    });
    EXPECT_TRUE(ended) << "does not end; printed: " << output_;
    return code_.value_or(-1);
  }

 private:
  pid_t pid_ = -1;
  int out_ = -1;
  std::string output_;
  std::optional<int> code_;
};

inline size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

}  // namespace spillway
