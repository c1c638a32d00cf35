// Received SRTP and SRTCP, hostile: both back ends and libsrtp2 accept the same
// bytes or all refuse, and a refusal changes neither the packet nor the output.
//
// Input: byte 0 chooses profile, RTP or RTCP, and raw or protected; raw: the rest is
// the datagram. Protected: bytes 1-3 are a position and a byte to xor into the
// packet after it was properly protected (0 = leave it), byte 4 how many bytes to
// cut, the rest is the plain packet.
#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "datapath/base/assert.h"
#include "datapath/srtp/srtp_engine.h"
#include "tests/unit/srtp/libsrtp_oracle.h"

namespace spillway {
namespace {

using Buffer = std::vector<uint8_t>;

constexpr std::array kProfiles{SrtpProfile::aes128_cm_hmac_sha1_80, SrtpProfile::aead_aes_128_gcm,
                               SrtpProfile::aead_aes_256_gcm};
constexpr Ssrc kSsrc{0x01020304};

struct Keyed {
  explicit Keyed(SrtpBackend backend) {
    auto created = SrtpEngine::create(backend);
    if (!created) return;
    engine = std::move(created).value();
    for (size_t i = 0; i < kProfiles.size(); ++i) {
      SrtpMasterKey master;
      master.profile = kProfiles[i];
      SPILLWAY_ASSERT(engine->expand(master, SrtpStreamKind::rtp, rtp[i]));
      SPILLWAY_ASSERT(engine->expand(master, SrtpStreamKind::rtcp, rtcp[i]));
    }
  }
  std::unique_ptr<SrtpEngine> engine;
  std::array<SrtpKeys, 3> rtp, rtcp;
};

struct Rig {
  Keyed openssl{SrtpBackend::openssl};
  Keyed ipsec_mb{SrtpBackend::ipsec_mb};
  std::array<std::unique_ptr<srtp_test::LibsrtpOracle>, 3> libsrtp;
  // libsrtp remembers what it accepted, so the next packet has the next index; after
  // a refusal it stays, or libsrtp would lose count of the rollovers.
  uint64_t rtp_index = 1;
  uint32_t rtcp_index = 1;

