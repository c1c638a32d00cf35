// Out of file descriptors: a child process serves, the test drives it from outside and lowers the
// limit.
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

struct Report {
  uint16_t port = 0;
  uint16_t admin_port = 0;
  int next_descriptor = 0;  // handed out lowest first, so also how many are open
};

// Never returns. Says where it listens, then serves until it is killed.
[[noreturn]] void serve(int report_pipe) {
  FakeControl control;
  boost::asio::io_context io{1};
  HttpOptions options;
  options.listen = "127.0.0.1:0";
  options.limits.accept_pause = millis(20);
  HttpServer server(io, options, control, steady_now);
  AdminServer admin(io, options, control, server.metrics(), steady_now);
  if (!server.start() || !admin.start()) ::_exit(1);
  Report report{server.bound_port(), admin.bound_port(), ::open("/dev/null", O_RDONLY | O_CLOEXEC)};
  ::close(report.next_descriptor);
  if (::write(report_pipe, &report, sizeof report) != sizeof report) ::_exit(3);
  ::alarm(60);  // never outlives a test that died
  io.run();
  ::_exit(4);
}

TEST(Descriptors, ExhaustionPausesAcceptingAndKeepsServing) {
  int fds[2];
  ASSERT_EQ(::pipe(fds), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) serve(fds[1]);
  Report server;
  ASSERT_EQ(::read(fds[0], &server, sizeof server), static_cast<ssize_t>(sizeof server));

  constexpr std::string_view kGet = "GET /whip/cam HTTP/1.1\r\nHost: a\r\n\r\n";
  const auto accept_failures = [&](TcpClient& admin) {
    const auto r = admin.request("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    if (!r) return -1;
    constexpr std::string_view kLine = "spillway_http_rejects_total{reason=\"accept_failed\"} ";
    const auto at = r->body.find(kLine);
    return at == std::string::npos ? -1 : std::atoi(r->body.c_str() + at + kLine.size());
  };
  TcpClient admin(server.admin_port);
  ASSERT_EQ(accept_failures(admin), 0);
  // Every path is taken once before the limit falls: the undefined-behaviour
  // sanitizer needs descriptors itself the first time it meets a class.
  ASSERT_TRUE(TcpClient(server.port).request("POST /none HTTP/1.1\r\nHost: a\r\n\r\n"));
  ASSERT_TRUE(TcpClient(server.port).request(kGet));
  const auto most = static_cast<rlim_t>(server.next_descriptor + kSpareDescriptors);
  const rlimit limit{most, most};
  ASSERT_EQ(::prlimit(child, RLIMIT_NOFILE, &limit, nullptr), 0);
  TcpClient busy(server.port);
  ASSERT_TRUE(busy.send("GET /whip/cam HTTP/1.1\r\n"));
  TcpClient idle(server.port);
  ASSERT_TRUE(idle.request(kGet));
  std::list<TcpClient> flood;  // more than there are descriptors; the rest waits in the backlog
  for (int i = 0; i < 3 * kSpareDescriptors; ++i) {
    flood.emplace_back(server.port);
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
  const auto after = TcpClient(server.port).request(kGet);
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
