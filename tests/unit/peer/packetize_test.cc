#include "tests/peer/packetize.h"

#include <gtest/gtest.h>
#include <vpx/vp8dx.h>
#include <vpx/vpx_decoder.h>

#include <algorithm>
#include <numeric>

#include "datapath/proto/video/key_frame.h"
#include "datapath/proto/video/vp8.h"
#include "datapath/proto/video/vp9.h"
#include "tests/peer/marker.h"
#include "tests/peer/sources/pattern.h"
#include "tests/peer/sources/synthetic.h"

namespace spillway::peer {
namespace {

std::vector<uint8_t> noise(size_t bytes, uint8_t first) {
  std::vector<uint8_t> v(bytes);
  std::iota(v.begin(), v.end(), uint8_t{3});
  if (!v.empty()) v[0] = first;
  return v;
}

void expect_sizes(const Payloads& all) {
  for (const auto& p : all) EXPECT_LE(p.size(), kPayloadBytesMax);
}

// Aim: the server, which judges by key_frame.h, finds each frame's begin and its kind.
TEST(Packetize, Vp8PayloadsJoinToTheFrameAndTellItsStartAndKind) {
  for (const uint8_t tag : {uint8_t{0x10}, uint8_t{0x11}}) {
    const auto frame = noise(5000, tag);
    const Payloads all = packetize_vp8(frame, {0x1234, 7});
    expect_sizes(all);
    ASSERT_EQ(all.size(), 5u);
    std::vector<uint8_t> joined;
    for (size_t i = 0; i < all.size(); ++i) {
      EXPECT_EQ(starts_frame(Codec::vp8, all[i]), i == 0);
      EXPECT_EQ(starts_key_frame(Codec::vp8, all[i]), i == 0 && tag == 0x10);
      const auto d = parse_vp8(all[i]);
      ASSERT_TRUE(d);
      EXPECT_EQ(d->picture_id, 0x1234);
      EXPECT_EQ(d->tl0, 7);
      joined.insert(joined.end(), all[i].begin() + d->bytes, all[i].end());
    }
    EXPECT_EQ(joined, frame);
  }
  EXPECT_TRUE(packetize_vp8({}, {}).empty());
}

TEST(Packetize, Vp9PayloadsTellBeginEndAndKeyFrame) {
  // frame_marker 2, profile 0, no existing frame, frame_type 0 (key) or 1.
  for (const uint8_t head : {uint8_t{0x80}, uint8_t{0x84}}) {
    const auto frame = noise(2500, head);
    const Payloads all = packetize_vp9(frame, {5, 0});
    expect_sizes(all);
    ASSERT_EQ(all.size(), 3u);
    for (size_t i = 0; i < all.size(); ++i) {
      EXPECT_EQ(starts_key_frame(Codec::vp9, all[i]), i == 0 && head == 0x80);
      EXPECT_EQ(ends_frame(Codec::vp9, all[i]), i + 1 == all.size());
    }
  }
}

TEST(Packetize, Av1LeavesDelimitersOutAndMarksTheSequence) {
  std::vector<uint8_t> unit{0x12, 0x00};                        // temporal delimiter
  unit.insert(unit.end(), {0x0a, 0x03, 1, 2, 3});               // sequence header of 3 bytes
  unit.insert(unit.end(), {0x32, 0x88, 0x27});                  // frame of 5000 bytes
  unit.resize(unit.size() + 5000, 9);
  EXPECT_TRUE(av1_unit_is_key(unit));
  const Payloads all = packetize_av1(unit);
  expect_sizes(all);
  ASSERT_GE(all.size(), 5u);
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(starts_key_frame(Codec::av1, all[i]), i == 0) << i;
    EXPECT_EQ((all[i][0] & 0x80) != 0, i > 0) << "Z bit of packet " << i;
    EXPECT_EQ((all[i][0] & 0x40) != 0, i + 1 < all.size()) << "Y bit of packet " << i;
  }
}

TEST(Packetize, Av1StopsAtALengthThatReachesPastTheEnd) {
  EXPECT_TRUE(packetize_av1(std::vector<uint8_t>{0x32, 0x7f, 1}).empty());
  EXPECT_TRUE(packetize_av1(std::vector<uint8_t>{0x32, 0xff, 0xff, 0xff, 0xff, 0xff}).empty());
}

TEST(Packetize, H264AggregatesParameterSetsAndFragmentsSlices) {
  const auto sps = noise(20, 0x67), pps = noise(6, 0x68), idr = noise(3000, 0x65);
  const Payloads all = packetize_h264({sps, pps, idr});
  expect_sizes(all);
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[0][0] & 0x1f, 24);
  EXPECT_EQ(all[0][0] & 0x60, 0x60);  // the highest NRI inside
  EXPECT_EQ(all[0].size(), 1 + 2 + sps.size() + 2 + pps.size());
  EXPECT_TRUE(starts_key_frame(Codec::h264, all[0]));
  std::vector<uint8_t> joined{0x65};
  for (size_t i = 1; i < 4; ++i) {
    EXPECT_EQ(all[i][0], 28 | 0x60);
    EXPECT_EQ((all[i][1] & 0x80) != 0, i == 1);
    EXPECT_EQ((all[i][1] & 0x40) != 0, i == 3);
    joined.insert(joined.end(), all[i].begin() + 2, all[i].end());
  }
  EXPECT_EQ(joined, idr);
  // One small unit alone is sent as it is.
  EXPECT_EQ(packetize_h264({sps}), Payloads{sps});
}

