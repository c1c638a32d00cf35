// Back end over intel-ipsec-mb. GCM goes through its direct calls, packet by
// packet. CM + HMAC-SHA1 goes through the job interface: counter mode runs when a
// job is submitted, the hashes of up to 16 packets are then computed side by side.
//
// Facts about ipsec-mb 1.3 this file relies on (README.md):
//   - a 10-byte HMAC tag is refused; 12 bytes are asked for, into scratch, so that
//     two bytes too many never land in the next packet of the send buffer;
//   - the hash range is given relative to the source even when the output lies
//     elsewhere: the offset is the difference of the two addresses, modulo 2^64;
//   - a job of length 0 needs the null cipher.
#include <cstring>
#include <memory>

#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>

#include "datapath/base/assert.h"
#include "datapath/srtp/engines.h"
#include "datapath/srtp/hmac_sha1.h"
#include "datapath/srtp/initial_vector.h"
#include "datapath/srtp/key_derivation.h"

namespace spillway {
namespace {

constexpr uint32_t kCmTagBytes = srtp_tag_bytes(SrtpProfile::aes128_cm_hmac_sha1_80);
constexpr uint32_t kGcmTagBytes = srtp_tag_bytes(SrtpProfile::aead_aes_128_gcm);
constexpr uint32_t kCmKeyBytes = srtp_key_bytes(SrtpProfile::aes128_cm_hmac_sha1_80);
constexpr uint32_t kJobTagBytes = 12;  // the shortest ipsec-mb computes
constexpr uint32_t kRocBytes = 4;
static_assert(kRocBytes <= kCmTagBytes, "the ROC is hashed where the tag goes afterwards");
static_assert(sizeof(gcm_key_data) <= SrtpKeys::kCipherBytes);
static_assert(alignof(gcm_key_data) <= kCacheLine);
static_assert(kBurst < IMB_MAX_JOBS, "submitting a batch never waits for a free job");

// Packets whose keys are fetched ahead. Fewer leave the misses of a random walk
// over the keys visible, more push the lines out of the first-level cache again.
constexpr uint32_t kPrefetchAhead = 4;
// Bytes of a key read per packet: salt and pads, then the round keys. With GCM the
// powers of the hash key follow: 16 words of 16 bytes, or 48 with AVX-512.
constexpr uint32_t kCmHotBytes = kCacheLine + 11 * 16;
constexpr uint32_t gcm_hot_bytes(uint32_t powers) {
  return kCacheLine + (15 + powers) * 16;
}

struct MbMgrFree {
  void operator()(IMB_MGR* m) const { free_mb_mgr(m); }
};
using MbMgr = std::unique_ptr<IMB_MGR, MbMgrFree>;

struct Arch {
  const char* name;
  void (*init)(IMB_MGR*);
  uint64_t needs;  // IMB_FEATURE_*
  SrtpCpu cpu;     // allowed when the limit is not below this
  uint8_t layout;  // SrtpEngine::KeyLayout
  uint32_t gcm_hot_bytes;
};
// Best first.
constexpr Arch kArchs[] = {
    {"ipsec-mb avx512", init_mb_mgr_avx512, IMB_CPUFLAGS_AVX512, SrtpCpu::native, 2,
     gcm_hot_bytes(48)},
    {"ipsec-mb avx2", init_mb_mgr_avx2, IMB_CPUFLAGS_AVX2, SrtpCpu::avx2, 3, gcm_hot_bytes(16)},
    {"ipsec-mb avx", init_mb_mgr_avx, IMB_CPUFLAGS_AVX, SrtpCpu::avx, 4, gcm_hot_bytes(16)},
    {"ipsec-mb sse", init_mb_mgr_sse, IMB_CPUFLAGS_SSE, SrtpCpu::sse, 5, gcm_hot_bytes(16)},
};

const Arch* pick_arch(SrtpCpu cpu) {
  const uint64_t has = imb_get_feature_flags();
  for (const Arch& arch : kArchs)
    if (arch.cpu >= cpu && (has & arch.needs) == arch.needs) return &arch;
  return nullptr;
}

class IpsecMbEngine final : public SrtpEngine {
 public:
  static Result<std::unique_ptr<SrtpEngine>> make(SrtpCpu cpu) {
    const Arch* arch = pick_arch(cpu);
    if (arch == nullptr)
      return Error{"ipsec-mb: this CPU has no AES-NI with PCLMULQDQ; use srtp = openssl"};
    MbMgr mgr(alloc_mb_mgr(0));
    auto kdf = KeyDerivation::create();
    if (!mgr || !kdf) return Error{"ipsec-mb: alloc_mb_mgr or the key derivation failed"};
    arch->init(mgr.get());
    if (const int code = imb_get_errno(mgr.get()); code != 0)
      return Error{std::string(arch->name) + ": " + imb_get_strerror(code)};
    return std::unique_ptr<SrtpEngine>(new IpsecMbEngine(*arch, std::move(kdf), std::move(mgr)));
  }

