#include "datapath/proto/bit_reader.h"

#include <gtest/gtest.h>

#include "tests/unit/proto/bytes_testing.h"

namespace spillway {
namespace {

using namespace testing_bytes;

// Against the plainest possible reference: one bit at a time.
TEST(BitReader, AgreesWithSingleBitsAtEveryOffsetAndWidth) {
  Random random(1);
  Buffer data = random.bytes(12);
  for (uint32_t offset = 0; offset < 24; ++offset)
    for (uint32_t width = 0; width <= 32; ++width) {
      uint64_t reference = 0;
      for (uint32_t i = offset; i < offset + width; ++i)
        reference = reference << 1 | (data[i / 8] >> (7 - i % 8) & 1u);
      BitReader r(data);
      r.skip(offset);
      ASSERT_EQ(r.bits(width), reference) << offset << ' ' << width;
      ASSERT_FALSE(r.bad());
      ASSERT_EQ(r.position(), offset + width);
      ASSERT_EQ(r.left(), 96 - offset - width);
    }
}

TEST(BitReader, StaysBadPastItsEnd) {
  Buffer data = hex("ff");
  BitReader r(data);
  EXPECT_EQ(r.bits(7), 0x7fu);
  EXPECT_EQ(r.bits(2), 0u);
  EXPECT_TRUE(r.bad());
  EXPECT_EQ(r.bits(1), 0u) << "one bit is left but the reader is bad";
  EXPECT_TRUE(r.bad());
  BitReader wide(data);
  wide.bits(33);
  EXPECT_TRUE(wide.bad());
  BitReader skipping(data);
  skipping.skip(UINT64_MAX);
  EXPECT_TRUE(skipping.bad());
}

// ns(n): each value 0..n-1 has one code, and short codes come first.
TEST(BitReader, ReadsNonSymmetricValues) {
  // n = 5: 0 -> 00, 1 -> 01, 2 -> 10, 3 -> 110, 4 -> 111
  Buffer data{0b00011011, 0b01110000};
  BitReader r(data);
  for (uint32_t v : {0u, 1u, 2u, 3u, 4u}) EXPECT_EQ(r.non_symmetric(5), v);
  EXPECT_EQ(r.position(), 12u);
  BitReader one(data);
  EXPECT_EQ(one.non_symmetric(1), 0u);
  EXPECT_EQ(one.position(), 0u) << "a single value needs no bit";
  BitReader none(data);
  none.non_symmetric(0);
  EXPECT_TRUE(none.bad());
}

}  // namespace
}  // namespace spillway
