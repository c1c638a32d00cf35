#include "control/launcher/launch_plan.h"

#include <openssl/crypto.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>
#include <array>
#include <cerrno>
#include <climits>
#include <ctime>

#include "control/config_json.h"
#include "control/launcher/dtls_identity.h"
#include "control/launcher/host_limits.h"
#include "control/launcher/sealed_file.h"

namespace spillway {
namespace {

Result<void> fill_random(void* out, size_t bytes) {
  auto* p = static_cast<uint8_t*>(out);
  while (bytes > 0) {
    const ssize_t n = ::getrandom(p, bytes, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return errno_error("getrandom");
    p += n;
    bytes -= static_cast<size_t>(n);
  }
  return {};
}

uint8_t io_code(const std::string& name) {
  return name == "uring" ? 1 : name == "mmsg" ? 2 : 0;
}
uint8_t srtp_code(const std::string& name) {
  return name == "ipsec-mb" ? 1 : name == "openssl" ? 2 : 0;
}

// Which CPU each worker gets; 0 in the table is "not pinned".
void place_workers(const Config& config, abi::BootConfig& boot, std::vector<std::string>& notes) {
  if (!config.media.pin) return;
  const std::vector<uint32_t> cpus = config.media.cpus.empty() ? usable_cpus() : config.media.cpus;
  for (uint32_t w = 0; w < boot.workers && w < cpus.size(); ++w)
    boot.cpu_plus_one[w] = static_cast<uint16_t>(cpus[w] + 1);
  if (boot.workers > cpus.size())
    notes.push_back(std::to_string(boot.workers) + " workers on " + std::to_string(cpus.size()) +
                    " usable CPUs: those beyond are not pinned and share");
}

Result<MediaSocketSet> open_sockets(const Config& config) {
  MediaSocketOptions options;
  options.port = config.media.port;
  options.workers = config.media.workers;
  if (!config.media.bind.empty()) {
    options.v4.reset();
    options.v6.reset();
    for (const std::string& text : config.media.bind)
      if (const auto ip = IpAddress::parse(text)) (ip->is_v4() ? options.v4 : options.v6) = *ip;
  }
  timespec start{};
  ::clock_gettime(CLOCK_MONOTONIC, &start);
  for (;;) {
    auto set = open_media_sockets(options);
    if (set || set.error().code != EADDRINUSE) return set;
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec - start.tv_sec >= kBindPatience.ms() / 1000) return set;
  }
}

// What clients are told when the operator named nothing: the addresses bound to, where
// "any" stands for all of this host's. Fixed at start.
Result<void> choose_advertised(Config& config, bool v4, bool v6) {
  if (!config.media.advertise.empty()) return {};
  bool any_v4 = config.media.bind.empty();
  bool any_v6 = any_v4;
  for (const std::string& text : config.media.bind) {
    const auto ip = IpAddress::parse(text);
    if (!ip) continue;
    if (ip->unspecified())
      (ip->is_v4() ? any_v4 : any_v6) = true;
    else
      config.media.advertise.push_back(text);
  }
  if (!any_v4 && !any_v6) return {};
  auto local = list_local_addresses();
  if (!local) return local.error();
  for (const LocalAddress& a : *local)
    if (a.ip.is_v4() ? any_v4 && v4 : any_v6 && v6)
      config.media.advertise.push_back(a.ip.to_string());
  return {};
}

Result<int> make_wake_fd(LaunchPlan& plan) {
  UniqueFd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd.valid()) return errno_error("eventfd");
  plan.owned.push_back(std::move(fd));
  return plan.owned.back().get();
}

Result<abi::RegionFds> make_regions(LaunchPlan& plan) {
  abi::BootConfig boot{};
  boot.workers = plan.config.media.workers;
  boot.media_port = plan.config.media.port;
  boot.io_backend = io_code(plan.config.media.io);
  boot.srtp_backend = srtp_code(plan.config.media.srtp);
  boot.video_rings = plan.config.media.video_rings;
  boot.audio_rings = plan.config.media.audio_rings;
  place_workers(plan.config, boot, plan.notes);
  for (auto [p, bytes] : {std::pair<void*, size_t>{boot.ice_secret, sizeof boot.ice_secret},
                          {boot.hash_key, sizeof boot.hash_key},
                          {&boot.boot_id, sizeof boot.boot_id}})
    if (auto ok = fill_random(p, bytes); !ok) return ok.error();
  auto fds = abi::create_regions(boot);
  OPENSSL_cleanse(&boot, sizeof boot);
  if (fds)
    for (int fd : {fds->boot, fds->control, fds->keys, fds->datapath}) plan.owned.emplace_back(fd);
  return fds;
}

}  // namespace

