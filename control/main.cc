// spillway-control: composition root. Finds its descriptors at fixed numbers
// (datapath/abi/process.h), runs HTTP and the session manager on one thread.
//
//   boot --regions mapped, table read back, listeners open--> run
//   run --SIGTERM--> draining: POST gets 503, sessions may end
//       --all gone, drain_timeout_s, or a second SIGTERM--> close_notify, all removed
//       --> halt, exit 0
//
// Exit codes: 0 drained; 1 a fault while running; 78 (EX_CONFIG) could not start.
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <sys/prctl.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <spdlog/spdlog.h>

#include "control/candidates.h"
#include "control/config_json.h"
#include "control/datapath_link.h"
#include "control/dtls.h"
#include "control/logging.h"
#include "control/runtime.h"
#include "control/session_manager.h"
#include "datapath/abi/process.h"
#include "signaling/http/server.h"

namespace spillway {
namespace {

constexpr int kExitConfig = 78;
constexpr size_t kIdentityBytesMax = 64 * 1024;
constexpr auto kDrainStep = std::chrono::milliseconds(20);
// After the last session: time for full command rings to be taken.
constexpr Nanos kFlushPatience = millis(500);

HttpOptions http_options(const Config& c) {
  HttpOptions o;
  o.listen = c.http.listen;
  o.tls_certificate = c.http.tls_certificate;
  o.tls_key = c.http.tls_key;
  o.insecure_http = c.http.insecure_http;
  o.max_connections = c.http.max_connections;
  o.max_connections_per_ip = c.http.max_connections_per_ip;
  o.trusted_proxies = c.http.trusted_proxies;
  o.cors_origins = c.http.cors_origins;
  o.pages = c.http.pages;
  o.strict_etag = c.http.strict_etag;
  o.half_accept = c.http.half_accept;
  o.ice_servers = c.http.ice_servers;
  o.publish_tokens = c.auth.publish_tokens;
  o.watch_tokens = c.auth.watch_tokens;
  o.accept_raw_token = c.auth.accept_raw_token;
  o.token_names_stream = c.auth.token_names_stream;
  o.delete_needs_token = c.auth.delete_needs_token;
  o.posts_per_second = c.sessions.posts_per_second;
  o.posts_per_second_per_ip = c.sessions.posts_per_second_per_ip;
  return o;
}

HttpOptions admin_options(const Config& c) {
  HttpOptions o;
  o.listen = c.http.admin_listen;
  // Checked by the launcher: this listener may only be loopback or a private network.
  o.insecure_http = c.http.insecure_http;
  return o;
}

// The identity's text is a secret: read once, wiped by the caller, the descriptor closed.
Result<std::string> read_identity() {
  std::string text(kIdentityBytesMax, '\0');
  size_t used = 0;
  while (used < text.size()) {
    ssize_t n = ::pread(abi::kFdDtlsIdentity, text.data() + used, text.size() - used,
                        static_cast<off_t>(used));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error("read of the DTLS identity, descriptor 9");
    if (n == 0) break;
    used += static_cast<size_t>(n);
  }
  ::close(abi::kFdDtlsIdentity);
  text.resize(used);
  return text;
}

void draw_random(MutableBytes out) {
  SPILLWAY_ASSERT(RAND_bytes(out.data(), static_cast<int>(out.size())) == 1);
}

void wake_worker(uint32_t worker) {
  uint64_t one = 1;
  // EAGAIN: the counter is full, the worker is being woken anyway.
  [[maybe_unused]] ssize_t n = ::write(abi::fd_wake_worker(worker), &one, sizeof one);
}

class Process {
 public:
  Process(const Config& config, DatapathLink& link, const DtlsContext& dtls)
      : config_(config),
        link_(link),
        manager_(link, dtls,
                 {config.sessions,
                  candidate_endpoints(config.media.advertise, link.boot().media_port),
                  SPILLWAY_VERSION},
                 monotonic_now, draw_random),
        runtime_(io_, link, manager_),
        http_(io_, http_options(config), manager_, monotonic_now),
        admin_(io_, admin_options(config), manager_, http_.metrics(), monotonic_now),
        signals_(io_, SIGTERM, SIGINT),
        drain_timer_(io_) {}

