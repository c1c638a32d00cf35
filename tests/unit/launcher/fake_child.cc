// Stands in for spillway-control or spillway-datapath: stores its status in the real
// regions and behaves as told, so that the launcher can be tested against every way a
// process can fail. Which one it is, it knows from its file name (a name with
// "control" in it) and takes orders from the environment:
//
//   FAKE_DIR         where the event log ("events") and reports lie
//   FAKE_<ROLE>      comma-separated orders, ROLE = CONTROL or DATAPATH:
//     die=N          exit with code 3 after RUN, on the first N starts
//     die-early      exit with code 4 before RUN, always
//     refuse         exit with code 78 before RUN
//     refuse-later   exit with code 78 before RUN, except on the first start
//     silent         never becomes RUN
//     hang=N         stops its heartbeat after RUN, on the first N starts
//     ignore-term    does not end on SIGTERM
//     drain=MS       takes so long to end on SIGTERM; a second one ends it at once
//     report         writes its descriptors, limits and environment to <role>.report
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include "datapath/abi/process.h"
#include "datapath/abi/regions.h"

namespace spillway {
namespace {

std::string g_directory;
std::string g_role;
std::string g_orders;
sigset_t g_inherited_mask;

bool told(const std::string& word) {
  return ("," + g_orders + ",").find("," + word + ",") != std::string::npos;
}

uint32_t number_of(const std::string& word) {
  const std::string all = "," + g_orders;
  const size_t at = all.find("," + word + "=");
  return at == std::string::npos
             ? 0
             : static_cast<uint32_t>(std::strtoul(all.c_str() + at + word.size() + 2, nullptr, 10));
}

int64_t now_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1'000'000'000 + t.tv_nsec;
}

void event(const std::string& what) {
  const int fd =
      ::open((g_directory + "/events").c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  const std::string line = g_role + " " + what + "\n";
  [[maybe_unused]] const ssize_t n = ::write(fd, line.data(), line.size());
  ::close(fd);
}

void report() {
  std::string text;
  std::vector<int> open_fds;
  DIR* dir = ::opendir("/proc/self/fd");
  while (const dirent* e = ::readdir(dir))
    if (e->d_name[0] != '.' && std::atoi(e->d_name) != ::dirfd(dir))
      open_fds.push_back(std::atoi(e->d_name));
  ::closedir(dir);
  std::sort(open_fds.begin(), open_fds.end());
  for (int fd : open_fds) {
    char link[256] = "";
    [[maybe_unused]] const ssize_t n =
        ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), link, sizeof link - 1);
    const bool writable = (::fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY;
    text += "fd " + std::to_string(fd) + (writable ? " rw " : " ro ") + link + "\n";
  }
  auto writes = [](int fd) {
    void* p = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return p != MAP_FAILED;
  };
  text += std::string("maps-for-writing control ") + (writes(abi::kFdControl) ? "yes" : "no") +
          " keys " + (writes(abi::kFdKeys) ? "yes" : "no") + " datapath " +
          (writes(abi::kFdDatapath) ? "yes" : "no") + " boot " +
          (writes(abi::kFdBoot) ? "yes" : "no") + "\n";
  for (int fd : {abi::kFdConfig, abi::kFdDtlsIdentity}) {
    char block[8192];
    const ssize_t n = ::read(fd, block, sizeof block);  // moves the position on purpose
    std::string content(block, static_cast<size_t>(std::max<ssize_t>(n, 0)));
    if (fd == abi::kFdDtlsIdentity) {  // of a key only that it is there
      std::string frame;
      for (size_t at = 0; (at = content.find("-----BEGIN", at)) != std::string::npos; ++at)
        frame += content.substr(at, content.find('\n', at) - at);
      content = frame;
    }
    text += "content " + std::to_string(fd) + " " + (content.empty() ? "none" : content) + "\n";
  }
  rlimit core{};
  ::getrlimit(RLIMIT_CORE, &core);
  text += "core " + std::to_string(core.rlim_cur) + "\n";
  text += "own-group " + std::string(::getpgrp() == ::getpid() ? "yes" : "no") + "\n";
  text +=
      "term-blocked " + std::string(sigismember(&g_inherited_mask, SIGTERM) ? "yes" : "no") + "\n";
  for (char** e = environ; *e; ++e) text += "env " + std::string(*e) + "\n";
  std::FILE* f = std::fopen((g_directory + "/" + g_role + ".report").c_str(), "w");
  std::fwrite(text.data(), 1, text.size(), f);
  std::fclose(f);
}

int run(abi::ProcessStatus& status) {
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &term, nullptr);
  status.pid.store(static_cast<uint32_t>(::getpid()), std::memory_order_relaxed);
  const uint32_t start = status.starts.fetch_add(1, std::memory_order_relaxed) + 1;
  status.state.store(static_cast<uint32_t>(abi::ProcessState::boot), std::memory_order_release);
  event("start " + std::to_string(start));
  if (told("report")) report();
  if (told("die-early")) return 4;
  if (told("refuse") || (told("refuse-later") && start == 2)) return 78;
  std::memcpy(status.io_backend, "fake", 5);
  if (!told("silent")) {
    status.heartbeat_ns.store(now_ns(), std::memory_order_relaxed);
    status.state.store(static_cast<uint32_t>(abi::ProcessState::run), std::memory_order_release);
  }
  int64_t end_at = INT64_MAX;
  const int64_t die_at =
      start <= number_of("die") || told("refuse-later") ? now_ns() + 100'000'000 : INT64_MAX;
  const bool hangs = start <= number_of("hang");
  for (;;) {
    const timespec wait{0, 10'000'000};
    if (::sigtimedwait(&term, nullptr, &wait) == SIGTERM) {
      event("term");
      if (!told("ignore-term")) {
        const int64_t drain = int64_t{number_of("drain")} * 1'000'000;
        end_at = end_at == INT64_MAX ? now_ns() + drain : 0;
      }
    }
    if (now_ns() >= end_at) break;
    if (now_ns() >= die_at && (start <= number_of("die") || start == 1)) return 3;
    if (!hangs) status.heartbeat_ns.store(now_ns(), std::memory_order_relaxed);
  }
  event("end");
  status.state.store(static_cast<uint32_t>(abi::ProcessState::halt), std::memory_order_release);
  return 0;
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

}  // namespace
}  // namespace spillway

int main(int, char** argv) {
  using namespace spillway;
  ::sigprocmask(SIG_BLOCK, nullptr, &g_inherited_mask);
  const bool control = std::string(argv[0]).find("control") != std::string::npos;
  g_role = control ? "control" : "datapath";
  g_directory = variable("FAKE_DIR");
  g_orders = variable(control ? "FAKE_CONTROL" : "FAKE_DATAPATH");
  if (control) {
    auto region = abi::map_control(abi::kFdControl);
    if (!region) return 70;
    return run((*region)->status);
  }
  auto region = abi::map_datapath(abi::kFdDatapath);
  if (!region) return 70;
  return run((*region)->status);
}
