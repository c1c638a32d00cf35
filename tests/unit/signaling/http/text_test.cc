// The small pure parts: responses on the wire, escaping, problems, metrics text.
#include <gmock/gmock.h>

#include "router_fixture.h"
#include "signaling/http/http_metrics.h"
#include "signaling/http/json_text.h"
#include "signaling/http/problem.h"

namespace spillway::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Serialize, WritesStatusHeadersLengthAndBody) {
  HttpResponse r;
  r.status = 201;
  r.set("ETag", "\"a\"");
  r.body = "hello";
  EXPECT_EQ(serialize(r, true, "Sat, 21 Nov 2026 12:00:00 GMT", "0001"),
            "HTTP/1.1 201 Created\r\nETag: \"a\"\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\n"
            "X-Request-Id: 0001\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello");
}

TEST(Serialize, HeadHasTheLengthWithoutTheBodyAnd204HasNeither) {
  HttpResponse head;
  head.head_content_length = 1234;
  const std::string text = serialize(head, false, "d", "i");
  EXPECT_THAT(text, HasSubstr("Content-Length: 1234\r\nConnection: close\r\n\r\n"));
  EXPECT_TRUE(text.ends_with("\r\n\r\n"));
  HttpResponse none;
  none.status = 204;
  EXPECT_THAT(serialize(none, true, "d", "i"), Not(HasSubstr("Content-Length")));
}

TEST(Serialize, HeaderInjectionIsLeftOut) {
  HttpResponse r;
  r.add("X", "a\r\nSet-Cookie: b");
  r.add("Y\n", "b");
  r.add("Z", std::string("a\0b", 3));
  r.add("Good", "yes");
  const std::string text = serialize(r, true, "d", "i");
  EXPECT_THAT(text, Not(HasSubstr("Set-Cookie")));
  EXPECT_THAT(text, Not(HasSubstr("Z:")));
  EXPECT_THAT(text, HasSubstr("Good: yes\r\n"));
}

TEST(Serialize, EveryStatusWeSendHasAReason) {
  for (uint8_t i = 0; i < kProblemTypeCount; ++i)
    EXPECT_NE(reason_phrase(info_of(static_cast<ProblemType>(i)).status), "Unknown");
  for (const int status :
       {200, 201, 204, 400, 401, 404, 405, 409, 412, 413, 415, 422, 428, 429, 431, 503})
    EXPECT_NE(reason_phrase(static_cast<uint16_t>(status)), "Unknown") << status;
}

