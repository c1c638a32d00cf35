// Back end over OpenSSL's EVP ciphers: any CPU OpenSSL runs on. SrtpKeys hold the
// raw session key; the one context per cipher and direction is re-keyed for each
// packet (some 190 ns, README.md), because a context per key would be heap
// memory outside the locked arrays. Re-keying allocates nothing.
#include <cstring>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "datapath/base/assert.h"
#include "datapath/srtp/engines.h"
#include "datapath/srtp/hmac_sha1.h"
#include "datapath/srtp/initial_vector.h"
#include "datapath/srtp/key_derivation.h"

namespace spillway {
namespace {

constexpr uint32_t kCmTagBytes = srtp_tag_bytes(SrtpProfile::aes128_cm_hmac_sha1_80);
constexpr uint32_t kGcmTagBytes = srtp_tag_bytes(SrtpProfile::aead_aes_128_gcm);

struct Ciphers {
  EvpCipher ctr = make_cipher(EVP_aes_128_ctr(), true);
  EvpCipher seal_128 = make_cipher(EVP_aes_128_gcm(), true);
  EvpCipher seal_256 = make_cipher(EVP_aes_256_gcm(), true);
  EvpCipher open_128 = make_cipher(EVP_aes_128_gcm(), false);
  EvpCipher open_256 = make_cipher(EVP_aes_256_gcm(), false);

  bool complete() const { return ctr && seal_128 && seal_256 && open_128 && open_256; }
};

// Wrong use or a broken library: with lengths checked before, nothing a peer sends
// can make these fail, and going on could send plaintext.
void must(int openssl_result) {
  SPILLWAY_ASSERT(openssl_result == 1);
}

// EVP writes nothing and fails on a null pointer of length 0; skip such parts.
void update(EVP_CIPHER_CTX* ctx, uint8_t* out, const uint8_t* in, uint32_t bytes) {
  int written = 0;
  if (bytes != 0) must(EVP_CipherUpdate(ctx, out, &written, in, static_cast<int>(bytes)));
}

class OpensslEngine final : public SrtpEngine {
 public:
  static constexpr KeyLayout kLayout = 1;

  static Result<std::unique_ptr<SrtpEngine>> make() {
    Ciphers ciphers;
    auto kdf = KeyDerivation::create();
    if (!kdf || !ciphers.complete())
      return Error{"OpenSSL offers no AES-CTR or AES-GCM; is its default provider disabled?"};
    return std::unique_ptr<SrtpEngine>(new OpensslEngine(std::move(kdf), std::move(ciphers)));
  }

 private:
  OpensslEngine(std::unique_ptr<KeyDerivation> kdf, Ciphers ciphers)
      : SrtpEngine("openssl", kLayout, std::move(kdf)), ciphers_(std::move(ciphers)) {}

  bool do_load(const SrtpSessionKey& session, SrtpKeys& out) override {
    std::memcpy(out.cipher, session.key, srtp_key_bytes(session.profile));
    if (!srtp_is_gcm(session.profile)) hmac_sha1_pads(session.auth, out.hmac_inner, out.hmac_outer);
    return true;
  }

  // `keyed`: the key this context was given last within the same batch, so that a
  // run of packets to one viewer is keyed once.
  static void start(EVP_CIPHER_CTX* ctx, const SrtpKeys& keys, const SrtpKeys* keyed,
                    const uint8_t* iv) {
    must(EVP_CipherInit_ex(ctx, nullptr, nullptr, keyed == &keys ? nullptr : keys.cipher, iv, -1));
  }

  void do_protect_rtp(std::span<RtpProtectJob* const> jobs) override {
    const SrtpKeys* keyed = nullptr;
    for (RtpProtectJob* job : jobs) {
      uint8_t* cipher_text = job->out + job->header_bytes;
      const SrtpKeys& keys = *job->keys;
      uint8_t iv[16];
      if (srtp_is_gcm(keys.profile)) {
        gcm_vector(keys.salt, job->ssrc, job->index, iv);
        seal(keys, keyed, iv, {job->out, job->header_bytes}, job->payload, job->payload_bytes,
             cipher_text, cipher_text + job->payload_bytes);
      } else {
        cm_vector(keys.salt, job->ssrc, job->index, iv);
        start(ciphers_.ctr.get(), keys, keyed, iv);
        update(ciphers_.ctr.get(), cipher_text, job->payload, job->payload_bytes);
        uint8_t roc[4], mac[kHmacSha1Bytes];
        store_be32(roc, static_cast<uint32_t>(job->index >> 16));
        hmac_sha1(keys, {job->out, job->header_bytes + job->payload_bytes}, roc, mac);
        std::memcpy(cipher_text + job->payload_bytes, mac, kCmTagBytes);
      }
      keyed = &keys;
    }
  }

