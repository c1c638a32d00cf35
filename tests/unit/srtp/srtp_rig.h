// Engines, profiles and packets for the SRTP tests.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "datapath/srtp/srtp_engine.h"

namespace spillway::srtp_test {

using Buffer = std::vector<uint8_t>;

inline Buffer from_hex(std::string_view text) {
  auto nibble = [](char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; };
  Buffer out;
  for (size_t i = 0; i + 1 < text.size(); i += 2)
    out.push_back(static_cast<uint8_t>(nibble(text[i]) << 4 | nibble(text[i + 1])));
  return out;
}

struct EngineChoice {
  const char* name;
  SrtpBackend backend;
  SrtpCpu cpu;
};
inline constexpr EngineChoice kEngines[] = {
    {"native", SrtpBackend::ipsec_mb, SrtpCpu::native},
    {"avx2", SrtpBackend::ipsec_mb, SrtpCpu::avx2},
    {"avx", SrtpBackend::ipsec_mb, SrtpCpu::avx},
    {"sse", SrtpBackend::ipsec_mb, SrtpCpu::sse},
    {"openssl", SrtpBackend::openssl, SrtpCpu::native},
};
struct ProfileChoice {
  const char* name;
  SrtpProfile profile;
};
inline constexpr ProfileChoice kProfiles[] = {
    {"cm_sha1_80", SrtpProfile::aes128_cm_hmac_sha1_80},
    {"gcm_128", SrtpProfile::aead_aes_128_gcm},
    {"gcm_256", SrtpProfile::aead_aes_256_gcm},
};

// nullptr: this CPU cannot.
inline std::unique_ptr<SrtpEngine> make_engine(const EngineChoice& c) {
  auto engine = SrtpEngine::create(c.backend, c.cpu);
  return engine ? std::move(engine).value() : nullptr;
}

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  uint64_t next() { return engine_(); }
  uint32_t below(uint32_t n) { return static_cast<uint32_t>(engine_() % n); }
  void fill(uint8_t* p, size_t n) {
    for (size_t i = 0; i < n; ++i) p[i] = static_cast<uint8_t>(engine_());
  }
  Buffer bytes(size_t n) {
    Buffer b(n);
    fill(b.data(), n);
    return b;
  }

 private:
  std::mt19937_64 engine_;
};

inline SrtpMasterKey random_master(SrtpProfile profile, Random& random) {
  SrtpMasterKey m;
  m.profile = profile;
  random.fill(m.key, sizeof m.key);
  random.fill(m.salt, sizeof m.salt);
  return m;
}

// An RTP packet in plain text. csrc 0..15; extension_words < 0: no extension.
struct RtpPlain {
  Buffer header;
  Buffer payload;
  Ssrc ssrc{};
  uint64_t index = 0;

  Buffer whole() const {
    Buffer all = header;
    all.insert(all.end(), payload.begin(), payload.end());
    return all;
  }
};

inline RtpPlain make_rtp(Random& random, Ssrc ssrc, uint64_t index, uint32_t payload_bytes,
                         uint32_t csrc = 0, int extension_words = -1) {
  RtpPlain p;
  p.ssrc = ssrc;
  p.index = index;
  p.header = random.bytes(12 + 4 * csrc);
  p.header[0] = static_cast<uint8_t>(0x80 | (extension_words >= 0 ? 0x10 : 0) | csrc);
  p.header[1] &= 0x7f;
  store_be16(&p.header[2], static_cast<uint16_t>(index));
  store_be32(&p.header[8], value(ssrc));
  if (extension_words >= 0) {
    Buffer ext = random.bytes(4 + 4 * static_cast<size_t>(extension_words));
    store_be16(&ext[0], 0xbede);
    store_be16(&ext[2], static_cast<uint16_t>(extension_words));
    p.header.insert(p.header.end(), ext.begin(), ext.end());
  }
  p.payload = random.bytes(payload_bytes);
  return p;
}

// A compound RTCP packet of at least 8 bytes whose lengths are not meaningful.
inline Buffer make_rtcp(Random& random, Ssrc ssrc, uint32_t bytes) {
  Buffer b = random.bytes(bytes);
  b[0] = 0x80;
  b[1] = 200;
  store_be16(&b[2], static_cast<uint16_t>(bytes / 4 - 1));
  store_be32(&b[4], value(ssrc));
  return b;
}

// Protects one packet into a buffer of exactly the right size; empty = refused.
inline Buffer protect(SrtpEngine& engine, const SrtpKeys& keys, const RtpPlain& p) {
  Buffer out(p.header.size() + p.payload.size() + srtp_trailer_bytes(keys.profile));
  std::copy(p.header.begin(), p.header.end(), out.begin());
  RtpProtectJob job;
  job.keys = &keys;
  job.out = out.data();
  job.payload = p.payload.data();
  job.index = p.index;
  job.ssrc = p.ssrc;
  job.header_bytes = static_cast<uint32_t>(p.header.size());
  job.payload_bytes = static_cast<uint32_t>(p.payload.size());
  if (engine.protect_rtp({&job, 1}) != 1) return {};
  EXPECT_EQ(job.out_bytes, out.size());
  return out;
}

inline Buffer protect_rtcp(SrtpEngine& engine, const SrtpKeys& keys, const Buffer& plain,
                           uint32_t index) {
  Buffer out = plain;
  out.resize(plain.size() + srtcp_trailer_bytes(keys.profile));
  const uint32_t n = engine.protect_rtcp(keys, out, static_cast<uint32_t>(plain.size()), index,
                                         Ssrc{load_be32(&plain[4])});
  if (n == 0) return {};
  EXPECT_EQ(n, out.size());
  return out;
}

// Every back end with every profile.
using EngineProfile = std::tuple<EngineChoice, ProfileChoice>;
class EachEngineAndProfile : public testing::TestWithParam<EngineProfile> {
 protected:
  void SetUp() override {
    engine_ = make_engine(std::get<0>(GetParam()));
    if (!engine_) GTEST_SKIP() << "not on this CPU";
    profile_ = std::get<1>(GetParam()).profile;
    master_ = random_master(profile_, random_);
    ASSERT_TRUE(engine_->expand(master_, SrtpStreamKind::rtp, rtp_));
    ASSERT_TRUE(engine_->expand(master_, SrtpStreamKind::rtcp, rtcp_));
  }

  Random random_{20261121};
  std::unique_ptr<SrtpEngine> engine_;
  SrtpProfile profile_ = SrtpProfile::none;
  SrtpMasterKey master_;
  SrtpKeys rtp_{}, rtcp_{};
};
inline std::string engine_profile_name(const testing::TestParamInfo<EngineProfile>& info) {
  return std::string(std::get<0>(info.param).name) + "_" + std::get<1>(info.param).name;
}
// gtest prints parameters of failing tests; the names above say it better.
inline void PrintTo(const EngineChoice& c, std::ostream* os) {
  *os << c.name;
}
inline void PrintTo(const ProfileChoice& c, std::ostream* os) {
  *os << c.name;
}

}  // namespace spillway::srtp_test
