#include "datapath/srtp/hmac_sha1.h"

#include <cstring>

// EVP_MAC allocates whenever it starts over from a key, and takes a fifth longer
// (README.md); the functions below are deprecated but not going away while EVP's
// own SHA-1 is made of them.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/crypto.h>
#include <openssl/sha.h>

namespace spillway {
namespace {

constexpr uint32_t kBlockBytes = 64;

void start(SHA_CTX& sha, const uint32_t (&chain)[5]) {
  SHA1_Init(&sha);
  sha.h0 = chain[0];
  sha.h1 = chain[1];
  sha.h2 = chain[2];
  sha.h3 = chain[3];
  sha.h4 = chain[4];
  sha.Nl = kBlockBytes * 8;
}

void pad_state(const uint8_t (&key)[kHmacSha1Bytes], uint8_t pad, uint32_t (&chain)[5]) {
  uint8_t block[kBlockBytes];
  std::memset(block, pad, sizeof block);
  for (uint32_t i = 0; i < kHmacSha1Bytes; ++i) block[i] = static_cast<uint8_t>(key[i] ^ pad);
  SHA_CTX sha;
  SHA1_Init(&sha);
  SHA1_Update(&sha, block, sizeof block);
  const uint32_t h[5] = {sha.h0, sha.h1, sha.h2, sha.h3, sha.h4};
  std::memcpy(chain, h, sizeof h);
  explicit_bzero(block, sizeof block);
}

}  // namespace

void hmac_sha1_pads(const uint8_t (&key)[kHmacSha1Bytes], uint32_t (&inner)[5],
                    uint32_t (&outer)[5]) {
  pad_state(key, 0x36, inner);
  pad_state(key, 0x5c, outer);
}

void hmac_sha1(const SrtpKeys& keys, Bytes a, Bytes b, uint8_t (&mac)[kHmacSha1Bytes]) {
  SHA_CTX sha;
  start(sha, keys.hmac_inner);
  SHA1_Update(&sha, a.data(), a.size());
  SHA1_Update(&sha, b.data(), b.size());
  SHA1_Final(mac, &sha);
  start(sha, keys.hmac_outer);
  SHA1_Update(&sha, mac, sizeof mac);
  SHA1_Final(mac, &sha);
}

}  // namespace spillway
