// Aim: what one m-line becomes: codecs, extensions, layers, SSRCs.
#include "signaling/sdp/media_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "offers.h"

namespace spillway::test {
namespace {

using ::testing::ElementsAre;

std::vector<int> pts(const MediaPlan& m) {
  std::vector<int> out;
  for (const auto& p : m.payload_types) out.push_back(p.pt);
  return out;
}

std::vector<int> ids(const MediaPlan& m) {
  std::vector<int> out;
  for (const auto& e : m.extensions) out.push_back(e.id);
  return out;
}

MediaPlan published(Line line) {
  return publish(offer_text({std::move(line)})).media.at(0);
}
MediaPlan watched(Line line, const StreamDescription& s = {}) {
  return watch(offer_text({std::move(line)}), s).media.at(0);
}

Line audio_line(std::string payload, std::string more, std::string direction = "sendonly") {
  Line l = audio(std::move(direction));
  l.payload = std::move(payload);
  l.more = std::move(more);
  return l;
}
Line video_line(std::string payload, std::string more, std::string direction = "sendonly") {
  Line l = video(std::move(direction));
  l.payload = std::move(payload);
  l.more = std::move(more);
  return l;
}

const std::string kOpusRed =
    "a=rtpmap:111 opus/48000/2\na=rtpmap:63 red/48000/2\na=fmtp:63 111/111\n";
const std::string kH264Set =
    "a=rtpmap:96 H264/90000\na=fmtp:96 packetization-mode=0;profile-level-id=42e01f\n"
    "a=rtpmap:97 H264/90000\na=fmtp:97 packetization-mode=1;profile-level-id=42e01f\n"
    "a=rtpmap:98 rtx/90000\na=fmtp:98 apt=97\n"
    "a=rtpmap:99 VP8/90000\n";

TEST(PublishedAudio, OpusWithRedInTheOffersOrder) {
  EXPECT_THAT(pts(published(audio_line("111 63", kOpusRed))), ElementsAre(111, 63));
  EXPECT_THAT(pts(published(audio_line("63 111", kOpusRed))), ElementsAre(63, 111));
}

TEST(PublishedAudio, RedAroundAnotherPayloadTypeIsLeftOut) {
  EXPECT_THAT(
      pts(published(audio_line(
          "111 63", "a=rtpmap:111 opus/48000/2\na=rtpmap:63 red/48000/2\na=fmtp:63 9/9\n"))),
      ElementsAre(111));
}

TEST(PublishedAudio, G711OnlyWithoutOpusAndNothingElse) {
  const std::string more = kOpusRed +
                           "a=rtpmap:13 CN/8000\na=rtpmap:110 telephone-event/48000\n"
                           "a=rtpmap:9 G722/8000\n";
  EXPECT_THAT(pts(published(audio_line("9 0 8 13 110 111", more))), ElementsAre(111));
  EXPECT_THAT(pts(published(audio_line("9 8 0 13 110", more))), ElementsAre(8));
}

TEST(PublishedVideo, FirstKnownCodecWithItsRtxAlone) {
  const MediaPlan m = published(video());
  ASSERT_THAT(pts(m), ElementsAre(96));
  EXPECT_EQ(m.payload_types[0].codec, Codec::vp8);
  EXPECT_EQ(m.payload_types[0].rtx_pt, 97);
  EXPECT_TRUE(m.payload_types[0].nack && m.payload_types[0].pli);
  EXPECT_FALSE(m.payload_types[0].fir);
}

TEST(PublishedVideo, H264PrefersPacketizationMode1ButNotOverTheOffersOrder) {
  MediaPlan m = published(video_line("96 97 98 99", kH264Set));
  ASSERT_THAT(pts(m), ElementsAre(97));
  EXPECT_EQ(m.payload_types[0].rtx_pt, 98);
  EXPECT_EQ(m.payload_types[0].fmtp, "packetization-mode=1;profile-level-id=42e01f");
  EXPECT_THAT(pts(published(video_line("99 96 97 98", kH264Set))), ElementsAre(99));
  EXPECT_THAT(pts(published(video_line("96 99", kH264Set))), ElementsAre(96));
}

TEST(PublishedVideo, PassesH265AndAv1AndSkipsFec) {
  const std::string more =
      "a=rtpmap:49 ulpfec/90000\na=rtpmap:50 red/90000\n"
      "a=rtpmap:51 H265/90000\na=rtpmap:45 AV1/90000\n";
  EXPECT_EQ(published(video_line("49 50 51 45", more)).payload_types[0].codec, Codec::h265);
  EXPECT_EQ(published(video_line("49 50 45 51", more)).payload_types[0].codec, Codec::av1);
}

// --- extensions -------------------------------------------------------------------

const std::string kExtensions =
    "a=rtcp-fb:96 transport-cc\n"
    "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\n"
    "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\n"
    "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\n"
    "a=extmap:4 urn:ietf:params:rtp-hdrext:toffset\n"
    "a=extmap:5/sendonly urn:3gpp:video-orientation\n"
    "a=extmap:6/recvonly http://www.webrtc.org/experiments/rtp-hdrext/playout-delay\n"
    "a=extmap:7 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\n"
    "a=extmap:8 http://www.webrtc.org/experiments/rtp-hdrext/video-timing\n";

TEST(Extensions, PublishersKeepWhatIsReadOrForwarded) {
  Line l = video();
  l.more += kExtensions;
  EXPECT_THAT(ids(published(l)), ElementsAre(1, 3, 5)) << "no abs-send-time beside transport-cc";
  l.more += "a=rid:a send\na=rid:b send\na=simulcast:send a;b\n";
  EXPECT_THAT(ids(published(l)), ElementsAre(1, 3, 5, 7));
}

TEST(Extensions, ViewersGetNoRidAndTheirDirection) {
  Line l = video("recvonly");
  l.more += kExtensions;
  EXPECT_THAT(ids(watched(l)), ElementsAre(1, 2, 3, 6));
}

TEST(Extensions, TransportCcNeedsFeedbackAndFeedbackTheExtension) {
  Line l = video();
  l.more += kExtensions.substr(kExtensions.find("a=extmap:1"));  // without the rtcp-fb line
  EXPECT_THAT(ids(published(l)), ElementsAre(1, 2, 5));
  l = video();
  l.more += "a=rtcp-fb:96 transport-cc\n";
  EXPECT_FALSE(published(l).payload_types[0].transport_cc);
}

TEST(Extensions, IdsAbove14NeedMixedHeaders) {
  Line l = video();
  l.more +=
      "a=extmap:16 urn:3gpp:video-orientation\n"
      "a=extmap:15 urn:ietf:params:rtp-hdrext:sdes:mid\n"
      "a=extmap:4000 http://www.webrtc.org/experiments/rtp-hdrext/color-space\n";
  EXPECT_THAT(ids(published(l)), ElementsAre());
  l.more += "a=extmap-allow-mixed\n";
  EXPECT_THAT(ids(published(l)), ElementsAre(16));
}

TEST(Extensions, OneIdAndOneKindCountOnce) {
  Line l = video();
  l.more +=
      "a=extmap:1 urn:3gpp:video-orientation\na=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\n"
      "a=extmap:2 urn:3gpp:video-orientation\n";
  EXPECT_THAT(ids(published(l)), ElementsAre(1));
}

// --- layers and SSRCs -----------------------------------------------------------------

TEST(Layers, SimulcastOrderAndOnlyRidsThatExist) {
  Line l = video();
  l.more += "a=rid:h send\na=rid:q send\na=rid:r recv\na=simulcast:send q;h,ghost;r\n";
  EXPECT_THAT(published(l).rids, ElementsAre("q", "h"));
}

TEST(Layers, RidOfAnotherPayloadTypeIsLeftOut) {
  Line l = video();
  l.more += "a=rid:a send pt=96\na=rid:b send pt=99\na=simulcast:send a;b\n";
  EXPECT_THAT(published(l).rids, ElementsAre("a"));
}

TEST(Layers, SsrcsComeWithTheirRtxPartner) {
  Line l = video();
  l.more += "a=ssrc-group:FID 11 12\na=ssrc:11 cname:me\na=ssrc:12 cname:me\n";
  const MediaPlan m = published(l);
  ASSERT_EQ(m.ssrcs.size(), 1U);
  EXPECT_EQ(m.ssrcs[0].primary, Ssrc{11});
  EXPECT_EQ(m.ssrcs[0].rtx, Ssrc{12});
  EXPECT_EQ(m.cname, "me");
}

TEST(Layers, RtxSsrcNeedsAnRtxPayloadType) {
  Line l = video_line("96", "a=rtpmap:96 VP8/90000\na=ssrc-group:FID 11 12\na=ssrc:11 cname:me\n");
  EXPECT_EQ(published(l).ssrcs.at(0).rtx, Ssrc{});
}

TEST(Layers, OldStyleSimulcastListsTheSimGroup) {
  Line l = video();
  l.more +=
      "a=ssrc:3 cname:c\na=ssrc:1 cname:c\na=ssrc:2 cname:c\n"
      "a=ssrc-group:SIM 1 2 3\na=ssrc-group:FID 1 11\na=ssrc-group:FID 2 12\n"
      "a=ssrc-group:FID 3 13\n";
  const MediaPlan m = published(l);
  ASSERT_EQ(m.ssrcs.size(), 3U);
  EXPECT_EQ(m.ssrcs[0].primary, Ssrc{1});
  EXPECT_EQ(m.ssrcs[2].primary, Ssrc{3});
  EXPECT_EQ(m.ssrcs[2].rtx, Ssrc{13});
}

TEST(Layers, SsrcsBesideRidsOnlyOneForOne) {
  Line l = video();
  const std::string rids = "a=rid:a send\na=rid:b send\na=simulcast:send a;b\n";
  l.more += rids + "a=ssrc:1 cname:c\na=ssrc:2 cname:c\n";
  EXPECT_EQ(published(l).ssrcs.size(), 2U);
  l.more += "a=ssrc:3 cname:c\n";
  EXPECT_TRUE(published(l).ssrcs.empty()) << "the rid extension has to tell";
  l = video();
  l.more += "a=ssrc:1 cname:c\na=ssrc:2 cname:c\n";
  EXPECT_EQ(published(l).ssrcs.size(), 1U);
}

TEST(Layers, LongCnamesAreCut) {
  Line l = video();
  l.more += "a=ssrc:1 cname:" + std::string(60, 'n') + "\n";
  EXPECT_EQ(published(l).cname, std::string(kMaxCnameBytes, 'n'));
}

// --- viewers -----------------------------------------------------------------------

TEST(WatchedMedia, LivePublisherGivesOnePayloadTypePerCodecItSends) {
  const std::string h264 = "packetization-mode=1;profile-level-id=42e01f";
  const MediaPlan m = watched(video_line("99 96 97 98", kH264Set, "recvonly"),
                              live_stream({}, {{Codec::h264, h264}}));
  ASSERT_THAT(pts(m), ElementsAre(97));
  EXPECT_EQ(m.payload_types[0].rtx_pt, 98);
}

TEST(WatchedMedia, NobodyLiveKeepsAllCodecsAndModeZeroOnlyWithoutModeOne) {
  EXPECT_THAT(pts(watched(video_line("99 96 97 98", kH264Set, "recvonly"))), ElementsAre(99, 97));
  EXPECT_THAT(pts(watched(video_line("99 96", kH264Set, "recvonly"))), ElementsAre(99, 96));
}

TEST(WatchedMedia, RedNeedsItsOpus) {
  const auto live = live_stream({{Codec::opus, ""}, {Codec::red, "111/111"}}, {});
  EXPECT_THAT(pts(watched(audio_line("111 63", kOpusRed, "recvonly"), live)), ElementsAre(111, 63));
  const auto red_only = live_stream({{Codec::red, ""}}, {});
  const auto r = refused_watch(offer_text({audio_line("111 63", kOpusRed, "recvonly")}), red_only);
  EXPECT_THAT(r.detail, ::testing::HasSubstr("the publisher sends red"));
}

// Aim: A-31, a repeat on the primary SSRC could use one SRTP index for two packets.
TEST(A31_WatchedMedia, NackOnlyWithRtx) {
  Line l = audio("recvonly");
  l.more += "a=rtcp-fb:111 nack\n";
  EXPECT_FALSE(watched(l).payload_types[0].nack);
  EXPECT_TRUE(watched(video("recvonly")).payload_types[0].nack);
  l = video("recvonly");
  l.payload = "96";
  EXPECT_FALSE(watched(l).payload_types[0].nack);
}

}  // namespace
}  // namespace spillway::test
