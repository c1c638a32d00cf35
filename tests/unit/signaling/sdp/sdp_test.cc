#include "signaling/sdp/sdp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "offers.h"

namespace spillway {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// Keeps the text: the model borrows from it.
SessionDescription parsed(std::string text) {
  static std::deque<std::string> kept;
  auto r = parse_sdp(kept.emplace_back(std::move(text)));
  if (!r) {
    ADD_FAILURE() << r.error().text;
    return {};
  }
  return std::move(*r);
}

std::string error_of(std::string_view text) {
  const auto r = parse_sdp(text);
  return r ? "no error" : r.error().text;
}

const std::string kHead = "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\n";
const std::string kAudio = kHead + "m=audio 9 UDP/TLS/RTP/SAVPF 111\n";

// Aim: the model of a real offer, field by field.
TEST(SdpParser, ReadsChromiumSimulcastWhole) {
  const std::string text = test::read_vector("offers/chromium-simulcast.sdp");
  const SessionDescription d = parsed(text);
  ASSERT_EQ(d.media.size(), 2U);
  ASSERT_EQ(d.bundle_groups.size(), 1U);
  EXPECT_THAT(d.bundle_groups[0], ::testing::ElementsAre("0", "1"));
  EXPECT_TRUE(d.transport.extmap_allow_mixed);
  EXPECT_FALSE(d.ice_lite);

  const SdpMedia& a = d.media[0];
  EXPECT_EQ(a.type, SdpMediaType::audio);
  EXPECT_EQ(a.mid, "0");
  EXPECT_EQ(a.protocol, "UDP/TLS/RTP/SAVPF");
  EXPECT_EQ(d.direction(a), SdpDirection::sendonly);
  EXPECT_EQ(d.setup(a), SdpSetup::actpass);
  EXPECT_EQ(a.formats.size(), 8U);
  EXPECT_EQ(a.formats[0].encoding, "opus");
  EXPECT_EQ(a.formats[0].clock_rate, 48000U);
  EXPECT_EQ(a.formats[0].channels, 2U);
  EXPECT_EQ(a.formats[0].fmtp, "minptime=10;useinbandfec=1");
  EXPECT_TRUE(a.formats[0].feedback.transport_cc);
  EXPECT_FALSE(a.formats[0].feedback.nack);
  EXPECT_TRUE(a.rtcp_mux);
  EXPECT_TRUE(a.rtcp_rsize);
  EXPECT_EQ(a.candidates, 4U);
  ASSERT_EQ(a.ssrcs.size(), 1U);
  EXPECT_THAT(d.fingerprints(a), ::testing::SizeIs(1));
  EXPECT_EQ(d.fingerprints(a)[0].algorithm, "sha-256");

  const SdpMedia& v = d.media[1];
  EXPECT_EQ(v.formats.size(), 23U);
  EXPECT_TRUE(v.formats[0].feedback.nack && v.formats[0].feedback.pli &&
              v.formats[0].feedback.fir && v.formats[0].feedback.remb);
  EXPECT_EQ(v.extmaps.size(), 13U);
  ASSERT_EQ(v.rids.size(), 3U);
  EXPECT_EQ(v.rids[2].id, "f");
  EXPECT_TRUE(v.rids[2].send);
  ASSERT_EQ(v.simulcast_send.size(), 3U);
  EXPECT_THAT(v.simulcast_send[0].alternatives, ::testing::ElementsAre("q"));
}

// Aim: session-level attributes hold for every m-line, media level wins.
TEST(SdpParser, FallsBackToSessionLevel) {
  const std::string text = kHead +
                           "a=ice-ufrag:sess\na=ice-pwd:sessionpassword\na=setup:active\n"
                           "a=recvonly\na=fingerprint:sha-256 AA\na=extmap-allow-mixed\n"
                           "m=audio 9 UDP/TLS/RTP/SAVPF 0\n"
                           "m=video 9 UDP/TLS/RTP/SAVPF 96\na=ice-ufrag:media\na=sendonly\n"
                           "a=setup:passive\na=fingerprint:sha-512 BB\n";
  const SessionDescription d = parsed(text);
  ASSERT_EQ(d.media.size(), 2U);
  EXPECT_EQ(d.ice_ufrag(d.media[0]), "sess");
  EXPECT_EQ(d.ice_pwd(d.media[1]), "sessionpassword");
  EXPECT_EQ(d.ice_ufrag(d.media[1]), "media");
  EXPECT_EQ(d.direction(d.media[0]), SdpDirection::recvonly);
  EXPECT_EQ(d.direction(d.media[1]), SdpDirection::sendonly);
  EXPECT_EQ(d.setup(d.media[0]), SdpSetup::active);
  EXPECT_EQ(d.setup(d.media[1]), SdpSetup::passive);
  EXPECT_EQ(d.fingerprints(d.media[0])[0].digest, "AA");
  EXPECT_EQ(d.fingerprints(d.media[1])[0].algorithm, "sha-512");
  EXPECT_TRUE(d.extmap_allow_mixed(d.media[0]));
  EXPECT_EQ(d.media[0].formats[0].encoding, "PCMU");  // static payload type
}

TEST(SdpParser, ToleratesUnknownLinesAttributesAndStrayPayloadTypes) {
  const SessionDescription d = parsed(kAudio +
                                      "i=about\nb=AS:100\nz=?\na=unheard-of:1 2 3\na=\na=:\n"
                                      "a=rtpmap:99 VP8/90000\na=fmtp:99 x=1\na=fmtp:nonsense\n"
                                      "a=rtcp-fb:99 nack\na=rtcp-fb:* nack\na=rtcp-fb:x y\n"
                                      "a=rtpmap:111 opus/48000/2\na=rtpmap:111 later/1\n"
                                      "a=fmtp:111 first=1\na=fmtp:111 second=1\n"
                                      "a=extmap:3 urn:nobody:knows\n");
  ASSERT_EQ(d.media.size(), 1U);
  const SdpFormat& f = d.media[0].formats[0];
  EXPECT_EQ(f.encoding, "opus");
  EXPECT_EQ(f.fmtp, "first=1");
  EXPECT_TRUE(f.feedback.nack);  // from the wildcard
  EXPECT_TRUE(d.media[0].extmaps.empty());
}

TEST(SdpParser, ReadsSimulcastWithAlternativesPausesAndRecv) {
  const SessionDescription d =
      parsed(kAudio + "a=rid:1 send pt=111;max-br=9\na=simulcast:recv 7 send 1,~2;~3\n");
  const SdpMedia& m = d.media.at(0);
  EXPECT_EQ(m.rids.at(0).restrictions, "pt=111;max-br=9");
  ASSERT_EQ(m.simulcast_send.size(), 2U);
  EXPECT_THAT(m.simulcast_send[0].alternatives, ::testing::ElementsAre("1", "2"));
  EXPECT_THAT(m.simulcast_send[1].alternatives, ::testing::ElementsAre("3"));
}

// Aim: every malformed line is refused with its number and what was expected.
TEST(SdpParser, ErrorsNameTheLine) {
  EXPECT_EQ(error_of(""), "line 1: the SDP is empty");
  EXPECT_EQ(error_of("\r\n\r\n"), "line 1: the SDP is empty");
  EXPECT_THAT(error_of("o=- 1 1 IN IP4 0\nv=0\n"), StartsWith("line 1: "));
  EXPECT_THAT(error_of("v=1\n"), StartsWith("line 1: "));
  EXPECT_THAT(error_of("<html>"), StartsWith("line 1: "));
  for (const char* line :
       {"m=audio", "m=audio 9", "m=audio 9 UDP/TLS/RTP/SAVPF", "m=audio x UDP/TLS/RTP/SAVPF 1",
        "m=audio 65536 UDP/TLS/RTP/SAVPF 1", "m=audio 9 UDP/TLS/RTP/SAVPF 128",
        "m=audio 9 UDP/TLS/RTP/SAVPF x", "m=video 9 UDP/TLS/RTP/SAVPF -1"})
    EXPECT_THAT(error_of(kHead + line + "\n"), StartsWith("line 5: ")) << line;
  for (const char* line : {"a=rtpmap:111",
                           "a=rtpmap:111 opus",
                           "a=rtpmap:111 opus/x",
                           "a=rtpmap:128 opus/48000",
                           "a=rtpmap:111 opus/48000/256",
                           "a=extmap:0 urn:x",
                           "a=extmap:x urn:x",
                           "a=extmap:1",
                           "a=extmap:1/sideways urn:x",
                           "a=rid:",
                           "a=rid:a",
                           "a=rid:a both",
                           "a=rid:a;b send",
                           "a=simulcast:send",
                           "a=simulcast:both 1",
                           "a=simulcast:send a b",
                           "a=simulcast:send a;b c d",
                           "a=simulcast:send a/b",
                           "a=ssrc:x cname:y",
                           "a=ssrc:4294967296 cname:y",
                           "a=ssrc-group:FID 1 x",
                           "a=setup:maybe",
                           "a=fingerprint:sha-256",
                           "a=fingerprint:",
                           "a=mid:",
                           "a=mid:a b"})
    EXPECT_THAT(error_of(kAudio + line + "\n"), StartsWith("line 6: ")) << line;
}

// --- bombs -----------------------------------------------------------------

TEST(A22_SdpBombs, TextIsAtMost64KiB) {
  const std::string line = "a=" + std::string(998, 'x') + "\n";
  std::string text = kHead;
  while (text.size() + line.size() <= kMaxSdpBytes) text += line;
  EXPECT_TRUE(parse_sdp(text)) << text.size();
  text += line;
  EXPECT_THAT(error_of(text), HasSubstr("65536 bytes"));
}

TEST(A22_SdpBombs, AtMost32MediaLines) {
  std::string text = kHead;
  for (uint32_t i = 0; i < kMaxSdpMediaLines; ++i) text += "m=audio 9 UDP/TLS/RTP/SAVPF 0\n";
  EXPECT_TRUE(parse_sdp(text));
  EXPECT_THAT(error_of(text + "m=audio 9 UDP/TLS/RTP/SAVPF 0\n"), HasSubstr("more m-lines"));
}

TEST(A22_SdpBombs, AtMost1024Lines) {
  std::string text = kAudio;
  for (uint32_t i = 5; i < kMaxSdpLines; ++i) text += "a=x\n";
  EXPECT_TRUE(parse_sdp(text));
  EXPECT_THAT(error_of(text + "a=x\n"), HasSubstr("more lines"));
}

TEST(A22_SdpBombs, AtMost64PayloadTypesAndRepeatsCountOnce) {
  std::string line = "m=video 9 UDP/TLS/RTP/SAVPF";
  for (uint32_t i = 0; i < kMaxSdpFormats; ++i) line += " " + std::to_string(i + 30) + " 30";
  EXPECT_EQ(parsed(kHead + line + "\n").media.at(0).formats.size(), kMaxSdpFormats);
  EXPECT_THAT(error_of(kHead + line + " 127\n"), HasSubstr("more payload types"));
}

TEST(A22_SdpBombs, RidsAreRefusedAndTheRestIsCutAtItsLimit) {
  std::string text = kAudio;
  std::string rids;
  for (int i = 0; i < 60; ++i) {
    text += "a=candidate:1 1 udp 1 192.0.2.1 1 typ host\na=ssrc:" + std::to_string(i) +
            " cname:x\na=ssrc-group:FID 1 2\na=fingerprint:sha-256 AA\n";
    text += "a=extmap:" + std::to_string(i + 1) + " urn:ietf:params:rtp-hdrext:sdes:mid\n";
    rids += "a=rid:r" + std::to_string(i) + " send\n";
  }
  const SessionDescription d = parsed(text + text.substr(kAudio.size()));
  const SdpMedia& m = d.media.at(0);
  EXPECT_EQ(m.candidates, kMaxSdpCandidates);
  EXPECT_EQ(m.ssrcs.size(), kMaxSdpSsrcs);
  EXPECT_EQ(m.ssrc_groups.size(), kMaxSdpSsrcGroups);
  EXPECT_EQ(m.extmaps.size(), kMaxSdpExtmaps);
  EXPECT_EQ(m.transport.fingerprints.size(), kMaxSdpFingerprints);
  EXPECT_THAT(error_of(kAudio + rids), HasSubstr("too many a=rid"));

  std::string list = "a=simulcast:send 0";
  for (int i = 1; i < 100; ++i) list += "," + std::to_string(i);
  EXPECT_THAT(error_of(kAudio + list + "\n"), HasSubstr("too many rids"));
  std::string group = "a=group:BUNDLE";
  for (int i = 0; i < 200; ++i) group += " m" + std::to_string(i);
  EXPECT_THAT(error_of(kHead + group + "\n"), HasSubstr("too many m-lines"));
}

TEST(A22_SdpBombs, TokensThatAnswersEchoAreShort) {
  const std::string token(kMaxSdpTokenBytes + 1, 'x');
  EXPECT_THAT(error_of(kHead + "m=" + token + " 9 a 0\n"), StartsWith("line 5"));
  EXPECT_THAT(error_of(kHead + "m=audio 9 " + token + " 0\n"), StartsWith("line 5"));
  EXPECT_THAT(error_of(kHead + "m=application 9 a " + token + "\n"), StartsWith("line 5"));
  EXPECT_THAT(error_of(kAudio + "a=rtpmap:111 " + token + "/1\n"), StartsWith("line 6"));
  EXPECT_THAT(error_of(kAudio + "a=mid:" + token + "\n"), StartsWith("line 6"));
}

}  // namespace
}  // namespace spillway
