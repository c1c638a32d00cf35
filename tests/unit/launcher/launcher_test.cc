// The whole `spillway` program with fake children beside it: what they inherit, what
// is left behind, what is said to the service manager and to people.
#include <gmock/gmock.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <cctype>
#include <cstddef>
#include <cstring>
#include <set>
#include <sstream>

#include "control/config_json.h"
#include "control/config_table.h"
#include "datapath/abi/process.h"
#include "tests/unit/launcher/launcher_rig.h"

namespace spillway {
namespace {

using testing::HasSubstr;
using testing::Not;

class LauncherTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const auto& [from, to] : {std::pair{SPILLWAY_PROGRAM, "spillway"},
                                   std::pair{SPILLWAY_FAKE_CONTROL, "spillway-control"},
                                   std::pair{SPILLWAY_FAKE_DATAPATH, "spillway-datapath"}})
      std::filesystem::copy_file(from, directory_.path() + "/" + to);
    environment_ = {"FAKE_DIR=" + directory_.path(), "PATH=/usr/bin:/bin",
                    "SPILLWAY_AUTH__PUBLISH_TOKENS=token-of-the-test"};
  }

  std::unique_ptr<WatchedProcess> start(std::vector<std::string> arguments) {
    std::vector<std::string> all{directory_.path() + "/spillway"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return std::make_unique<WatchedProcess>([all, this] {
      std::vector<char*> argv;
      for (const std::string& a : all) argv.push_back(const_cast<char*>(a.c_str()));
      argv.push_back(nullptr);
      std::vector<char*> envp;
      for (const std::string& e : environment_) envp.push_back(const_cast<char*>(e.c_str()));
      envp.push_back(nullptr);
      ::execve(argv[0], argv.data(), envp.data());
      return 127;
    });
  }
  // Any free UDP port, so that tests do not meet each other.
  std::unique_ptr<WatchedProcess> run(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"run", "--port", "0", "--workers", "2", "--media.pin=false"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return start(arguments);
  }

  TemporaryDirectory directory_;
  std::vector<std::string> environment_;
};

std::vector<std::string> lines_with(const std::string& text, const std::string& start) {
  std::vector<std::string> out;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);)
    if (line.starts_with(start)) out.push_back(line);
  return out;
}

std::set<int> descriptors(const std::string& report) {
  std::set<int> out;
  for (const std::string& line : lines_with(report, "fd ")) out.insert(std::stoi(line.substr(3)));
  return out;
}

TEST_F(LauncherTest, ChildrenFindExactlyTheIntendedDescriptors) {
  environment_.push_back("FAKE_CONTROL=report");
  environment_.push_back("FAKE_DATAPATH=report");
  // A descriptor somebody forgot to close must not reach the children.
  const int leak = ::open("/dev/null", O_RDONLY);
  ASSERT_GE(::fcntl(leak, F_DUPFD, 20), 20);
  auto p = run();
  p->prints("is ready");

  const std::string control = directory_.read("control.report");
  std::set<int> expected{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 48, 49};
  EXPECT_EQ(descriptors(control), expected) << control;
  const std::string datapath = directory_.read("datapath.report");
  expected.erase(abi::kFdDtlsIdentity);
  expected.insert({abi::fd_socket_v4(0), abi::fd_socket_v4(1)});
  std::set<int> with_v6 = expected;
  with_v6.insert({abi::fd_socket_v6(0), abi::fd_socket_v6(1)});
  EXPECT_THAT(descriptors(datapath), testing::AnyOf(expected, with_v6)) << datapath;

  EXPECT_THAT(control, HasSubstr("maps-for-writing control yes keys yes datapath no boot no"));
  EXPECT_THAT(datapath, HasSubstr("maps-for-writing control no keys no datapath yes boot no"));
  for (const std::string& report : {control, datapath}) {
    EXPECT_THAT(report, HasSubstr("fd 0 ro /dev/null"));
    EXPECT_THAT(report, HasSubstr("core 0\n"));
    EXPECT_THAT(report, HasSubstr("own-group yes"));
    EXPECT_THAT(report, HasSubstr("term-blocked no"));
    EXPECT_THAT(report, HasSubstr("env PATH="));
    EXPECT_THAT(report, Not(HasSubstr("env SPILLWAY_")));
  }
  p->signal(SIGTERM);
  EXPECT_EQ(p->wait_end(), 0);
}