TEST(Synthetic, LooksLikeVp8AndItsMarksSurviveARewrittenDescriptor) {
  SyntheticSource source({});
  source.start(seconds(1));
  std::vector<MediaFrame> frames;
  for (int ms = 0; ms <= 1000; ms += 5) source.produce(seconds(1) + millis(ms), frames);
  uint32_t video = 0, audio = 0, keys = 0;
  uint64_t bytes = 0;
  for (MediaFrame& f : frames) {
    if (f.kind == MediaKind::audio) {
      ++audio;
      continue;
    }
    ++video;
    for (size_t i = 0; i < f.payloads.size(); ++i) {
      auto& p = f.payloads[i];
      bytes += p.size();
      keys += starts_key_frame(Codec::vp8, p);
      EXPECT_EQ(starts_frame(Codec::vp8, p), i == 0);
      const auto d = parse_vp8(p);
      ASSERT_TRUE(d);
      shift_vp8(p, *d, 77, 5);
      const auto marked = find_marker(p);
      ASSERT_TRUE(marked);
      EXPECT_TRUE(marked->intact);
      EXPECT_EQ(marked->marker.packet, i);
      EXPECT_EQ(marked->marker.packets, f.payloads.size());
      p.back() ^= 1;
      EXPECT_FALSE(find_marker(p)->intact);
    }
  }
  EXPECT_EQ(video, 31u);
  EXPECT_EQ(audio, 51u);
  EXPECT_EQ(keys, 1u);
  EXPECT_NEAR(static_cast<double>(bytes) * 8, 2e6, 0.4e6);
}

TEST(Pattern, DecodesAndGivesAKeyFrameWhenAsked) {
  auto made = make_pattern_source({.width = 320, .height = 192, .kbps = 300});
  ASSERT_TRUE(made);
  MediaSource& source = **made;
  source.start(seconds(1));
  std::vector<MediaFrame> frames;
  for (int i = 0; i < 40; ++i) {
    if (i == 20) source.request_key_frame(0);
    source.produce(seconds(1) + millis(i * 1000 / 30 + 1), frames);
  }
  vpx_codec_ctx_t decoder{};
  ASSERT_EQ(vpx_codec_dec_init(&decoder, vpx_codec_vp8_dx(), nullptr, 0), VPX_CODEC_OK);
  std::vector<bool> keys;
  uint32_t audio = 0, pictures = 0;
  for (const MediaFrame& f : frames) {
    if (f.kind == MediaKind::audio) {
      ++audio;
    } else {
      EXPECT_EQ(starts_key_frame(Codec::vp8, f.payloads.front()), f.key);
      keys.push_back(f.key);
      std::vector<uint8_t> whole;
      for (const auto& p : f.payloads) whole.insert(whole.end(), p.begin() + parse_vp8(p)->bytes, p.end());
      ASSERT_EQ(vpx_codec_decode(&decoder, whole.data(), static_cast<unsigned>(whole.size()), nullptr, 0),
                VPX_CODEC_OK);
      vpx_codec_iter_t at = nullptr;
      const vpx_image_t* picture = vpx_codec_get_frame(&decoder, &at);
      ASSERT_TRUE(picture);
      EXPECT_EQ(picture->d_w, 320u);
      // The first bar is 75 % white, below the clock it is dark.
      EXPECT_NEAR(picture->planes[0][picture->stride[0] * 100 + 4], 180, 12);
      EXPECT_NEAR(picture->planes[0][picture->stride[0] * 190 + 4], 30, 12);
      ++pictures;
    }
  }
  vpx_codec_destroy(&decoder);
  EXPECT_EQ(pictures, 40u);
  ASSERT_EQ(keys.size(), 40u);
  EXPECT_TRUE(keys[0] && keys[20]);
  EXPECT_EQ(std::count(keys.begin(), keys.end(), true), 2);
  EXPECT_GT(audio, 60u);
}

}  // namespace
}  // namespace spillway::peer