TEST(JsonText, EscapesWhatWouldBreakADocument) {
  EXPECT_EQ(json_string("plain"), "\"plain\"");
  EXPECT_EQ(json_string("a\"b\\c"), R"("a\"b\\c")");
  EXPECT_EQ(json_string("\r\n\x01\x7f"), "\"\\u000d\\u000a\\u0001\\u007f\"");
  EXPECT_EQ(json_string("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
            "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"");
  EXPECT_EQ(json_string("\xff\xc3"), "\"\\ufffd\\ufffd\"");
  EXPECT_EQ(json_string("\xc0\xaf"), "\"\\ufffd\\ufffd\"");             // overlong
  EXPECT_EQ(json_string("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\"");  // surrogate
  EXPECT_EQ(json_string("\xf4\x90\x80\x80"), "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
}

TEST(LogText, ControlCharactersCannotForgeALineOrColourATerminal) {
  EXPECT_EQ(escape_for_log("/whip/cam"), "/whip/cam");
  EXPECT_EQ(escape_for_log("a\r\nlevel=error"), "a\\x0d\\x0alevel=error");
  EXPECT_EQ(escape_for_log("\x1b[31m\x7f\xff\\"), "\\x1b[31m\\x7f\\xff\\x5c");
  EXPECT_EQ(escape_for_log(std::string(1'000'000, 'a')).size(), 131u);
}

TEST(Problem, TypesAreUniqueAndDetailIsEscapedAndCut) {
  std::vector<std::string_view> slugs;
  for (uint8_t i = 0; i < kProblemTypeCount; ++i) {
    const ProblemInfo& info = info_of(static_cast<ProblemType>(i));
    EXPECT_EQ(std::count(slugs.begin(), slugs.end(), info.slug), 0) << info.slug;
    slugs.push_back(info.slug);
  }
  const auto r = problem(ProblemType::bad_sdp, "line 1: \"\r\n\xff" + std::string(10'000, 'x'));
  EXPECT_EQ(r.status, 400);
  EXPECT_LT(r.body.size(), 1024u);
  EXPECT_THAT(r.body, HasSubstr("line 1: \\\"\\u000d\\u000a\\ufffd"));
}

TEST(HttpMetrics, TextHasTypesLabelsAndACumulativeHistogram) {
  HttpMetrics metrics;
  metrics.count_request(HttpRoute::whip, 201, micros(90));
  metrics.count_request(HttpRoute::whip, 200, micros(300));
  metrics.count_request(HttpRoute::session, 404, seconds(5));
  metrics.count_reject(HttpReject::rate_limit_prefix);
  metrics.connection_opened();
  metrics.connection_opened();
  metrics.connection_closed();
  const std::string text = metrics.text();
  for (const char* line : {"# TYPE spillway_http_requests_total counter\n",
                           "spillway_http_requests_total{route=\"whip\",class=\"2xx\"} 2\n",
                           "spillway_http_requests_total{route=\"session\",class=\"4xx\"} 1\n",
                           "spillway_http_rejects_total{reason=\"rate_limit_prefix\"} 1\n",
                           "spillway_http_connections 1\n", "spillway_http_connections_total 2\n",
                           "spillway_http_request_duration_seconds_bucket{le=\"0.0001\"} 1\n",
                           "spillway_http_request_duration_seconds_bucket{le=\"0.0005\"} 2\n",
                           "spillway_http_request_duration_seconds_bucket{le=\"1\"} 2\n",
                           "spillway_http_request_duration_seconds_bucket{le=\"+Inf\"} 3\n",
                           "spillway_http_request_duration_seconds_count 3\n",
                           "spillway_http_request_duration_seconds_sum 5.00039\n"})
    EXPECT_THAT(text, HasSubstr(line));
}

TEST_F(RouterTest, RequestsAreCountedByRouteAndClass) {
  post_whip();
  post("/whip/cam", "junk");
  send(HttpMethod::get, "/nowhere");
  send(HttpMethod::get, "/w/x");
  EXPECT_EQ(metrics.requests(HttpRoute::whip, 200), 1u);
  EXPECT_EQ(metrics.requests(HttpRoute::whip, 400), 1u);
  EXPECT_EQ(metrics.requests(HttpRoute::unknown, 404), 1u);
  EXPECT_EQ(metrics.requests(HttpRoute::session, 404), 1u);
}

TEST_F(RouterTest, StatusApiListsStreamsLayersAndSessionsWithoutIds) {
  StreamStatus cam;
  cam.name = "cam";
  cam.live = true;
  cam.viewers = 2;
  cam.rx_bytes = 12345;
  cam.tracks = {{MediaKind::video, {{Codec::h264, "profile-level-id=42e01f"}}, {"h", "l"}}};
  cam.layers = {{"h", true, 2'000'000}, {"l", false, 0}};
  control.stream_list = {cam};
  SessionStatus viewer;
  viewer.state = "connected";
  viewer.remote = "198.51.100.7:5000";
  control.session_list = {viewer};
  const auto list = send(HttpMethod::get, "/api/streams");
  ASSERT_EQ(list.status, 200);
  EXPECT_EQ(header(list, "Content-Type"), "application/json");
  EXPECT_EQ(header(list, "Cache-Control"), "no-store");
  EXPECT_EQ(list.body,
            "{\"streams\":[{\"name\":\"cam\",\"live\":true,\"viewers\":2,\"rx_packets\":0,"
            "\"rx_bytes\":12345,\"tx_packets\":0,\"tx_bytes\":0,\"tracks\":[{\"kind\":\"video\","
            "\"codecs\":[{\"name\":\"H264\",\"fmtp\":\"profile-level-id=42e01f\"}],"
            "\"rids\":[\"h\",\"l\"]}],\"layers\":[{\"rid\":\"h\",\"active\":true,"
            "\"bitrate_bps\":2000000},{\"rid\":\"l\",\"active\":false,\"bitrate_bps\":0}]}],"
            "\"health\":{\"control_ok\":true,\"datapath_ok\":false,\"draining\":false,"
            "\"uptime_ms\":0}}\n");
  const auto one = send(HttpMethod::get, "/api/streams/cam");
  ASSERT_EQ(one.status, 200);
  EXPECT_THAT(one.body, HasSubstr("\"sessions\":[{\"publisher\":false,\"state\":\"connected\""));
  EXPECT_THAT(one.body, HasSubstr("\"remote\":\"\""));  // anybody may ask: no addresses
  peer = IpAddress::v4(127, 0, 0, 1);
  EXPECT_THAT(send(HttpMethod::get, "/api/streams/cam").body, HasSubstr("198.51.100.7:5000"));
  EXPECT_THAT(list.body, Not(HasSubstr("io_backend")));
  EXPECT_THAT(send(HttpMethod::get, "/api/streams").body, HasSubstr("\"io_backend\":\"\""));
  const auto head = send(HttpMethod::head, "/api/streams");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "");
  EXPECT_GT(head.head_content_length, list.body.size());  // a local reader is told more
}

class AdminTest : public ::testing::Test {
 protected:
  HttpResponse get(std::string_view target, HttpMethod method = HttpMethod::get) {
    HttpRequest request;
    request.method = method;
    request.target = target;
    return router.handle(request);
  }
  FakeControl control;
  HttpMetrics metrics;
  HttpOptions options;
  AdminRouter router{options, control, metrics};
};

TEST_F(AdminTest, ReadyOnlyWithALiveDatapathAndNotWhileDraining) {
  EXPECT_EQ(get("/healthz").status, 200);
  const auto down = get("/readyz");
  EXPECT_EQ(down.status, 503);
  EXPECT_THAT(down.body, HasSubstr("\"reasons\":[\"the datapath does not answer\"]"));
  control.health_now.datapath_ok = true;
  control.health_now.io_note = "no permission for \"xdp\"";
  const auto ready = get("/readyz");
  EXPECT_EQ(ready.status, 200);
  EXPECT_THAT(ready.body, HasSubstr("\"status\":\"ready\""));
  EXPECT_THAT(ready.body, HasSubstr("\"degraded\":[\"io: no permission for \\\"xdp\\\"\"]"));
  control.health_now.draining = true;
  EXPECT_EQ(get("/readyz").status, 503);
  EXPECT_EQ(get("/healthz").status, 200);
  control.health_now.control_ok = false;
  EXPECT_EQ(get("/healthz").status, 503);
}

TEST_F(AdminTest, MetricsAreControlsAndOurs) {
  metrics.count_reject(HttpReject::draining);
  const auto r = get("/metrics");
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(r.header("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_THAT(r.body, HasSubstr("spillway_fake_total 1\n"));
  EXPECT_THAT(r.body, HasSubstr("spillway_http_rejects_total{reason=\"draining\"} 1\n"));
}

TEST_F(AdminTest, NothingElseIsServedAndNothingIsChanged) {
  for (const char* path : {"/", "/whip/cam", "/api/streams", "/debug/pprof", "/metrics/x"})
    EXPECT_EQ(get(path).status, 404) << path;
  for (const char* path : {"/healthz", "/readyz", "/metrics"})
    EXPECT_EQ(get(path, HttpMethod::post).status, 405) << path;
  EXPECT_EQ(get("/readyz").header("Access-Control-Allow-Origin"), std::nullopt);
}

}  // namespace
}  // namespace spillway::test
