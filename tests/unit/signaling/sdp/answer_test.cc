// Aim: what golden files do not show: refused m-lines, odd offers, and mismatches.
#include "signaling/sdp/answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "answer_rules.h"
#include "offers.h"

namespace spillway::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(Answer, RefusedLinesKeepTheirPlaceAndLeaveTheGroup) {
  Line v = video();
  v.payload = "96";
  v.more = "a=rtpmap:96 theora/90000\n";
  const std::string text = offer_text({v, audio()});
  const std::string answer = answer_of(text, publish(text, {.half_accept = true}));
  EXPECT_THAT(broken_answer_rules(text, answer, true), IsEmpty());
  EXPECT_THAT(answer, HasSubstr("a=group:BUNDLE 0\r\n"));
  EXPECT_EQ(section(answer, 0),
            "m=video 0 UDP/TLS/RTP/SAVPF 96\nc=IN IP4 0.0.0.0\na=mid:1\na=inactive\n"
            "a=rtpmap:96 theora/90000\n");
  EXPECT_THAT(section(answer, 1), HasSubstr("a=candidate:1 1 udp 2130706431 192.0.2.5 3478"));
}

TEST(Answer, DataChannelIsRefusedInItsOwnWords) {
  Line d;
  d.media = "application";
  d.payload = "webrtc-datachannel";
  d.mid = "data";
  d.protocol = "UDP/DTLS/SCTP";
  d.direction = "";
  d.more = "";
  const std::string text = offer_text({audio(), d});
  const std::string answer = answer_of(text, publish(text));
  EXPECT_THAT(broken_answer_rules(text, answer, true), IsEmpty());
  EXPECT_THAT(section(answer, 1), HasSubstr("m=application 0 UDP/DTLS/SCTP webrtc-datachannel\n"));
}

TEST(Answer, NoGroupAndNoMidWhereNoneWasOffered) {
  Line l = audio();
  l.mid = "";
  const std::string text = offer_text({l}, "", "");
  const std::string answer = answer_of(text, publish(text));
  EXPECT_THAT(broken_answer_rules(text, answer, true), IsEmpty());
  EXPECT_THAT(answer, Not(HasSubstr("BUNDLE")));
  EXPECT_THAT(answer, Not(HasSubstr("a=mid")));
}

TEST(Answer, GroupNamesOnlyMidsOfOfferedGroups) {
  const std::string text = offer_text({audio()}, "", "7 8");
  EXPECT_THAT(answer_of(text, publish(text)), Not(HasSubstr("BUNDLE")));
}

TEST(Answer, RidRestrictionsAreKeptAndPayloadTypesNarrowed) {
  Line v = video();
  v.more +=
      "a=rid:a send pt=96,99;max-width=640\na=rid:b send max-fps=30\n"
      "a=simulcast:send a,~b\n";
  const std::string answer = answer_of(offer_text({v}), publish(offer_text({v})));
  EXPECT_THAT(answer, HasSubstr("a=rid:a recv pt=96;max-width=640\r\n"));
  EXPECT_THAT(answer, HasSubstr("a=rid:b recv max-fps=30\r\n"));
  EXPECT_THAT(answer, HasSubstr("a=simulcast:recv a,b\r\n"));
}

TEST(Answer, OneWayExtensionsAreAnsweredFromTheOtherEnd) {
  Line v = video();
  v.more += "a=extmap:5/sendonly urn:3gpp:video-orientation\n";
  EXPECT_THAT(answer_of(offer_text({v}), publish(offer_text({v}))),
              HasSubstr("a=extmap:5/recvonly urn:3gpp:video-orientation\r\n"));
}

TEST(Answer, RembOnlyWithoutTransportCc) {
  Line v = video();
  v.more += "a=rtcp-fb:96 goog-remb\n";
  EXPECT_THAT(answer_of(offer_text({v}), publish(offer_text({v}))),
              HasSubstr("a=rtcp-fb:96 goog-remb\r\n"));
  const std::string chromium = read_vector("offers/chromium-publish.sdp");
  EXPECT_THAT(answer_of(chromium, publish(chromium)), Not(HasSubstr("goog-remb")));
}

// Aim: the session id opens DELETE and PATCH; it must not be readable in the SDP.
TEST(Answer, OriginSaysNothingAndChangesWithTheCredentials) {
  const std::string text = offer_text({audio()});
  const auto offer = parse_sdp(text);
  ASSERT_TRUE(offer);
  const OfferPlan plan = publish(text);
  SessionAnswer a = fixed_answer(plan);
  const std::string first = *write_answer(*offer, plan, a);
  EXPECT_THAT(first, Not(HasSubstr(a.session_id)));
  a.transport.ice_pwd.back() = 'x';
  EXPECT_NE(lines_of(first)[1], lines_of(*write_answer(*offer, plan, a))[1]);
}

TEST(Answer, LongNamesFromControlAreCut) {
  const std::string text = offer_text({audio("recvonly")});
  const auto offer = parse_sdp(text);
  ASSERT_TRUE(offer);
  const OfferPlan plan = watch(text);
  SessionAnswer a = fixed_answer(plan);
  a.media[0].cname.assign(200, 'c');
  a.media[0].msid = std::string(200, 's') + " " + std::string(200, 't');
  const std::string answer = *write_answer(*offer, plan, a);
  EXPECT_THAT(answer, HasSubstr(" cname:" + std::string(kMaxCnameBytes, 'c') + "\r\n"));
  EXPECT_THAT(answer,
              HasSubstr("a=msid:" + std::string(64, 's') + " " + std::string(64, 't') + "\r\n"));
}

TEST(Answer, CandidatesAreAtMostEight) {
  const std::string text = offer_text({audio()});
  const auto offer = parse_sdp(text);
  ASSERT_TRUE(offer);
  const OfferPlan plan = publish(text);
  SessionAnswer a = fixed_answer(plan);
  a.transport.candidates.assign(20, *Endpoint::parse("192.0.2.1:1"));
  const std::string answer = *write_answer(*offer, plan, a);
  EXPECT_THAT(answer, HasSubstr("a=candidate:8 "));
  EXPECT_THAT(answer, Not(HasSubstr("a=candidate:9 ")));
}

TEST(Answer, WhatDoesNotBelongTogetherIsAnError) {
  const std::string text = offer_text({audio(), video()});
  const auto offer = parse_sdp(text);
  ASSERT_TRUE(offer);
  const OfferPlan plan = publish(text);
  SessionAnswer a = fixed_answer(plan);
  a.media.pop_back();
  EXPECT_FALSE(write_answer(*offer, plan, a));
  const std::string other_text = offer_text({audio()});
  const auto other = parse_sdp(other_text);
  ASSERT_TRUE(other);
  EXPECT_FALSE(write_answer(*other, plan, fixed_answer(plan)));
  EXPECT_FALSE(write_answer(*offer, OfferPlan{}, SessionAnswer{}));
}

}  // namespace
}  // namespace spillway::test
