// Session resources: PATCH, DELETE, layer choice. One test per checklist row.
#include <gmock/gmock.h>

#include "router_fixture.h"
#include "signaling/whip/patch_decision.h"

namespace spillway::test {
namespace {

using ::testing::HasSubstr;

constexpr const char* kCurrent[] = {"abcd", "abcdefghijklmnopqrstuvwx"};  // of offer_sdp
constexpr const char* kOther[] = {"EFGH", "zyxwvutsrqponmlkjihgfedcba"};

std::string same() {
  return fragment(kCurrent[0], kCurrent[1]);
}
std::string changed() {
  return fragment(kOther[0], kOther[1]);
}

TEST_F(RouterTest, H01_GetOnASessionIs204) {
  const std::string url = session();
  EXPECT_EQ(send(HttpMethod::get, url).status, 204);
  EXPECT_EQ(send(HttpMethod::head, url).status, 204);
}

TEST_F(RouterTest, H13_H19_TrickleIs204WithoutBodyOrEtag) {
  const std::string url = session();
  const auto r = patch(url, same(), {{"If-Match", "\"1-deadbeef\""}});
  EXPECT_EQ(r.status, 204);
  EXPECT_EQ(r.body, "");
  EXPECT_EQ(header(r, "ETag"), "(absent)");
  EXPECT_TRUE(control.restarts.empty());
}

TEST_F(RouterTest, H14_OtherTypesAre415MalformedFragmentsAre400) {
  const std::string url = session();
  const auto wrong_type = patch(url, same(), {}, "application/json");
  EXPECT_EQ(wrong_type.status, 415);
  EXPECT_EQ(header(wrong_type, "Accept-Patch"), "application/trickle-ice-sdpfrag");
  // No counter-offer is ever open.
  EXPECT_EQ(patch(url, offer_sdp("sendonly"), {}, "application/sdp").status, 415);
  EXPECT_EQ(patch(url, "").status, 400);
  EXPECT_EQ(patch(url, "a=ice-ufrag:abcd\r\n").status, 400);  // no password
  EXPECT_EQ(patch(url, "garbage \x01\x02").status, 400);
  EXPECT_EQ(type_of(patch(url, "m=audio 9 RTP/AVP 0\r\na=mid:0\r\n")), "bad-fragment");
}

TEST_F(RouterTest, H17_StaleEtagIs412MissingOneIs428OnlyInStrictMode) {
  const std::string url = session();
  EXPECT_EQ(patch(url, same(), {{"If-Match", "\"1-00000000\""}}).status, 412);
  EXPECT_EQ(patch(url, changed(), {{"If-Match", "\"1-00000000\""}}).status, 412);
  EXPECT_TRUE(control.restarts.empty());
  options.strict_etag = true;
  const auto r = patch(url, same());
  EXPECT_EQ(r.status, 428);
  EXPECT_EQ(type_of(r), "etag-required");
  EXPECT_EQ(patch(url, same(), {{"If-Match", "\"1-deadbeef\""}}).status, 204);
}

TEST_F(RouterTest, H18_H25_DeleteIs200AndIgnoresEntityTags) {
  const std::string url = session();
  const auto r = send(HttpMethod::del, url, {{"If-Match", "\"stale\""}});
  EXPECT_EQ(r.status, 200);
  EXPECT_THAT(control.removed, ::testing::ElementsAre("AAAAAAAAAAAAAAAAAAAA11"));
  EXPECT_EQ(send(HttpMethod::del, url).status, 404);
  EXPECT_EQ(send(HttpMethod::get, url).status, 404);
}

TEST_F(RouterTest, H20_UnresolvableCandidatesAreDroppedSilently) {
  const std::string url = session();
  const std::string odd = same() +
                          "a=candidate:2 1 xyz 1 host.example 9 typ host\r\n"
                          "a=candidate:3 1 udp 1 0b0a4b9c-c2b1-4c0d.local 9 typ host\r\n"
                          "a=candidate:broken\r\n";
  EXPECT_EQ(patch(url, odd).status, 204);
}

TEST_F(RouterTest, H21_ChangedCredentialsRestartIceWithNewEtagAndCredentials) {
  for (const char* tag : {"*", "\"*\"", "\"1-deadbeef\"", "1-deadbeef", "\"x\", \"1-deadbeef\""}) {
    const std::string url = session();
    const auto r = patch(url, changed(), {{"If-Match", tag}});
    ASSERT_EQ(r.status, 200) << tag << r.body;
    EXPECT_EQ(header(r, "Content-Type"), "application/trickle-ice-sdpfrag");
    EXPECT_EQ(header(r, "ETag"), "\"2-0badcafe\"");
    EXPECT_THAT(r.body, HasSubstr("a=ice-ufrag:newlocalufrag\r\n"));
    EXPECT_THAT(r.body, HasSubstr("a=ice-pwd:newlocalpasswordnewlocal\r\n"));
    EXPECT_EQ(control.restarts.back().ufrag, kOther[0]);
    EXPECT_EQ(control.restarts.back().pwd, kOther[1]);
  }
  EXPECT_EQ(patch(session(), changed(), {{"If-Match", "W/\"1-deadbeef\""}}).status, 412);
}

TEST_F(RouterTest, H21_AfterARestartTheOldTagIsStaleAndTheNewOneGood) {
  const std::string url = session();
  ASSERT_EQ(patch(url, changed(), {{"If-Match", "*"}}).status, 200);
  EXPECT_EQ(patch(url, changed(), {{"If-Match", "\"1-deadbeef\""}}).status, 412);
  EXPECT_EQ(patch(url, changed(), {{"If-Match", "\"2-0badcafe\""}}).status, 204);
}

TEST_F(RouterTest, H22_C10_RestartReplyRepeatsIceLiteAndHasOneCandidate) {
  const std::string url = session();
  const auto r = patch(url, changed(), {{"If-Match", "*"}});
  EXPECT_THAT(r.body, HasSubstr("a=ice-lite\r\n"));
  const auto first = r.body.find("a=candidate:");
  ASSERT_NE(first, std::string::npos) << r.body;
  EXPECT_EQ(r.body.find("a=candidate:", first + 1), std::string::npos);
}

TEST_F(RouterTest, H24_FailedRestartIsAnErrorAndKeepsTheSession) {
  const std::string url = session();
  control.restart_error = ApiError{ApiError::Kind::overloaded, "busy", 2};
  EXPECT_EQ(patch(url, changed(), {{"If-Match", "*"}}).status, 503);
  EXPECT_EQ(send(HttpMethod::get, url).status, 204);
  EXPECT_EQ(patch(url, same(), {{"If-Match", "\"1-deadbeef\""}}).status, 204);
}

TEST_F(RouterTest, C01_TrickleWithoutIfMatchIsTaken) {
  EXPECT_EQ(patch(session(), same()).status, 204);
}

TEST_F(RouterTest, C02_TheTagMayComeInAHeaderCalledEtag) {
  const std::string url = session();
  EXPECT_EQ(patch(url, same(), {{"ETag", "\"1-deadbeef\""}}).status, 204);
  EXPECT_EQ(patch(url, same(), {{"ETag", "\"1-00000000\""}}).status, 412);
  EXPECT_EQ(patch(url, same(), {{"ETag", "\"1-00000000\""}, {"If-Match", "\"1-deadbeef\""}}).status,
            204);
}

TEST_F(RouterTest, C03_DeleteNeedsNoTokenUnlessConfigured) {
  options.publish_tokens = {"secret"};
  const Headers auth{{"Authorization", "Bearer secret"}};
  const auto make = [&] { return header(post_whip("/whip/cam", auth), "Location"); };
  EXPECT_EQ(send(HttpMethod::del, make()).status, 200);
  options.delete_needs_token = true;
  const std::string url = make();
  EXPECT_EQ(send(HttpMethod::del, url).status, 401);
  EXPECT_EQ(send(HttpMethod::del, url, auth).status, 200);
}

TEST_F(RouterTest, C06_OddFragmentsOfRealPlayersAreRead) {
  const std::string url = session();
  // Credentials first, no port in the m-line, audio for a video mid, all mids.
  const std::string odd =
      "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n"
      "m=audio RTP/AVP 0\r\na=mid:0\r\nm=audio RTP/AVP 0\r\na=mid:1\r\n"
      "a=candidate:1 1 UDP 1 198.51.100.1 9 typ host\r\n";
  EXPECT_EQ(patch(url, odd).status, 204);
}

TEST_F(RouterTest, H31_PatchNeedsTheTokenOfTheSessionsAction) {
  options.publish_tokens = {"pub"};
  options.watch_tokens = {"view"};
  const Headers pub{{"Authorization", "Bearer pub"}}, view{{"Authorization", "Bearer view"}};
  const std::string publisher = header(post_whip("/whip/cam", pub), "Location");
  const std::string viewer = header(post_whep("/whep/cam", view), "Location");
  EXPECT_EQ(patch(publisher, same()).status, 401);
  EXPECT_EQ(patch(publisher, same(), view).status, 401);
  EXPECT_EQ(patch(publisher, same(), pub).status, 204);
  EXPECT_EQ(patch(viewer, same(), pub).status, 401);
  EXPECT_EQ(patch(viewer, same(), view).status, 204);
}

TEST(PatchDecision, Table) {
  using M = EtagMatch;
  using A = PatchAction;
  struct Row {
    bool fragment, parsed;
    const char *ufrag, *pwd;
    M match;
    bool strict;
    A want;
  };
  const std::vector<Row> rows{
      {false, true, "u", "p", M::current, false, A::unsupported_type},
      {false, false, "", "", M::absent, true, A::unsupported_type},
      {true, false, "u", "p", M::current, false, A::bad_fragment},
      {true, true, "", "p", M::current, false, A::bad_fragment},
      {true, true, "u", "", M::current, false, A::bad_fragment},
      {true, true, "", "", M::other, true, A::bad_fragment},
      {true, true, "u", "p", M::absent, false, A::trickle},
      {true, true, "u", "p", M::absent, true, A::precondition_required},
      {true, true, "u", "p", M::any, false, A::trickle},
      {true, true, "u", "p", M::any, true, A::trickle},
      {true, true, "u", "p", M::current, true, A::trickle},
      {true, true, "u", "p", M::other, false, A::stale},
      {true, true, "u", "p", M::other, true, A::stale},
      {true, true, "x", "y", M::absent, false, A::restart},
      {true, true, "x", "y", M::absent, true, A::restart},
      {true, true, "x", "y", M::any, false, A::restart},
      {true, true, "x", "y", M::current, false, A::restart},
      {true, true, "x", "y", M::other, false, A::stale},
      {true, true, "u", "y", M::any, false, A::restart},
      {true, true, "x", "p", M::any, false, A::restart},
  };
  for (size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    EXPECT_EQ(decide_patch(
                  {row.fragment, row.parsed, row.ufrag, row.pwd, "u", "p", row.match, row.strict}),
              row.want)
        << "row " << i;
  }
}

TEST(PatchDecision, EtagForms) {
  const auto match = [](std::string_view value) { return match_etag(true, value, "1-ab"); };
  EXPECT_EQ(match_etag(false, "", "1-ab"), EtagMatch::absent);
  EXPECT_EQ(match("*"), EtagMatch::any);
  EXPECT_EQ(match("\"*\""), EtagMatch::any);
  EXPECT_EQ(match("\"1-ab\""), EtagMatch::current);
  EXPECT_EQ(match("1-ab"), EtagMatch::current);
  EXPECT_EQ(match(" \"x\" ,\t\"1-ab\" "), EtagMatch::current);
  EXPECT_EQ(match("W/\"1-ab\""), EtagMatch::other);
  EXPECT_EQ(match("\"1-AB\""), EtagMatch::other);
  EXPECT_EQ(match("\"1-ab"), EtagMatch::other);
  EXPECT_EQ(match(""), EtagMatch::other);
  EXPECT_EQ(match("\""), EtagMatch::other);
  EXPECT_EQ(match(",,,"), EtagMatch::other);
  EXPECT_EQ(match_etag(true, "", ""), EtagMatch::other);
}

class LayerTest : public RouterTest {
 protected:
  HttpResponse layer(std::string json, std::string type = "application/json") {
    if (url_.empty()) url_ = session(false);
    return send(HttpMethod::post, url_ + "/layer", {{"Content-Type", std::move(type)}},
                std::move(json));
  }
  std::string url_;
};

TEST_F(LayerTest, ARidOfAMediaIdIsSelected) {
  EXPECT_EQ(layer(R"({"mediaId":"1","rid":"h"})").status, 200);
  EXPECT_EQ(layer(R"({"mediaId":1,"encodingId":"m"})").status, 200);
  EXPECT_EQ(layer(R"({"rid":"l"})").status, 200);
  ASSERT_EQ(control.layer_wishes.size(), 3u);
  EXPECT_EQ(control.layer_wishes[0].mid, "1");
  EXPECT_EQ(control.layer_wishes[0].rid, "h");
  EXPECT_EQ(control.layer_wishes[1].mid, "1");
  EXPECT_EQ(control.layer_wishes[1].rid, "m");
  EXPECT_EQ(control.layer_wishes[2].mid, "");
}

TEST_F(LayerTest, EmptySelectionMeansAutomatic) {
  EXPECT_EQ(layer("{}").status, 200);
  EXPECT_EQ(layer("").status, 200);
  EXPECT_EQ(layer("", "text/plain").status, 200);
  for (const auto& wish : control.layer_wishes) EXPECT_EQ(wish.rid, "");
}

TEST_F(LayerTest, BadBodiesAreRefusedWithoutAskingControl) {
  EXPECT_EQ(layer("{").status, 400);
  EXPECT_EQ(layer("[]").status, 400);
  EXPECT_EQ(layer(std::string(60'000, '[')).status, 400);
  EXPECT_EQ(layer("{}", "text/plain").status, 415);
  EXPECT_EQ(layer(R"({"mediaId":"9","rid":"h"})").status, 422);
  EXPECT_EQ(layer(R"({"mediaId":-1})").status, 422);
  EXPECT_EQ(layer(R"({"mediaId":null})").status, 422);
  EXPECT_EQ(layer(R"({"rid":7})").status, 422);
  EXPECT_EQ(layer(R"({"rid":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"})").status, 422);
  EXPECT_EQ(layer(R"({"spatialLayerId":1})").status, 422);
  EXPECT_EQ(type_of(layer(R"({"maxWidth":640})")), "unsupported-layer");
  EXPECT_TRUE(control.layer_wishes.empty());
}

TEST_F(LayerTest, ControlsRefusalAndPublishersAre422) {
  control.layer_error = ApiError{ApiError::Kind::unsupported, "no such layer", 0};
  EXPECT_EQ(layer(R"({"rid":"zz"})").status, 422);
  control.layer_error = ApiError{ApiError::Kind::invalid, "no such layer", 0};
  EXPECT_EQ(type_of(layer(R"({"rid":"zz"})")), "unsupported-layer");
  control.layer_error = ApiError{ApiError::Kind::no_publisher, "nobody", 3};
  EXPECT_EQ(layer(R"({"rid":"h"})").status, 409);
  url_ = session(true);
  EXPECT_EQ(layer(R"({"rid":"h"})").status, 422);
}

}  // namespace
}  // namespace spillway::test
