// spillway-datapath: started by the launcher with the descriptors of abi/process.h.
//
// Set-up (maps regions, opens back ends, starts one pinned thread per worker), then
// this thread only watches: it stores the heartbeat while every worker turns, and
// passes control's eventfds on to the workers. SIGTERM ends it; the shared state stays.
#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "datapath/abi/process.h"
#include "datapath/abi/regions.h"
#include "datapath/io/make_packet_io.h"
#include "datapath/io/sockets.h"
#include "datapath/worker/worker.h"

namespace spillway {
namespace {

constexpr int kExitRefused = 78;  // EX_CONFIG: starting again will not help

int refuse(const Error& e) {
  std::fprintf(stderr, "spillway-datapath: %s\n", e.text.c_str());
  return kExitRefused;
}

template <size_t N>
void put_text(char (&out)[N], std::string_view text) {
  std::memset(out, 0, N);
  std::memcpy(out, text.data(), std::min(text.size(), N - 1));
}

bool pin(std::thread& thread, uint32_t cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  return ::pthread_setaffinity_np(thread.native_handle(), sizeof set, &set) == 0;
}

struct WorkerUnit {
  std::unique_ptr<SrtpEngine> srtp;
  std::unique_ptr<PacketIo> io;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Worker> worker;
  std::thread thread;
};

// True while every worker began a turn lately; they wait at most 100 ms.
bool all_turning(const std::vector<WorkerUnit>& units, Nanos now) {
  for (const WorkerUnit& u : units)
    if (now.ns - u.worker->beat_ns() > abi::kHeartbeatStaleNs / 2) return false;
  return true;
}

// Until a signal says stop. signals: signalfd.
void watch(std::vector<WorkerUnit>& units, abi::ProcessStatus& status, int signals) {
  std::vector<pollfd> fds{{signals, POLLIN, 0}};
  for (uint32_t w = 0; w < units.size(); ++w)
    fds.push_back({abi::fd_wake_worker(w), POLLIN, 0});
  for (;;) {
    ::poll(fds.data(), fds.size(), static_cast<int>(abi::kHeartbeatIntervalNs / 1'000'000));
    if (fds[0].revents != 0) return;
    for (uint32_t w = 0; w < units.size(); ++w) {
      if ((fds[w + 1].revents & POLLIN) == 0) continue;
      uint64_t n;
      if (::read(fds[w + 1].fd, &n, sizeof n) == sizeof n) units[w].io->wake();
    }
    Nanos now = monotonic_now();
    if (all_turning(units, now)) status.heartbeat_ns.store(now.ns, std::memory_order_relaxed);
  }
}

int run() {
  auto boot = abi::map_boot(abi::kFdBoot);
  if (!boot) return refuse(boot.error());
  auto control = abi::map_control_read(abi::kFdControl);
  if (!control) return refuse(control.error());
  std::string note;
  auto keys = abi::map_keys_read(abi::kFdKeys, &note);
  if (!keys) return refuse(keys.error());
  auto datapath = abi::map_datapath(abi::kFdDatapath);
  if (!datapath) return refuse(datapath.error());

  const abi::BootConfig config = (*boot)->config;
  if (config.workers == 0 || config.workers > kMaxWorkers)
    return refuse({"boot region: workers is " + std::to_string(config.workers)});
  abi::ProcessStatus& status = (*datapath)->status;
  status.pid.store(static_cast<uint32_t>(::getpid()), std::memory_order_relaxed);
  status.starts.fetch_add(1, std::memory_order_relaxed);
  status.state.store(static_cast<uint32_t>(abi::ProcessState::boot), std::memory_order_release);

  SharedCore shared(config.workers,
                    config.video_rings ? config.video_rings : abi::kDefaultVideoRings,
                    config.audio_rings ? config.audio_rings : abi::kDefaultAudioRings);
  std::vector<WorkerUnit> units(config.workers);
  std::vector<PacketIo*> all_io(config.workers);
  for (uint32_t w = 0; w < config.workers; ++w) {
    PacketIoOptions io_options;
    io_options.backend = static_cast<IoBackend>(std::min<uint8_t>(config.io_backend, 2));
    for (auto [fd, place] : {std::pair{abi::fd_socket_v4(w), &io_options.fds.v4},
                             std::pair{abi::fd_socket_v6(w), &io_options.fds.v6}})
      if (::fcntl(fd, F_GETFD) >= 0) {
        auto bound = check_media_socket(fd);
        if (!bound) return refuse(bound.error());
        *place = fd;
      }
    auto io = make_packet_io(io_options);
    if (!io) return refuse(io.error());
    units[w].io = std::move(io->io);
    all_io[w] = units[w].io.get();
    if (w == 0 && !io->note.empty()) note += (note.empty() ? "" : "; ") + io->note;
    auto srtp = SrtpEngine::create(static_cast<SrtpBackend>(std::min<uint8_t>(config.srtp_backend, 2)));
    if (!srtp) return refuse(srtp.error());
    units[w].srtp = std::move(*srtp);
    EngineOptions options;
    options.worker = w;
    std::memcpy(options.ice_secret.bytes.data(), config.ice_secret, sizeof config.ice_secret);
    options.hash_key = {config.hash_key[0], config.hash_key[1]};
    if (::getrandom(&options.seed, sizeof options.seed, 0) != sizeof options.seed)
      return refuse(errno_error("getrandom"));
    units[w].engine = std::make_unique<Engine>(options, shared, *units[w].srtp,
                                               (*datapath)->states, (*datapath)->publishers);
    WorkerParts parts;
    parts.index = w;
    parts.control = control->get();
    parts.keys = keys->get();
    parts.datapath = datapath->get();
    parts.engine = units[w].engine.get();
    parts.io = units[w].io.get();
    parts.all_io = all_io.data();
    parts.workers = config.workers;
    parts.wake_control_fd = abi::kFdWakeControl;
    units[w].worker = std::make_unique<Worker>(parts);
  }
  Nanos start = monotonic_now();
  for (WorkerUnit& u : units) u.worker->recover(start);

  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGTERM);
  sigaddset(&mask, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &mask, nullptr);  // before the threads: they inherit it
  int signals = ::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) return refuse(errno_error("signalfd"));