TEST_F(LauncherTest, RestartedChildReadsConfigurationAndIdentityFromTheirStart) {
  environment_.push_back("FAKE_CONTROL=report,die=1");
  auto p = run({"--sessions.max", "77"});
  p->prints("spillway-control runs again");
  const std::string report = directory_.read("control.report");  // of the second one
  EXPECT_THAT(report, HasSubstr("content 9 -----BEGIN CERTIFICATE-----"));
  EXPECT_THAT(report, HasSubstr("-----BEGIN PRIVATE KEY-----"));
  const auto content = lines_with(report, "content 7 ");
  ASSERT_EQ(content.size(), 1u);
  auto config = config_from_json(content[0].substr(10));
  ASSERT_TRUE(config.ok()) << config.error().text;
  EXPECT_EQ(config->sessions.max, 77u);
  EXPECT_EQ(config->media.workers, 2u);
  EXPECT_NE(config->media.port, 0);  // the one that was really bound
  EXPECT_THAT(config->media.advertise, Not(testing::IsEmpty()));
  EXPECT_THAT(config->auth.publish_tokens, testing::ElementsAre("token-of-the-test"));
  p->signal(SIGTERM);
  EXPECT_EQ(p->wait_end(), 0);
}

TEST_F(LauncherTest, EndsCleanlyAndPrintsItsUrls) {
  auto p = run({"--http", "127.0.0.1:18080"});
  p->prints("publish  http://127.0.0.1:18080/publish/demo");
  p->prints("watch    http://127.0.0.1:18080/watch/demo");
  p->prints("status   http://127.0.0.1:18080/status");
  p->signal(SIGTERM);
  EXPECT_EQ(p->wait_end(), 0);
  EXPECT_THAT(p->output(), HasSubstr("stopped"));
  const std::string log = directory_.read("events");
  EXPECT_THAT(log, HasSubstr("control term\ncontrol end\ndatapath term\ndatapath end\n"));
}

TEST_F(LauncherTest, MediaPortStaysBoundWhileTheDatapathIsDead) {
  // Aim: no ICMP port unreachable leaves the machine between two datapaths.
  environment_.push_back("FAKE_DATAPATH=die=1000");
  environment_.push_back("FAKE_CONTROL=report");
  auto p = run();
  p->prints("spillway-datapath exited with code 3");
  auto config = config_from_json(
      lines_with(directory_.read("control.report"), "content 7 ").at(0).substr(10));
  ASSERT_TRUE(config.ok());
  for (int i = 0; i < 50; ++i) {
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(config->media.port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_NE(::bind(fd, reinterpret_cast<sockaddr*>(&to), sizeof to), 0) << "port was free";
    EXPECT_EQ(errno, EADDRINUSE);
    ::close(fd);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  p->signal(SIGTERM);
  EXPECT_EQ(p->wait_end(), 0);
}

TEST_F(LauncherTest, TakenPortIsRefusedWithAHint) {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_ANY);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  socklen_t bytes = sizeof at;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &bytes);
  auto p = start({"--port", std::to_string(ntohs(at.sin_port))});
  EXPECT_EQ(p->wait_end(), 78);
  EXPECT_THAT(p->output(), HasSubstr("another instance"));
  ::close(fd);
}

TEST_F(LauncherTest, ExitCodesTellUsageFromConfiguration) {
  EXPECT_EQ(start({"--port", "x"})->wait_end(), 64);
  EXPECT_EQ(start({"nonsense"})->wait_end(), 64);
  EXPECT_EQ(start({"--config", "/nonexistent"})->wait_end(), 78);
  EXPECT_EQ(start({"--http", "0.0.0.0:80"})->wait_end(), 78);
  EXPECT_EQ(start({"config", "check"})->wait_end(), 0);
  EXPECT_EQ(start({"version", "--json"})->wait_end(), 0);
  EXPECT_EQ(start({"--help"})->wait_end(), 0);
  environment_.push_back("SPILLWAY_MEDIA__WORKERS=99");
  EXPECT_EQ(start({"run"})->wait_end(), 78);
}

