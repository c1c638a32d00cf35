#include "control/launcher/host_limits.h"

#include <linux/capability.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace spillway {
namespace {

// Listeners, regions, workers' descriptors and the like.
constexpr uint64_t kFilesBesideConnections = 256;

bool may_lock_anything() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capget, &header, data) != 0) return false;
  return (data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective & CAP_TO_MASK(CAP_IPC_LOCK)) != 0;
}

// The soft limit after raising it.
rlim_t raise(int resource) {
  rlimit limit{};
  if (::getrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0) return RLIM_INFINITY;
  if (limit.rlim_cur != limit.rlim_max) {
    const rlim_t soft = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0) return soft;
  }
  return limit.rlim_cur;
}

}  // namespace

std::vector<std::string> raise_limits(const Config& config, uint64_t locked_bytes) {
  std::vector<std::string> out;
  const uint64_t files = config.http.max_connections + kFilesBesideConnections;
  const rlim_t files_allowed = raise(RLIMIT_NOFILE);
  if (files_allowed != RLIM_INFINITY && files_allowed < files)
    out.push_back("limit of open files is " + std::to_string(files_allowed) +
                  ", http.max_connections needs " + std::to_string(files) +
                  ": raise it (ulimit -Hn, LimitNOFILE=) or lower http.max_connections");
  const rlim_t locked_allowed = raise(RLIMIT_MEMLOCK);
  if (locked_allowed != RLIM_INFINITY && locked_allowed < locked_bytes && !may_lock_anything())
    out.push_back("limit of locked memory is " + std::to_string(locked_allowed >> 10) +
                  " KiB, the media keys need " + std::to_string((locked_bytes + 1023) >> 10) +
                  " KiB: they may be swapped out (ulimit -Hl, LimitMEMLOCK= or CAP_IPC_LOCK)");
  return out;
}

std::vector<uint32_t> usable_cpus() {
  std::vector<uint32_t> out;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0)
    for (uint32_t i = 0; i < CPU_SETSIZE; ++i)
      if (CPU_ISSET(i, &set)) out.push_back(i);
  if (out.empty()) out.push_back(0);
  return out;
}

}  // namespace spillway
