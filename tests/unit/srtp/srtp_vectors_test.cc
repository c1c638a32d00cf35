// The published vectors of RFC 3711 and RFC 7714 on every back end.
#include "tests/unit/srtp/srtp_rig.h"
#include "tests/vectors/srtp/rfc_vectors.h"

namespace spillway::srtp_test {
namespace {

using namespace vectors;

class EachEngine : public testing::TestWithParam<EngineChoice> {
 protected:
  void SetUp() override {
    engine_ = make_engine(GetParam());
    if (!engine_) GTEST_SKIP() << "not on this CPU";
  }
  std::unique_ptr<SrtpEngine> engine_;
};
INSTANTIATE_TEST_SUITE_P(All, EachEngine, testing::ValuesIn(kEngines),
                         [](const auto& i) { return i.param.name; });

void copy_hex(std::string_view hex, uint8_t* out) {
  const Buffer b = from_hex(hex);
  std::copy(b.begin(), b.end(), out);
}

Buffer first(const uint8_t* p, size_t n) {
  return Buffer(p, p + n);
}

TEST_P(EachEngine, DerivesTheSessionKeysOfRfc3711B3) {
  SrtpMasterKey master;
  master.profile = SrtpProfile::aes128_cm_hmac_sha1_80;
  copy_hex(kKdfMasterKey, master.key);
  copy_hex(kKdfMasterSalt, master.salt);
  SrtpSessionKey session;
  ASSERT_TRUE(engine_->derive(master, SrtpStreamKind::rtp, session));
  EXPECT_EQ(first(session.key, 16), from_hex(kKdfCipherKey));
  EXPECT_EQ(first(session.salt, 14), from_hex(kKdfCipherSalt));
  EXPECT_EQ(first(session.auth, 20), from_hex(kKdfAuthKey));
}

TEST_P(EachEngine, MakesTheKeyStreamOfRfc3711B2) {
  SrtpSessionKey session;
  session.profile = SrtpProfile::aes128_cm_hmac_sha1_80;
  copy_hex(kCmSessionKey, session.key);
  copy_hex(kCmSessionSalt, session.salt);
  SrtpKeys keys;
  ASSERT_TRUE(engine_->load(session, SrtpStreamKind::rtp, keys));
  RtpPlain p;
  p.header.assign(12, 0);
  p.payload.assign(48, 0);
  const Buffer out = protect(*engine_, keys, p);
  ASSERT_EQ(out.size(), 12u + 48 + 10);
  EXPECT_EQ(first(&out[12], 48), from_hex(kCmKeyStream));
}

class GcmVectors : public EachEngine {
 protected:
  SrtpKeys keys(SrtpProfile profile, SrtpStreamKind kind) {
    SrtpSessionKey session;
    session.profile = profile;
    for (uint8_t i = 0; i < 32; ++i) session.key[i] = i;
    copy_hex(kGcmSalt, session.salt);
    SrtpKeys out;
    EXPECT_TRUE(engine_->load(session, kind, out));
    return out;
  }
};
INSTANTIATE_TEST_SUITE_P(All, GcmVectors, testing::ValuesIn(kEngines),
                         [](const auto& i) { return i.param.name; });

TEST_P(GcmVectors, ProtectAndUnprotectRtpOfRfc7714Section16) {
  for (auto [profile, expected] : {std::pair(SrtpProfile::aead_aes_128_gcm, kGcm128Rtp),
                                   std::pair(SrtpProfile::aead_aes_256_gcm, kGcm256Rtp)}) {
    const SrtpKeys k = keys(profile, SrtpStreamKind::rtp);
    RtpPlain p;
    p.header = from_hex(kGcmRtpHeader);
    p.payload = from_hex(kGcmRtpPayload);
    p.ssrc = Ssrc{0x5501a0b2};
    p.index = 0xf17b;
    Buffer out = protect(*engine_, k, p);
    ASSERT_GT(out.size(), 12u);
    EXPECT_EQ(first(&out[12], out.size() - 12), from_hex(expected));

    ASSERT_EQ(engine_->unprotect_rtp(k, p.ssrc, p.index, 12, out, &out[12]), p.payload.size());
    EXPECT_EQ(first(&out[12], p.payload.size()), p.payload);
  }
}

TEST_P(GcmVectors, ProtectAndUnprotectRtcpOfRfc7714Section17) {
  for (auto [profile, expected] : {std::pair(SrtpProfile::aead_aes_128_gcm, kGcm128Rtcp),
                                   std::pair(SrtpProfile::aead_aes_256_gcm, kGcm256Rtcp)}) {
    const SrtpKeys k = keys(profile, SrtpStreamKind::rtcp);
    const Buffer plain = from_hex(kGcmRtcp);
    Buffer out = protect_rtcp(*engine_, k, plain, 0x5d4);
    EXPECT_EQ(out, from_hex(expected));
    EXPECT_EQ(peek_srtcp_index(profile, out), 0x5d4u);

    const auto back = engine_->unprotect_rtcp(k, out);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->index, 0x5d4u);
    ASSERT_EQ(back->plain_bytes, plain.size());
    EXPECT_EQ(first(out.data(), plain.size()), plain);
  }
}

}  // namespace
}  // namespace spillway::srtp_test
