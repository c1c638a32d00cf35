// Out of file descriptors: a child process with a low RLIMIT_NOFILE serves, the
// test drives it from outside.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>
#include <list>

#include "server_fixture.h"

namespace spillway::test {
namespace {

constexpr int kSpareDescriptors = 6;

// Never returns. Writes its port to `port_pipe`, then serves until it is killed.
[[noreturn]] void serve_with_few_descriptors(int port_pipe) {
  FakeControl control;
  boost::asio::io_context io{1};
  HttpOptions options;
  options.listen = "127.0.0.1:0";
  options.limits.accept_pause = millis(20);
  HttpServer server(io, options, control, steady_now);
  AdminServer admin(io, options, control, server.metrics(), steady_now);
  if (!server.start() || !admin.start()) ::_exit(1);
  const uint16_t ports[2] = {server.bound_port(), admin.bound_port()};
  // Descriptors are handed out lowest first: the next number is the count so far.
  const int next = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::close(next);
  const rlimit limit{static_cast<rlim_t>(next + kSpareDescriptors),
                     static_cast<rlim_t>(next + kSpareDescriptors)};
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) ::_exit(2);
  if (::write(port_pipe, ports, sizeof ports) != sizeof ports) ::_exit(3);
  ::alarm(60);  // never outlives a test that died
  io.run();
  ::_exit(4);
}

TEST(Descriptors, ExhaustionPausesAcceptingAndKeepsServing) {
  int fds[2];
  ASSERT_EQ(::pipe(fds), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) serve_with_few_descriptors(fds[1]);
  uint16_t ports[2] = {};
  ASSERT_EQ(::read(fds[0], ports, sizeof ports), static_cast<ssize_t>(sizeof ports));

  constexpr std::string_view kGet = "GET /whip/cam HTTP/1.1\r\nHost: a\r\n\r\n";
  const auto accept_failures = [&](TcpClient& admin) {
    const auto r = admin.request("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    if (!r) return -1;
    constexpr std::string_view kLine = "spillway_http_rejects_total{reason=\"accept_failed\"} ";
    const auto at = r->body.find(kLine);
    return at == std::string::npos ? -1 : std::atoi(r->body.c_str() + at + kLine.size());
  };
  TcpClient admin(ports[1]);
  ASSERT_EQ(accept_failures(admin), 0);
  TcpClient busy(ports[0]);
  ASSERT_TRUE(busy.send("GET /whip/cam HTTP/1.1\r\n"));
  TcpClient idle(ports[0]);
  ASSERT_TRUE(idle.request(kGet));
  std::list<TcpClient> flood;  // more than there are descriptors; the rest waits in the backlog
  for (int i = 0; i < 3 * kSpareDescriptors; ++i) {
    flood.emplace_back(ports[0]);
    ASSERT_TRUE(flood.back().connected());
  }
  int failures = 0;
  for (int i = 0; i < 500 && failures < 3; ++i) {
    failures = accept_failures(admin);
    ASSERT_GE(failures, 0) << "an open connection was not served any more";
    ::usleep(10'000);
  }
  EXPECT_GE(failures, 3) << "accepting is retried after each pause";
  ASSERT_TRUE(busy.send("Host: a\r\n\r\n"));
  const auto served = busy.read_response();
  ASSERT_TRUE(served);
  EXPECT_EQ(served->status, 204);
  EXPECT_TRUE(idle.closed_by_server()) << "the idle connection makes room";

  flood.clear();
  const auto after = TcpClient(ports[0]).request(kGet);
  ASSERT_TRUE(after);
  EXPECT_EQ(after->status, 204);

  ::kill(child, SIGKILL);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  ::close(fds[0]);
  ::close(fds[1]);
}

}  // namespace
}  // namespace spillway::test
