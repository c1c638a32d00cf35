#include "datapath/proto/crc32.h"

#include <gtest/gtest.h>

#include "tests/unit/proto/bytes_testing.h"

namespace spillway {
namespace {

using namespace testing_bytes;

TEST(Crc32, CheckValueOfTheStandard) {
  EXPECT_EQ(crc32(text("123456789")), 0xCBF43926u);
  EXPECT_EQ(crc32({}), 0u);
}

// The eight-byte steps against one bit at a time; and in two parts.
TEST(Crc32, AgreesWithTheDefinitionAtEveryLength) {
  Random random(9);
  Buffer data = random.bytes(70);
  for (size_t n = 0; n <= data.size(); ++n) {
    uint32_t c = 0xffffffff;
    for (size_t i = 0; i < n; ++i) {
      c ^= data[i];
      for (int k = 0; k < 8; ++k) c = c & 1 ? c >> 1 ^ 0xEDB88320u : c >> 1;
    }
    Bytes all = Bytes{data}.first(n);
    EXPECT_EQ(crc32(all), ~c) << n;
    EXPECT_EQ(crc32(all.subspan(n / 3), crc32(all.first(n / 3))), ~c) << n;
  }
}

}  // namespace
}  // namespace spillway
