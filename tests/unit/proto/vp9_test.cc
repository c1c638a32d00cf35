#include "datapath/proto/video/vp9.h"

#include <gtest/gtest.h>

#include "tests/unit/proto/bytes_testing.h"

namespace spillway {
namespace {

using namespace testing_bytes;

TEST(Vp9, ParsesNonFlexibleMode) {
  // I, L, B, E; 15-bit id, TID 2, U, SID 1, D, TL0 0x33
  auto d = parse_vp9(hex("ac 8102 53 33 ff"));
  ASSERT_TRUE(d);
  EXPECT_EQ(d->bytes, 5);
  EXPECT_FALSE(d->inter_predicted);
  EXPECT_TRUE(d->has_layers);
  EXPECT_FALSE(d->flexible);
  EXPECT_TRUE(d->frame_start);
  EXPECT_TRUE(d->frame_end);
  EXPECT_EQ(d->picture_id_bits, 15);
  EXPECT_EQ(d->picture_id, 0x102);
  EXPECT_EQ(d->temporal_id, 2);
  EXPECT_TRUE(d->switching_up);
  EXPECT_EQ(d->spatial_id, 1);
  EXPECT_TRUE(d->inter_layer);
  EXPECT_EQ(d->tl0, 0x33);
  EXPECT_EQ(d->tl0_offset, 4);
}

TEST(Vp9, ParsesFlexibleModeReferences) {
  auto d = parse_vp9(hex("f8 05 00 03 05 06"));
  ASSERT_TRUE(d);
  EXPECT_EQ(d->reference_count, 3);
  EXPECT_EQ(d->reference_diffs[0], 1);
  EXPECT_EQ(d->reference_diffs[1], 2);
  EXPECT_EQ(d->reference_diffs[2], 3);
  EXPECT_EQ(d->tl0_offset, 0) << "no TL0PICIDX in flexible mode";
  EXPECT_EQ(d->bytes, 6);
  EXPECT_FALSE(parse_vp9(hex("f8 05 00 03 05 07 08"))) << "a fourth reference";
  EXPECT_FALSE(parse_vp9(hex("f8 05 00 03 05"))) << "cut off";
}

TEST(Vp9, ParsesScalabilityStructure) {
  // 3 spatial layers with sizes, 2 pictures in the group with 1 and 2 references.
  auto d = parse_vp9(hex("8a 01 58 0140 00b4 0280 0168 0500 02d0 02 04 01 08 02 03 aa"));
  ASSERT_TRUE(d);
  EXPECT_EQ(d->spatial_layers, 3);
  EXPECT_EQ(d->width[2], 1280);
  EXPECT_EQ(d->height[0], 180);
  EXPECT_EQ(d->bytes, 21);
}

// CVE-2026-34235, CVE-2026-29068: counts of the structure against the bytes.
TEST(Vp9, StructureCountsMustFit) {
  EXPECT_FALSE(parse_vp9(hex("02")));
  EXPECT_FALSE(parse_vp9(hex("02 f0 0140 00b4"))) << "8 layers, one size";
  EXPECT_FALSE(parse_vp9(hex("02 08"))) << "group without its count";
  EXPECT_FALSE(parse_vp9(hex("02 08 ff 0c010203"))) << "255 pictures, one there";
  EXPECT_FALSE(parse_vp9(hex("02 08 01 0c0102"))) << "3 references, two there";
  Buffer full = hex("02 f8");
  full.insert(full.end(), 32, 1);
  full.push_back(255);
  for (int i = 0; i < 255; ++i) full.insert(full.end(), {0x0c, 1, 2, 3});
  auto d = parse_vp9(full);
  ASSERT_TRUE(d);
  EXPECT_EQ(d->bytes, full.size());
  full.pop_back();
  EXPECT_FALSE(parse_vp9(full));
}

TEST(Vp9, ShiftKeepsWidthAndWraps) {
  for (const char* text : {"ac ffff 53 fe", "a4 7f 53 fe", "94 ffff", "00"}) {
    Buffer b = hex(text);
    auto d = parse_vp9(b);
    ASSERT_TRUE(d) << text;
    shift_vp9(b, *d, 2, 3);
    auto e = parse_vp9(b);
    ASSERT_TRUE(e) << text;
    EXPECT_EQ(e->picture_id_bits, d->picture_id_bits);
    EXPECT_EQ(e->picture_id, d->picture_id_bits ? 1 : 0) << text;
    EXPECT_EQ(e->tl0, d->tl0_offset ? 1 : 0) << text;
    EXPECT_EQ(e->bytes, d->bytes);
  }
}

TEST(Vp9, DamagedDescriptorsNeverReachPastTheirEnd) {
  for (const char* text : {"8a 01 58 0140 00b4 0280 0168 0500 02d0 02 04 01 08 02 03 aa",
                           "f8 05 00 03 05 06", "ac 8102 53 33 ff"})
    with_damaged(hex(text), [](Bytes p) {
      if (auto d = parse_vp9(p)) {
        ASSERT_LE(d->bytes, p.size());
      }
    });
}

}  // namespace
}  // namespace spillway