  Rig() {
    for (size_t i = 0; i < kProfiles.size(); ++i) {
      SrtpMasterKey master;
      master.profile = kProfiles[i];
      libsrtp[i] = std::make_unique<srtp_test::LibsrtpOracle>(master, kSsrc);
    }
  }
};

// Fixed header, CSRC and extension (RFC 3550 §5.1, §5.3.1); 0 = does not fit.
uint32_t header_bytes(const Buffer& p) {
  if (p.size() < 12) return 0;
  size_t n = 12 + 4 * static_cast<size_t>(p[0] & 0x0f);
  if ((p[0] & 0x10) != 0) {
    if (p.size() < n + 4) return 0;
    n += 4 + 4 * static_cast<size_t>(load_be16(&p[n + 2]));
  }
  return n <= p.size() ? static_cast<uint32_t>(n) : 0;
}

// The plain packet, or empty.
Buffer unprotect_rtp(Keyed& k, size_t profile, uint64_t index, const Buffer& wire) {
  const uint32_t header = header_bytes(wire);
  if (header == 0) return {};
  Buffer packet = wire;
  Buffer slot(wire.size() - header, 0x5a);
  const Ssrc ssrc{load_be32(&packet[8])};
  const auto n = k.engine->unprotect_rtp(k.rtp[profile], ssrc, index, header, packet, slot.data());
  SPILLWAY_ASSERT(packet == wire);
  if (!n) {
    SPILLWAY_ASSERT(std::all_of(slot.begin(), slot.end(), [](uint8_t b) { return b == 0x5a; }));
    return {};
  }
  const auto in_place =
      k.engine->unprotect_rtp(k.rtp[profile], ssrc, index, header, packet, packet.data() + header);
  SPILLWAY_ASSERT(in_place == n);
  SPILLWAY_ASSERT(std::equal(slot.begin(), slot.begin() + *n, packet.begin() + header));
  packet.resize(header + *n);
  return packet;
}

Buffer unprotect_rtcp(Keyed& k, size_t profile, const Buffer& wire) {
  Buffer packet = wire;
  const auto r = k.engine->unprotect_rtcp(k.rtcp[profile], packet);
  if (!r) {
    SPILLWAY_ASSERT(packet == wire);
    return {};
  }
  packet.resize(r->plain_bytes);
  return packet;
}

// Protects `plain` with OpenSSL's back end; empty when it is not a packet we send.
Buffer protect(Rig& rig, size_t profile, bool rtcp, Buffer plain) {
  Keyed& k = rig.openssl;
  if (rtcp) {
    if (plain.size() < 8) return {};
    plain[0] = 0x80;
    plain[1] = 200;
    store_be32(&plain[4], value(kSsrc));
    const auto bytes = static_cast<uint32_t>(plain.size());
    plain.resize(bytes + srtcp_trailer_bytes(kProfiles[profile]));
    if (k.engine->protect_rtcp(k.rtcp[profile], plain, bytes, rig.rtcp_index, kSsrc) == 0)
      return {};
    return plain;
  }
  if (plain.size() < 12) return {};
  plain[0] = static_cast<uint8_t>(0x80 | (plain[0] & 0x1f));
  store_be16(&plain[2], static_cast<uint16_t>(rig.rtp_index));
  store_be32(&plain[8], value(kSsrc));
  const uint32_t header = header_bytes(plain);
  if (header == 0) return {};
  Buffer out(plain.size() + srtp_trailer_bytes(kProfiles[profile]));
  std::copy(plain.begin(), plain.begin() + header, out.begin());
  RtpProtectJob job;
  job.keys = &k.rtp[profile];
  job.out = out.data();
  job.payload = plain.data() + header;
  job.index = rig.rtp_index;
  job.ssrc = kSsrc;
  job.header_bytes = header;
  job.payload_bytes = static_cast<uint32_t>(plain.size()) - header;
  return k.engine->protect_rtp({&job, 1}) == 1 ? out : Buffer{};
}

void one_input(Rig& rig, Bytes in) {
  if (in.size() < 5 || in.size() > kMaxDatagramBytes) return;
  const size_t profile = in[0] % kProfiles.size();
  const bool rtcp = (in[0] & 0x40) != 0;
  const bool raw = (in[0] & 0x80) != 0;
  const size_t xor_at = load_be16(&in[1]);
  const uint8_t flip = in[3];
  const size_t cut = in[4];
  Buffer wire(in.begin() + (raw ? 1 : 5), in.end());
  bool intact = false;
  if (!raw) {
    wire = protect(rig, profile, rtcp, std::move(wire));
    if (wire.empty()) return;
    intact = flip == 0 && cut == 0;
    wire[xor_at % wire.size()] ^= flip;
    wire.resize(wire.size() - std::min(cut, wire.size()));
  }
  const Buffer ours = rtcp ? unprotect_rtcp(rig.openssl, profile, wire)
                           : unprotect_rtp(rig.openssl, profile, rig.rtp_index, wire);
  SPILLWAY_ASSERT(!intact || !ours.empty());
  if (rig.ipsec_mb.engine) {
    const Buffer other = rtcp ? unprotect_rtcp(rig.ipsec_mb, profile, wire)
                              : unprotect_rtp(rig.ipsec_mb, profile, rig.rtp_index, wire);
    SPILLWAY_ASSERT(ours == other);
  }
  // libsrtp2 asks its callers for whole headers.
  if (wire.size() < 12) return;
  auto& libsrtp = *rig.libsrtp[profile];
  const Buffer theirs = rtcp ? libsrtp.unprotect_rtcp(wire) : libsrtp.unprotect_rtp(wire);
  SPILLWAY_ASSERT(ours == theirs);
  if (!ours.empty()) {
    if (rtcp)
      rig.rtcp_index = (rig.rtcp_index + 1) % kSrtcpIndexLimit;
    else
      ++rig.rtp_index;
  }
}

}  // namespace
}  // namespace spillway

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static spillway::Rig rig;
  spillway::one_input(rig, {data, size});
  return 0;
}
