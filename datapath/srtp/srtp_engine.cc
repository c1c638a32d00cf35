#include "datapath/srtp/srtp_engine.h"

#include "datapath/base/assert.h"
#include "datapath/srtp/engines.h"
#include "datapath/srtp/index_checker.h"
#include "datapath/srtp/key_derivation.h"

namespace spillway {

SrtpEngine::SrtpEngine(std::string_view name, KeyLayout layout, std::unique_ptr<KeyDerivation> kdf)
    : name_(name), layout_(layout), kdf_(std::move(kdf)) {}

SrtpEngine::~SrtpEngine() = default;

Result<std::unique_ptr<SrtpEngine>> SrtpEngine::create(SrtpBackend backend, SrtpCpu cpu) {
  if (backend == SrtpBackend::automatic)
    backend = ipsec_mb_usable(cpu) ? SrtpBackend::ipsec_mb : SrtpBackend::openssl;
  return backend == SrtpBackend::ipsec_mb ? make_ipsec_mb_engine(cpu) : make_openssl_engine();
}

bool SrtpEngine::derive(const SrtpMasterKey& master, SrtpStreamKind kind, SrtpSessionKey& out) {
  return kdf_->derive(master, kind, out);
}

bool SrtpEngine::load(const SrtpSessionKey& session, SrtpStreamKind kind, SrtpKeys& out) {
  out.wipe();
  if (srtp_tag_bytes(session.profile) == 0) return false;
  out.profile = session.profile;
  out.kind = kind;
  std::memcpy(out.salt, session.salt, srtp_salt_bytes(session.profile));
  if (!do_load(session, out)) {
    out.wipe();
    return false;
  }
  out.engine = layout_;
  return true;
}

bool SrtpEngine::expand(const SrtpMasterKey& master, SrtpStreamKind kind, SrtpKeys& out) {
  SrtpSessionKey session;
  const bool ok = derive(master, kind, session) && load(session, kind, out);
  if (!ok) out.wipe();
  session.wipe();
  return ok;
}

uint32_t SrtpEngine::protect_rtp(std::span<RtpProtectJob> jobs) {
  SPILLWAY_ASSERT(jobs.size() <= kBurst);
  RtpProtectJob* good[kBurst];
  uint32_t count = 0;
  for (RtpProtectJob& job : jobs) {
    job.out_bytes = 0;
    if (!usable(*job.keys, SrtpStreamKind::rtp) || job.index >= kSrtpIndexLimit) continue;
    // 64 bits: the lengths are only believed after this.
    const uint64_t total =
        uint64_t{job.header_bytes} + job.payload_bytes + srtp_trailer_bytes(job.keys->profile);
    if (job.header_bytes < kRtpFixedHeaderBytes || total > kMaxDatagramBytes) continue;
#ifdef SPILLWAY_CHECKS
    if (checker_ != nullptr) SPILLWAY_ASSERT(checker_->record(*job.keys, job.ssrc, job.index));
#endif
    job.out_bytes = static_cast<uint32_t>(total);
    good[count++] = &job;
  }
  if (count != 0) do_protect_rtp({good, count});
  return count;
}

uint32_t SrtpEngine::unprotect_rtp(std::span<RtpUnprotectJob> jobs) {
  SPILLWAY_ASSERT(jobs.size() <= kBurst);
  RtpUnprotectJob* good[kBurst];
  uint32_t count = 0;
  for (RtpUnprotectJob& job : jobs) {
    job.ok = false;
    job.payload_bytes = 0;
    if (!usable(*job.keys, SrtpStreamKind::rtp) || job.index >= kSrtpIndexLimit) continue;
    if (!check_srtp_length(job.keys->profile, SrtpStreamKind::rtp, job.packet_bytes,
                           job.header_bytes))
      continue;
    job.payload_bytes = job.packet_bytes - job.header_bytes - srtp_trailer_bytes(job.keys->profile);
    good[count++] = &job;
  }
  if (count != 0) do_unprotect_rtp({good, count});
  uint32_t ok = 0;
  for (RtpUnprotectJob& job : jobs) {
    if (job.ok)
      ++ok;
    else
      job.payload_bytes = 0;
  }
  return ok;
}

std::optional<uint32_t> SrtpEngine::unprotect_rtp(const SrtpKeys& keys, Ssrc ssrc, uint64_t index,
                                                  uint32_t header_bytes, MutableBytes packet,
                                                  uint8_t* payload_out) {
  if (packet.size() > kMaxDatagramBytes) return std::nullopt;
  RtpUnprotectJob job;
  job.keys = &keys;
  job.packet = packet.data();
  job.payload_out = payload_out;
  job.index = index;
  job.ssrc = ssrc;
  job.packet_bytes = static_cast<uint32_t>(packet.size());
  job.header_bytes = header_bytes;
  if (unprotect_rtp({&job, 1}) == 0) return std::nullopt;
  return job.payload_bytes;
}

uint32_t SrtpEngine::protect_rtcp(const SrtpKeys& keys, MutableBytes buffer, uint32_t plain_bytes,
                                  uint32_t index, Ssrc ssrc) {
  if (!usable(keys, SrtpStreamKind::rtcp) || index >= kSrtcpIndexLimit) return 0;
  if (plain_bytes < kRtcpFixedHeaderBytes || plain_bytes > buffer.size()) return 0;
  const uint64_t total = uint64_t{plain_bytes} + srtcp_trailer_bytes(keys.profile);
  if (total > buffer.size() || total > kMaxDatagramBytes) return 0;
#ifdef SPILLWAY_CHECKS
  if (checker_ != nullptr) SPILLWAY_ASSERT(checker_->record(keys, ssrc, index));
#endif
  do_protect_rtcp(keys, buffer.data(), plain_bytes, index, ssrc);
  return static_cast<uint32_t>(total);
}

std::optional<RtcpPlain> SrtpEngine::unprotect_rtcp(const SrtpKeys& keys, MutableBytes packet) {
  if (!usable(keys, SrtpStreamKind::rtcp) ||
      !check_srtp_length(keys.profile, SrtpStreamKind::rtcp, packet.size(), 0))
    return std::nullopt;
  const auto plain_bytes = static_cast<uint32_t>(packet.size()) - srtcp_trailer_bytes(keys.profile);
  const uint32_t e_index_at = plain_bytes + (srtp_is_gcm(keys.profile) ? 16 : 0);
  const uint32_t e_index = load_be32(packet.data() + e_index_at);
  if ((e_index & kSrtcpIndexLimit) == 0) return std::nullopt;
  const uint32_t index = e_index & (kSrtcpIndexLimit - 1);
  const Ssrc ssrc{load_be32(packet.data() + 4)};
  if (!do_unprotect_rtcp(keys, packet.data(), plain_bytes, index, ssrc)) return std::nullopt;
  return RtcpPlain{plain_bytes, index};
}

}  // namespace spillway