  Result<void> start() {
    if (auto ok = http_.start(); !ok) return ok;
    if (auto ok = admin_.start(); !ok) return ok;
    if (auto ok = runtime_.start(abi::kFdWakeControl); !ok) return ok;
    wait_signal();
    return {};
  }
  void run() { io_.run(); }

 private:
  void wait_signal() {
    signals_.async_wait([this](boost::system::error_code error, int) {
      if (error) return;
      if (manager_.draining()) {
        spdlog::warn("second signal: ending {} sessions now", manager_.session_count());
        drain_until_ = monotonic_now();
      } else {
        spdlog::info("draining: {} sessions, at most {} s", manager_.session_count(),
                     config_.drain_timeout_s);
        manager_.begin_drain();
        http_.begin_drain();
        drain_until_ = monotonic_now() + seconds(config_.drain_timeout_s);
        drain();
      }
      wait_signal();
    });
  }

  void drain() {
    Nanos now = monotonic_now();
    if (manager_.session_count() > 0 && now < drain_until_) return drain_again();
    manager_.remove_all();
    if (flush_until_.ns == 0) flush_until_ = now + kFlushPatience;
    if (link_.doorbells_waiting() > 0 && now < flush_until_) return drain_again();
    signals_.cancel();
    http_.stop();
    admin_.stop();
    runtime_.stop();
    // Connections that are still being written to are not worth waiting for.
    io_.stop();
  }
  void drain_again() {
    drain_timer_.expires_after(kDrainStep);
    drain_timer_.async_wait([this](boost::system::error_code error) {
      if (!error) drain();
    });
  }

  const Config& config_;
  DatapathLink& link_;
  boost::asio::io_context io_{1};
  SessionManager manager_;
  Runtime runtime_;
  HttpServer http_;
  AdminServer admin_;
  boost::asio::signal_set signals_;
  boost::asio::steady_timer drain_timer_;
  Nanos drain_until_{};
  Nanos flush_until_{};
};

int refuse(const Error& error) {
  spdlog::error("cannot start: {}", error.text);
  stop_logging();
  return kExitConfig;
}

int run_process() {
  auto config = read_config_fd(abi::kFdConfig);
  if (!config) {
    std::fprintf(stderr, "spillway-control: %s\n", config.error().text.c_str());
    return kExitConfig;
  }
  setup_logging(config->log, "control");

  auto regions = map_control_regions(
      {abi::kFdBoot, abi::kFdControl, abi::kFdKeys, abi::kFdDatapath});
  if (!regions) return refuse(regions.error());
  DatapathLink link(std::move(*regions), wake_worker);
  auto pid = static_cast<uint32_t>(::getpid());
  link.announce(abi::ProcessState::boot, pid, monotonic_now());
  if (!link.lock_note().empty()) spdlog::warn("{}", link.lock_note());

  auto pem = read_identity();
  if (!pem) return refuse(pem.error());
  auto dtls = DtlsContext::create(*pem);
  OPENSSL_cleanse(pem->data(), pem->size());
  if (!dtls) return refuse(dtls.error());

  int exit_code = 0;
  try {
    Process process(*config, link, **dtls);
    if (auto ok = process.start(); !ok) {
      link.announce(abi::ProcessState::fail, pid, monotonic_now());
      return refuse(ok.error());
    }
    link.announce(abi::ProcessState::run, pid, monotonic_now());
    spdlog::info("running: http {} admin {} start {}", config->http.listen,
                 config->http.admin_listen, link.starts());
    process.run();
    link.announce(abi::ProcessState::halt, pid, monotonic_now());
    spdlog::info("stopped");
  } catch (const std::exception& e) {
    // The next process finds every keyed session in the table.
    link.announce(abi::ProcessState::fail, pid, monotonic_now());
    spdlog::critical("unexpected: {}", e.what());
    exit_code = 1;
  }
  stop_logging();
  return exit_code;
}

}  // namespace
}  // namespace spillway

int main() {
  // No core dump and no ptrace by the same user: this process holds keys.
  ::prctl(PR_SET_DUMPABLE, 0);
  std::signal(SIGPIPE, SIG_IGN);
  return spillway::run_process();
}
