#include "datapath/srtp/key_derivation.h"

#include <cstring>

namespace spillway {
namespace {

// RFC 3711 §4.3.2: labels of the RTP keys; those of RTCP are 3 higher.
enum Label : uint8_t { kLabelKey = 0, kLabelAuth = 1, kLabelSalt = 2, kLabelRtcp = 3 };

// The first `bytes` of the key stream for one label. key_id = label << 48 with kdr
// 0, so only byte 7 of the 14-byte salt changes (a 12-byte salt of RFC 7714 is
// padded with zeros on the right).
bool key_stream(EVP_CIPHER_CTX* ctr, const SrtpMasterKey& master, uint8_t label, uint8_t* out,
                uint32_t bytes) {
  uint8_t iv[16] = {};
  std::memcpy(iv, master.salt, srtp_salt_bytes(master.profile));
  iv[7] = static_cast<uint8_t>(iv[7] ^ label);
  uint8_t zeros[kSrtpKeyBytesMax] = {};
  int written = 0;
  return EVP_EncryptInit_ex(ctr, nullptr, nullptr, master.key, iv) == 1 &&
         EVP_EncryptUpdate(ctr, out, &written, zeros, static_cast<int>(bytes)) == 1 &&
         written == static_cast<int>(bytes);
}

}  // namespace

EvpCipher make_cipher(const EVP_CIPHER* cipher, bool encrypt) {
  EvpCipher ctx(EVP_CIPHER_CTX_new());
  if (!ctx || EVP_CipherInit_ex(ctx.get(), cipher, nullptr, nullptr, nullptr, encrypt ? 1 : 0) != 1)
    return nullptr;
  return ctx;
}

std::unique_ptr<SrtpEngine::KeyDerivation> SrtpEngine::KeyDerivation::create() {
  EvpCipher ctr_128 = make_cipher(EVP_aes_128_ctr(), true);
  EvpCipher ctr_256 = make_cipher(EVP_aes_256_ctr(), true);
  if (!ctr_128 || !ctr_256) return nullptr;
  return std::unique_ptr<KeyDerivation>(new KeyDerivation(std::move(ctr_128), std::move(ctr_256)));
}

bool SrtpEngine::KeyDerivation::derive(const SrtpMasterKey& master, SrtpStreamKind kind,
                                       SrtpSessionKey& out) {
  out = {};
  const uint32_t key_bytes = srtp_key_bytes(master.profile);
  if (key_bytes == 0) return false;
  const uint8_t base = kind == SrtpStreamKind::rtcp ? kLabelRtcp : 0;
  EVP_CIPHER_CTX* ctr = key_bytes == 32 ? ctr_256_.get() : ctr_128_.get();
  bool ok = key_stream(ctr, master, static_cast<uint8_t>(base + kLabelKey), out.key, key_bytes) &&
            key_stream(ctr, master, static_cast<uint8_t>(base + kLabelSalt), out.salt,
                       srtp_salt_bytes(master.profile));
  if (ok && !srtp_is_gcm(master.profile))
    ok =
        key_stream(ctr, master, static_cast<uint8_t>(base + kLabelAuth), out.auth, sizeof out.auth);
  // Forget the master key: the context would hold its round keys until the next one.
  const uint8_t zeros[kSrtpKeyBytesMax] = {};
  ok = EVP_EncryptInit_ex(ctr, nullptr, nullptr, zeros, zeros) == 1 && ok;
  if (ok)
    out.profile = master.profile;
  else
    out.wipe();
  return ok;
}

}  // namespace spillway
