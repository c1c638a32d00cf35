#include "signaling/sdp/text.h"

#include <gtest/gtest.h>

#include <string>

#include "signaling/sdp/sdp.h"

namespace spillway {
namespace {

// Aim: LF, CRLF and a missing last line end give the same lines; blank ones count.
TEST(SdpLines, TakesLfAndCrlfAndSkipsBlankLines) {
  SdpLines lines("v=0\r\n\r\n  \na= x \nb=");
  auto l = lines.next();
  ASSERT_TRUE(l);
  EXPECT_EQ(l->type, 'v');
  EXPECT_EQ(l->value, "0");
  l = lines.next();
  ASSERT_TRUE(l);
  EXPECT_EQ(l->number, 4U);
  EXPECT_EQ(l->value, "x");
  l = lines.next();
  ASSERT_TRUE(l);
  EXPECT_EQ(l->type, 'b');
  EXPECT_EQ(l->value, "");
  EXPECT_FALSE(lines.next());
  EXPECT_FALSE(lines.error());
}

// Aim: what could break an echoed line or hide bytes is an error with its line number.
TEST(SdpLines, RefusesControlCharactersAndJunkByLineNumber) {
  for (const std::string& bad :
       {std::string("v=0\na=\0", 7), std::string("v=0\na=x\ry"), std::string("v=0\nnonsense"),
        std::string("v=0\n="), std::string("v=0\na=\x7f")}) {
    SdpLines lines(bad);
    EXPECT_TRUE(lines.next());
    EXPECT_FALSE(lines.next());
    ASSERT_TRUE(lines.error()) << bad;
    EXPECT_EQ(lines.error()->text.rfind("line 2: ", 0), 0U) << lines.error()->text;
  }
}

TEST(SdpLines, EnforcesLineLengthAndCountExactly) {
  std::string line = "a=" + std::string(kMaxSdpLineBytes - 2, 'x');
  EXPECT_TRUE(SdpLines(line).next());
  line += 'x';
  SdpLines too_long(line);
  EXPECT_FALSE(too_long.next());
  EXPECT_TRUE(too_long.error());

  std::string many;
  for (uint32_t i = 0; i < kMaxSdpLines; ++i) many += "\n";
  SdpLines enough(many);
  EXPECT_FALSE(enough.next());
  EXPECT_FALSE(enough.error());
  SdpLines more(many += "\n");
  EXPECT_FALSE(more.next());
  EXPECT_TRUE(more.error());
}

TEST(SdpText, CutsWordsAndParts) {
  std::string_view rest = "  one\ttwo  ";
  EXPECT_EQ(next_word(rest), "one");
  EXPECT_EQ(next_word(rest), "two");
  EXPECT_EQ(next_word(rest), "");
  rest = "a:b:c";
  EXPECT_EQ(cut_at(rest, ':'), "a");
  EXPECT_EQ(rest, "b:c");
  EXPECT_EQ(cut_at(rest, ';'), "b:c");
  EXPECT_EQ(rest, "");
  EXPECT_TRUE(equal_no_case("OpUs", "oPuS"));
  EXPECT_FALSE(equal_no_case("opus", "opu"));
}

TEST(SdpText, NumbersAreDecimalAndBounded) {
  EXPECT_EQ(parse_number("127", 127), 127U);
  EXPECT_EQ(parse_number("4294967295", UINT32_MAX), UINT32_MAX);
  for (const char* bad : {"", "128", "-1", "+1", "1x", "0x1", " 1", "4294967296", "00000000001",
                          "99999999999999999999999"})
    EXPECT_FALSE(parse_number(bad, std::string_view(bad).size() > 5 ? UINT32_MAX : 127)) << bad;
}

TEST(SdpText, IceTextHasNoColonOrBlank) {
  EXPECT_TRUE(is_ice_text("aZ09+/-_="));
  EXPECT_FALSE(is_ice_text("a:b"));
  EXPECT_FALSE(is_ice_text("a b"));
  EXPECT_FALSE(is_ice_text("\xc3\xa4"));
}

}  // namespace
}  // namespace spillway