 private:
  IpsecMbEngine(const Arch& arch, std::unique_ptr<KeyDerivation> kdf, MbMgr mgr)
      : SrtpEngine(arch.name, arch.layout, std::move(kdf)),
        mgr_(std::move(mgr)),
        gcm_hot_bytes_(arch.gcm_hot_bytes) {}

  static const gcm_key_data* gcm_key(const SrtpKeys& keys) {
    return reinterpret_cast<const gcm_key_data*>(keys.cipher);
  }
  static bool is_256(const SrtpKeys& keys) { return keys.profile == SrtpProfile::aead_aes_256_gcm; }

  bool do_load(const SrtpSessionKey& session, SrtpKeys& out) override {
    auto* gcm = reinterpret_cast<gcm_key_data*>(out.cipher);
    if (session.profile == SrtpProfile::aead_aes_128_gcm) {
      IMB_AES128_GCM_PRE(mgr_.get(), session.key, gcm);
    } else if (session.profile == SrtpProfile::aead_aes_256_gcm) {
      IMB_AES256_GCM_PRE(mgr_.get(), session.key, gcm);
    } else {
      alignas(16) uint8_t decrypt_keys[15 * 16];  // computed as well, never needed
      IMB_AES_KEYEXP_128(mgr_.get(), session.key, out.cipher, decrypt_keys);
      explicit_bzero(decrypt_keys, sizeof decrypt_keys);
      hmac_sha1_pads(session.auth, out.hmac_inner, out.hmac_outer);
    }
    return true;
  }

  void prefetch(const SrtpKeys& keys) const {
    const uint32_t bytes = srtp_is_gcm(keys.profile) ? gcm_hot_bytes_ : kCmHotBytes;
    const auto* p = reinterpret_cast<const uint8_t*>(&keys);
    for (uint32_t at = 0; at < bytes; at += kCacheLine) __builtin_prefetch(p + at);
  }

  // --- GCM ------------------------------------------------------------------

  void seal(const SrtpKeys& keys, const uint8_t* iv, const uint8_t* aad, uint32_t aad_bytes,
            const uint8_t* plain, uint32_t bytes, uint8_t* out, uint8_t* tag_out) {
    const auto encrypt = is_256(keys) ? mgr_->gcm256_enc : mgr_->gcm128_enc;
    encrypt(gcm_key(keys), &gcm_context_, out, plain, bytes, iv, aad, aad_bytes, tag_out,
            kGcmTagBytes);
  }

  // Decrypts to scratch_ and copies out only what authenticated.
  bool open(const SrtpKeys& keys, const uint8_t* iv, const uint8_t* aad, uint32_t aad_bytes,
            const uint8_t* cipher_text, uint32_t bytes, const uint8_t* tag, uint8_t* out) {
    uint8_t expected[kGcmTagBytes];
    const auto decrypt = is_256(keys) ? mgr_->gcm256_dec : mgr_->gcm128_dec;
    decrypt(gcm_key(keys), &gcm_context_, scratch_, cipher_text, bytes, iv, aad, aad_bytes,
            expected, kGcmTagBytes);
    if (CRYPTO_memcmp(expected, tag, kGcmTagBytes) != 0) return false;
    if (bytes != 0) std::memcpy(out, scratch_, bytes);
    return true;
  }

  // --- CM + HMAC-SHA1 -------------------------------------------------------

