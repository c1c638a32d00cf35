// Derivation of SRTP session keys (RFC 3711 §4.3, kdr 0; RFC 7714 §11).
//
// Owns two cipher contexts, allocated by create(); derive() allocates nothing. One
// thread. The contexts keep no key after derive() returns.
#pragma once

#include <memory>

#include <openssl/evp.h>

#include "datapath/srtp/srtp_engine.h"

namespace spillway {

struct EvpCipherFree {
  void operator()(EVP_CIPHER_CTX* c) const { EVP_CIPHER_CTX_free(c); }
};
using EvpCipher = std::unique_ptr<EVP_CIPHER_CTX, EvpCipherFree>;

// A context bound to a cipher and a direction, without a key; nullptr on failure.
EvpCipher make_cipher(const EVP_CIPHER* cipher, bool encrypt);

class SrtpEngine::KeyDerivation {
 public:
  static std::unique_ptr<KeyDerivation> create();  // nullptr: OpenSSL refused

  bool derive(const SrtpMasterKey& master, SrtpStreamKind kind, SrtpSessionKey& out);

 private:
  KeyDerivation(EvpCipher ctr_128, EvpCipher ctr_256)
      : ctr_128_(std::move(ctr_128)), ctr_256_(std::move(ctr_256)) {}

  EvpCipher ctr_128_, ctr_256_;
};

}  // namespace spillway
