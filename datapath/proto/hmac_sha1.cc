// The SHA1_* functions are deprecated in favour of EVP, which allocates; they are kept
// in OpenSSL 3 and are what EVP calls itself.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "datapath/proto/hmac_sha1.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <cstring>

namespace spillway {
namespace {

constexpr size_t kBlock = SHA_CBLOCK;

std::array<uint32_t, 5> state_of(const SHA_CTX& c) { return {c.h0, c.h1, c.h2, c.h3, c.h4}; }

// A context that has already taken in one block.
SHA_CTX resume(const std::array<uint32_t, 5>& s) {
  SHA_CTX c;
  std::memset(&c, 0, sizeof c);
  c.h0 = s[0];
  c.h1 = s[1];
  c.h2 = s[2];
  c.h3 = s[3];
  c.h4 = s[4];
  c.Nl = kBlock * 8;
  return c;
}

}  // namespace

HmacSha1Key::HmacSha1Key(Bytes key) {
  std::array<uint8_t, kBlock> block{};
  if (key.size() > kBlock)
    SHA1(key.data(), key.size(), block.data());
  else if (!key.empty())
    std::memcpy(block.data(), key.data(), key.size());
  SHA_CTX c;
  for (uint8_t& b : block) b ^= 0x36;
  SHA1_Init(&c);
  SHA1_Transform(&c, block.data());
  inner_ = state_of(c);
  for (uint8_t& b : block) b ^= 0x36 ^ 0x5c;
  SHA1_Init(&c);
  SHA1_Transform(&c, block.data());
  outer_ = state_of(c);
  OPENSSL_cleanse(block.data(), block.size());
}

Sha1Digest HmacSha1Key::operator()(std::initializer_list<Bytes> parts) const {
  Sha1Digest out;
  SHA_CTX c = resume(inner_);
  for (Bytes part : parts)
    if (!part.empty()) SHA1_Update(&c, part.data(), part.size());
  SHA1_Final(out.data(), &c);
  c = resume(outer_);
  SHA1_Update(&c, out.data(), out.size());
  SHA1_Final(out.data(), &c);
  return out;
}

bool equal_constant_time(Bytes a, Bytes b) {
  return a.size() == b.size() && (a.empty() || CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0);
}

}  // namespace spillway