  // A job that encrypts (bytes may be 0) and then hashes [hashed, hashed + hash_bytes)
  // into tags_[slot]. It may complete only at flush().
  void submit(const SrtpKeys& keys, uint32_t slot, const uint8_t* plain, uint32_t bytes,
              uint8_t* out, const uint8_t* hashed, uint32_t hash_bytes) {
    IMB_JOB* job = IMB_GET_NEXT_JOB(mgr_.get());
    set_cipher(*job, keys, ivs_[slot], plain, bytes, out);
    job->hash_alg = IMB_AUTH_HMAC_SHA_1;
    job->hash_start_src_offset_in_bytes =
        reinterpret_cast<uintptr_t>(hashed) - reinterpret_cast<uintptr_t>(plain);
    job->msg_len_to_hash_in_bytes = hash_bytes;
    job->auth_tag_output = tags_[slot];
    job->auth_tag_output_len_in_bytes = kJobTagBytes;
    job->u.HMAC._hashed_auth_key_xor_ipad = reinterpret_cast<const uint8_t*>(keys.hmac_inner);
    job->u.HMAC._hashed_auth_key_xor_opad = reinterpret_cast<const uint8_t*>(keys.hmac_outer);
    for (IMB_JOB* done = IMB_SUBMIT_JOB_NOCHECK(mgr_.get()); done != nullptr;
         done = IMB_GET_COMPLETED_JOB(mgr_.get()))
      SPILLWAY_ASSERT(done->status == IMB_STATUS_COMPLETED);
  }
  void flush() {
    while (IMB_JOB* done = IMB_FLUSH_JOB(mgr_.get()))
      SPILLWAY_ASSERT(done->status == IMB_STATUS_COMPLETED);
  }
  // Counter mode alone; complete on return because nothing else is under way.
  void crypt(const SrtpKeys& keys, const uint8_t* iv, const uint8_t* in, uint32_t bytes,
             uint8_t* out) {
    if (bytes == 0) return;
    IMB_JOB* job = IMB_GET_NEXT_JOB(mgr_.get());
    set_cipher(*job, keys, iv, in, bytes, out);
    job->hash_alg = IMB_AUTH_NULL;
    const IMB_JOB* done = IMB_SUBMIT_JOB_NOCHECK(mgr_.get());
    SPILLWAY_ASSERT(done != nullptr && done->status == IMB_STATUS_COMPLETED);
  }
  static void set_cipher(IMB_JOB& job, const SrtpKeys& keys, const uint8_t* iv, const uint8_t* in,
                         uint32_t bytes, uint8_t* out) {
    job.cipher_mode = bytes != 0 ? IMB_CIPHER_CNTR : IMB_CIPHER_NULL;
    job.cipher_direction = IMB_DIR_ENCRYPT;
    job.chain_order = IMB_ORDER_CIPHER_HASH;
    job.enc_keys = keys.cipher;
    job.dec_keys = keys.cipher;
    job.key_len_in_bytes = kCmKeyBytes;
    job.iv = iv;
    job.iv_len_in_bytes = 16;
    job.src = in;
    job.dst = out;
    job.cipher_start_src_offset_in_bytes = 0;
    job.msg_len_to_cipher_in_bytes = bytes;
  }

  void do_protect_rtp(std::span<RtpProtectJob* const> jobs) override {
    const auto count = static_cast<uint32_t>(jobs.size());
    for (uint32_t i = 1; i < kPrefetchAhead && i < count; ++i) prefetch(*jobs[i]->keys);
    bool gathered = false;
    for (uint32_t i = 0; i < count; ++i) {
      if (i + kPrefetchAhead < count) prefetch(*jobs[i + kPrefetchAhead]->keys);
      const RtpProtectJob& job = *jobs[i];
      const SrtpKeys& keys = *job.keys;
      uint8_t* cipher_text = job.out + job.header_bytes;
      if (srtp_is_gcm(keys.profile)) {
        uint8_t iv[16];
        gcm_vector(keys.salt, job.ssrc, job.index, iv);
        seal(keys, iv, job.out, job.header_bytes, job.payload, job.payload_bytes, cipher_text,
             cipher_text + job.payload_bytes);
      } else {
        gathered = true;
        cm_vector(keys.salt, job.ssrc, job.index, ivs_[i]);
        store_be32(cipher_text + job.payload_bytes, static_cast<uint32_t>(job.index >> 16));
        submit(keys, i, job.payload, job.payload_bytes, cipher_text, job.out,
               job.header_bytes + job.payload_bytes + kRocBytes);
      }
    }
    if (!gathered) return;
    flush();
    for (uint32_t i = 0; i < count; ++i) {
      const RtpProtectJob& job = *jobs[i];
      if (!srtp_is_gcm(job.keys->profile))
        std::memcpy(job.out + job.header_bytes + job.payload_bytes, tags_[i], kCmTagBytes);
    }
  }

