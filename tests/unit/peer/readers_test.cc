#include "tests/peer/sources/readers.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace spillway::peer {
namespace {

using File = std::vector<uint8_t>;

void le(File& f, uint64_t v, int bytes) {
  for (int i = 0; i < bytes; ++i) f.push_back(static_cast<uint8_t>(v >> (8 * i)));
}
void text(File& f, const std::string& s) { f.insert(f.end(), s.begin(), s.end()); }

File ivf(const std::string& fourcc = "VP80") {
  File f;
  text(f, "DKIF");
  le(f, 0, 2);
  le(f, 32, 2);
  text(f, fourcc);
  le(f, 640, 2);
  le(f, 480, 2);
  le(f, 30, 4);
  le(f, 1, 4);
  le(f, 2, 4);
  le(f, 0, 4);
  for (int i = 0; i < 2; ++i) {
    le(f, 10, 4);
    le(f, static_cast<uint64_t>(i), 8);
    f.resize(f.size() + 10, static_cast<uint8_t>(i));
  }
  return f;
}

File ogg_page(uint8_t flags, const std::vector<File>& packets, bool last_open = false) {
  File f, body, table;
  for (size_t i = 0; i < packets.size(); ++i) {
    size_t left = packets[i].size();
    for (; left >= 255; left -= 255) table.push_back(255);
    if (!(last_open && i + 1 == packets.size())) table.push_back(static_cast<uint8_t>(left));
    body.insert(body.end(), packets[i].begin(), packets[i].end());
  }
  text(f, "OggS");
  f.push_back(0);
  f.push_back(flags);
  le(f, 0, 8);
  le(f, 77, 4);
  le(f, 0, 8);
  f.push_back(static_cast<uint8_t>(table.size()));
  f.insert(f.end(), table.begin(), table.end());
  f.insert(f.end(), body.begin(), body.end());
  return f;
}

File ogg() {
  File head, tags, big(300, 0x11);
  text(head, "OpusHead\1\2");
  text(tags, "OpusTags");
  big[0] = 0xfc;  // CELT 20 ms
  File f = ogg_page(0x02, {head});
  const auto add = [&](const File& p) { f.insert(f.end(), p.begin(), p.end()); };
  add(ogg_page(0, {tags}));
  add(ogg_page(0, {File{0xfc, 1, 2}, File(big.begin(), big.begin() + 255)}, true));
  add(ogg_page(0x01, {File(big.begin() + 255, big.end())}));
  return f;
}

File annex_b() {
  File f;
  const auto nal = [&](std::initializer_list<uint8_t> bytes, bool long_code) {
    if (long_code) f.push_back(0);
    f.insert(f.end(), {0, 0, 1});
    f.insert(f.end(), bytes);
  };
  nal({0x09, 0xf0}, true);
  nal({0x67, 1, 2}, true);
  nal({0x68, 3}, true);
  nal({0x65, 0x88, 4}, false);
  nal({0x65, 0x40, 5}, false);  // second slice of the picture
  nal({0x41, 0x9a, 6}, true);
  return f;
}

TEST(Ivf, GivesCodecTimesAndFrames) {
  const File f = ivf("VP90");
  const auto r = read_ivf(f);
  ASSERT_TRUE(r);
  EXPECT_EQ(r->codec, Codec::vp9);
  ASSERT_EQ(r->frames.size(), 2u);
  EXPECT_EQ(r->frames[1].time, 1u);
  EXPECT_EQ(r->frames[1].data.size(), 10u);
  EXPECT_EQ(r->frames[1].data[0], 1);
}

TEST(Ivf, RefusesDamageAndKeepsTheFramesBeforeIt) {
  EXPECT_FALSE(read_ivf(ivf("H264")));
  EXPECT_FALSE(read_ivf({}));
  File f = ivf();
  f[16] = f[17] = f[18] = f[19] = 0;  // rate 0 would divide by zero
  EXPECT_FALSE(read_ivf(f));
  f = ivf();
  f[32 + 22] = 0xff;  // the second frame claims more than there is
  f[32 + 24] = 0xff;
  const auto r = read_ivf(f);
  ASSERT_TRUE(r);
  EXPECT_EQ(r->frames.size(), 1u);
}

TEST(AnnexB, GroupsSlicesIntoPictures) {
  const File f = annex_b();
  const auto r = read_annex_b(f);
  ASSERT_TRUE(r);
  ASSERT_EQ(r->size(), 2u);
  EXPECT_EQ((*r)[0].nals.size(), 4u);  // SPS, PPS, two slices; no delimiter
  EXPECT_TRUE((*r)[0].key);
  EXPECT_FALSE((*r)[1].key);
  EXPECT_EQ((*r)[1].nals[0].size(), 3u);
}

TEST(Ogg, JoinsPacketsAcrossPagesAndSkipsHeaders) {
  const auto r = read_ogg_opus(ogg());
  ASSERT_TRUE(r);
  ASSERT_EQ(r->size(), 2u);
  EXPECT_EQ((*r)[0].data, (File{0xfc, 1, 2}));
  EXPECT_EQ((*r)[0].samples, 960u);
  EXPECT_EQ((*r)[1].data.size(), 300u);
}

TEST(Ogg, KnowsOpusDurations) {
  EXPECT_EQ(opus_samples(File{0x78}), 960u);              // hybrid, 20 ms
  EXPECT_EQ(opus_samples(File{0x18}), 2880u);             // SILK 60 ms
  EXPECT_EQ(opus_samples(File{0xe3, 0x02}), 2 * 120u);    // code 3, two frames of 2.5 ms
  EXPECT_EQ(opus_samples(File{0xe3}), 0u);
  EXPECT_EQ(opus_samples(File{0x1b, 0x3f}), 0u);          // 63 frames of 60 ms
  EXPECT_EQ(opus_samples({}), 0u);
}

// Aim: no input reads outside the file (sanitizers judge) or takes long.
TEST(Readers, SurviveCutAndDamagedFiles) {
  std::minstd_rand random(1);
  const std::vector<File> originals{ivf(), ogg(), annex_b()};
  for (const File& original : originals) {
    for (size_t n = 0; n <= original.size(); ++n) {
      const File cut(original.begin(), original.begin() + static_cast<ptrdiff_t>(n));
      (void)read_ivf(cut);
      (void)read_annex_b(cut);
      (void)read_ogg_opus(cut);
    }
    for (int round = 0; round < 3000; ++round) {
      File f = original;
      for (int i = 0; i < 3; ++i) f[random() % f.size()] = static_cast<uint8_t>(random());
      (void)read_ivf(f);
      (void)read_annex_b(f);
      (void)read_ogg_opus(f);
    }
  }
}

}  // namespace
}  // namespace spillway::peer