TEST_F(LauncherTest, MissingChildIsNamed) {
  std::filesystem::remove(directory_.path() + "/spillway-control");
  auto p = run();
  EXPECT_EQ(p->wait_end(), 78);
  EXPECT_THAT(p->output(), HasSubstr("spillway-control must lie beside the launcher"));
}

TEST_F(LauncherTest, LogCanBeJson) {
  auto p = run({"--log.json"});
  p->prints("is ready");
  p->signal(SIGTERM);
  EXPECT_EQ(p->wait_end(), 0);
  std::istringstream stream(p->output());
  size_t lines = 0;
  for (std::string line; std::getline(stream, line); ++lines) {
    EXPECT_TRUE(line.starts_with("{\"ts\":\"")) << line;
    EXPECT_TRUE(line.ends_with("}")) << line;
  }
  EXPECT_GE(lines, 3u);
}

TEST_F(LauncherTest, ChildrenEndWhenTheLauncherIsKilled) {
  environment_.push_back("FAKE_CONTROL=ignore-term,report");
  environment_.push_back("FAKE_DATAPATH=ignore-term,report");
  auto p = run();
  p->prints("is ready");
  // Children of the launcher, found from outside.
  std::vector<pid_t> children;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    if (!std::isdigit(entry.path().filename().string()[0])) continue;
    std::ifstream stat(entry.path() / "stat");
    const std::string text((std::istreambuf_iterator<char>(stat)), {});
    const size_t at = text.rfind(") ");
    if (at == std::string::npos) continue;
    std::istringstream rest(text.substr(at + 2));
    char state;
    pid_t parent = 0;
    rest >> state >> parent;
    if (parent == p->pid()) children.push_back(std::stoi(text));
  }
  EXPECT_EQ(children.size(), 2u);
  p->signal(SIGKILL);
  for (pid_t child : children) EXPECT_TRUE(eventually([&] { return !exists(child); }));
}

// Receives what a service manager would.
class NotifySocket {
 public:
  explicit NotifySocket(const std::string& path)
      : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::memcpy(at.sun_path, path.data(), path.size());
    if (at.sun_path[0] == '@') at.sun_path[0] = '\0';
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&at),
                     static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size())),
              0);
  }
  ~NotifySocket() { ::close(fd_); }
  bool receives(const std::string& text) {
    return eventually([&] {
      char block[512];
      for (ssize_t n; (n = ::recv(fd_, block, sizeof block, 0)) > 0;)
        all_ += std::string(block, static_cast<size_t>(n)) + "\n--\n";
      return all_.find(text) != std::string::npos;
    });
  }
  const std::string& all() const { return all_; }

 private:
  int fd_;
  std::string all_;
};

TEST_F(LauncherTest, ServiceManagerHearsReadyWatchdogAndStopping) {
  for (const std::string& name :
       {directory_.path() + "/notify", "@spillway-test-" + std::to_string(::getpid())}) {
    NotifySocket manager(name);
    environment_.push_back("NOTIFY_SOCKET=" + name);
    environment_.push_back("WATCHDOG_USEC=200000");
    environment_.push_back("FAKE_DATAPATH=report");
    auto p = run();
    EXPECT_TRUE(manager.receives("READY=1\nSTATUS=http://127.0.0.1:8080"));
    EXPECT_TRUE(manager.receives("WATCHDOG=1"));
    EXPECT_THAT(manager.all(), Not(HasSubstr("STOPPING")));
    p->signal(SIGTERM);
    EXPECT_TRUE(manager.receives("STOPPING=1"));
    EXPECT_EQ(p->wait_end(), 0);
    EXPECT_THAT(directory_.read("datapath.report"), Not(HasSubstr("NOTIFY_SOCKET")));
    environment_.resize(environment_.size() - 3);
  }
}

}  // namespace
}  // namespace spillway
