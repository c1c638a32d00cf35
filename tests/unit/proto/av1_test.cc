#include "datapath/proto/video/av1.h"

#include <gtest/gtest.h>

#include <optional>
#include <utility>
#include <vector>

#include "tests/unit/proto/bytes_testing.h"

namespace spillway {
namespace {

using namespace testing_bytes;

TEST(Av1, WalksElementsWithAndWithoutACount) {
  struct Walk {
    const char* hex;
    bool whole;
    std::vector<std::pair<Buffer, bool>> elements;
  };
  const Walk walks[] = {
      {"20 02 0a0b 320102", true, {{hex("0a0b"), true}, {hex("320102"), true}}},  // W=2
      {"00 02 0a0b 01 32", true, {{hex("0a0b"), true}, {hex("32"), true}}},       // W=0
      {"90 aabb", true, {{hex("aabb"), false}}},                                  // Z, W=1
      {"a0 01 aa bb", true, {{hex("aa"), false}, {hex("bb"), true}}},             // Z, W=2
      {"00 05 0a0b", false, {}},             // element past the end
      {"30 01 aa", false, {{hex("aa"), true}}},  // W=3 but one element
      {"00 ffffffffff01", false, {}},        // length above 32 bits
      {"00 8080808080808080 00", false, {}},  // leb128 of nine bytes
      {"00", true, {}},
  };
  for (const Walk& w : walks)
    with_exact(hex(w.hex), [&](Bytes payload) {
      std::vector<std::pair<Buffer, bool>> got;
      EXPECT_EQ(for_each_av1_element(
                    payload, [&](Bytes b, bool starts) { got.emplace_back(buffer(b), starts); }),
                w.whole)
          << w.hex;
      EXPECT_EQ(got, w.elements) << w.hex;
    });
}

TEST(Av1, ReadsLeb128) {
  auto read = [](const char* text) {
    Buffer b = hex(text);
    Reader r(b);
    return read_leb128(r);
  };
  EXPECT_EQ(read("00"), 0u);
  EXPECT_EQ(read("7f"), 127u);
  EXPECT_EQ(read("8001"), 128u);
  EXPECT_EQ(read("ffffffff0f"), UINT32_MAX);
  EXPECT_EQ(read("8080808010"), std::nullopt);
  EXPECT_EQ(read("80808000"), 0u) << "longer than needed is allowed";
  EXPECT_EQ(read("80"), std::nullopt);
}

TEST(Av1, ReadsObuHeaders) {
  auto plain = parse_av1_obu_header(hex("0a"));
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->type, kAv1SequenceHeader);
  EXPECT_TRUE(plain->has_size);
  EXPECT_EQ(plain->bytes, 1);
  auto extended = parse_av1_obu_header(hex("34 48"));
  ASSERT_TRUE(extended);
  EXPECT_EQ(extended->type, kAv1Frame);
  EXPECT_EQ(extended->temporal_id, 2);
  EXPECT_EQ(extended->spatial_id, 1);
  EXPECT_EQ(extended->bytes, 2);
  EXPECT_FALSE(parse_av1_obu_header(hex("34"))) << "cut off";
  EXPECT_FALSE(parse_av1_obu_header(hex("8a"))) << "forbidden bit";
  EXPECT_FALSE(parse_av1_obu_header({}));
}

}  // namespace
}  // namespace spillway
