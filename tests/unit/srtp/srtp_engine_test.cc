// What SrtpEngine promises on each back end: round trips, refusals that change
// nothing, batches, key life, choice of back end.
#include <algorithm>

#include "datapath/srtp/index_checker.h"
#include "datapath/srtp/replay_window.h"
#include "tests/unit/srtp/srtp_rig.h"

namespace spillway::srtp_test {
namespace {

class Engine : public EachEngineAndProfile {};
INSTANTIATE_TEST_SUITE_P(All, Engine,
                         testing::Combine(testing::ValuesIn(kEngines),
                                          testing::ValuesIn(kProfiles)),
                         engine_profile_name);

TEST_P(Engine, GivesBackEveryPayloadSizeInPlaceAndElsewhere) {
  for (uint32_t n = 0; n <= kMaxRtpBytes - 12; ++n) {
    const RtpPlain p = make_rtp(random_, Ssrc{7}, 65'536 * 3 + n, n);
    const Buffer wire = protect(*engine_, rtp_, p);
    ASSERT_EQ(wire.size(), 12 + n + srtp_trailer_bytes(profile_));
    ASSERT_TRUE(std::equal(p.header.begin(), p.header.end(), wire.begin())) << "header is clear";
    if (n >= 16) {
      ASSERT_FALSE(std::equal(p.payload.begin(), p.payload.end(), wire.begin() + 12)) << n;
    }

    Buffer packet = wire;
    Buffer slot(n + 1, 0xa5);
    ASSERT_EQ(engine_->unprotect_rtp(rtp_, p.ssrc, p.index, 12, packet, slot.data()), n);
    ASSERT_TRUE(std::equal(p.payload.begin(), p.payload.end(), slot.begin())) << n;
    ASSERT_EQ(slot[n], 0xa5) << "wrote behind the payload";
    ASSERT_EQ(packet, wire) << "decrypting elsewhere leaves the packet alone";

    ASSERT_EQ(engine_->unprotect_rtp(rtp_, p.ssrc, p.index, 12, packet, packet.data() + 12), n);
    packet.resize(12 + n);
    ASSERT_EQ(packet, p.whole());
  }
}

TEST_P(Engine, GivesBackEveryRtcpSize) {
  for (uint32_t n = 8; n <= 1400; n += n < 100 ? 1 : 4) {
    const Buffer plain = make_rtcp(random_, Ssrc{9}, n);
    Buffer wire = protect_rtcp(*engine_, rtcp_, plain, n);
    ASSERT_EQ(wire.size(), n + srtcp_trailer_bytes(profile_));
    ASSERT_EQ(peek_srtcp_index(profile_, wire), n);
    const auto back = engine_->unprotect_rtcp(rtcp_, wire);
    ASSERT_TRUE(back) << n;
    ASSERT_EQ(back->index, n);
    ASSERT_EQ(back->plain_bytes, n);
    wire.resize(n);
    ASSERT_EQ(wire, plain);
  }
}

TEST_P(Engine, RefusesAnRtpPacketWithAnyByteChangedAndTouchesNothing) {
  for (const uint32_t payload : {0u, 1u, 37u, 200u}) {
    const RtpPlain p = make_rtp(random_, Ssrc{7}, 0x1'2345, payload, 2, 1);
    const auto header = static_cast<uint32_t>(p.header.size());
    const Buffer wire = protect(*engine_, rtp_, p);
    for (size_t at = 0; at < wire.size(); ++at) {
      Buffer bad = wire;
      bad[at] = static_cast<uint8_t>(bad[at] ^ (1u << random_.below(8)));
      const Buffer before = bad;
      ASSERT_FALSE(engine_->unprotect_rtp(rtp_, p.ssrc, p.index, header, bad, bad.data() + header))
          << "byte " << at;
      ASSERT_EQ(bad, before) << "in place, byte " << at;
      Buffer slot(payload + 1, 0x5a);
      ASSERT_FALSE(engine_->unprotect_rtp(rtp_, p.ssrc, p.index, header, bad, slot.data()));
      ASSERT_EQ(std::count(slot.begin(), slot.end(), 0x5a), static_cast<long>(slot.size()));
      ASSERT_EQ(bad, before) << "to a slot, byte " << at;
    }
  }
}

TEST_P(Engine, RefusesAnRtcpPacketWithAnyByteChangedAndTouchesNothing) {
  for (const uint32_t bytes : {8u, 9u, 52u, 200u}) {
    const Buffer wire = protect_rtcp(*engine_, rtcp_, make_rtcp(random_, Ssrc{9}, bytes), 77);
    for (size_t at = 0; at < wire.size(); ++at) {
      Buffer bad = wire;
      bad[at] = static_cast<uint8_t>(bad[at] ^ (1u << random_.below(8)));
      const Buffer before = bad;
      ASSERT_FALSE(engine_->unprotect_rtcp(rtcp_, bad)) << "byte " << at;
      ASSERT_EQ(bad, before) << "byte " << at;
    }
  }
}

TEST_P(Engine, RefusesTheWrongRolloverCounterHeaderLengthSsrcAndKey) {
  const RtpPlain p = make_rtp(random_, Ssrc{7}, 0x5'0001, 100, 1);
  Buffer wire = protect(*engine_, rtp_, p);
  const Buffer before = wire;
  auto accepts = [&](const SrtpKeys& k, Ssrc ssrc, uint64_t index, uint32_t header) {
    return engine_->unprotect_rtp(k, ssrc, index, header, wire, wire.data() + header).has_value();
  };
  for (const uint64_t roc : {4u, 6u, 0u}) EXPECT_FALSE(accepts(rtp_, p.ssrc, roc << 16 | 1, 16));
  if (srtp_is_gcm(profile_)) {
    EXPECT_FALSE(accepts(rtp_, Ssrc{8}, p.index, 16)) << "the SSRC is part of the nonce";
    EXPECT_FALSE(accepts(rtp_, p.ssrc, p.index, 12)) << "the header is what is authenticated";
  }
  SrtpKeys other;
  ASSERT_TRUE(engine_->expand(random_master(profile_, random_), SrtpStreamKind::rtp, other));
  EXPECT_FALSE(accepts(other, p.ssrc, p.index, 16));
  EXPECT_EQ(wire, before);
  EXPECT_TRUE(accepts(rtp_, p.ssrc, p.index, 16)) << "and the right ones are accepted";
}

TEST_P(Engine, RefusesKeysOfTheOtherStreamAnotherEngineOrNone) {
  const RtpPlain p = make_rtp(random_, Ssrc{7}, 1, 100);
  EXPECT_TRUE(protect(*engine_, rtcp_, p).empty());
  EXPECT_TRUE(protect_rtcp(*engine_, rtp_, make_rtcp(random_, Ssrc{9}, 40), 1).empty());

  SrtpKeys wiped = rtp_;
  wiped.wipe();
  EXPECT_TRUE(wiped.empty());
  const auto* raw = reinterpret_cast<const uint8_t*>(&wiped);
  EXPECT_EQ(std::count(raw, raw + sizeof wiped, 0), static_cast<long>(sizeof wiped));
  EXPECT_TRUE(protect(*engine_, wiped, p).empty());

  const bool openssl = engine_->name() == "openssl";
  auto other = SrtpEngine::create(openssl ? SrtpBackend::ipsec_mb : SrtpBackend::openssl);
  if (!other) GTEST_SKIP() << "only one back end here";
  SrtpKeys foreign;
  ASSERT_TRUE((*other)->expand(master_, SrtpStreamKind::rtp, foreign));
  EXPECT_TRUE(protect(*engine_, foreign, p).empty());
  EXPECT_FALSE(protect(*engine_, rtp_, p).empty());
}

TEST_P(Engine, RefusesIndicesPastTheLifeOfTheKey) {
  Buffer last = protect(*engine_, rtp_, make_rtp(random_, Ssrc{7}, kSrtpIndexLimit - 1, 20));
  ASSERT_FALSE(last.empty());
  EXPECT_TRUE(
      engine_->unprotect_rtp(rtp_, Ssrc{7}, kSrtpIndexLimit - 1, 12, last, last.data() + 12));
  EXPECT_TRUE(protect(*engine_, rtp_, make_rtp(random_, Ssrc{7}, kSrtpIndexLimit, 20)).empty());
  EXPECT_FALSE(engine_->unprotect_rtp(rtp_, Ssrc{7}, kSrtpIndexLimit, 12, last, last.data() + 12));

  const Buffer plain = make_rtcp(random_, Ssrc{9}, 40);
  Buffer rtcp = protect_rtcp(*engine_, rtcp_, plain, kSrtcpIndexLimit - 1);
  ASSERT_FALSE(rtcp.empty());
  EXPECT_TRUE(engine_->unprotect_rtcp(rtcp_, rtcp));
  EXPECT_TRUE(protect_rtcp(*engine_, rtcp_, plain, kSrtcpIndexLimit).empty());
}

TEST_P(Engine, RefusesRtcpWithTheEncryptionBitClear) {
  Buffer wire = protect_rtcp(*engine_, rtcp_, make_rtcp(random_, Ssrc{9}, 40), 5);
  const size_t e_at = 40 + (srtp_is_gcm(profile_) ? 16 : 0);
  ASSERT_EQ(wire[e_at] & 0x80, 0x80);
  wire[e_at] &= 0x7f;
  EXPECT_FALSE(engine_->unprotect_rtcp(rtcp_, wire));
}

TEST_P(Engine, RefusesOutputsThatDoNotFit) {
  RtpPlain p = make_rtp(random_, Ssrc{7}, 1, 100);
  p.header.resize(11);
  EXPECT_TRUE(protect(*engine_, rtp_, p).empty()) << "header shorter than 12";
  p = make_rtp(random_, Ssrc{7}, 2, kMaxDatagramBytes - 12 - srtp_trailer_bytes(profile_));
  EXPECT_EQ(protect(*engine_, rtp_, p).size(), kMaxDatagramBytes);
  p.payload.push_back(0);
  EXPECT_TRUE(protect(*engine_, rtp_, p).empty()) << "one byte more than a datagram";

  RtpProtectJob job;
  job.keys = &rtp_;
  job.header_bytes = UINT32_MAX - 5;
  job.payload_bytes = 30;
  EXPECT_EQ(engine_->protect_rtp({&job, 1}), 0u) << "the sum must not wrap";

  Buffer small = make_rtcp(random_, Ssrc{9}, 40);
  small.resize(40 + srtcp_trailer_bytes(profile_) - 1);
  const Buffer before = small;
  EXPECT_EQ(engine_->protect_rtcp(rtcp_, small, 40, 1, Ssrc{9}), 0u);
  EXPECT_EQ(engine_->protect_rtcp(rtcp_, small, 7, 1, Ssrc{9}), 0u);
  EXPECT_EQ(engine_->protect_rtcp(rtcp_, small, UINT32_MAX, 1, Ssrc{9}), 0u);
  EXPECT_EQ(small, before);
}

// Threats A-13: heap blocks of the exact size, so that the address sanitizer sees
// any read or write outside.
TEST_P(Engine, RefusesGarbageOfEveryShortLength) {
  for (uint32_t bytes = 0; bytes <= 200; ++bytes) {
    for (uint32_t cc = 0; cc <= 15; ++cc) {
      for (const uint32_t extension : {0u, 4u, 12u}) {
        const uint32_t header = 12 + 4 * cc + extension;
        auto packet = std::make_unique<uint8_t[]>(bytes);
        random_.fill(packet.get(), bytes);
        const Buffer before(packet.get(), packet.get() + bytes);
        // header past the end of the packet included: the length check is the guard
        uint8_t* payload = header <= bytes ? packet.get() + header : packet.get();
        ASSERT_FALSE(
            engine_->unprotect_rtp(rtp_, Ssrc{7}, 1, header, {packet.get(), bytes}, payload));
        ASSERT_TRUE(std::equal(before.begin(), before.end(), packet.get()));
      }
    }
    auto packet = std::make_unique<uint8_t[]>(bytes);
    random_.fill(packet.get(), bytes);
    const Buffer before(packet.get(), packet.get() + bytes);
    ASSERT_FALSE(engine_->unprotect_rtcp(rtcp_, {packet.get(), bytes}));
    ASSERT_TRUE(std::equal(before.begin(), before.end(), packet.get()));
    if (bytes < 8 + srtcp_trailer_bytes(profile_)) {
      ASSERT_EQ(peek_srtcp_index(profile_, {packet.get(), bytes}), 0u);
    }
  }
}

TEST_P(Engine, AcceptsEachCapturedPacketOnceWhenAllAreReplayed) {
  constexpr uint32_t kPackets = 2000;
  ReplayState<kReplayWindow> window;
  std::vector<Buffer> captured;
  const uint64_t first = 65'536 - 700;
  for (uint32_t i = 0; i < kPackets; ++i)
    captured.push_back(protect(*engine_, rtp_, make_rtp(random_, Ssrc{7}, first + i, 50)));
  uint32_t out = 0;
  for (int round = 0; round < 3; ++round) {
    for (const Buffer& wire : captured) {
      Buffer packet = wire;
      const uint64_t index = estimate_index(window, load_be16(&packet[2]));
      if (check(window, index) != ReplayVerdict::fresh) continue;
      if (!engine_->unprotect_rtp(rtp_, Ssrc{7}, index, 12, packet, packet.data() + 12)) continue;
      accept(window, index);
      ++out;
    }
  }
  EXPECT_EQ(out, kPackets);
}

TEST_P(Engine, UnprotectsABatchAndMarksOnlyTheBadOnes) {
  std::vector<RtpPlain> plain;
  std::vector<Buffer> wire;
  std::vector<RtpUnprotectJob> jobs(kBurst);
  for (uint32_t i = 0; i < kBurst; ++i) {
    plain.push_back(make_rtp(random_, Ssrc{7}, i, random_.below(1200)));
    wire.push_back(protect(*engine_, rtp_, plain[i]));
    if (i % 5 == 0) wire[i].back() ^= 1;
  }
  for (uint32_t i = 0; i < kBurst; ++i) {
    jobs[i].keys = &rtp_;
    jobs[i].packet = wire[i].data();
    jobs[i].payload_out = wire[i].data() + 12;
    jobs[i].index = i;
    jobs[i].ssrc = Ssrc{7};
    jobs[i].packet_bytes = static_cast<uint32_t>(wire[i].size());
    jobs[i].header_bytes = i % 7 == 1 ? 11 : 12;
  }
  uint32_t good = 0;
  for (uint32_t i = 0; i < kBurst; ++i) good += i % 5 != 0 && i % 7 != 1 ? 1 : 0;
  EXPECT_EQ(engine_->unprotect_rtp(jobs), good);
  for (uint32_t i = 0; i < kBurst; ++i) {
    ASSERT_EQ(jobs[i].ok, i % 5 != 0 && i % 7 != 1) << i;
    if (!jobs[i].ok) {
      ASSERT_EQ(jobs[i].payload_bytes, 0u);
      continue;
    }
    wire[i].resize(12 + jobs[i].payload_bytes);
    ASSERT_EQ(wire[i], plain[i].whole());
  }
}

// The production shape: one shared payload, many keys of all profiles, outputs end
// to end. Packet by packet on OpenSSL is the reference.
TEST(SrtpBatch, MixedProfilesEndToEndEqualSinglePackets) {
  Random random(99);
  auto reference = SrtpEngine::create(SrtpBackend::openssl);
  ASSERT_TRUE(reference);
  for (const EngineChoice& choice : kEngines) {
    auto engine = make_engine(choice);
    if (!engine) continue;
    constexpr uint32_t kKeys = 24;
    std::vector<SrtpKeys> keys(kKeys), reference_keys(kKeys);
    for (uint32_t i = 0; i < kKeys; ++i) {
      const SrtpMasterKey m = random_master(kProfiles[random.below(3)].profile, random);
      ASSERT_TRUE(engine->expand(m, SrtpStreamKind::rtp, keys[i]));
      ASSERT_TRUE((*reference)->expand(m, SrtpStreamKind::rtp, reference_keys[i]));
    }
    for (uint32_t round = 0; round < 60; ++round) {
      const uint32_t count = 1 + random.below(kBurst);
      const Buffer payload = random.bytes(random.below(1300));
      std::vector<RtpProtectJob> jobs(count);
      Buffer expected;
      std::vector<RtpPlain> plain;
      for (uint32_t i = 0; i < count; ++i) {
        const uint32_t k = random.below(kKeys);
        RtpPlain p = make_rtp(random, Ssrc{static_cast<uint32_t>(random.next())},
                              random.next() % kSrtpIndexLimit, 0, random.below(3),
                              static_cast<int>(random.below(4)) - 1);
        p.payload = payload;
        if (random.below(10) == 0) p.payload.resize(random.below(20));
        const Buffer one = protect(**reference, reference_keys[k], p);
        ASSERT_FALSE(one.empty());
        expected.insert(expected.end(), one.begin(), one.end());
        jobs[i].keys = &keys[k];
        plain.push_back(std::move(p));
      }
      expected.insert(expected.end(), 64, 0xee);
      Buffer slab(expected.size(), 0xee);
      uint8_t* at = slab.data();
      for (uint32_t i = 0; i < count; ++i) {
        std::copy(plain[i].header.begin(), plain[i].header.end(), at);
        jobs[i].out = at;
        jobs[i].payload = plain[i].payload.data();
        jobs[i].index = plain[i].index;
        jobs[i].ssrc = plain[i].ssrc;
        jobs[i].header_bytes = static_cast<uint32_t>(plain[i].header.size());
        jobs[i].payload_bytes = static_cast<uint32_t>(plain[i].payload.size());
        at += jobs[i].header_bytes + jobs[i].payload_bytes +
              srtp_trailer_bytes(jobs[i].keys->profile);
      }
      ASSERT_EQ(engine->protect_rtp(jobs), count);
      ASSERT_EQ(slab, expected) << choice.name << " round " << round;
    }
  }
}

TEST(SrtpBatch, ARefusedJobIsSkippedAndItsOutputUnchanged) {
  Random random(5);
  auto created = SrtpEngine::create();
  ASSERT_TRUE(created);
  SrtpEngine& engine = **created;
  SrtpKeys keys, none{};
  ASSERT_TRUE(engine.expand(random_master(SrtpProfile::aes128_cm_hmac_sha1_80, random),
                            SrtpStreamKind::rtp, keys));
  const Buffer payload = random.bytes(100);
  std::vector<Buffer> outs(3, Buffer(200, 0x77));
  std::vector<RtpProtectJob> jobs(3);
  for (uint32_t i = 0; i < 3; ++i) {
    jobs[i].keys = i == 1 ? &none : &keys;
    jobs[i].out = outs[i].data();
    jobs[i].payload = payload.data();
    jobs[i].index = i;
    jobs[i].header_bytes = 12;
    jobs[i].payload_bytes = 100;
  }
  EXPECT_EQ(engine.protect_rtp(jobs), 2u);
  EXPECT_EQ(jobs[0].out_bytes, 122u);
  EXPECT_EQ(jobs[1].out_bytes, 0u);
  EXPECT_EQ(jobs[2].out_bytes, 122u);
  EXPECT_EQ(outs[1], Buffer(200, 0x77));
  EXPECT_NE(outs[2], Buffer(200, 0x77));
}

TEST(SrtpExpand, RefusesAnUnknownProfileAndWipes) {
  for (const EngineChoice& choice : kEngines) {
    auto engine = make_engine(choice);
    if (!engine) continue;
    for (const int profile : {0, 2, 5, 9, 0xffff}) {
      SrtpMasterKey master;
      master.profile = static_cast<SrtpProfile>(profile);
      SrtpKeys keys;
      std::fill(std::begin(keys.cipher), std::end(keys.cipher), uint8_t{1});
      EXPECT_FALSE(engine->expand(master, SrtpStreamKind::rtp, keys));
      EXPECT_TRUE(keys.empty());
      EXPECT_EQ(keys.cipher[5], 0);
    }
  }
}

TEST(SrtpExpand, GivesRtpAndRtcpDifferentKeys) {
  Random random(6);
  auto engine = SrtpEngine::create();
  ASSERT_TRUE(engine);
  for (const ProfileChoice& choice : kProfiles) {
    const SrtpMasterKey master = random_master(choice.profile, random);
    SrtpSessionKey rtp, rtcp;
    ASSERT_TRUE((*engine)->derive(master, SrtpStreamKind::rtp, rtp));
    ASSERT_TRUE((*engine)->derive(master, SrtpStreamKind::rtcp, rtcp));
    EXPECT_NE(Buffer(rtp.key, rtp.key + 16), Buffer(rtcp.key, rtcp.key + 16));
    EXPECT_NE(Buffer(rtp.salt, rtp.salt + 12), Buffer(rtcp.salt, rtcp.salt + 12));
  }
}

TEST(SrtpBackendChoice, FallsBackToOpensslWithoutAesInstructions) {
  auto engine = SrtpEngine::create(SrtpBackend::automatic, SrtpCpu::no_aes);
  ASSERT_TRUE(engine);
  EXPECT_EQ((*engine)->name(), "openssl");
  auto forced = SrtpEngine::create(SrtpBackend::ipsec_mb, SrtpCpu::no_aes);
  ASSERT_FALSE(forced);
  EXPECT_NE(forced.error().text.find("openssl"), std::string::npos) << "says what to change";
}

TEST(SrtpBackendChoice, TakesTheBestAllowedInstructionSet) {
  auto sse = SrtpEngine::create(SrtpBackend::ipsec_mb, SrtpCpu::sse);
  if (!sse) GTEST_SKIP() << "no AES-NI";
  EXPECT_EQ((*sse)->name(), "ipsec-mb sse");
  auto best = SrtpEngine::create();
  ASSERT_TRUE(best);
  EXPECT_EQ((*best)->name().substr(0, 9), "ipsec-mb ");
  auto limited = SrtpEngine::create(SrtpBackend::automatic, SrtpCpu::avx2);
  ASSERT_TRUE(limited);
  EXPECT_NE((*limited)->name(), "ipsec-mb avx512");
}

TEST(SrtpLengths, AreThoseOfTheProfiles) {
  EXPECT_EQ(srtp_trailer_bytes(SrtpProfile::aes128_cm_hmac_sha1_80), 10u);
  EXPECT_EQ(srtp_trailer_bytes(SrtpProfile::aead_aes_128_gcm), 16u);
  EXPECT_EQ(srtcp_trailer_bytes(SrtpProfile::aes128_cm_hmac_sha1_80), 14u);
  EXPECT_EQ(srtcp_trailer_bytes(SrtpProfile::aead_aes_256_gcm), 20u);
  for (const ProfileChoice& c : kProfiles) {
    const uint32_t tag = srtp_trailer_bytes(c.profile);
    EXPECT_TRUE(check_srtp_length(c.profile, SrtpStreamKind::rtp, 12 + tag, 12));
    EXPECT_FALSE(check_srtp_length(c.profile, SrtpStreamKind::rtp, 12 + tag - 1, 12));
    EXPECT_FALSE(check_srtp_length(c.profile, SrtpStreamKind::rtp, 200, 11));
    EXPECT_FALSE(check_srtp_length(c.profile, SrtpStreamKind::rtp, 200, 201));
    EXPECT_FALSE(check_srtp_length(c.profile, SrtpStreamKind::rtp, 200, SIZE_MAX));
    EXPECT_FALSE(check_srtp_length(c.profile, SrtpStreamKind::rtp, kMaxDatagramBytes + 1, 12));
    EXPECT_TRUE(check_srtp_length(c.profile, SrtpStreamKind::rtcp, 8 + 4 + tag, 0));
    EXPECT_FALSE(check_srtp_length(c.profile, SrtpStreamKind::rtcp, 8 + 4 + tag - 1, 0));
  }
  EXPECT_FALSE(check_srtp_length(SrtpProfile::none, SrtpStreamKind::rtp, 500, 12));
}

TEST(IndexChecker, NoticesAReuseOfKeySsrcAndIndexOnly) {
  Random random(8);
  auto engine = SrtpEngine::create();
  ASSERT_TRUE(engine);
  const SrtpMasterKey master = random_master(SrtpProfile::aead_aes_128_gcm, random);
  SrtpKeys rtp, again, rtcp;
  ASSERT_TRUE((*engine)->expand(master, SrtpStreamKind::rtp, rtp));
  ASSERT_TRUE((*engine)->expand(master, SrtpStreamKind::rtp, again));
  ASSERT_TRUE((*engine)->expand(master, SrtpStreamKind::rtcp, rtcp));
  IndexChecker checker;
  EXPECT_TRUE(checker.record(rtp, Ssrc{1}, 4095));
  EXPECT_TRUE(checker.record(rtp, Ssrc{1}, 4096));
  EXPECT_TRUE(checker.record(rtp, Ssrc{2}, 4095));
  EXPECT_TRUE(checker.record(rtcp, Ssrc{1}, 4095));
  EXPECT_FALSE(checker.record(rtp, Ssrc{1}, 4095));
  EXPECT_FALSE(checker.record(again, Ssrc{1}, 4096)) << "the same key in other memory";
  EXPECT_EQ(checker.recorded(), 4u);
}

#ifdef SPILLWAY_CHECKS
TEST(IndexCheckerDeathTest, AbortsWhenAnEngineEncryptsAnIndexTwice) {
  Random random(9);
  auto engine = SrtpEngine::create();
  ASSERT_TRUE(engine);
  SrtpKeys rtp, rtcp;
  const SrtpMasterKey master = random_master(SrtpProfile::aead_aes_128_gcm, random);
  ASSERT_TRUE((*engine)->expand(master, SrtpStreamKind::rtp, rtp));
  ASSERT_TRUE((*engine)->expand(master, SrtpStreamKind::rtcp, rtcp));
  IndexChecker checker;
  (*engine)->set_index_checker(&checker);
  EXPECT_FALSE(protect(**engine, rtp, make_rtp(random, Ssrc{1}, 5, 20)).empty());
  EXPECT_FALSE(protect(**engine, rtp, make_rtp(random, Ssrc{1}, 6, 20)).empty());
  EXPECT_DEATH(protect(**engine, rtp, make_rtp(random, Ssrc{1}, 5, 20)), "record");
  const Buffer report = make_rtcp(random, Ssrc{1}, 40);
  EXPECT_FALSE(protect_rtcp(**engine, rtcp, report, 5).empty());
  EXPECT_DEATH(protect_rtcp(**engine, rtcp, report, 5), "record");
  EXPECT_EQ(checker.recorded(), 3u);
}
#endif

}  // namespace
}  // namespace spillway::srtp_test