  void do_unprotect_rtp(std::span<RtpUnprotectJob* const> jobs) override {
    for (RtpUnprotectJob* job : jobs) {
      const SrtpKeys& keys = *job->keys;
      const uint8_t* cipher_text = job->packet + job->header_bytes;
      const uint8_t* tag = cipher_text + job->payload_bytes;
      uint8_t iv[16];
      if (srtp_is_gcm(keys.profile)) {
        gcm_vector(keys.salt, job->ssrc, job->index, iv);
        job->ok = open(keys, iv, job->packet, job->header_bytes, cipher_text, job->payload_bytes,
                       tag, job->payload_out);
        continue;
      }
      uint8_t roc[kRocBytes], mac[kHmacSha1Bytes];
      store_be32(roc, static_cast<uint32_t>(job->index >> 16));
      hmac_sha1(keys, {job->packet, job->header_bytes + job->payload_bytes}, roc, mac);
      if (CRYPTO_memcmp(mac, tag, kCmTagBytes) != 0) continue;
      cm_vector(keys.salt, job->ssrc, job->index, iv);
      crypt(keys, iv, cipher_text, job->payload_bytes, job->payload_out);
      job->ok = true;
    }
  }

  void do_protect_rtcp(const SrtpKeys& keys, uint8_t* packet, uint32_t plain_bytes, uint32_t index,
                       Ssrc ssrc) override {
    uint8_t* body = packet + kRtcpFixedHeaderBytes;
    const uint32_t body_bytes = plain_bytes - kRtcpFixedHeaderBytes;
    uint8_t* behind = packet + plain_bytes;
    uint8_t iv[16];
    if (srtp_is_gcm(keys.profile)) {
      uint8_t aad[12];
      gcm_rtcp_aad(packet, index, aad);
      gcm_vector(keys.salt, ssrc, index, iv);
      seal(keys, iv, aad, sizeof aad, body, body_bytes, body, behind);
      store_be32(behind + kGcmTagBytes, kSrtcpIndexLimit | index);
      return;
    }
    cm_vector(keys.salt, ssrc, index, iv);
    crypt(keys, iv, body, body_bytes, body);
    store_be32(behind, kSrtcpIndexLimit | index);
    uint8_t mac[kHmacSha1Bytes];
    hmac_sha1(keys, {packet, plain_bytes + kSrtcpIndexBytes}, {}, mac);
    std::memcpy(behind + kSrtcpIndexBytes, mac, kCmTagBytes);
  }

  bool do_unprotect_rtcp(const SrtpKeys& keys, uint8_t* packet, uint32_t plain_bytes,
                         uint32_t index, Ssrc ssrc) override {
    uint8_t* body = packet + kRtcpFixedHeaderBytes;
    const uint32_t body_bytes = plain_bytes - kRtcpFixedHeaderBytes;
    uint8_t iv[16];
    if (srtp_is_gcm(keys.profile)) {
      uint8_t aad[12];
      gcm_rtcp_aad(packet, index, aad);
      gcm_vector(keys.salt, ssrc, index, iv);
      return open(keys, iv, aad, sizeof aad, body, body_bytes, packet + plain_bytes, body);
    }
    uint8_t mac[kHmacSha1Bytes];
    hmac_sha1(keys, {packet, plain_bytes + kSrtcpIndexBytes}, {}, mac);
    if (CRYPTO_memcmp(mac, packet + plain_bytes + kSrtcpIndexBytes, kCmTagBytes) != 0) return false;
    cm_vector(keys.salt, ssrc, index, iv);
    crypt(keys, iv, body, body_bytes, body);
    return true;
  }

  MbMgr mgr_;
  uint32_t gcm_hot_bytes_;
  gcm_context_data gcm_context_;
  // Per packet of a batch: vector and tag of a gathered job. The tag's 12 bytes are
  // rounded up, so that neighbours do not share a store.
  alignas(16) uint8_t ivs_[kBurst][16];
  alignas(16) uint8_t tags_[kBurst][16];
  alignas(kCacheLine) uint8_t scratch_[kMaxDatagramBytes];
};

}  // namespace

bool ipsec_mb_usable(SrtpCpu cpu) {
  return pick_arch(cpu) != nullptr;
}

Result<std::unique_ptr<SrtpEngine>> make_ipsec_mb_engine(SrtpCpu cpu) {
  return IpsecMbEngine::make(cpu);
}

}  // namespace spillway
