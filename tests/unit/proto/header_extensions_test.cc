#include "datapath/proto/header_extensions.h"

#include <gtest/gtest.h>

#include <map>
#include <utility>
#include <vector>

#include "tests/unit/proto/bytes_testing.h"

namespace spillway {
namespace {

using namespace testing_bytes;
using Elements = std::vector<std::pair<uint8_t, Buffer>>;

Elements elements(uint16_t profile, Bytes block, bool* whole = nullptr) {
  Elements out;
  bool ok = for_each_extension(profile, block,
                               [&](uint8_t id, Bytes v) { out.emplace_back(id, buffer(v)); });
  if (whole) *whole = ok;
  return out;
}
Elements written(MutableBytes block) { return elements(load_be16(&block[0]), block.subspan(4)); }

TEST(HeaderExtensions, OneByteForm) {
  // id 1 of 1 byte, padding, id 14 of 2 bytes, id 3 of 16 bytes
  Elements e = elements(0xBEDE, hex("10aa 00 e1bbcc 3f 000102030405060708090a0b0c0d0e0f 0000"));
  ASSERT_EQ(e.size(), 3u);
  EXPECT_EQ(e[0], (std::pair<uint8_t, Buffer>{1, hex("aa")}));
  EXPECT_EQ(e[1], (std::pair<uint8_t, Buffer>{14, hex("bbcc")}));
  EXPECT_EQ(e[2].second.size(), 16u);
}

// RFC 8285 §4.2: id 15 stops; so does id 0 with a length.
TEST(HeaderExtensions, OneByteFormStopsAtReservedIds) {
  bool whole = false;
  EXPECT_EQ(elements(0xBEDE, hex("10aa f0bb 20cc"), &whole).size(), 1u);
  EXPECT_TRUE(whole);
  EXPECT_EQ(elements(0xBEDE, hex("10aa 01bbbb 20cc"), &whole).size(), 1u);
  EXPECT_TRUE(whole);
}

TEST(HeaderExtensions, TwoByteForm) {
  Elements e = elements(0x1003, hex("0f00 00 ff03010203 00 0101aa"));
  ASSERT_EQ(e.size(), 3u);
  EXPECT_EQ(e[0], (std::pair<uint8_t, Buffer>{15, {}})) << "id 15 is an ordinary one here";
  EXPECT_EQ(e[1], (std::pair<uint8_t, Buffer>{255, hex("010203")}));
  EXPECT_EQ(e[2], (std::pair<uint8_t, Buffer>{1, hex("aa")}));
}

TEST(HeaderExtensions, UnknownProfilesHaveNoElements) {
  for (int profile : {0, 0xBEDD, 0x2000, 0x0fff, 0x1010, 0xffff})
    EXPECT_TRUE(elements(static_cast<uint16_t>(profile), hex("10aa20bb")).empty()) << profile;
}

TEST(HeaderExtensions, ElementsPastTheEndAreRefused) {
  bool whole = true;
  EXPECT_EQ(elements(0xBEDE, hex("10aa 23 01"), &whole).size(), 1u);
  EXPECT_FALSE(whole);
  EXPECT_TRUE(elements(0x1000, hex("01ff 000102"), &whole).empty()) << "255 bytes claimed";
  EXPECT_FALSE(whole);
  EXPECT_TRUE(elements(0x1000, hex("01"), &whole).empty());
  EXPECT_FALSE(whole);
}

// not more elements than kMaxExtensions are ever looked at.
TEST(HeaderExtensions, ElementsAreBounded) {
  Buffer many;
  for (int i = 0; i < 100; ++i) many.insert(many.end(), {0x10, 0xaa});
  EXPECT_EQ(elements(0xBEDE, many).size(), kMaxExtensions);
  Buffer empty_ones;
  for (int i = 0; i < 100; ++i) empty_ones.insert(empty_ones.end(), {0x01, 0x00});
  EXPECT_EQ(elements(0x1000, empty_ones).size(), kMaxExtensions);
}

TEST(HeaderExtensions, DamagedBlocksNeverReachPastTheirEnd) {
  for (uint16_t profile : {uint16_t{0xBEDE}, uint16_t{0x1000}})
    with_damaged(hex("10aa 00 e1bbcc 3203040506 0402 0102 ff00"), [&](Bytes block) {
      for_each_extension(profile, block, [&](uint8_t, Bytes v) {
        if (!v.empty()) {
          ASSERT_GE(v.data(), block.data());
          ASSERT_LE(v.data() + v.size(), block.data() + block.size());
        }
      });
    });
}

TEST(ExtensionIdMap, MapsBothWays) {
  ExtensionIdMap map;
  EXPECT_EQ(map.kind(4), ExtensionKind::none);
  EXPECT_EQ(map.id(ExtensionKind::mid), 0);
  EXPECT_TRUE(map.set(4, ExtensionKind::mid));
  EXPECT_TRUE(map.set(255, ExtensionKind::transport_cc));
  EXPECT_EQ(map.kind(4), ExtensionKind::mid);
  EXPECT_EQ(map.id(ExtensionKind::mid), 4);
  EXPECT_EQ(map.id(ExtensionKind::transport_cc), 255);
  EXPECT_EQ(map.kind(0), ExtensionKind::none);
}

TEST(ExtensionIdMap, RefusesBadIdsAndKeepsOneIdPerKind) {
  ExtensionIdMap map;
  EXPECT_FALSE(map.set(0, ExtensionKind::mid));
  EXPECT_FALSE(map.set(1, ExtensionKind::none));
  EXPECT_FALSE(map.set(1, static_cast<ExtensionKind>(kExtensionKindCount)));
  EXPECT_EQ(map.id(static_cast<ExtensionKind>(200)), 0);
  ASSERT_TRUE(map.set(1, ExtensionKind::mid));
  EXPECT_FALSE(map.set(1, ExtensionKind::rid)) << "taken";
  EXPECT_TRUE(map.set(1, ExtensionKind::mid)) << "again the same";
  EXPECT_TRUE(map.set(2, ExtensionKind::mid)) << "moves";
  EXPECT_EQ(map.kind(1), ExtensionKind::none);
  EXPECT_EQ(map.id(ExtensionKind::mid), 2);
}

TEST(ExtensionWriter, OneByteBlock) {
  Buffer out(64, 0xee);
  ExtensionWriter w(out, false);
  EXPECT_TRUE(w.add(1, text("0")));
  EXPECT_TRUE(w.add_be24(2, 0x123456));
  EXPECT_TRUE(w.add_be16(3, 0xabcd));
  EXPECT_TRUE(w.add_u8(4, 0x85));
  ASSERT_EQ(w.finish(), 16u);
  out.resize(16);
  EXPECT_EQ(out, hex("bede0003 1030 22123456 31abcd 4085 00"));
}

TEST(ExtensionWriter, NothingAddedIsNoBlock) {
  Buffer out(8, 0xee);
  ExtensionWriter w(out, true);
  EXPECT_EQ(w.finish(), 0u);
  EXPECT_EQ(out, Buffer(8, 0xee));
}

// two-byte only when negotiated; what needs it is otherwise refused, the rest stays.
TEST(ExtensionWriter, TwoByteOnlyWhenAllowed) {
  struct Case {
    uint8_t id;
    size_t bytes;
    bool one_byte_will_do;
  };
  for (Case c : {Case{1, 1, true}, Case{14, 16, true}, Case{15, 1, false}, Case{255, 3, false},
                 Case{1, 0, false}, Case{1, 17, false}, Case{1, 255, false}}) {
    Buffer value(c.bytes, 7);
    for (bool allowed : {false, true}) {
      Buffer out(512, 0);
      ExtensionWriter w(out, allowed);
      ASSERT_TRUE(w.add(5, text("x")));
      bool taken = w.add(c.id, value);
      EXPECT_EQ(taken, allowed || c.one_byte_will_do) << int{c.id} << ' ' << c.bytes;
      EXPECT_EQ(w.two_byte(), allowed && !c.one_byte_will_do);
      out.resize(w.finish());
      Elements expected{{5, buffer(text("x"))}};
      if (taken) expected.emplace_back(c.id, value);
      EXPECT_EQ(written(out), expected);
    }
  }
}

TEST(ExtensionWriter, RefusesNonsense) {
  Buffer out(1024, 0);
  ExtensionWriter w(out, true);
  EXPECT_FALSE(w.add(0, text("x")));
  EXPECT_FALSE(w.add(1, Buffer(256, 0)));
  for (uint32_t i = 1; i <= kMaxExtensions; ++i)
    EXPECT_TRUE(w.add(static_cast<uint8_t>(i), text("x")));
  EXPECT_FALSE(w.add(100, text("x"))) << "more than kMaxExtensions";
  EXPECT_EQ(w.count(), kMaxExtensions);
}

// Against a model: random elements into random room. What was accepted reads back, in
// order; what was refused would not have fitted; nothing is written past the room.
TEST(ExtensionWriter, RandomBlocksReadBack) {
  Random random(3);
  for (int round = 0; round < 20000; ++round) {
    size_t room = random.below(160);
    bool allowed = random.below(2) != 0;
    Buffer out(room + 32, 0xee);
    ExtensionWriter w(MutableBytes{out}.first(room), allowed);
    Elements accepted;
    uint32_t values = 0;
    bool wide = false;
    for (uint32_t i = random.below(20); i > 0; --i) {
      auto id = static_cast<uint8_t>(random.below(8) == 0 ? random.below(256) : random.below(16));
      Buffer value = random.bytes(random.below(8) == 0 ? random.below(60) : random.below(5));
      bool needs_wide = id > 14 || value.empty() || value.size() > 16;
      bool new_wide = wide || needs_wide;
      size_t heads = (accepted.size() + 1) * (new_wide ? 2 : 1);
      size_t need = (4 + heads + values + value.size() + 3) / 4 * 4;
      bool should = id != 0 && accepted.size() < kMaxExtensions &&
                    (!needs_wide || wide || allowed) && need <= room;
      ASSERT_EQ(w.add(id, value), should) << "round " << round;
      if (!should) continue;
      accepted.emplace_back(id, value);
      values += static_cast<uint32_t>(value.size());
      wide = new_wide;
    }
    uint32_t bytes = w.finish();
    ASSERT_LE(bytes, room);
    ASSERT_EQ(bytes % 4, 0u);
    for (size_t i = room; i < out.size(); ++i) ASSERT_EQ(out[i], 0xee);
    if (accepted.empty()) {
      ASSERT_EQ(bytes, 0u);
      continue;
    }
    ASSERT_EQ(load_be16(&out[2]) * 4u + 4u, bytes);
    ASSERT_EQ(written(MutableBytes{out}.first(bytes)), accepted) << "round " << round;
  }
}

TEST(ExtensionValues, Text) {
  EXPECT_EQ(buffer(read_mid(text("video-1"))), buffer(text("video-1")));
  EXPECT_TRUE(read_mid(text("")).empty());
  EXPECT_TRUE(read_mid(text("a b")).empty());
  EXPECT_TRUE(read_mid(text("12345678901234567")).empty()) << "17 bytes";
  EXPECT_FALSE(read_mid(text("1234567890123456")).empty());
  EXPECT_FALSE(read_rid(text("h_1-A")).empty());
  EXPECT_TRUE(read_rid(text("a.b")).empty());
  EXPECT_FALSE(read_mid(text("a.b")).empty());
}

TEST(ExtensionValues, AudioLevel) {
  auto a = read_audio_level(hex("9e"));
  ASSERT_TRUE(a);
  EXPECT_TRUE(a->voice);
  EXPECT_EQ(a->level, 30);
  EXPECT_EQ(audio_level_byte(*a), 0x9e);
  EXPECT_FALSE(read_audio_level({}));
  EXPECT_FALSE(read_audio_level(hex("000000")));
}

TEST(ExtensionValues, AbsSendTimeIsSixPointEighteen) {
  EXPECT_EQ(abs_send_time({0}), 0u);
  EXPECT_EQ(abs_send_time(seconds(1)), 1u << 18);
  EXPECT_EQ(abs_send_time(seconds(63)), 63u << 18);
  EXPECT_EQ(abs_send_time(seconds(64)), 0u) << "wraps";
  EXPECT_EQ(abs_send_time(millis(500)), 1u << 17);
  EXPECT_EQ(abs_send_time({INT64_MAX}) >> 24, 0u);
  EXPECT_EQ(read_abs_send_time(hex("040000")), 1u << 18);
  EXPECT_FALSE(read_abs_send_time(hex("0400")));
}

TEST(ExtensionValues, TransportCcAndOrientation) {
  EXPECT_EQ(read_transport_cc(hex("abcd")), 0xabcd);
  EXPECT_EQ(read_transport_cc(hex("abcd0001")), 0xabcd);
  EXPECT_FALSE(read_transport_cc(hex("ab")));
  auto o = read_video_orientation(hex("0b"));
  ASSERT_TRUE(o);
  EXPECT_TRUE(o->back_camera);
  EXPECT_FALSE(o->flipped);
  EXPECT_EQ(o->rotation_degrees, 270);
  EXPECT_EQ(video_orientation_byte(*o), 0x0b);
  EXPECT_FALSE(read_video_orientation({}));
}

}  // namespace
}  // namespace spillway