  void do_unprotect_rtp(std::span<RtpUnprotectJob* const> jobs) override {
    const SrtpKeys* keyed = nullptr;
    for (RtpUnprotectJob* job : jobs) {
      const uint8_t* cipher_text = job->packet + job->header_bytes;
      const uint8_t* tag = cipher_text + job->payload_bytes;
      const SrtpKeys& keys = *job->keys;
      uint8_t iv[16];
      if (srtp_is_gcm(keys.profile)) {
        gcm_vector(keys.salt, job->ssrc, job->index, iv);
        job->ok = open(keys, keyed, iv, {job->packet, job->header_bytes}, cipher_text,
                       job->payload_bytes, tag, job->payload_out);
        keyed = &keys;
        continue;
      }
      uint8_t roc[4], mac[kHmacSha1Bytes];
      store_be32(roc, static_cast<uint32_t>(job->index >> 16));
      hmac_sha1(keys, {job->packet, job->header_bytes + job->payload_bytes}, roc, mac);
      if (CRYPTO_memcmp(mac, tag, kCmTagBytes) != 0) continue;
      cm_vector(keys.salt, job->ssrc, job->index, iv);
      start(ciphers_.ctr.get(), keys, keyed, iv);
      update(ciphers_.ctr.get(), job->payload_out, cipher_text, job->payload_bytes);
      job->ok = true;
      keyed = &keys;
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
      seal(keys, nullptr, iv, aad, body, body_bytes, body, behind);
      store_be32(behind + kGcmTagBytes, kSrtcpIndexLimit | index);
      return;
    }
    cm_vector(keys.salt, ssrc, index, iv);
    start(ciphers_.ctr.get(), keys, nullptr, iv);
    update(ciphers_.ctr.get(), body, body, body_bytes);
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
      return open(keys, nullptr, iv, aad, body, body_bytes, packet + plain_bytes, body);
    }
    uint8_t mac[kHmacSha1Bytes];
    hmac_sha1(keys, {packet, plain_bytes + kSrtcpIndexBytes}, {}, mac);
    if (CRYPTO_memcmp(mac, packet + plain_bytes + kSrtcpIndexBytes, kCmTagBytes) != 0) return false;
    cm_vector(keys.salt, ssrc, index, iv);
    start(ciphers_.ctr.get(), keys, nullptr, iv);
    update(ciphers_.ctr.get(), body, body, body_bytes);
    return true;
  }

  void seal(const SrtpKeys& keys, const SrtpKeys* keyed, const uint8_t* iv, Bytes aad,
            const uint8_t* plain, uint32_t bytes, uint8_t* out, uint8_t* tag_out) {
    EVP_CIPHER_CTX* ctx = keys.profile == SrtpProfile::aead_aes_256_gcm ? ciphers_.seal_256.get()
                                                                        : ciphers_.seal_128.get();
    start(ctx, keys, keyed, iv);
    update(ctx, nullptr, aad.data(), static_cast<uint32_t>(aad.size()));
    update(ctx, out, plain, bytes);
    int written = 0;
    uint8_t none[16];
    must(EVP_EncryptFinal_ex(ctx, none, &written));
    must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, kGcmTagBytes, tag_out));
  }

  // Decrypts to scratch_ and copies out only what authenticated.
  bool open(const SrtpKeys& keys, const SrtpKeys* keyed, const uint8_t* iv, Bytes aad,
            const uint8_t* cipher_text, uint32_t bytes, const uint8_t* tag, uint8_t* out) {
    EVP_CIPHER_CTX* ctx = keys.profile == SrtpProfile::aead_aes_256_gcm ? ciphers_.open_256.get()
                                                                        : ciphers_.open_128.get();
    start(ctx, keys, keyed, iv);
    update(ctx, nullptr, aad.data(), static_cast<uint32_t>(aad.size()));
    update(ctx, scratch_, cipher_text, bytes);
    must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, kGcmTagBytes,
                             const_cast<uint8_t*>(tag)));  // EVP copies it
    int written = 0;
    uint8_t none[16];
    if (EVP_DecryptFinal_ex(ctx, none, &written) != 1) return false;
    if (bytes != 0) std::memcpy(out, scratch_, bytes);
    return true;
  }

  Ciphers ciphers_;
  uint8_t scratch_[kMaxDatagramBytes];
};

}  // namespace

Result<std::unique_ptr<SrtpEngine>> make_openssl_engine() {
  return OpensslEngine::make();
}

}  // namespace spillway
