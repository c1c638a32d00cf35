// WHIP and WHEP endpoints: one test per row of the checklist (H.., C..).
#include <gmock/gmock.h>

#include "router_fixture.h"

namespace spillway::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

size_t count_of(std::string_view text, std::string_view part) {
  size_t n = 0;
  for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

TEST_F(RouterTest, H01_GetOnEndpointsIs204WithoutContent) {
  for (const char* path : {"/whip/cam", "/whep/cam", "/whip/endpoint", "/whep/endpoint"}) {
    const auto r = send(HttpMethod::get, path);
    EXPECT_EQ(r.status, 204) << path;
    EXPECT_EQ(r.body, "");
  }
}

TEST_F(RouterTest, H02_EveryErrorIsProblemJson) {
  control.known["AAAAAAAAAAAAAAAAAAAA99"] = {"1-a", "u", "p", false, "cam", {"0"}};
  const std::string body = offer_sdp("sendonly");
  struct Case {
    HttpMethod method;
    std::string target, type, body;
    uint16_t status;
    std::string slug;
  };
  const std::vector<Case> cases{
      {HttpMethod::post, "/whip/cam", "text/plain", body, 415, "unsupported-type"},
      {HttpMethod::post, "/whip/cam", "application/sdp", "hello", 400, "bad-sdp"},
      {HttpMethod::post, "/whip/c%20m", "application/sdp", body, 400, "bad-stream-name"},
      {HttpMethod::del, "/whip/cam", "", "", 405, "method-not-allowed"},
      {HttpMethod::other, "/w/AAAAAAAAAAAAAAAAAAAA99", "", "", 405, "method-not-allowed"},
      {HttpMethod::get, "/w/AAAAAAAAAAAAAAAAAAAA99/layer", "", "", 405, "method-not-allowed"},
      {HttpMethod::get, "/nothing/here", "", "", 404, "no-such-resource"},
      {HttpMethod::get, "/whip/", "", "", 404, "no-such-resource"},
      {HttpMethod::post, "/whip/a/b", "application/sdp", body, 404, "no-such-resource"},
      {HttpMethod::get, "/w/AAAAAAAAAAAAAAAAAAAA98", "", "", 404, "no-such-session"},
      {HttpMethod::del, "/w/x", "", "", 404, "no-such-session"},
      {HttpMethod::get, "/api/streams/none", "", "", 404, "no-such-stream"},
      {HttpMethod::post, "/api/streams", "", "", 405, "method-not-allowed"},
  };
  for (const Case& c : cases) {
    Headers headers;
    if (!c.type.empty()) headers.emplace_back("Content-Type", c.type);
    const auto r = send(c.method, c.target, headers, c.body);
    EXPECT_EQ(r.status, c.status) << c.target;
    EXPECT_EQ(type_of(r), c.slug) << c.target;
    EXPECT_EQ(header(r, "Content-Type"), "application/problem+json") << c.target;
    EXPECT_THAT(r.body, HasSubstr("\"status\":" + std::to_string(c.status))) << c.target;
    EXPECT_THAT(r.body, HasSubstr("\"title\":")) << c.target;
    EXPECT_THAT(r.body, HasSubstr("\"detail\":")) << c.target;
    EXPECT_EQ(r.header("Allow").has_value(), c.status == 405) << c.target;
  }
}

TEST_F(RouterTest, H03_HeadOnEndpointIs200SdpWithoutBody) {
  for (const char* path : {"/whip/cam", "/whep/cam"}) {
    const auto r = send(HttpMethod::head, path);
    EXPECT_EQ(r.status, 200) << path;
    EXPECT_EQ(header(r, "Content-Type"), "application/sdp");
    EXPECT_EQ(r.body, "");
  }
}

TEST_F(RouterTest, H04_PostOfAnOfferIs201WithAnswerAndLocation) {
  const auto r = post_whip();
  ASSERT_EQ(r.status, 201) << r.body;
  EXPECT_EQ(header(r, "Content-Type"), "application/sdp");
  EXPECT_EQ(header(r, "Location"), "/w/AAAAAAAAAAAAAAAAAAAA11");
  EXPECT_THAT(r.body, StartsWith("v=0\r\n"));
  ASSERT_EQ(control.published.size(), 1u);
  EXPECT_EQ(control.published[0].stream, "cam");
  EXPECT_EQ(control.published[0].transport.ice_ufrag, "abcd");
  EXPECT_EQ(control.published[0].client_ip, peer);
  EXPECT_EQ(control.published[0].media.size(), 2u);
}

TEST_F(RouterTest, H04_ParametersOfTheContentTypeAreIgnored) {
  const auto r = send(HttpMethod::post, "/whip/cam",
                      {{"content-type", "Application/SDP; charset=utf-8"}}, offer_sdp("sendonly"));
  EXPECT_EQ(r.status, 201) << r.body;
}

TEST_F(RouterTest, H05_OtherTypesAre415AndMalformedSdpIs400) {
  EXPECT_EQ(send(HttpMethod::post, "/whip/cam", {}, offer_sdp("sendonly")).status, 415);
  const auto json =
      send(HttpMethod::post, "/whep/cam", {{"Content-Type", "application/json"}}, "{}");
  EXPECT_EQ(json.status, 415);
  EXPECT_EQ(header(json, "Accept-Post"), "application/sdp");
  EXPECT_EQ(post("/whip/cam", "v=0\r\nm=audio\r\n").status, 400);
  EXPECT_EQ(control.create_calls, 0);
}

TEST_F(RouterTest, H06_WhipAnswersRecvonlyWhepSendonlyWrongWayIs422) {
  const auto whip = post_whip();
  EXPECT_EQ(count_of(whip.body, "a=recvonly\r\n"), 2u) << whip.body;
  EXPECT_THAT(whip.body, Not(HasSubstr("a=sendonly")));
  const auto whep = post_whep();
  EXPECT_EQ(count_of(whep.body, "a=sendonly\r\n"), 2u) << whep.body;
  EXPECT_THAT(whep.body, Not(HasSubstr("a=recvonly")));

  for (const char* direction : {"recvonly", "inactive"})
    EXPECT_EQ(post("/whip/cam", offer_sdp(direction)).status, 422) << direction;
  for (const char* direction : {"sendonly", "inactive"})
    EXPECT_EQ(post("/whep/cam", offer_sdp(direction)).status, 422) << direction;
  EXPECT_EQ(post("/whip/cam", offer_sdp("sendrecv")).status, 201);
  EXPECT_EQ(post("/whep/cam", offer_sdp("sendrecv")).status, 201);
}

TEST_F(RouterTest, H07_AnswerBundlesAndSaysRtcpMuxOnly) {
  const auto r = post_whip();
  EXPECT_THAT(r.body, HasSubstr("a=group:BUNDLE 0 1\r\n"));
  EXPECT_EQ(count_of(r.body, "a=rtcp-mux-only\r\n"), 2u) << r.body;
}

TEST_F(RouterTest, H08_MoreTracksThanSupportedIs422) {
  std::string sdp = offer_sdp("sendonly");
  const auto video = sdp.substr(sdp.find("m=video"));
  for (int i = 2; i < 8; ++i) {
    std::string more = video;
    more.replace(more.find("a=mid:1"), 7, "a=mid:" + std::to_string(i));
    sdp += more;
  }
  const auto r = post("/whip/cam", sdp);
  EXPECT_EQ(r.status, 422);
  EXPECT_EQ(type_of(r), "unsupported-offer");
}

TEST_F(RouterTest, H09_WhipDoesNotHalfAcceptUnlessConfigured) {
  std::string sdp = offer_sdp("sendonly");
  const std::string codec = "VP8/90000";
  sdp.replace(sdp.find(codec), codec.size(), "XYZ/90000");
  const auto r = post("/whip/cam", sdp);
  EXPECT_EQ(r.status, 422) << r.body;
  EXPECT_EQ(control.create_calls, 0);

  options.half_accept = true;
  const auto half = post("/whip/cam", sdp);
  ASSERT_EQ(half.status, 201) << half.body;
  EXPECT_THAT(half.body, HasSubstr("m=video 0 "));
}

TEST_F(RouterTest, H10_EverySetupIsAnsweredWithItsCounterpart) {
  for (const auto& [offered, answered, role] : {std::tuple{"actpass", "passive", DtlsRole::server},
                                                {"active", "passive", DtlsRole::server},
                                                {"passive", "active", DtlsRole::client}}) {
    std::string sdp = offer_sdp("sendonly");
    for (auto at = sdp.find("actpass"); at != std::string::npos; at = sdp.find("actpass", at + 1))
      sdp.replace(at, 7, offered);
    const auto r = post("/whip/cam", sdp);
    ASSERT_EQ(r.status, 201) << offered << r.body;
    EXPECT_THAT(r.body, HasSubstr(std::string("a=setup:") + answered + "\r\n"));
    EXPECT_EQ(control.published.back().transport.local_role, role) << offered;
  }
}

TEST_F(RouterTest, H11_H12_AnswerIsIceLiteWithAllCandidates) {
  const auto r = post_whip();
  EXPECT_THAT(r.body, HasSubstr("a=ice-lite\r\n"));
  const auto v4 = r.body.find(" 192.0.2.7 3478 typ host");
  const auto v6 = r.body.find(" 2001:db8::7 3478 typ host");
  ASSERT_NE(v4, std::string::npos) << r.body;
  ASSERT_NE(v6, std::string::npos) << r.body;
  EXPECT_LT(v4, v6);
}

TEST_F(RouterTest, H16_H33_201CarriesStrongEtagAndAdvertisesNothingThatDoesNotExist) {
  const auto r = post_whep();
  EXPECT_EQ(header(r, "ETag"), "\"1-deadbeef\"");
  EXPECT_EQ(header(r, "Accept-Patch"), "application/trickle-ice-sdpfrag");
  EXPECT_EQ(header(r, "Link"), "(absent)");
}

TEST_F(RouterTest, H26_OptionsIs200WithAcceptPost) {
  for (const char* path : {"/whip/cam", "/whep/cam", "/whip/endpoint"}) {
    const auto plain = send(HttpMethod::options, path);
    EXPECT_EQ(plain.status, 200);
    EXPECT_EQ(header(plain, "Accept-Post"), "application/sdp");
    const auto preflight =
        send(HttpMethod::options, path,
             {{"Origin", "https://a.example"}, {"Access-Control-Request-Method", "POST"}});
    EXPECT_EQ(preflight.status, 200);
    EXPECT_EQ(header(preflight, "Accept-Post"), "application/sdp");
  }
  EXPECT_EQ(header(send(HttpMethod::options, "/w/anything"), "Accept-Patch"),
            "application/trickle-ice-sdpfrag");
  EXPECT_EQ(send(HttpMethod::options, "*").status, 200);
}

TEST_F(RouterTest, H26_CorsIsOnEveryResponseWithPatchAmongTheMethods) {
  const Headers from{{"Origin", "https://a.example"}};
  for (const auto& r :
       {send(HttpMethod::options, "/whip/cam", from), post_whip("/whip/cam", from),
        send(HttpMethod::get, "/none", from), send(HttpMethod::del, "/w/x", from)}) {
    EXPECT_EQ(header(r, "Access-Control-Allow-Origin"), "*");
    EXPECT_THAT(header(r, "Access-Control-Allow-Methods"), HasSubstr("PATCH"));
    EXPECT_THAT(header(r, "Access-Control-Allow-Headers"), HasSubstr("If-Match"));
    EXPECT_THAT(header(r, "Access-Control-Expose-Headers"), HasSubstr("Location"));
    EXPECT_EQ(header(r, "Access-Control-Max-Age"), "86400");
    EXPECT_EQ(header(r, "Access-Control-Allow-Credentials"), "(absent)");
  }
}

TEST_F(RouterTest, H26_ConfiguredOriginsAreEchoedOthersAreNot) {
  options.cors_origins = {"https://a.example", "https://b.example"};
  const auto known = send(HttpMethod::options, "/whip/cam", {{"Origin", "https://b.example"}});
  EXPECT_EQ(header(known, "Access-Control-Allow-Origin"), "https://b.example");
  EXPECT_EQ(header(known, "Vary"), "Origin");
  const auto other = send(HttpMethod::options, "/whip/cam", {{"Origin", "https://evil.example"}});
  EXPECT_EQ(header(other, "Access-Control-Allow-Origin"), "(absent)");
  EXPECT_EQ(header(other, "Vary"), "Origin");
}

TEST_F(RouterTest, H26_PreflightOfAnUnknownPathSucceedsSoThatThePageSeesThe404) {
  const auto r = send(HttpMethod::options, "/nothing",
                      {{"Origin", "https://a.example"}, {"Access-Control-Request-Method", "GET"}});
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(header(r, "Access-Control-Allow-Origin"), "*");
}

TEST_F(RouterTest, H27_NothingIsEverRedirected) {
  for (const char* path : {"/whip", "/whip/", "/whip/cam/", "/w", "/w/", "/api", "//whip/cam"}) {
    const auto r = send(HttpMethod::get, path);
    EXPECT_TRUE(r.status < 300 || r.status >= 400) << path << r.status;
    EXPECT_EQ(header(r, "Location"), "(absent)");
  }
}

TEST_F(RouterTest, H28_OverloadIs503WithRetryAfter) {
  control.create_error = ApiError{ApiError::Kind::overloaded, "full", 7};
  const auto r = post_whip();
  EXPECT_EQ(r.status, 503);
  EXPECT_EQ(header(r, "Retry-After"), "7");
  EXPECT_EQ(type_of(r), "overloaded");
}

TEST_F(RouterTest, H28_DrainingRefusesPostsAndKeepsSessionsUsable) {
  const std::string url = session();
  router->begin_drain();
  const auto r = post_whip();
  EXPECT_EQ(r.status, 503);
  EXPECT_EQ(type_of(r), "draining");
  EXPECT_NE(header(r, "Retry-After"), "(absent)");
  EXPECT_EQ(post_whep().status, 503);
  EXPECT_EQ(send(HttpMethod::get, url).status, 204);
  EXPECT_EQ(send(HttpMethod::del, url).status, 200);
}

TEST_F(RouterTest, H29_IceServersAreOneLinkHeaderEach) {
  options.ice_servers = {"stun:stun.example:3478", "stun:192.0.2.1:3478", "stun:a,b;c",
                         "turn:turn.example", "stun:x\r\nSet-Cookie: a"};
  const auto r = post_whip();
  std::vector<std::string> links;
  for (const auto& [name, value] : r.headers)
    if (name == "Link") links.push_back(value);
  EXPECT_THAT(links, ::testing::ElementsAre("<stun:stun.example:3478>; rel=\"ice-server\"",
                                            "<stun:192.0.2.1:3478>; rel=\"ice-server\""));
}

TEST_F(RouterTest, H30_LinksOnAuthenticatedOptionsNotOnPreflight) {
  options.ice_servers = {"stun:stun.example:3478"};
  options.publish_tokens = {"secret"};
  const Headers auth{{"Authorization", "Bearer secret"}};
  EXPECT_NE(header(send(HttpMethod::options, "/whip/cam", auth), "Link"), "(absent)");
  EXPECT_EQ(header(send(HttpMethod::options, "/whip/cam"), "Link"), "(absent)");
  EXPECT_EQ(header(send(HttpMethod::options, "/whip/cam",
                        {{"Authorization", "Bearer secret"},
                         {"Origin", "https://a.example"},
                         {"Access-Control-Request-Method", "POST"}}),
                   "Link"),
            "(absent)");
}

TEST_F(RouterTest, H32_EveryOfferedRidIsAnswered) {
  const auto r = post("/whip/cam", offer_sdp("sendonly",
                                             "a=rid:h send\r\na=rid:m send\r\na=rid:l send\r\n"
                                             "a=simulcast:send h;m;l\r\n"));
  ASSERT_EQ(r.status, 201) << r.body;
  for (const char* rid : {"h", "m", "l"})
    EXPECT_THAT(r.body, HasSubstr(std::string("a=rid:") + rid + " recv"));
  EXPECT_THAT(r.body, HasSubstr("a=simulcast:recv h;m;l\r\n"));
}

TEST_F(RouterTest, H36_CounterOffersAreOffAnEmptyBodyIs422Never406) {
  for (const auto& headers : {Headers{{"Content-Type", "application/sdp"}}, Headers{}}) {
    const auto r = send(HttpMethod::post, "/whep/cam", headers, "");
    EXPECT_EQ(r.status, 422);
    EXPECT_EQ(type_of(r), "unsupported-offer");
  }
}

TEST_F(RouterTest, H37_NoPublisherIs409WithRetryAfter) {
  control.create_error = ApiError{ApiError::Kind::no_publisher, "nobody", 0};
  const auto r = post_whep();
  EXPECT_EQ(r.status, 409);
  EXPECT_EQ(type_of(r), "no-publisher");
  EXPECT_EQ(header(r, "Retry-After"), "1");
  control.create_error->retry_after_s = 5;
  EXPECT_EQ(header(post_whep(), "Retry-After"), "5");
}

TEST_F(RouterTest, C07_WhatWeCannotServeIs422NotA400) {
  std::string sdp = offer_sdp("recvonly");
  for (const auto& [from, to] : {std::pair{"VP8/90000", "XYZ/90000"}, {"opus/48000/2", "ABC/8000"}})
    sdp.replace(sdp.find(from), std::string(from).size(), to);
  const auto r = post("/whep/cam", sdp);
  EXPECT_EQ(r.status, 422) << r.body;
  EXPECT_EQ(type_of(r), "unsupported-offer");
}

TEST_F(RouterTest, C09_BundleMayNameAMidThatIsAbsent) {
  std::string sdp = offer_sdp("sendonly");
  sdp.resize(sdp.find("m=video"));  // BUNDLE 0 1 stays
  const auto r = post("/whip/cam", sdp);
  ASSERT_EQ(r.status, 201) << r.body;
  EXPECT_THAT(r.body, HasSubstr("a=group:BUNDLE 0\r\n"));
}

TEST_F(RouterTest, StatusCodesOfEveryControlError) {
  using K = ApiError::Kind;
  for (const auto& [kind, status, slug] : {std::tuple{K::not_found, 404, "no-such-session"},
                                           {K::no_publisher, 409, "no-publisher"},
                                           {K::already_published, 409, "already-published"},
                                           {K::unsupported, 422, "unsupported-offer"},
                                           {K::stale_etag, 412, "stale-etag"},
                                           {K::overloaded, 503, "overloaded"},
                                           {K::rate_limited, 429, "rate-limited"},
                                           {K::draining, 503, "draining"},
                                           {K::invalid, 400, "bad-request"}}) {
    control.create_error = ApiError{kind, "because", 0};
    const auto r = post_whip();
    EXPECT_EQ(r.status, status);
    EXPECT_EQ(type_of(r), slug);
    EXPECT_EQ(r.header("Retry-After").has_value(),
              status == 429 || status == 503 || kind == K::no_publisher)
        << slug;
  }
}

TEST_F(RouterTest, AnswerThatCannotBeWrittenIs500AndLeavesNoSessionBehind) {
  control.lose_media = true;  // the answer does not belong to the plan any more
  const auto r = post_whip();
  EXPECT_EQ(r.status, 500);
  EXPECT_EQ(type_of(r), "internal-error");
  EXPECT_EQ(control.removed.size(), 1u);
  EXPECT_TRUE(control.known.empty());
}

TEST_F(RouterTest, WhepAsksControlForTheNamedStream) {
  ASSERT_EQ(post_whep("/whep/some_Stream-1").status, 201);
  ASSERT_EQ(control.watched.size(), 1u);
  EXPECT_EQ(control.watched[0].stream, "some_Stream-1");
}

TEST_F(RouterTest, StreamNamesOutsideTheCharsetAre400) {
  for (const std::string& name : {std::string("a.b"), std::string("%61"), std::string("a b"),
                                  std::string(129, 'a'), std::string("\xc3\xa4")}) {
    EXPECT_EQ(post_whip("/whip/" + name).status, 400) << name;
    EXPECT_EQ(post_whep("/whep/" + name).status, 400) << name;
  }
  EXPECT_EQ(post_whip("/whip/" + std::string(128, 'a')).status, 201);
  EXPECT_EQ(post_whip("/whip/cam?x=1").status, 201);
}

}  // namespace
}  // namespace spillway::test