  put_text(status.io_backend, units[0].io->name());
  put_text(status.srtp_backend, units[0].srtp->name());
  for (uint32_t w = 0; w < config.workers; ++w) {
    Worker* worker = units[w].worker.get();
    units[w].thread = std::thread([worker] { worker->run(); });
    char name[16];
    std::snprintf(name, sizeof name, "spw-worker-%u", w);
    ::pthread_setname_np(units[w].thread.native_handle(), name);
    if (config.cpu_plus_one[w] != 0 && !pin(units[w].thread, config.cpu_plus_one[w] - 1u))
      note += (note.empty() ? "" : "; ") + std::string("worker ") + std::to_string(w) +
              " is not pinned: CPU " + std::to_string(config.cpu_plus_one[w] - 1) +
              " is not ours to use";
  }
  put_text(status.note, note);
  status.heartbeat_ns.store(monotonic_now().ns, std::memory_order_relaxed);
  status.state.store(static_cast<uint32_t>(abi::ProcessState::run), std::memory_order_release);
  if (!note.empty()) std::fprintf(stderr, "spillway-datapath: %s\n", note.c_str());

  watch(units, status, signals);
  for (WorkerUnit& u : units) u.worker->stop();
  for (WorkerUnit& u : units) u.thread.join();
  status.state.store(static_cast<uint32_t>(abi::ProcessState::halt), std::memory_order_release);
  return 0;
}

}  // namespace
}  // namespace spillway

int main() {
  ::prctl(PR_SET_NAME, "spw-datapath");
  ::prctl(PR_SET_DUMPABLE, 0);  // keys and plaintext: no core dump, no ptrace by peers
  return spillway::run();
}
