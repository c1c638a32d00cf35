// spillway-control as a process: descriptors by number, HTTP, DTLS through the rings,
// kill -9 and return, SIGTERM. The datapath is a thread of this test.
#include <arpa/inet.h>
#include <atomic>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <mutex>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "control/config_json.h"
#include "datapath/abi/process.h"
#include "tests/unit/control/rig.h"

namespace spillway {
namespace {

using namespace std::chrono_literals;
using test::DtlsPeer;
using test::FakeDatapath;

Nanos real_now() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return {t.tv_sec * 1'000'000'000 + t.tv_nsec};
}

int memfd(const char* name, std::string_view text) {
  int fd = ::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  EXPECT_EQ(::write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  ::fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
  return fd;
}

uint16_t free_port() {
  int s = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t n = sizeof a;
  ::bind(s, reinterpret_cast<sockaddr*>(&a), sizeof a);
  ::getsockname(s, reinterpret_cast<sockaddr*>(&a), &n);
  ::close(s);
  return ntohs(a.sin_port);
}

struct Reply {
  int status = 0;  // 0: no connection or no answer
  std::string text;
  std::string header(const std::string& name) const {
    size_t at = text.find("\r\n" + name + ": ");
    if (at == std::string::npos) return {};
    at += name.size() + 4;
    return text.substr(at, text.find("\r\n", at) - at);
  }
};

Reply http(uint16_t port, const std::string& method, const std::string& target,
           const std::string& body = {}, const std::string& type = "application/sdp") {
  Reply reply;
  int s = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  timeval timeout{10, 0};
  ::setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(port);
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(s, reinterpret_cast<sockaddr*>(&a), sizeof a) == 0) {
    std::string request = method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n" +
                          "Connection: close\r\n";
    if (!body.empty()) request += "Content-Type: " + type + "\r\n";
    request += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    [[maybe_unused]] ssize_t sent = ::send(s, request.data(), request.size(), MSG_NOSIGNAL);
    char chunk[4096];
    for (ssize_t n; (n = ::recv(s, chunk, sizeof chunk, 0)) > 0;)
      reply.text.append(chunk, static_cast<size_t>(n));
    if (reply.text.starts_with("HTTP/1.1 ")) reply.status = std::stoi(reply.text.substr(9, 3));
  }
  ::close(s);
  return reply;
}

std::string offer() {
  Fingerprint f = test::peer_identity().fingerprint();
  std::string hex;
  for (uint8_t b : f.digest) {
    char text[4];
    std::snprintf(text, sizeof text, "%02X:", b);
    hex += text;
  }
  hex.pop_back();
  return "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
         "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=rtcp-mux\r\n"
         "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n"
         "a=fingerprint:sha-256 " + hex + "\r\na=setup:actpass\r\na=mid:0\r\na=sendonly\r\n"
         "a=rtpmap:111 opus/48000/2\r\n";
}

class ControlProcess : public ::testing::Test {
 protected:
  void SetUp() override {
    abi::BootConfig boot{};
    boot.workers = 1;
    boot.media_port = 3478;
    boot.ice_secret[0] = 9;
    secret_.bytes[0] = 9;
    fds_ = *abi::create_regions(boot);
    http_ = free_port();
    do admin_ = free_port();
    while (admin_ == http_);
    config_.http.listen = "127.0.0.1:" + std::to_string(http_);
    config_.http.admin_listen = "127.0.0.1:" + std::to_string(admin_);
    config_.media.workers = 1;
    config_.media.advertise = {"127.0.0.1"};
    config_.drain_timeout_s = 1;
    wake_control_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    wake_worker_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    identity_ = test::our_identity().pem();
    datapath_ = std::make_unique<FakeDatapath>(fds_, 1);
    worker_ = std::thread([this] {
      while (!stop_) {
        {
          std::lock_guard lock(mutex_);
          datapath_->heartbeat(real_now());
          datapath_->work();
        }
        std::this_thread::sleep_for(5ms);
      }
    });
  }
  void TearDown() override {
    if (child_ > 0) {
      ::kill(child_, SIGKILL);
      ::waitpid(child_, nullptr, 0);
    }
    stop_ = true;
    worker_.join();
    datapath_.reset();
    for (int fd : {fds_.boot, fds_.control, fds_.keys, fds_.datapath, wake_control_, wake_worker_})
      ::close(fd);
  }

