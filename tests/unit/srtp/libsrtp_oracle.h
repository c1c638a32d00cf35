// libsrtp2 as the reference: one session, one SSRC, one direction. Debian builds it
// on NSS, where every session is dear, so tests keep few of them.
#pragma once

#include <srtp2/srtp.h>

#include <cstring>
#include <vector>

#include "datapath/base/assert.h"
#include "datapath/base/units.h"
#include "datapath/srtp/srtp_keys.h"

namespace spillway::srtp_test {

class LibsrtpOracle {
 public:
  LibsrtpOracle(const SrtpMasterKey& master, Ssrc ssrc) : ssrc_(value(ssrc)) {
    static const bool ready = srtp_init() == srtp_err_status_ok;
    SPILLWAY_ASSERT(ready);
    srtp_policy_t policy{};
    if (master.profile == SrtpProfile::aes128_cm_hmac_sha1_80) {
      srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy.rtp);
      srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy.rtcp);
    } else if (master.profile == SrtpProfile::aead_aes_128_gcm) {
      srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp);
      srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp);
    } else {
      srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtp);
      srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtcp);
    }
    unsigned char key[kSrtpKeyBytesMax + kSrtpSaltBytesMax] = {};
    const uint32_t key_bytes = srtp_key_bytes(master.profile);
    std::memcpy(key, master.key, key_bytes);
    std::memcpy(key + key_bytes, master.salt, srtp_salt_bytes(master.profile));
    policy.key = key;
    policy.ssrc.type = ssrc_specific;
    policy.ssrc.value = ssrc_;
    policy.window_size = 2048;
    SPILLWAY_ASSERT(srtp_create(&session_, &policy) == srtp_err_status_ok);
  }
  ~LibsrtpOracle() { srtp_dealloc(session_); }
  LibsrtpOracle(const LibsrtpOracle&) = delete;
  LibsrtpOracle& operator=(const LibsrtpOracle&) = delete;

  void set_roc(uint32_t roc) {
    SPILLWAY_ASSERT(srtp_set_stream_roc(session_, ssrc_, roc) == srtp_err_status_ok);
  }

  // In place; empty = refused.
  std::vector<uint8_t> protect_rtp(std::vector<uint8_t> p) {
    return run(srtp_protect, std::move(p), SRTP_MAX_TRAILER_LEN);
  }
  std::vector<uint8_t> unprotect_rtp(std::vector<uint8_t> p) {
    return run(srtp_unprotect, std::move(p), 0);
  }
  std::vector<uint8_t> protect_rtcp(std::vector<uint8_t> p) {
    return run(srtp_protect_rtcp, std::move(p), SRTP_MAX_TRAILER_LEN + 4);
  }
  std::vector<uint8_t> unprotect_rtcp(std::vector<uint8_t> p) {
    return run(srtp_unprotect_rtcp, std::move(p), 0);
  }

 private:
  template <typename Call>
  std::vector<uint8_t> run(Call call, std::vector<uint8_t> p, size_t room) {
    int length = static_cast<int>(p.size());
    p.resize(p.size() + room);
    if (call(session_, p.data(), &length) != srtp_err_status_ok) return {};
    p.resize(static_cast<size_t>(length));
    return p;
  }

  srtp_t session_ = nullptr;
  uint32_t ssrc_;
};

}  // namespace spillway::srtp_test
