// Every back end and profile against libsrtp2, both ways, byte for byte.
#include "tests/unit/srtp/libsrtp_oracle.h"
#include "tests/unit/srtp/srtp_rig.h"

namespace spillway::srtp_test {
namespace {

constexpr Ssrc kSsrc{0xcafe1234};

class Oracle : public EachEngineAndProfile {
 protected:
  RtpPlain random_rtp(uint64_t index, uint32_t payload) {
    return make_rtp(random_, kSsrc, index, payload, random_.below(16),
                    static_cast<int>(random_.below(6)) - 1);
  }
  // Ours: header length is known from building the packet.
  Buffer unprotect(const RtpPlain& p, Buffer wire) {
    const auto header = static_cast<uint32_t>(p.header.size());
    const auto n =
        engine_->unprotect_rtp(rtp_, p.ssrc, p.index, header, wire, wire.data() + header);
    if (!n) return {};
    wire.resize(header + *n);
    return wire;
  }
};
INSTANTIATE_TEST_SUITE_P(All, Oracle,
                         testing::Combine(testing::ValuesIn(kEngines),
                                          testing::ValuesIn(kProfiles)),
                         engine_profile_name);

TEST_P(Oracle, EqualsLibsrtpForEveryPayloadSizeAcrossAWrapOfTheSequence) {
  LibsrtpOracle sender(master_, kSsrc), receiver(master_, kSsrc);
  uint64_t index = 65'536 - 400;  // the wrap comes on the way
  for (uint32_t payload = 0; payload <= 1300; ++payload, ++index) {
    const RtpPlain p = random_rtp(index, payload);
    const Buffer theirs = sender.protect_rtp(p.whole());
    ASSERT_FALSE(theirs.empty()) << payload;
    const Buffer ours = protect(*engine_, rtp_, p);
    ASSERT_EQ(ours, theirs) << "payload " << payload << " index " << index;
    ASSERT_EQ(receiver.unprotect_rtp(ours), p.whole());
    ASSERT_EQ(unprotect(p, theirs), p.whole());
  }
}

TEST_P(Oracle, EqualsLibsrtpForLargePayloads) {
  LibsrtpOracle sender(master_, kSsrc), receiver(master_, kSsrc);
  for (uint32_t payload = 1300; payload <= 1440; ++payload) {
    const RtpPlain p = make_rtp(random_, kSsrc, payload, payload);
    const Buffer theirs = sender.protect_rtp(p.whole());
    ASSERT_EQ(protect(*engine_, rtp_, p), theirs) << payload;
    ASSERT_EQ(receiver.unprotect_rtp(theirs), unprotect(p, theirs));
  }
}

TEST_P(Oracle, EqualsLibsrtpForLargeRolloverCounters) {
  LibsrtpOracle sender(master_, kSsrc), receiver(master_, kSsrc);
  uint64_t index = 0;
  for (const uint32_t roc : {1u, 2u, 0x1234u, 0xfffffu, 0x7fffffffu, 0xfffffffeu}) {
    sender.set_roc(roc);
    receiver.set_roc(roc);
    index = uint64_t{roc} << 16 | 0x100;
    for (int i = 0; i < 5; ++i, ++index) {
      const RtpPlain p = random_rtp(index, random_.below(1000));
      const Buffer theirs = sender.protect_rtp(p.whole());
      ASSERT_FALSE(theirs.empty()) << "roc " << roc;
      ASSERT_EQ(protect(*engine_, rtp_, p), theirs) << "roc " << roc;
      ASSERT_EQ(receiver.unprotect_rtp(theirs), p.whole());
      ASSERT_EQ(unprotect(p, theirs), p.whole());
    }
  }
}

TEST_P(Oracle, RtcpEqualsLibsrtpBothWays) {
  LibsrtpOracle sender(master_, kSsrc), receiver(master_, kSsrc);
  for (uint32_t bytes = 8; bytes <= 1400; bytes += bytes < 256 ? 4 : 24) {
    const Buffer plain = make_rtcp(random_, kSsrc, bytes);
    const Buffer theirs = sender.protect_rtcp(plain);
    ASSERT_FALSE(theirs.empty()) << bytes;
    const uint32_t index = peek_srtcp_index(profile_, theirs);
    const Buffer ours = protect_rtcp(*engine_, rtcp_, plain, index);
    ASSERT_EQ(ours, theirs) << bytes;
    ASSERT_EQ(receiver.unprotect_rtcp(ours), plain);
    Buffer packet = theirs;
    const auto back = engine_->unprotect_rtcp(rtcp_, packet);
    ASSERT_TRUE(back);
    ASSERT_EQ(back->index, index);
    packet.resize(back->plain_bytes);
    ASSERT_EQ(packet, plain);
  }
}

TEST_P(Oracle, RtcpOfOursWithAnyIndexIsAccepted) {
  LibsrtpOracle receiver(master_, kSsrc);
  for (const uint32_t index : {0u, 1u, 70'000u, 0x7ffffff0u, kSrtcpIndexLimit - 1}) {
    const Buffer plain = make_rtcp(random_, kSsrc, 60);
    ASSERT_EQ(receiver.unprotect_rtcp(protect_rtcp(*engine_, rtcp_, plain, index)), plain) << index;
  }
}

// Damaged packets are refused by both; see tests/fuzz/srtp for the search.
TEST_P(Oracle, RefusesWhatLibsrtpRefuses) {
  LibsrtpOracle receiver(master_, kSsrc);
  for (uint64_t index = 0; index < 300; ++index) {
    const RtpPlain p = random_rtp(index, random_.below(300));
    Buffer wire = protect(*engine_, rtp_, p);
    const uint32_t mode = random_.below(4);
    if (mode == 0)
      wire[p.header.size() + random_.below(static_cast<uint32_t>(wire.size() - p.header.size()))] ^=
          4;
    else if (mode == 1)
      wire.resize(wire.size() - 1);
    else if (mode == 2)
      wire.push_back(0);
    const Buffer theirs = receiver.unprotect_rtp(wire);
    ASSERT_EQ(unprotect(p, wire), theirs) << "mode " << mode;
    ASSERT_EQ(theirs.empty(), mode != 3);
  }
}

}  // namespace
}  // namespace spillway::srtp_test
