#include "datapath/proto/rtcp.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "tests/unit/proto/bytes_testing.h"

namespace spillway {
namespace {

using namespace testing_bytes;

std::vector<RtcpPacket> walk(Bytes b, bool* bad = nullptr) {
  std::vector<RtcpPacket> out;
  RtcpWalker w(b);
  while (auto p = w.next()) out.push_back(*p);
  if (bad) *bad = w.bad();
  return out;
}
RtcpPacket only(Bytes b) {
  auto all = walk(b);
  EXPECT_EQ(all.size(), 1u);
  return all.empty() ? RtcpPacket{} : all[0];
}
std::vector<uint16_t> nacked(Bytes fci) {
  std::vector<uint16_t> out;
  for_each_nack(fci, [&](uint16_t s) { out.push_back(s); });
  return out;
}

// Calls every reader, as the datapath might.
void read_all(Bytes compound) {
  for (const RtcpPacket& p : walk(compound)) {
    parse_sender_report(p);
    parse_receiver_report(p);
    for (uint32_t i = 0; i < report_block_count(p); ++i) report_block(p, i);
    uint32_t cursor = 0;
    for (uint32_t n = 0; next_sdes_cname(p, &cursor); ++n) ASSERT_LT(n, 400u);
    for (uint32_t i = 0; i < bye_count(p); ++i) bye_ssrc(p, i);
    if (auto f = parse_feedback(p)) {
      for_each_nack(f->fci, [](uint16_t) {});
      for_each_fir(f->fci, [](FirEntry) {});
      parse_remb(f->fci);
    }
  }
}

Buffer compound_of_everything() {
  Buffer out(600);
  Writer w(out);
  std::array<ReportBlock, 2> blocks{ReportBlock{Ssrc{5}, 10, -3, 70000, 8, 9, 10},
                                    ReportBlock{Ssrc{6}, 255, 0x7fffff, 1, 2, 3, 4}};
  EXPECT_TRUE(write_sender_report(
      w, {Ssrc{1}, NtpTime{0x0102030405060708}, RtpTime{90000}, 11, 12}, blocks));
  EXPECT_TRUE(write_receiver_report(w, Ssrc{1}, blocks));
  EXPECT_TRUE(write_sdes(w, Ssrc{1}, text("spillway")));
  EXPECT_TRUE(write_nack(w, Ssrc{1}, Ssrc{2}, std::array<uint16_t, 3>{65535, 0, 100}));
  EXPECT_TRUE(write_pli(w, Ssrc{1}, Ssrc{2}));
  EXPECT_TRUE(write_fir(w, Ssrc{1}, std::array{FirEntry{Ssrc{2}, 7}}));
  EXPECT_TRUE(write_remb(w, Ssrc{1}, 2'500'000, std::array{Ssrc{2}, Ssrc{3}}));
  EXPECT_TRUE(write_bye(w, std::array{Ssrc{1}, Ssrc{4}}));
  EXPECT_FALSE(w.bad());
  out.resize(w.size());
  return out;
}

TEST(Rtcp, WalksACompound) {
  bool bad = true;
  Buffer c = compound_of_everything();
  auto packets = walk(c, &bad);
  EXPECT_FALSE(bad);
  std::vector<int> types;
  for (auto& p : packets) types.push_back(p.type);
  EXPECT_EQ(types, (std::vector<int>{200, 201, 202, 205, 206, 206, 206, 203}));
}

TEST(Rtcp, StopsAtTheFirstMalformedPacket) {
  struct Case {
    const char* name;
    const char* hex;
    size_t good;
    bool bad;
  };
  const Case cases[] = {
      {"empty", "", 0, false},
      {"three bytes", "80c900", 0, true},
      {"length past the end", "80c90002 00000001", 0, true},
      {"wrong version", "40c90001 00000001", 0, true},
      {"good then trailing bytes", "80c90001 00000001 8081", 1, true},
      {"header only", "80cb0000", 1, false},
      {"padding of 4", "a0c90002 00000001 00000004", 1, false},
      {"padding of 0", "a0c90002 00000001 00000000", 0, true},
      {"padding more than the body", "a0c90002 00000001 00000009", 0, true},
      {"padding without a body", "a0cb0000", 0, true},
      {"length 65535", "80c9ffff 00000001", 0, true},
  };
  for (const Case& c : cases) {
    bool bad = !c.bad;
    with_exact(hex(c.hex), [&](Bytes b) {
      EXPECT_EQ(walk(b, &bad).size(), c.good) << c.name;
      EXPECT_EQ(bad, c.bad) << c.name;
    });
  }
}

TEST(Rtcp, PaddingIsNotPartOfTheBody) {
  Buffer b = hex("a1cd0004 00000001 00000002 12340001 00000004");
  auto f = parse_feedback(only(b));
  ASSERT_TRUE(f);
  EXPECT_EQ(nacked(f->fci), (std::vector<uint16_t>{0x1234, 0x1235}));
}

TEST(Rtcp, UnknownTypesAreSkipped) {
  Buffer b = hex("80cf0001 00000001  80c00000  80df0000  80c90001 00000007");
  auto packets = walk(b);
  ASSERT_EQ(packets.size(), 4u);
  EXPECT_FALSE(parse_receiver_report(packets[0]));
  EXPECT_FALSE(parse_feedback(packets[1]));
  EXPECT_EQ(parse_receiver_report(packets[3]), Ssrc{7});
}

TEST(Rtcp, SenderReportRoundTrip) {
  Random random(4);
  for (uint32_t round = 0; round < 200; ++round) {
    SenderReport in{Ssrc{random.u32()}, NtpTime{random.u64()}, RtpTime{random.u32()},
                    random.u32(), random.u32()};
    std::vector<ReportBlock> blocks(random.below(32));
    for (auto& b : blocks)
      b = {Ssrc{random.u32()}, static_cast<uint8_t>(random.u32()),
           static_cast<int32_t>(random.below(0x1000000)) - 0x800000, random.u32(), random.u32(),
           random.u32(), random.u32()};
    Buffer out(4 + 24 + blocks.size() * 24);
    Writer w(out);
    ASSERT_TRUE(write_sender_report(w, in, blocks));
    ASSERT_EQ(w.left(), 0u);
    RtcpPacket p = only(out);
    auto sr = parse_sender_report(p);
    ASSERT_TRUE(sr);
    EXPECT_EQ(sr->ssrc, in.ssrc);
    EXPECT_EQ(sr->ntp, in.ntp);
    EXPECT_EQ(sr->rtp, in.rtp);
    EXPECT_EQ(sr->packets, in.packets);
    EXPECT_EQ(sr->octets, in.octets);
    ASSERT_EQ(report_block_count(p), blocks.size());
    for (uint32_t i = 0; i < blocks.size(); ++i) {
      ReportBlock b = report_block(p, i);
      EXPECT_EQ(b.ssrc, blocks[i].ssrc);
      EXPECT_EQ(b.fraction_lost, blocks[i].fraction_lost);
      EXPECT_EQ(b.cumulative_lost, blocks[i].cumulative_lost);
      EXPECT_EQ(b.highest_sequence, blocks[i].highest_sequence);
      EXPECT_EQ(b.jitter, blocks[i].jitter);
      EXPECT_EQ(b.last_sr, blocks[i].last_sr);
      EXPECT_EQ(b.delay_since_sr, blocks[i].delay_since_sr);
    }
  }
}

TEST(Rtcp, CumulativeLossIsClamped) {
  for (auto [in, out] : {std::pair{INT32_MAX, 0x7fffff}, std::pair{INT32_MIN, -0x800000}}) {
    Buffer b(32);
    Writer w(b);
    ReportBlock block;
    block.cumulative_lost = in;
    ASSERT_TRUE(write_receiver_report(w, Ssrc{1}, {&block, 1}));
    EXPECT_EQ(report_block(only(b), 0).cumulative_lost, out);
  }
}

// a report count larger than the packet is not believed.
TEST(Rtcp, ReportCountMustFit) {
  for (int count = 0; count < 32; ++count) {
    Buffer rr(8 + 24, 0);
    rr[0] = static_cast<uint8_t>(0x80 | count);
    rr[1] = 201;
    rr[3] = 7;
    RtcpPacket p = only(rr);
    EXPECT_EQ(parse_receiver_report(p).has_value(), count <= 1) << count;
    EXPECT_EQ(report_block_count(p), count == 1 ? 1u : 0u) << count;
  }
}

TEST(Rtcp, SdesOfSeveralChunks) {
  // ssrc 1: NAME "xy", CNAME "ab"; ssrc 2: CNAME "c"; ssrc 3: only a TOOL.
  Buffer b = hex(
      "83ca0008"
      "00000001 02027879 01026162 00000000"
      "00000002 010163 00"
      "00000003 060174 00");
  b[3] = static_cast<uint8_t>(b.size() / 4 - 1);
  RtcpPacket p = only(b);
  uint32_t cursor = 0;
  auto first = next_sdes_cname(p, &cursor);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->ssrc, Ssrc{1});
  EXPECT_EQ(buffer(first->cname), buffer(text("ab")));
  auto second = next_sdes_cname(p, &cursor);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->ssrc, Ssrc{2});
  EXPECT_EQ(buffer(second->cname), buffer(text("c")));
  EXPECT_FALSE(next_sdes_cname(p, &cursor));
  EXPECT_FALSE(next_sdes_cname(p, &cursor)) << "stays at the end";
}

