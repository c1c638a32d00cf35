#include "signaling/sdp/codec_match.h"

#include <gtest/gtest.h>

namespace spillway {
namespace {

SdpFormat format(std::string_view encoding, uint32_t clock, uint8_t channels = 1) {
  SdpFormat f;
  f.encoding = encoding;
  f.clock_rate = clock;
  f.channels = channels;
  return f;
}

TEST(CodecMatch, FmtpValuesIgnoreCaseAndBlanks) {
  EXPECT_EQ(fmtp_value("a=1; Profile-ID = 2 ;b", "profile-id"), "2");
  EXPECT_EQ(fmtp_value("a=1;b", "b"), "");
  EXPECT_EQ(fmtp_value("", "x"), "");
  EXPECT_EQ(fmtp_value("xprofile-id=1", "profile-id"), "");
}

TEST(CodecMatch, NameKindClockAndChannelsMustFit) {
  EXPECT_EQ(codec_of(format("OPUS", 48000, 2), MediaKind::audio), Codec::opus);
  EXPECT_EQ(codec_of(format("opus", 48000, 1), MediaKind::audio), Codec::none);
  EXPECT_EQ(codec_of(format("multiopus", 48000, 6), MediaKind::audio), Codec::none);
  EXPECT_EQ(codec_of(format("red", 48000, 2), MediaKind::audio), Codec::red);
  EXPECT_EQ(codec_of(format("red", 90000), MediaKind::video), Codec::none);
  EXPECT_EQ(codec_of(format("PCMA", 8000), MediaKind::audio), Codec::pcma);
  EXPECT_EQ(codec_of(format("h264", 90000), MediaKind::video), Codec::h264);
  EXPECT_EQ(codec_of(format("H264", 90000), MediaKind::audio), Codec::none);
  for (const char* never : {"rtx", "ulpfec", "flexfec-03", "CN", "telephone-event", "none", ""}) {
    EXPECT_EQ(codec_of(format(never, 90000), MediaKind::video), Codec::none) << never;
    EXPECT_EQ(codec_of(format(never, 8000), MediaKind::audio), Codec::none) << never;
  }
}

TEST(CodecMatch, H264ParametersAndTheirDefaults) {
  const auto p = h264_parameters("profile-level-id=64C01F;packetization-mode=1");
  EXPECT_EQ(p.profile_idc, 0x64);
  EXPECT_EQ(p.constraints, 0xC0);
  EXPECT_EQ(p.packetization_mode, 1);
  for (const char* none :
       {"", "profile-level-id=", "profile-level-id=zz", "packetization-mode=7"}) {
    EXPECT_EQ(h264_parameters(none).profile_idc, 0x42) << none;
    EXPECT_EQ(h264_parameters(none).packetization_mode, 0) << none;
  }
}

// Aim: the order of preference for a viewer of an H.264 publisher.
TEST(CodecMatch, H264PrefersModeThenProfileThenBaseline) {
  const auto score = [](const char* offered, const char* sent) {
    return match_score(Codec::h264, offered, sent);
  };
  const char* high1 = "packetization-mode=1;profile-level-id=64001f";
  const char* main1 = "packetization-mode=1;profile-level-id=4d001f";
  const char* base1 = "packetization-mode=1;profile-level-id=42001f";
  const char* cbase1 = "packetization-mode=1;profile-level-id=42e01f";
  const char* cbase0 = "packetization-mode=0;profile-level-id=42e01f";
  EXPECT_GT(score(cbase1, cbase1), score(base1, cbase1));
  EXPECT_GT(score(base1, cbase1), score(high1, cbase1));
  EXPECT_GT(score(high1, cbase1), score(cbase0, cbase1)) << "mode counts before profile";
  EXPECT_GT(score(cbase0, cbase1), 0U);
  EXPECT_GT(score(cbase1, high1), 0U) << "bitstreams are not policed";
  EXPECT_EQ(score(main1, high1), 0U);
  EXPECT_EQ(score("packetization-mode=1;profile-level-id=640034", high1), score(high1, high1))
      << "levels are ignored";
}

TEST(CodecMatch, OtherCodecsNeedTheSameProfile) {
  EXPECT_EQ(match_score(Codec::vp9, "profile-id=0", ""), 1U);
  EXPECT_EQ(match_score(Codec::vp9, "profile-id=2", ""), 0U);
  EXPECT_EQ(match_score(Codec::av1, "level-idx=5;profile=0;tier=0", ""), 1U);
  EXPECT_EQ(match_score(Codec::av1, "profile=1", "profile=0"), 0U);
  EXPECT_EQ(match_score(Codec::h265, "level-id=93;tx-mode=SRST", "profile-id=1"), 1U);
  EXPECT_EQ(match_score(Codec::h265, "profile-id=2", "profile-id=1"), 0U);
  EXPECT_EQ(match_score(Codec::vp8, "max-fs=12288", ""), 1U);
  EXPECT_EQ(match_score(Codec::opus, "stereo=1", "stereo=0"), 1U);
}

}  // namespace
}  // namespace spillway