Result<LaunchPlan> make_launch_plan(const Config& config, const std::string& program_directory) {
  LaunchPlan plan;
  plan.config = config;
  if (plan.config.media.workers == 0)
    plan.config.media.workers = std::min<uint32_t>(
        kMaxWorkers, static_cast<uint32_t>(config.media.cpus.empty() ? usable_cpus().size()
                                                                     : config.media.cpus.size()));
  auto sockets = open_sockets(plan.config);
  if (!sockets) return sockets.error();
  plan.config.media.port = sockets->port;
  plan.sockets = std::move(sockets->workers);
  if (!sockets->note.empty()) plan.notes.push_back(sockets->note);

  if (auto ok =
          choose_advertised(plan.config, plan.sockets[0].v4.valid(), plan.sockets[0].v6.valid());
      !ok)
    return ok.error();
  if (plan.config.media.advertise.empty())
    plan.notes.push_back("no local address to offer to clients: set media.advertise");

  auto regions = make_regions(plan);
  if (!regions) return regions.error();
  auto control_region = abi::map_control_read(regions->control);
  if (!control_region) return control_region.error();
  plan.control_region = std::move(*control_region);
  auto datapath_region = abi::map_datapath_read(regions->datapath);
  if (!datapath_region) return datapath_region.error();
  plan.datapath_region = std::move(*datapath_region);

  auto config_file = make_sealed_file("spillway-config", config_to_json(plan.config));
  if (!config_file) return config_file.error();
  auto identity = make_dtls_identity();
  if (!identity) return identity.error();
  auto wake_control = make_wake_fd(plan);
  if (!wake_control) return wake_control.error();

  ChildSpec& control = plan.control.spec;
  ChildSpec& datapath = plan.datapath.spec;
  control.name = "spillway-control";
  datapath.name = "spillway-datapath";
  control.descriptors = {{regions->boot, abi::kFdBoot, true},
                         {regions->control, abi::kFdControl},
                         {regions->keys, abi::kFdKeys},
                         {regions->datapath, abi::kFdDatapath, true},
                         {config_file->get(), abi::kFdConfig, true},
                         {*wake_control, abi::kFdWakeControl},
                         {identity->get(), abi::kFdDtlsIdentity, true}};
  datapath.descriptors = {
      {regions->boot, abi::kFdBoot, true},        {regions->control, abi::kFdControl, true},
      {regions->keys, abi::kFdKeys, true},        {regions->datapath, abi::kFdDatapath},
      {config_file->get(), abi::kFdConfig, true}, {*wake_control, abi::kFdWakeControl}};
  for (uint32_t w = 0; w < plan.config.media.workers; ++w) {
    const MediaFds media = plan.sockets[w].fds();
    if (media.v4 >= 0) datapath.descriptors.push_back({media.v4, abi::fd_socket_v4(w)});
    if (media.v6 >= 0) datapath.descriptors.push_back({media.v6, abi::fd_socket_v6(w)});
    auto wake = make_wake_fd(plan);
    if (!wake) return wake.error();
    for (ChildSpec* spec : {&control, &datapath})
      spec->descriptors.push_back({*wake, abi::fd_wake_worker(w)});
  }
  plan.owned.push_back(std::move(*config_file));
  plan.owned.push_back(std::move(*identity));

  for (ChildSpec* spec : {&control, &datapath}) {
    spec->path = program_directory + "/" + spec->name;
    spec->environment = child_environment();
    if (::access(spec->path.c_str(), X_OK) != 0)
      return errno_error(spec->path + " must lie beside the launcher");
  }
  plan.control.status = &plan.control_region->status;
  plan.datapath.status = &plan.datapath_region->status;
  return plan;
}

Result<std::string> own_directory() {
  char path[PATH_MAX];
  const ssize_t n = ::readlink("/proc/self/exe", path, sizeof path);
  if (n <= 0 || n == static_cast<ssize_t>(sizeof path))
    return errno_error("readlink /proc/self/exe");
  const std::string text(path, static_cast<size_t>(n));
  return text.substr(0, text.rfind('/'));
}

}  // namespace spillway