TEST(Rtcp, SdesItemPastTheEndIsRefused) {
  Buffer b = hex("81ca0002 00000001 01ff6162");
  uint32_t cursor = 0;
  EXPECT_FALSE(next_sdes_cname(only(b), &cursor));
}

TEST(Rtcp, SdesRoundTripOfEveryLength) {
  for (size_t n = 1; n <= 255; ++n) {
    Buffer name(n, 'n');
    Buffer out(300);
    Writer w(out);
    ASSERT_TRUE(write_sdes(w, Ssrc{9}, name));
    ASSERT_EQ(w.size() % 4, 0u);
    uint32_t cursor = 0;
    auto c = next_sdes_cname(only(w.written()), &cursor);
    ASSERT_TRUE(c) << n;
    EXPECT_EQ(buffer(c->cname), name);
    EXPECT_EQ(c->ssrc, Ssrc{9});
  }
}

// A-17, CVE-2021-43804: the length of the BYE reason.
TEST(Rtcp, ByeCountAndReasonMustFit) {
  struct Case {
    const char* hex;
    uint32_t count;
  };
  for (Case c : {Case{"81cb0001 00000005", 1}, Case{"82cb0001 00000005", 0},
                 Case{"9fcb0001 00000005", 0}, Case{"81cb0002 00000005 03627965", 1},
                 Case{"81cb0002 00000005 04627965", 0}, Case{"81cb0002 00000005 ff627965", 0},
                 Case{"80cb0000", 0}}) {
    with_exact(hex(c.hex), [&](Bytes b) {
      RtcpPacket p = only(b);
      EXPECT_EQ(bye_count(p), c.count) << c.hex;
      EXPECT_EQ(bye_ssrc(p, 0), c.count ? Ssrc{5} : Ssrc{}) << c.hex;
      EXPECT_EQ(bye_ssrc(p, 31), Ssrc{}) << c.hex;
    });
  }
}

