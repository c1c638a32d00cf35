// Who may do what: tokens, token-named endpoints, hosts, proxies.
#include <gmock/gmock.h>

#include "router_fixture.h"
#include "signaling/http/auth.h"
#include "signaling/http/client_address.h"

namespace spillway::test {
namespace {

using ::testing::HasSubstr;

TEST_F(RouterTest, H31_MissingTokenIs401WithAChallenge) {
  options.publish_tokens = {"secret", "other"};
  const auto missing = post_whip();
  EXPECT_EQ(missing.status, 401);
  EXPECT_EQ(header(missing, "WWW-Authenticate"), "Bearer realm=\"spillway\"");
  EXPECT_EQ(type_of(missing), "unauthorized");
  const auto wrong = post_whip("/whip/cam", {{"Authorization", "Bearer nope"}});
  EXPECT_EQ(wrong.status, 401);
  EXPECT_THAT(header(wrong, "WWW-Authenticate"), HasSubstr("error=\"invalid_token\""));
  EXPECT_EQ(control.create_calls, 0);
  EXPECT_EQ(metrics.rejects(HttpReject::unauthorized), 2u);
}

TEST_F(RouterTest, H31_PreflightNeverNeedsAuthentication) {
  options.publish_tokens = options.watch_tokens = {"secret"};
  for (const char* path : {"/whip/cam", "/whep/cam", "/w/abc", "/w/abc/layer", "/api/streams"}) {
    const auto r =
        send(HttpMethod::options, path,
             {{"Origin", "https://a.example"}, {"Access-Control-Request-Method", "POST"}});
    EXPECT_EQ(r.status, 200) << path;
  }
}

TEST_F(RouterTest, C04_BearerUndefinedIsHarmlessWhenAuthIsOff) {
  EXPECT_EQ(post_whip("/whip/cam", {{"Authorization", "Bearer undefined"}}).status, 201);
  EXPECT_EQ(post_whep("/whep/cam", {{"Authorization", "Basic x"}}).status, 201);
  EXPECT_EQ(post_whip("/whip/endpoint", {{"Authorization", "Bearer undefined"}}).status, 201);
  EXPECT_EQ(control.published.back().stream, "demo");
}

TEST_F(RouterTest, C05_RawTokenOnlyWithTheFlag) {
  options.watch_tokens = {"secret"};
  EXPECT_EQ(post_whep("/whep/cam", {{"Authorization", "secret"}}).status, 401);
  options.accept_raw_token = true;
  EXPECT_EQ(post_whep("/whep/cam", {{"Authorization", "secret"}}).status, 201);
  EXPECT_EQ(post_whep("/whep/cam", {{"Authorization", "Bearer secret"}}).status, 201);
}

TEST(Auth, Table) {
  HttpOptions options;
  options.publish_tokens = {"alpha", "beta"};
  struct Row {
    const char* value;
    AuthResult want;
  };
  for (const Row& row : {Row{nullptr, AuthResult::missing},
                         {"", AuthResult::missing},
                         {"Bearer", AuthResult::missing},
                         {"Bearer ", AuthResult::missing},
                         {"Basic YWxwaGE=", AuthResult::missing},
                         {"Bearer alph", AuthResult::wrong},
                         {"Bearer alphaa", AuthResult::wrong},
                         {"Bearer ALPHA", AuthResult::wrong},
                         {"Bearer alpha,beta", AuthResult::wrong},
                         {"Bearer alpha", AuthResult::ok},
                         {"bearer beta", AuthResult::ok},
                         {"BEARER  beta", AuthResult::ok}}) {
    HttpRequest request;
    if (row.value != nullptr) request.headers.emplace_back("Authorization", row.value);
    EXPECT_EQ(check_auth(options, AuthAction::publish, request), row.want)
        << (row.value ? row.value : "(no header)");
    EXPECT_EQ(check_auth(options, AuthAction::watch, request), AuthResult::ok);
  }
}

TEST(Auth, AnEmptyConfiguredTokenOpensNothing) {
  HttpOptions options;
  options.publish_tokens = {""};
  HttpRequest request;
  request.headers.emplace_back("Authorization", "Bearer ");
  EXPECT_NE(check_auth(options, AuthAction::publish, request), AuthResult::ok);
}

TEST_F(RouterTest, EndpointTakesTheStreamFromTheToken) {
  EXPECT_EQ(post_whip("/whip/endpoint", {{"Authorization", "Bearer my-cam"}}).status, 201);
  EXPECT_EQ(control.published.back().stream, "my-cam");
  EXPECT_EQ(post_whep("/whep/endpoint", {{"Authorization", "Bearer my-cam"}}).status, 201);
  EXPECT_EQ(control.watched.back().stream, "my-cam");
  EXPECT_EQ(post_whip("/whip/endpoint").status, 201);
  EXPECT_EQ(control.published.back().stream, "demo");
  EXPECT_EQ(post_whip("/whip/endpoint", {{"Authorization", "Bearer not/a/name"}}).status, 400);
  options.token_names_stream = false;
  EXPECT_EQ(post_whip("/whip/endpoint", {{"Authorization", "Bearer my-cam"}}).status, 201);
  EXPECT_EQ(control.published.back().stream, "demo");
}

TEST_F(RouterTest, AConfiguredTokenIsASecretAndNeverBecomesAStreamName) {
  options.publish_tokens = {"my-secret"};
  EXPECT_EQ(post_whip("/whip/endpoint", {{"Authorization", "Bearer my-secret"}}).status, 201);
  EXPECT_EQ(control.published.back().stream, "demo");
  EXPECT_EQ(post_whip("/whip/endpoint", {{"Authorization", "Bearer guess"}}).status, 401);
}

TEST_F(RouterTest, StatusApiHasTheAuthOfWatching) {
  options.watch_tokens = {"view"};
  EXPECT_EQ(send(HttpMethod::get, "/api/streams").status, 401);
  EXPECT_EQ(send(HttpMethod::get, "/api/streams/cam").status, 401);
  EXPECT_EQ(send(HttpMethod::get, "/api/streams", {{"Authorization", "Bearer view"}}).status, 200);
}

TEST_F(RouterTest, AllowedHostsStopDnsRebinding) {
  options.allowed_hosts = {"localhost", "127.0.0.1", "[::1]"};
  for (const char* host : {"localhost", "LOCALHOST:8080", "127.0.0.1:8080", "[::1]:8080"})
    EXPECT_EQ(send(HttpMethod::get, "/whip/cam", {{"Host", host}}).status, 204) << host;
  for (const char* host : {"evil.example", "localhost.evil.example:8080", ""})
    EXPECT_EQ(send(HttpMethod::get, "/whip/cam", {{"Host", host}}).status, 421) << host;
}

TEST(ClientAddress, OnlyTrustedProxiesAreBelieved) {
  const auto ip = [](const char* text) { return *IpAddress::parse(text); };
  const std::vector<IpPrefix> proxies{*IpPrefix::parse("10.0.0.0/8"),
                                      *IpPrefix::parse("2001:db8::1")};
  struct Row {
    const char* peer;
    std::vector<const char*> lines;
    const char* want;
  };
  for (const Row& row : std::vector<Row>{
           {"192.0.2.1", {}, "192.0.2.1"},
           {"192.0.2.1", {"198.51.100.1"}, "192.0.2.1"},  // not a proxy: a lie
           {"10.1.1.1", {}, "10.1.1.1"},
           {"10.1.1.1", {"198.51.100.1"}, "198.51.100.1"},
           {"10.1.1.1", {"6.6.6.6, 198.51.100.1"}, "198.51.100.1"},  // forged left part
           {"10.1.1.1", {"6.6.6.6", "198.51.100.1"}, "198.51.100.1"},
           {"10.1.1.1", {"198.51.100.1, 10.2.2.2"}, "198.51.100.1"},
           {"2001:db8::1", {"2001:db8:1::7 ,10.2.2.2"}, "2001:db8:1::7"},
           {"10.1.1.1", {"garbage"}, "10.1.1.1"},
           {"10.1.1.1", {"198.51.100.1, garbage"}, "10.1.1.1"},
           {"10.1.1.1", {",,,"}, "10.1.1.1"},
           {"10.1.1.1", {"10.9.9.9"}, "10.9.9.9"},
       }) {
    HttpRequest request;
    request.peer = ip(row.peer);
    for (const char* line : row.lines) request.headers.emplace_back("x-forwarded-for", line);
    EXPECT_EQ(client_address(proxies, request).to_string(), ip(row.want).to_string()) << row.peer;
  }
}

TEST(ClientAddress, Prefixes) {
  EXPECT_TRUE(IpPrefix::parse("192.0.2.128/25")->contains(*IpAddress::parse("192.0.2.200")));
  EXPECT_FALSE(IpPrefix::parse("192.0.2.128/25")->contains(*IpAddress::parse("192.0.2.100")));
  EXPECT_TRUE(IpPrefix::parse("0.0.0.0/0")->contains(*IpAddress::parse("192.0.2.100")));
  EXPECT_FALSE(IpPrefix::parse("0.0.0.0/0")->contains(*IpAddress::parse("2001:db8::1")));
  for (const char* bad : {"", "/8", "10.0.0.0/33", "::1/129", "10.0.0.0/", "10.0.0.0/8x", "host/8"})
    EXPECT_FALSE(IpPrefix::parse(bad)) << bad;
}

}  // namespace
}  // namespace spillway::test
