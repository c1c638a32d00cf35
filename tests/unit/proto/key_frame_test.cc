#include "datapath/proto/video/key_frame.h"

#include <gtest/gtest.h>

#include <optional>

#include "datapath/proto/video/av1.h"
#include "datapath/proto/video/h264.h"
#include "datapath/proto/video/h265.h"
#include "tests/unit/proto/bytes_testing.h"

namespace spillway {
namespace {

using namespace testing_bytes;
constexpr std::optional<bool> kUnknown;

struct Case {
  const char* name;
  Codec codec;
  const char* hex;
  bool key;
  std::optional<bool> starts;
  std::optional<bool> ends;
};

const Case kCases[] = {
    // H.264, RFC 6184
    {"IDR slice, first macroblock", Codec::h264, "65 88 84", true, true, kUnknown},
    {"IDR slice, later macroblock", Codec::h264, "65 12 34", true, false, kUnknown},
    {"SPS", Codec::h264, "67 42e01f", true, true, kUnknown},
    {"PPS", Codec::h264, "68 ce3c80", false, true, kUnknown},
    {"SEI", Codec::h264, "06 05", false, true, kUnknown},
    {"delimiter", Codec::h264, "09 f0", false, true, kUnknown},
    {"P slice, first macroblock", Codec::h264, "41 9a 24", false, true, kUnknown},
    {"P slice, later macroblock", Codec::h264, "41 1a 24", false, false, kUnknown},
    {"partition B", Codec::h264, "03 ff", false, false, kUnknown},
    {"STAP-A of SPS and PPS", Codec::h264, "78 0004 6742e01f 0004 68ce3c80", true, true, kUnknown},
    {"STAP-A of SEI and P slice", Codec::h264, "78 0002 0605 0002 419a", false, true, kUnknown},
    {"STAP-A of PPS and IDR", Codec::h264, "78 0002 68ce 0003 658884", true, true, kUnknown},
    {"STAP-A cut off", Codec::h264, "78 0004 6742", false, kUnknown, kUnknown},
    {"STAP-A with an empty unit", Codec::h264, "78 0000", false, kUnknown, kUnknown},
    {"STAP-A, key first, then cut off", Codec::h264, "78 0001 67 00ff 68", true, true, kUnknown},
    {"FU-A of IDR, start", Codec::h264, "7c 85 88", true, true, false},
    {"FU-A of IDR, middle", Codec::h264, "7c 05 88", false, false, false},
    {"FU-A of IDR, end", Codec::h264, "7c 45 88", false, false, kUnknown},
    {"FU-A of P slice, start", Codec::h264, "7c 81 9a", false, true, false},
    {"FU-A without its header", Codec::h264, "7c", false, kUnknown, kUnknown},
    {"empty", Codec::h264, "", false, kUnknown, kUnknown},
    {"MTAP16", Codec::h264, "7a 67676767", false, kUnknown, kUnknown},
    {"NAL type 0", Codec::h264, "60 67", false, kUnknown, kUnknown},
    // H.265, RFC 7798
    {"VPS", Codec::h265, "4001 0c", true, true, kUnknown},
    {"SPS", Codec::h265, "4201 01", true, true, kUnknown},
    {"PPS", Codec::h265, "4401 c0", false, true, kUnknown},
    {"IDR_W_RADL, first", Codec::h265, "2601 af", true, true, kUnknown},
    {"IDR_N_LP, later", Codec::h265, "2801 2f", true, false, kUnknown},
    {"CRA", Codec::h265, "2a01 80", true, true, kUnknown},
    {"BLA_W_LP", Codec::h265, "2001 80", true, true, kUnknown},
    {"TRAIL_R, first", Codec::h265, "0201 d0", false, true, kUnknown},
    {"TRAIL_R, later", Codec::h265, "0201 50", false, false, kUnknown},
    {"suffix SEI", Codec::h265, "5001 05", false, false, kUnknown},
    {"reserved IRAP 22", Codec::h265, "2c01 80", false, true, kUnknown},
    {"AP of VPS, SPS, PPS", Codec::h265, "6001 0003 40010c 0003 420101 0003 4401c0", true, true,
     kUnknown},
    {"AP of PPS and TRAIL_R", Codec::h265, "6001 0003 4401c0 0003 0201d0", false, true, kUnknown},
    {"AP with a unit of one byte", Codec::h265, "6001 0001 40", false, kUnknown, kUnknown},
    {"AP cut off", Codec::h265, "6001 0005 4001", false, kUnknown, kUnknown},
    {"FU of IDR, start", Codec::h265, "6201 93 af", true, true, false},
    {"FU of IDR, middle", Codec::h265, "6201 13 af", false, false, false},
    {"FU of IDR, end", Codec::h265, "6201 53 af", false, false, kUnknown},
    {"FU of TRAIL_R, start", Codec::h265, "6201 81 d0", false, true, false},
    {"FU without its header", Codec::h265, "6201", false, kUnknown, kUnknown},
    {"PACI", Codec::h265, "6401 4001", false, kUnknown, kUnknown},
    {"one byte", Codec::h265, "40", false, kUnknown, kUnknown},
    // VP8, RFC 7741
    {"key frame", Codec::vp8, "10 50", true, true, kUnknown},
    {"delta frame", Codec::vp8, "10 51", false, true, kUnknown},
    {"key frame, second partition", Codec::vp8, "11 50", false, false, kUnknown},
    {"key frame, continued", Codec::vp8, "00 50", false, false, kUnknown},
    {"key frame with everything", Codec::vp8, "90 f0 8123 45 67 50", true, true, kUnknown},
    {"descriptor only", Codec::vp8, "10", false, true, kUnknown},
    {"descriptor cut off", Codec::vp8, "90 80 81", false, kUnknown, kUnknown},
    // VP9, RFC 9628
    {"key picture", Codec::vp9, "8c 01 49", true, true, true},
    {"key picture, goes on", Codec::vp9, "88 01 49", true, true, false},
    {"predicted", Codec::vp9, "cc 01 49", false, true, true},
    {"continued", Codec::vp9, "84 01 49", false, false, true},
    {"upper layer of a key picture", Codec::vp9, "ac 01 03 00 49", false, false, true},
    {"base layer with scalability structure", Codec::vp9, "aa 01 00 00 18 0280 01e0 01 04 01 49",
     true, true, false},
    {"structure cut off", Codec::vp9, "8a 01 f8 0280", false, kUnknown, kUnknown},
    {"empty", Codec::vp9, "", false, kUnknown, kUnknown},
    // AV1
    {"new sequence", Codec::av1, "18 0a0b", true, true, kUnknown},
    {"new sequence, goes on", Codec::av1, "58 0a0b", true, true, false},
    {"inter frame", Codec::av1, "10 32", false, kUnknown, kUnknown},
    {"continuation", Codec::av1, "90 32", false, false, kUnknown},
    {"N and Z", Codec::av1, "98 32", false, kUnknown, kUnknown},
    {"empty", Codec::av1, "", false, kUnknown, kUnknown},
    // audio has no frames to start from
    {"opus", Codec::opus, "78 67", false, kUnknown, kUnknown},
    {"pcmu", Codec::pcmu, "10 50", false, kUnknown, kUnknown},
    {"none", Codec::none, "65 88", false, kUnknown, kUnknown},
};

TEST(KeyFrame, Table) {
  for (const Case& c : kCases)
    with_exact(hex(c.hex), [&](Bytes payload) {
      EXPECT_EQ(starts_key_frame(c.codec, payload), c.key) << name_of(c.codec) << ": " << c.name;
      EXPECT_EQ(starts_frame(c.codec, payload), c.starts) << name_of(c.codec) << ": " << c.name;
      EXPECT_EQ(ends_frame(c.codec, payload), c.ends) << name_of(c.codec) << ": " << c.name;
    });
}

// every sample, damaged, through every codec's readers.
TEST(KeyFrame, DamagedPayloadsNeverReachPastTheirEnd) {
  for (const Case& c : kCases)
    with_damaged(hex(c.hex), [](Bytes payload) {
      for (uint8_t codec = 0; codec < kCodecCount; ++codec) {
        starts_key_frame(Codec{codec}, payload);
        starts_frame(Codec{codec}, payload);
        ends_frame(Codec{codec}, payload);
      }
      size_t bytes = 0;
      for_each_h264_nal(payload, [&](uint8_t, Bytes b) { bytes += b.size(); });
      ASSERT_LE(bytes, payload.size());
      bytes = 0;
      for_each_h265_nal(payload, [&](uint8_t, Bytes b) { bytes += b.size(); });
      ASSERT_LE(bytes, payload.size());
      bytes = 0;
      for_each_av1_element(payload, [&](Bytes b, bool) { bytes += b.size(); });
      ASSERT_LE(bytes, payload.size());
    });
}

}  // namespace
}  // namespace spillway