TEST(Rtcp, NackReadsMaskAndWraps) {
  EXPECT_EQ(nacked(hex("fffe 8005")),
            (std::vector<uint16_t>{65534, 65535, 1, 14}));
  EXPECT_TRUE(nacked(hex("fffe80")).empty()) << "cut off";
}

// one datagram full of NACK entries names 5780 packets; 256 are honoured.
TEST(Rtcp, NackIsCapped) {
  Buffer fci;
  for (int i = 0; i < 340; ++i) fci.insert(fci.end(), {0, 0, 0xff, 0xff});
  uint32_t calls = 0;
  EXPECT_EQ(for_each_nack(fci, [&](uint16_t) { ++calls; }), kMaxNackSequences);
  EXPECT_EQ(calls, kMaxNackSequences);
}

TEST(Rtcp, NackRoundTrip) {
  Random random(5);
  for (int round = 0; round < 500; ++round) {
    std::vector<uint16_t> lost;
    auto at = static_cast<uint16_t>(random.u32());
    for (uint32_t i = 1 + random.below(60); i > 0; --i) {
      lost.push_back(at);
      at = static_cast<uint16_t>(at + 1 + random.below(random.below(4) == 0 ? 300 : 4));
    }
    Buffer out(400);
    Writer w(out);
    ASSERT_TRUE(write_nack(w, Ssrc{1}, Ssrc{2}, lost));
    auto f = parse_feedback(only(w.written()));
    ASSERT_TRUE(f);
    EXPECT_EQ(f->format, kRtcpNack);
    EXPECT_EQ(f->sender, Ssrc{1});
    EXPECT_EQ(f->media, Ssrc{2});
    EXPECT_EQ(nacked(f->fci), lost);
  }
}

