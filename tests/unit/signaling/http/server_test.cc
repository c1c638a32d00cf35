// The listener over real loopback sockets: framing, limits, deadlines, caps.
#include <gmock/gmock.h>

#include <list>

#include "server_fixture.h"

namespace spillway::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST_F(ServerTest, KeepAliveServesSeveralRequestsWithDifferentIds) {
  start();
  TcpClient client(port);
  const auto one = client.request(kGet);
  const auto two = client.request("GET /none HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(one && two);
  EXPECT_EQ(one->status, 204);
  EXPECT_EQ(two->status, 404);
  EXPECT_EQ(one->header("X-Request-Id").size(), 16u);
  EXPECT_NE(one->header("X-Request-Id"), two->header("X-Request-Id"));
  EXPECT_THAT(one->header("Date"), ::testing::EndsWith(" GMT"));
  EXPECT_EQ(one->header("Connection"), "keep-alive");
  EXPECT_EQ(open_connections(), 1u);
  client.close();
  EXPECT_TRUE(eventually([&] { return open_connections() == 0; }));
}

TEST_F(ServerTest, ServesIpv6) {
  options.listen = "[::1]:0";
  start();
  TcpClient client(port, true);
  const auto r = client.request(kGet);
  ASSERT_TRUE(r);
  EXPECT_EQ(r->status, 204);
}

TEST_F(ServerTest, ConnectionCloseAndHttp10EndTheConnection) {
  start();
  TcpClient polite(port);
  const auto r = polite.request("GET /whip/cam HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  ASSERT_TRUE(r);
  EXPECT_EQ(r->header("Connection"), "close");
  EXPECT_TRUE(polite.closed_by_server());
  TcpClient old(port);
  EXPECT_EQ(old.request("GET /whip/cam HTTP/1.0\r\n\r\n")->status, 204);
  EXPECT_TRUE(old.closed_by_server());
}

TEST_F(ServerTest, BufferedRequestsAreAnsweredInOrder) {
  start();
  TcpClient client(port);
  client.send(std::string(kGet) + "GET /none HTTP/1.1\r\nHost: a\r\n\r\n" + std::string(kGet));
  EXPECT_EQ(client.read_response()->status, 204);
  EXPECT_EQ(client.read_response()->status, 404);
  EXPECT_EQ(client.read_response()->status, 204);
}

TEST_F(ServerTest, ExpectContinueIsAnsweredBeforeTheBody) {
  start();
  TcpClient client(port);
  client.send(
      "POST /whip/cam HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
      "Expect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.read_response()->status, 100);
  client.send("hello");
  EXPECT_EQ(client.read_response()->status, 415);
}

TEST_F(ServerTest, SmuggledRequestIs400AndNothingAfterItIsRead) {
  start();
  TcpClient client(port);
  const auto r = client.request(
      "POST /whip/cam HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n"
      "\r\n0\r\n\r\nGET /whip/cam HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(r);
  EXPECT_EQ(r->status, 400);
  EXPECT_THAT(r->body, HasSubstr("urn:spillway:problem:bad-request"));
  EXPECT_EQ(r->header("Access-Control-Allow-Origin"), "*");
  EXPECT_TRUE(client.closed_by_server());
  EXPECT_EQ(rejects(HttpReject::bad_request), 1u);
}

TEST_F(ServerTest, OversizeHeaderIs431EvenWhileTheClientStillSends) {
  start();
  TcpClient client(port);
  client.send("GET / HTTP/1.1\r\nX: " + std::string(100'000, 'a'));
  const auto r = client.read_response();
  ASSERT_TRUE(r);
  EXPECT_EQ(r->status, 431);
  EXPECT_TRUE(client.closed_by_server());
  EXPECT_EQ(rejects(HttpReject::header_too_large), 1u);
}

TEST_F(ServerTest, OversizeBodyIs413EvenWhileTheClientStillSends) {
  start();
  TcpClient client(port);
  client.send(
      "POST /whip/cam HTTP/1.1\r\nHost: a\r\nContent-Type: application/sdp\r\n"
      "Content-Length: 200000\r\n\r\n" +
      std::string(200'000, 'a'));
  const auto r = client.read_response();
  ASSERT_TRUE(r);
  EXPECT_EQ(r->status, 413);
  EXPECT_THAT(r->body, HasSubstr("body-too-large"));
  EXPECT_EQ(rejects(HttpReject::body_too_large), 1u);
  EXPECT_EQ(control.create_calls, 0);
}

// Aim: the deadline is for the whole request. Each byte comes well within it.
TEST_F(ServerTest, DrippedHeaderHitsTheWholeRequestDeadline) {
  options.limits.request_deadline = millis(300);
  start();
  TcpClient client(port);
  const std::string text = "GET /whip/cam HTTP/1.1\r\nHost: a\r\nX: " + std::string(500, 'a');
  size_t sent = 0;
  while (sent < text.size() && rejects(HttpReject::request_deadline) == 0) {
    client.send(text.substr(sent++, 1));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_LT(sent, text.size()) << "ten seconds of dripping were tolerated";
  const auto r = client.read_response();
  ASSERT_TRUE(r);
  EXPECT_EQ(r->status, 408);
  EXPECT_TRUE(client.closed_by_server());
}

TEST_F(ServerTest, DrippedBodyHitsTheWholeRequestDeadlineToo) {
  options.limits.request_deadline = millis(300);
  start();
  TcpClient client(port);
  client.send("POST /whip/cam HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n");
  for (int i = 0; i < 500 && rejects(HttpReject::request_deadline) == 0; ++i) {
    client.send("a");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const auto r = client.read_response();
  ASSERT_TRUE(r);
  EXPECT_EQ(r->status, 408);
}

TEST_F(ServerTest, ASilentConnectionIsClosedAtTheDeadline) {
  options.limits.request_deadline = millis(200);
  start();
  TcpClient client(port);
  EXPECT_TRUE(client.closed_by_server());
  EXPECT_EQ(rejects(HttpReject::request_deadline), 1u);
}

TEST_F(ServerTest, IdleKeepAliveIsClosedAndTheDeadlineOfTheNextRequestIsItsOwn) {
  options.limits.idle_timeout = millis(300);
  options.limits.request_deadline = seconds(30);
  start();
  TcpClient client(port);
  ASSERT_TRUE(client.request(kGet));
  ASSERT_TRUE(client.request(kGet));
  EXPECT_TRUE(client.closed_by_server());
  EXPECT_EQ(rejects(HttpReject::request_deadline), 0u);
}

// Aim: somebody who asks for much and reads nothing is closed, and holds no more
// than one response meanwhile.
TEST_F(ServerTest, SlowReaderOfResponsesIsClosed) {
  options.limits.response_deadline = millis(500);
  control.stream_list.resize(10'000);
  for (auto& stream : control.stream_list) stream.name = std::string(100, 'n');
  start();
  TcpClient client(port, false, 4096);
  std::string many;
  for (int i = 0; i < 30; ++i) many += "GET /api/streams HTTP/1.1\r\nHost: a\r\n\r\n";
  client.send(many);
  EXPECT_TRUE(eventually([&] { return rejects(HttpReject::response_deadline) == 1; }));
  EXPECT_EQ(open_connections(), 0u);
  TcpClient other(port);
  EXPECT_EQ(other.request(kGet)->status, 204);
}

TEST_F(ServerTest, ConnectionsPerAddressAreCapped) {
  options.max_connections_per_ip = 3;
  start();
  std::list<TcpClient> held;
  for (int i = 0; i < 3; ++i) {
    held.emplace_back(port);
    ASSERT_TRUE(held.back().request(kGet)) << i;
  }
  TcpClient fourth(port);
  EXPECT_TRUE(fourth.closed_by_server());
  EXPECT_EQ(rejects(HttpReject::connection_limit_per_ip), 1u);
  held.pop_front();
  ASSERT_TRUE(eventually([&] { return open_connections() == 2; }));
  TcpClient fifth(port);
  EXPECT_EQ(fifth.request(kGet)->status, 204);
}

TEST_F(ServerTest, TrustedProxiesAreNotCappedPerAddress) {
  options.max_connections_per_ip = 1;
  options.trusted_proxies = {"127.0.0.0/8"};
  start();
  TcpClient one(port), two(port);
  EXPECT_TRUE(one.request(kGet));
  EXPECT_TRUE(two.request(kGet));
}

TEST_F(ServerTest, AtTheTotalCapTheLongestIdleMakesRoomBusyOnesDoNot) {
  options.max_connections = 2;
  start();
  TcpClient busy(port);
  ASSERT_TRUE(busy.send("GET /whip/cam HTTP/1.1\r\n"));
  TcpClient idle(port);
  ASSERT_TRUE(idle.request(kGet));
  ASSERT_TRUE(eventually([&] { return open_connections() == 2; }));
  TcpClient third(port);
  ASSERT_TRUE(third.send("GET /whip/cam HTTP/1.1\r\n"));
  EXPECT_TRUE(idle.closed_by_server());
  ASSERT_TRUE(eventually([&] { return open_connections() == 2; }));
  TcpClient fourth(port);
  EXPECT_TRUE(fourth.closed_by_server());
  EXPECT_EQ(rejects(HttpReject::connection_limit), 1u);
  for (TcpClient* client : {&busy, &third}) {
    const auto r = client->request("Host: a\r\n\r\n");
    ASSERT_TRUE(r);
    EXPECT_EQ(r->status, 204);
  }
}

TEST_F(ServerTest, RequestsPerConnectionAreBounded) {
  options.limits.requests_per_connection_max = 3;
  start();
  TcpClient client(port);
  EXPECT_EQ(client.request(kGet)->header("Connection"), "keep-alive");
  EXPECT_EQ(client.request(kGet)->header("Connection"), "keep-alive");
  EXPECT_EQ(client.request(kGet)->header("Connection"), "close");
  EXPECT_TRUE(client.closed_by_server());
}

TEST_F(ServerTest, AFaultInTheHandlerIsOneClients500) {
  control.throw_on_streams = true;
  start();
  TcpClient client(port);
  const auto r = client.request("GET /api/streams HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(r);
  EXPECT_EQ(r->status, 500);
  EXPECT_THAT(r->body, HasSubstr("internal-error"));
  TcpClient other(port);
  EXPECT_EQ(other.request(kGet)->status, 204);
}

TEST_F(ServerTest, H34_PlainHttpOffLoopbackNeedsAnExplicitWord) {
  options.listen = "192.0.2.1:8080";
  HttpServer refused(io, options, control, steady_now);
  const auto r = refused.start();
  ASSERT_FALSE(r);
  EXPECT_THAT(r.error().text, HasSubstr("insecure_http"));
  options.insecure_http = true;  // then only the address is wrong
  HttpServer allowed(io, options, control, steady_now);
  const auto bind = allowed.start();
  ASSERT_FALSE(bind);
  EXPECT_THAT(bind.error().text, StartsWith("bind 192.0.2.1:8080"));
}

TEST_F(ServerTest, StartSaysWhatIsWrong) {
  start();
  options.listen = "127.0.0.1:" + std::to_string(port);
  HttpServer second(io, options, control, steady_now);
  const auto taken = second.start();
  ASSERT_FALSE(taken);
  EXPECT_THAT(taken.error().text, HasSubstr("in use"));
  options.listen = "localhost:80";
  HttpServer third(io, options, control, steady_now);
  EXPECT_FALSE(third.start());
}

TEST_F(ServerTest, DrainingIsSeenByNewPosts) {
  start();
  on_io([&] { server->begin_drain(); });
  TcpClient client(port);
  const auto r = client.request(
      "POST /whip/cam HTTP/1.1\r\nHost: a\r\nContent-Type: application/sdp\r\nContent-Length: 0\r\n"
      "\r\n");
  ASSERT_TRUE(r);
  EXPECT_EQ(r->status, 503);
  EXPECT_NE(r->header("Retry-After"), "");
}

// Aim: destruction with requests in every phase leaves nothing that touches the
// dead server when its handlers run (checked by the sanitizer build).
TEST_F(ServerTest, DestroyedWithConnectionsInEveryPhase) {
  control.stream_list.resize(10'000);
  start();
  TcpClient silent(port), half(port), idle(port), writing(port, false, 4096), refused(port);
  half.send("POST /whip/cam HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nab");
  ASSERT_TRUE(idle.request(kGet));
  for (int i = 0; i < 30; ++i) writing.send("GET /api/streams HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(refused.request("junk junk\r\n\r\n"));
  ASSERT_TRUE(eventually([&] { return open_connections() == 5; }));
  shut_down();
  EXPECT_TRUE(silent.closed_by_server());
  EXPECT_TRUE(half.closed_by_server());
  EXPECT_TRUE(idle.closed_by_server());
}

TEST_F(ServerTest, AdminListenerServesHealthAndBothMetrics) {
  start();
  HttpOptions admin_options;
  admin_options.listen = "127.0.0.1:0";
  std::unique_ptr<AdminServer> admin;
  const uint16_t admin_port = on_io([&] {
    admin =
        std::make_unique<AdminServer>(io, admin_options, control, server->metrics(), steady_now);
    return admin->start() ? admin->bound_port() : uint16_t{0};
  });
  ASSERT_NE(admin_port, 0);
  TcpClient on_public(port);
  ASSERT_TRUE(on_public.request(kGet));
  EXPECT_EQ(on_public.request("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")->status, 404);
  TcpClient client(admin_port);
  EXPECT_EQ(client.request("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")->status, 200);
  EXPECT_EQ(client.request("GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")->status, 503);
  const auto metrics = client.request("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(metrics);
  EXPECT_THAT(metrics->body, HasSubstr("spillway_fake_total 1\n"));
  EXPECT_THAT(metrics->body,
              HasSubstr("spillway_http_requests_total{route=\"whip\",class=\"2xx\"} 1\n"));
  on_io([&] { admin.reset(); });
}

}  // namespace
}  // namespace spillway::test
