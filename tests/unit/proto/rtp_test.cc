#include "datapath/proto/rtp.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/unit/proto/bytes_testing.h"

namespace spillway {
namespace {

using namespace testing_bytes;

// V=2 P=1 X=1 CC=2, M=1 PT=111, two CSRCs, one extension word, payload "abcd", 2 of padding.
const char kFull[] =
    "b2ef 1234 01020304 aabbccdd 00000001 00000002"
    "bede0001 51000005 61626364 0002";

TEST(Rtp, ParsesEveryField) {
  Buffer packet = hex(kFull);
  auto h = parse_rtp_header(packet);
  ASSERT_TRUE(h);
  EXPECT_EQ(h->pt, 111);
  EXPECT_TRUE(h->marker);
  EXPECT_TRUE(h->padding);
  EXPECT_TRUE(h->has_extension);
  EXPECT_EQ(h->csrc_count, 2);
  EXPECT_EQ(h->sequence, 0x1234);
  EXPECT_EQ(value(h->timestamp), 0x01020304u);
  EXPECT_EQ(value(h->ssrc), 0xaabbccddu);
  EXPECT_EQ(h->extension_profile, kRtpOneByteProfile);
  EXPECT_EQ(h->extension_offset, 24);
  EXPECT_EQ(h->extension_bytes, 4);
  EXPECT_EQ(h->header_bytes, 28);
  EXPECT_EQ(buffer(rtp_extension_block(*h, packet)), hex("51000005"));
  EXPECT_EQ(rtp_payload_bytes(*h, packet), 4u);
}

TEST(Rtp, RefusesOtherVersions) {
  Buffer packet = hex(kFull);
  for (int version : {0, 1, 3}) {
    packet[0] = static_cast<uint8_t>(version << 6);
    EXPECT_FALSE(parse_rtp_header(packet)) << version;
  }
}

// Every combination of CC, X and extension length against every packet length: accepted
// exactly when all of it fits (threats A-13).
TEST(Rtp, LengthsMustFitInThePacket) {
  for (uint32_t cc = 0; cc < 16; ++cc)
    for (uint32_t words : {0u, 1u, 3u, 40u, 0xffffu})
      for (bool extension : {false, true}) {
        size_t need = 12 + 4 * cc + (extension ? 4 + 4 * size_t{words} : 0);
        for (size_t size = 0; size <= 260; ++size) {
          Buffer packet(size, 0);
          if (size > 0) packet[0] = static_cast<uint8_t>(0x80 | (extension ? 0x10 : 0) | cc);
          size_t at = 12 + 4 * cc;
          if (extension && size >= at + 4)
            store_be16(&packet[at + 2], static_cast<uint16_t>(words));
          // Where the length field itself is cut off nothing fits anyway.
          with_exact(packet, [&](Bytes p) {
            auto h = parse_rtp_header(p);
            ASSERT_EQ(h.has_value(), size >= need) << cc << ' ' << words << ' ' << size;
            if (h) {
              ASSERT_EQ(h->header_bytes, need);
            }
          });
        }
      }
}

// the padding count is believed only when it fits behind the header.
TEST(Rtp, PaddingIsValidatedAfterDecryption) {
  Buffer packet = hex("a06f 0001 00000001 00000001 61626364");
  auto h = parse_rtp_header(packet);
  ASSERT_TRUE(h);
  struct Case {
    uint8_t last;
    std::optional<uint32_t> bytes;
  };
  for (Case c : {Case{0, std::nullopt}, Case{1, 3}, Case{3, 1}, Case{4, 0}, Case{5, std::nullopt},
                 Case{255, std::nullopt}}) {
    packet.back() = c.last;
    EXPECT_EQ(rtp_payload_bytes(*h, packet), c.bytes) << int{c.last};
  }
  EXPECT_EQ(rtp_payload_bytes(*h, Bytes{packet}.first(12)), std::nullopt) << "P without payload";
  EXPECT_EQ(rtp_payload_bytes(*h, Bytes{packet}.first(11)), std::nullopt);
  h->padding = false;
  EXPECT_EQ(rtp_payload_bytes(*h, Bytes{packet}.first(12)), 0u);
}

TEST(Rtp, WrittenHeaderReadsBack) {
  Random random(2);
  for (int i = 0; i < 1000; ++i) {
    RtpFixedHeader h{static_cast<uint8_t>(random.below(128)), random.below(2) != 0,
                     random.below(2) != 0,  false,
                     static_cast<uint16_t>(random.u32()), RtpTime{random.u32()},
                     Ssrc{random.u32()}};
    std::array<uint8_t, 12> out;
    ASSERT_TRUE(write_rtp_header(out, h));
    auto back = parse_rtp_header(out);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->pt, h.pt);
    EXPECT_EQ(back->marker, h.marker);
    EXPECT_EQ(back->padding, h.padding);
    EXPECT_EQ(back->sequence, h.sequence);
    EXPECT_EQ(back->timestamp, h.timestamp);
    EXPECT_EQ(back->ssrc, h.ssrc);
    EXPECT_EQ(back->csrc_count, 0);
    EXPECT_FALSE(back->has_extension);
  }
  std::array<uint8_t, 11> small;
  EXPECT_FALSE(write_rtp_header(small, {}));
  std::array<uint8_t, 16> room{};
  ASSERT_TRUE(write_rtp_header(room, {.extension = true}));
  auto back = parse_rtp_header(room);
  ASSERT_TRUE(back);
  EXPECT_TRUE(back->has_extension);
}

TEST(Rtp, DamagedPacketsNeverReachPastTheirEnd) {
  with_damaged(hex(kFull), [](Bytes p) {
    if (auto h = parse_rtp_header(p)) {
      ASSERT_LE(h->header_bytes, p.size());
      if (auto n = rtp_payload_bytes(*h, p)) {
        ASSERT_LE(h->header_bytes + *n, p.size());
      }
      Bytes block = rtp_extension_block(*h, p);
      ASSERT_LE(block.size(), p.size());
    }
  });
}

}  // namespace
}  // namespace spillway
