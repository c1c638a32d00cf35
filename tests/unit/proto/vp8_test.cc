#include "datapath/proto/video/vp8.h"

#include <gtest/gtest.h>

#include "tests/unit/proto/bytes_testing.h"

namespace spillway {
namespace {

using namespace testing_bytes;

TEST(Vp8, ParsesEveryField) {
  auto d = parse_vp8(hex("bd f0 8123 45 b9 00"));
  ASSERT_TRUE(d);
  EXPECT_EQ(d->bytes, 6);
  EXPECT_TRUE(d->non_reference);
  EXPECT_TRUE(d->partition_start);
  EXPECT_EQ(d->partition, 5);
  EXPECT_EQ(d->picture_id_bits, 15);
  EXPECT_EQ(d->picture_id_offset, 2);
  EXPECT_EQ(d->picture_id, 0x123);
  EXPECT_EQ(d->tl0_offset, 4);
  EXPECT_EQ(d->tl0, 0x45);
  EXPECT_TRUE(d->has_temporal);
  EXPECT_EQ(d->temporal_id, 2);
  EXPECT_TRUE(d->layer_sync);
  EXPECT_TRUE(d->has_key_index);
  EXPECT_EQ(d->key_index, 0x19);
}

// Mediasoup crashed on VP8 without PictureID: every combination of the four flags.
TEST(Vp8, EveryCombinationOfOptionalFields) {
  for (int flags = 0; flags < 16; ++flags)
    for (bool wide : {false, true}) {
      bool i = flags & 8, l = flags & 4, t = flags & 2, k = flags & 1;
      Buffer b{0x90, static_cast<uint8_t>(flags << 4)};
      if (i && wide) b.push_back(0xff);
      if (i) b.push_back(wide ? 0xfe : 0x7e);
      if (l) b.push_back(0x44);
      if (t || k) b.push_back(0xff);
      size_t need = b.size();
      for (size_t n = 0; n < need; ++n)
        with_exact(Bytes{b}.first(n), [](Bytes p) { EXPECT_FALSE(parse_vp8(p)); });
      auto d = parse_vp8(b);
      ASSERT_TRUE(d) << flags;
      EXPECT_EQ(d->bytes, need);
      EXPECT_EQ(d->picture_id_bits, !i ? 0 : wide ? 15 : 7);
      EXPECT_EQ(d->picture_id, !i ? 0 : wide ? 0x7ffe : 0x7e);
      EXPECT_EQ(d->tl0_offset != 0, l);
      EXPECT_EQ(d->has_temporal, t);
      EXPECT_EQ(d->temporal_id, t ? 3 : 0);
      EXPECT_EQ(d->has_key_index, k);
      EXPECT_EQ(d->key_index, k ? 31 : 0);

      Buffer shifted = b;
      shift_vp8(shifted, *d, 3, 0xc0);
      auto e = parse_vp8(shifted);
      ASSERT_TRUE(e);
      EXPECT_EQ(e->picture_id_bits, d->picture_id_bits) << "keeps its width";
      EXPECT_EQ(e->picture_id, i ? 1 : 0) << "wraps at its width";
      EXPECT_EQ(e->tl0, l ? 0x04 : 0);
      EXPECT_EQ(e->key_index, d->key_index);
      EXPECT_EQ(shifted.size(), b.size());
    }
}

TEST(Vp8, ShiftLeavesShorterPayloadsAlone) {
  auto d = parse_vp8(hex("90 c0 8123 45"));
  ASSERT_TRUE(d);
  Buffer small = hex("90c08123");
  shift_vp8(small, *d, 1, 1);
  EXPECT_EQ(small, hex("90c08123"));
}

TEST(Vp8, ShiftByZeroChangesNothing) {
  Random random(12);
  for (int i = 0; i < 2000; ++i) {
    Buffer b = random.bytes(8);
    auto d = parse_vp8(b);
    if (!d) continue;
    Buffer copy = b;
    shift_vp8(copy, *d, 0, 0);
    EXPECT_EQ(copy, b);
  }
}

}  // namespace
}  // namespace spillway
