// HMAC-SHA1 (RFC 2104) without allocation, and with the key's two blocks done once.
//
// For STUN's MESSAGE-INTEGRITY and for ICE credentials. On OpenSSL's SHA1 block
// functions, because its EVP and HMAC interfaces allocate per use. An HmacSha1Key is
// 40 bytes of key material: keep it where keys may lie. Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>

#include "datapath/base/bytes.h"

namespace spillway {

inline constexpr uint32_t kSha1Bytes = 20;
using Sha1Digest = std::array<uint8_t, kSha1Bytes>;

class HmacSha1Key {
 public:
  // key: any length (over 64 bytes it is hashed first). Costs two SHA-1 blocks.
  explicit HmacSha1Key(Bytes key);

  // HMAC of the parts one after another. Costs their blocks plus one.
  Sha1Digest operator()(std::initializer_list<Bytes> parts) const;

 private:
  std::array<uint32_t, 5> inner_;  // SHA-1 state after key ^ ipad
  std::array<uint32_t, 5> outer_;  // after key ^ opad
};

// Compares in time that depends on the length only. False when lengths differ.
bool equal_constant_time(Bytes a, Bytes b);

}  // namespace spillway
