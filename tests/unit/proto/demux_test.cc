#include "datapath/proto/demux.h"

#include <gtest/gtest.h>

namespace spillway {
namespace {

// The ranges of RFC 7983 §7 and RFC 5761 §4, written as a table of first bytes.
PacketClass expected(int first, int second) {
  struct Range {
    int from, to;
    PacketClass what;
  };
  constexpr Range ranges[] = {{0, 3, PacketClass::stun},     {4, 15, PacketClass::drop},
                              {16, 19, PacketClass::drop},   {20, 63, PacketClass::dtls},
                              {64, 127, PacketClass::drop},  {128, 191, PacketClass::rtp},
                              {192, 255, PacketClass::drop}};
  for (const Range& r : ranges)
    if (first >= r.from && first <= r.to) {
      if (r.what == PacketClass::rtp && second >= 192 && second <= 223) return PacketClass::rtcp;
      return r.what;
    }
  return PacketClass::drop;
}

TEST(Demux, SortsEveryPairOfFirstBytes) {
  for (int first = 0; first < 256; ++first)
    for (int second = 0; second < 256; ++second) {
      uint8_t packet[] = {static_cast<uint8_t>(first), static_cast<uint8_t>(second), 0, 0};
      ASSERT_EQ(classify(packet), expected(first, second)) << first << ' ' << second;
    }
}

TEST(Demux, DropsWhatIsTooShortToSort) {
  EXPECT_EQ(classify({}), PacketClass::drop);
  uint8_t media[] = {0x80};
  EXPECT_EQ(classify(media), PacketClass::drop);
  uint8_t stun[] = {0x00};
  EXPECT_EQ(classify(stun), PacketClass::stun);
}

// Payload types 64..95 with the marker bit would look like RTCP; the ones browsers use
// with and without marker must not.
TEST(Demux, PayloadTypesInUseAreRtp) {
  for (int pt : {0, 8, 35, 63, 96, 111, 127})
    for (int marker : {0, 128}) {
      uint8_t packet[] = {0x90, static_cast<uint8_t>(pt | marker)};
      EXPECT_EQ(classify(packet), PacketClass::rtp) << pt << ' ' << marker;
    }
}

}  // namespace
}  // namespace spillway
