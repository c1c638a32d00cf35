#include "datapath/proto/video/h264.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "tests/unit/proto/bytes_testing.h"

namespace spillway {
namespace {

using namespace testing_bytes;

TEST(H264, ReportsUnitsWithoutTheirHeaders) {
  std::vector<std::pair<int, Buffer>> units;
  EXPECT_TRUE(for_each_h264_nal(hex("78 0003 6742e0 0001 68"), [&](uint8_t type, Bytes body) {
    units.emplace_back(type, buffer(body));
  }));
  ASSERT_EQ(units.size(), 2u);
  EXPECT_EQ(units[0], (std::pair<int, Buffer>{kH264Sps, hex("42e0")}));
  EXPECT_EQ(units[1], (std::pair<int, Buffer>{kH264Pps, {}}));
}

}  // namespace
}  // namespace spillway
