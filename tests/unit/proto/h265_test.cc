#include "datapath/proto/video/h265.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "tests/unit/proto/bytes_testing.h"

namespace spillway {
namespace {

using namespace testing_bytes;

TEST(H265, ReportsUnitsWithoutTheirHeaders) {
  std::vector<std::pair<int, Buffer>> units;
  EXPECT_TRUE(for_each_h265_nal(hex("6001 0003 40010c 0002 4201"), [&](uint8_t type, Bytes body) {
    units.emplace_back(type, buffer(body));
  }));
  ASSERT_EQ(units.size(), 2u);
  EXPECT_EQ(units[0], (std::pair<int, Buffer>{kH265Vps, hex("0c")}));
  EXPECT_EQ(units[1], (std::pair<int, Buffer>{kH265Sps, {}}));
}

}  // namespace
}  // namespace spillway