TEST(Rtcp, NackSharesEntries) {
  Buffer out(100);
  Writer w(out);
  std::vector<uint16_t> run;
  for (uint16_t i = 0; i < 17; ++i) run.push_back(static_cast<uint16_t>(65530 + i));
  ASSERT_TRUE(write_nack(w, Ssrc{1}, Ssrc{2}, run));
  EXPECT_EQ(w.size(), 16u) << "17 in a row are one entry";
}

TEST(Rtcp, PliAndFirRoundTrip) {
  Buffer out(64);
  Writer w(out);
  ASSERT_TRUE(write_pli(w, Ssrc{1}, Ssrc{2}));
  ASSERT_TRUE(write_fir(w, Ssrc{3}, std::array{FirEntry{Ssrc{4}, 200}, FirEntry{Ssrc{5}, 1}}));
  auto packets = walk(w.written());
  ASSERT_EQ(packets.size(), 2u);
  EXPECT_TRUE(packets[0].is(RtcpType::payload_feedback, kRtcpPli));
  EXPECT_EQ(parse_feedback(packets[0])->media, Ssrc{2});
  EXPECT_TRUE(packets[1].is(RtcpType::payload_feedback, kRtcpFir));
  std::vector<FirEntry> entries;
  for_each_fir(parse_feedback(packets[1])->fci, [&](FirEntry e) { entries.push_back(e); });
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].ssrc, Ssrc{4});
  EXPECT_EQ(entries[0].sequence, 200);
  EXPECT_EQ(entries[1].ssrc, Ssrc{5});
}

TEST(Rtcp, RembRoundTripKeeps18Bits) {
  for (uint64_t bps : {uint64_t{0}, uint64_t{1}, uint64_t{0x3ffff}, uint64_t{0x40000},
                       uint64_t{2'500'000}, UINT64_MAX}) {
    Buffer out(64);
    Writer w(out);
    ASSERT_TRUE(write_remb(w, Ssrc{1}, bps, std::array{Ssrc{7}, Ssrc{8}}));
    auto remb = parse_remb(parse_feedback(only(w.written()))->fci);
    ASSERT_TRUE(remb);
    EXPECT_LE(remb->bps, bps);
    EXPECT_LE(bps - remb->bps, bps >> 17);
    ASSERT_EQ(remb->ssrc_count, 2);
    EXPECT_EQ(load_be32(remb->ssrcs.data() + 4), 8u);
  }
}