  void start() {
    char self[512] = {};
    ASSERT_GT(::readlink("/proc/self/exe", self, sizeof self - 1), 0);
    std::string program(self);
    program = program.substr(0, program.rfind('/')) + "/spillway-control";
    ASSERT_EQ(::access(program.c_str(), X_OK), 0) << program;
    int config = memfd("config", config_to_json(config_));
    int identity = memfd("identity", identity_);
    std::pair<int, int> wanted[] = {
        {fds_.boot, abi::kFdBoot},       {fds_.control, abi::kFdControl},
        {fds_.keys, abi::kFdKeys},       {fds_.datapath, abi::kFdDatapath},
        {config, abi::kFdConfig},        {wake_control_, abi::kFdWakeControl},
        {identity, abi::kFdDtlsIdentity}, {wake_worker_, abi::fd_wake_worker(0)}};
    // Out of the way of the numbers they will get.
    for (auto& [fd, number] : wanted) fd = ::fcntl(fd, F_DUPFD_CLOEXEC, 100);
    child_ = ::fork();
    if (child_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      for (auto& [fd, number] : wanted) ::dup2(fd, number);
      ::execl(program.c_str(), program.c_str(), nullptr);
      ::_exit(127);
    }
    for (auto& [fd, number] : wanted) ::close(fd);
    ::close(config);
    ::close(identity);
  }
  template <typename F>
  static bool eventually(F f, std::chrono::seconds limit = 30s) {
    for (auto end = std::chrono::steady_clock::now() + limit;
         std::chrono::steady_clock::now() < end; std::this_thread::sleep_for(10ms))
      if (f()) return true;
    return false;
  }
  bool ready() {
    return eventually([&] { return http(admin_, "GET", "/readyz").status == 200; });
  }
  int exit_code() {
    int status = -1;
    bool gone = eventually([&] { return ::waitpid(child_, &status, WNOHANG) == child_; });
    EXPECT_TRUE(gone);
    if (gone) child_ = -1;
    return gone && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  void wake() {
    uint64_t one = 1;
    ASSERT_EQ(::write(wake_control_, &one, sizeof one), 8);
  }

  struct Posted {
    std::string location;
    uint32_t slot = 0, generation = 0;
  };
  Posted post(const std::string& stream) {
    Reply r = http(http_, "POST", "/whip/" + stream, offer());
    EXPECT_EQ(r.status, 201) << r.text;
    Posted p;
    p.location = r.header("Location");
    size_t at = r.text.find("a=ice-ufrag:");
    if (at == std::string::npos) {
      ADD_FAILURE() << r.text;
      return p;
    }
    auto fields = parse_local_ufrag(secret_, r.text.substr(at + 12, kLocalUfragBytes));
    EXPECT_TRUE(fields.has_value());
    if (fields) p.slot = fields->slot, p.generation = fields->generation;
    EXPECT_NE(r.text.find("127.0.0.1 3478 typ host"), std::string::npos);
    return p;
  }
  // Over the real eventfd: no 20 ms timer is needed for the handshake to go on.
  bool handshake(const Posted& p, DtlsPeer& peer) {
    Path path{*Endpoint::parse("127.0.0.1:5000"), *Endpoint::parse("127.0.0.1:3478")};
    {
      std::lock_guard lock(mutex_);
      datapath_->event(abi::EventType::validated, p.slot, p.generation, path, real_now());
    }
    peer.step();
    return eventually([&] {
      {
        std::lock_guard lock(mutex_);
        for (auto& d : peer.packed()) datapath_->dtls(p.slot, p.generation, path, d);
        wake();
      }
      std::this_thread::sleep_for(2ms);
      std::lock_guard lock(mutex_);
      for (auto& d : datapath_->take_dtls()) peer.receive({d.data, d.bytes});
      return peer.done() && datapath_->entry(p.slot).phase ==
                                static_cast<uint8_t>(abi::SessionPhase::keyed);
    });
  }

  Config config_;
  IceSecret secret_;
  std::string identity_;
  abi::RegionFds fds_;
  int wake_control_ = -1, wake_worker_ = -1;
  uint16_t http_ = 0, admin_ = 0;
  std::unique_ptr<FakeDatapath> datapath_;
  std::mutex mutex_;
  std::thread worker_;
  std::atomic<bool> stop_{false};
  pid_t child_ = -1;
};

TEST_F(ControlProcess, ServesIsKilledComesBackAndDrains) {
  start();
  ASSERT_TRUE(ready());
  Posted p = post("live");
  test::PeerOptions o;
  o.identity = &test::peer_identity();
  DtlsPeer peer(o);
  ASSERT_TRUE(handshake(p, peer));
  {
    // What a worker writes once a second: the only place where the path survives.
    std::lock_guard lock(mutex_);
    abi::SessionReport report{};
    report.generation = p.generation;
    report.path = {*Endpoint::parse("127.0.0.1:5000"), *Endpoint::parse("127.0.0.1:3478")};
    report.last_authenticated_ns = real_now().ns;
    datapath_->region().reports[p.slot].write(report);
  }

  ::kill(child_, SIGKILL);
  ASSERT_EQ(exit_code(), -1);
  auto begin = std::chrono::steady_clock::now();
  start();
  ASSERT_TRUE(ready());
  std::printf("restart to ready: %.0f ms\n",
              std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
                  .count());
  Reply metrics = http(admin_, "GET", "/metrics");
  EXPECT_NE(metrics.text.find("spillway_sessions_recovered_total 1\n"), std::string::npos);
  EXPECT_NE(metrics.text.find("spillway_control_starts_total 2\n"), std::string::npos);
  EXPECT_NE(metrics.text.find("spillway_build_info{version=\""), std::string::npos);
  Posted second = post("other");
  EXPECT_EQ(http(http_, "DELETE", p.location).status, 200);
  EXPECT_EQ(http(http_, "DELETE", p.location).status, 404);
  EXPECT_TRUE(eventually([&] {
    std::lock_guard lock(mutex_);
    for (auto& d : datapath_->take_dtls()) peer.receive({d.data, d.bytes});
    return peer.closed();
  })) << "no close_notify";

  ::kill(child_, SIGTERM);
  EXPECT_TRUE(eventually([&] { return http(admin_, "GET", "/readyz").status != 200; }));
  Reply refused = http(http_, "POST", "/whip/more", offer());
  EXPECT_TRUE(refused.status == 503 || refused.status == 0) << refused.text;
  EXPECT_EQ(exit_code(), 0);
  auto control = std::move(*abi::map_control_read(fds_.control));
  EXPECT_EQ(control->status.state.load(), static_cast<uint32_t>(abi::ProcessState::halt));
  std::lock_guard lock(mutex_);
  EXPECT_EQ(datapath_->entry(second.slot).phase, static_cast<uint8_t>(abi::SessionPhase::free));
}

TEST_F(ControlProcess, SecondSignalEndsAtOnce) {
  config_.drain_timeout_s = 600;
  start();
  ASSERT_TRUE(ready());
  post("live");
  ::kill(child_, SIGTERM);
  ASSERT_TRUE(eventually([&] { return http(admin_, "GET", "/readyz").status == 503; }));
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(::waitpid(child_, nullptr, WNOHANG), 0) << "did not wait for the session";
  ::kill(child_, SIGTERM);
  EXPECT_EQ(exit_code(), 0);
}

TEST_F(ControlProcess, RefusesToStartWithoutAnIdentity) {
  identity_ = "not a certificate";
  start();
  EXPECT_EQ(exit_code(), 78);
}

TEST_F(ControlProcess, SurvivesAStorm) {
  start();
  ASSERT_TRUE(ready());
  for (int i = 0; i < 200; ++i) {
    http(http_, "POST", "/whip/s" + std::to_string(i), "garbage");
    std::lock_guard lock(mutex_);
    for (int k = 0; k < 50; ++k) {
      abi::Event e{static_cast<uint32_t>(k % 7), static_cast<uint32_t>(i * 331 + k), 1u, 0u, {}, 0};
      datapath_->push_event(e, 0);
    }
    wake();
  }
  EXPECT_EQ(http(admin_, "GET", "/healthz").status, 200);
  ::kill(child_, SIGTERM);
  EXPECT_EQ(exit_code(), 0);
}

}  // namespace
}  // namespace spillway