// REMB with an SSRC count of 255 in a short packet, and an exponent that overflows.
TEST(Rtcp, RembCountAndExponentAreChecked) {
  EXPECT_FALSE(parse_remb(hex("52454d42 ff 000001 00000001")));
  EXPECT_TRUE(parse_remb(hex("52454d42 01 000001 00000001")));
  EXPECT_FALSE(parse_remb(hex("52454d43 01 000001 00000001"))) << "not REMB";
  EXPECT_FALSE(parse_remb(hex("52454d42 01")));
  EXPECT_EQ(parse_remb(hex("52454d42 00 ffffff"))->bps, UINT64_MAX) << "saturates";
  EXPECT_EQ(parse_remb(hex("52454d42 00 fc0001"))->bps, uint64_t{1} << 63);
  EXPECT_EQ(parse_remb(hex("52454d42 00 fc0000"))->bps, 0u);
}

// A builder that runs out of room appends nothing and marks the writer.
TEST(Rtcp, BuildersWriteWholePacketsOrNothing) {
  Buffer whole = compound_of_everything();
  for (size_t room = 0; room < whole.size(); ++room) {
    auto attempt = [&](auto&& build) {
      Buffer out(room, 0xee);
      Writer w(out);
      bool ok = build(w);
      EXPECT_EQ(ok, !w.bad());
      EXPECT_EQ(walk(w.written()).size(), ok ? 1u : 0u);
      EXPECT_EQ(w.size() == 0, !ok);
    };
    attempt([](Writer& w) { return write_sender_report(w, {}, {}); });
    attempt([](Writer& w) { return write_sdes(w, Ssrc{1}, text("spillway")); });
    attempt([](Writer& w) { return write_pli(w, Ssrc{1}, Ssrc{2}); });
    attempt([](Writer& w) { return write_remb(w, Ssrc{1}, 1, std::array{Ssrc{1}}); });
    attempt([](Writer& w) { return write_bye(w, std::array{Ssrc{1}}); });
    attempt([](Writer& w) {
      return write_nack(w, Ssrc{1}, Ssrc{2}, std::array<uint16_t, 2>{1, 1000});
    });
  }
}

TEST(Rtcp, BuildersRefuseBadArguments) {
  auto refused = [](auto&& build) {
    Buffer out(4000);
    Writer w(out);
    return !build(w) && w.size() == 0;
  };
  std::vector<ReportBlock> blocks(32);
  EXPECT_TRUE(refused([&](Writer& w) { return write_receiver_report(w, Ssrc{1}, blocks); }));
  EXPECT_TRUE(refused([&](Writer& w) { return write_sender_report(w, {}, blocks); }));
  EXPECT_TRUE(refused([&](Writer& w) { return write_sdes(w, Ssrc{1}, {}); }));
  EXPECT_TRUE(refused([&](Writer& w) { return write_sdes(w, Ssrc{1}, Buffer(256, 'x')); }));
  EXPECT_TRUE(refused([&](Writer& w) { return write_bye(w, {}); }));
  EXPECT_TRUE(refused([&](Writer& w) { return write_bye(w, std::vector<Ssrc>(32)); }));
  EXPECT_TRUE(refused([&](Writer& w) { return write_nack(w, Ssrc{1}, Ssrc{2}, {}); }));
  EXPECT_TRUE(refused([&](Writer& w) { return write_fir(w, Ssrc{1}, {}); }));
  std::vector<Ssrc> many(256);
  EXPECT_TRUE(refused([&](Writer& w) { return write_remb(w, Ssrc{1}, 1, many); }));
}

TEST(Rtcp, DamagedCompoundsNeverReachPastTheirEnd) {
  with_damaged(compound_of_everything(), read_all);
}

TEST(Rtcp, RandomBytesBehindValidHeaders) {
  Random random(6);
  for (int round = 0; round < 20000; ++round) {
    Buffer b = random.bytes(4 * (1 + random.below(20)));
    b[0] = static_cast<uint8_t>(0x80 | (b[0] & 0x3f));
    b[1] = static_cast<uint8_t>(200 + b[1] % 8);
    store_be16(&b[2], static_cast<uint16_t>(b.size() / 4 - 1));
    with_exact(b, read_all);
  }
}

}  // namespace
}  // namespace spillway
