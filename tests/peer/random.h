// Unpredictable numbers and text from OpenSSL, for what goes on the wire.
#pragma once

#include <openssl/rand.h>

#include <cstdint>
#include <string>

#include "datapath/base/assert.h"
#include "datapath/base/bytes.h"

namespace spillway::peer {

inline void random_bytes(MutableBytes out) {
  SPILLWAY_ASSERT(RAND_bytes(out.data(), static_cast<int>(out.size())) == 1);
}
inline uint32_t random_u32() {
  uint8_t b[4];
  random_bytes(b);
  return load_be32(b);
}
inline uint64_t random_u64() {
  uint8_t b[8];
  random_bytes(b);
  return load_be64(b);
}
// An SSRC: never 0.
inline uint32_t random_ssrc() { return random_u32() | 1u; }
// ice-chars (RFC 8839 §5.4), 6 bit each.
inline std::string random_token(size_t chars) {
  static constexpr char kAlphabet[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out(chars, 'A');
  for (char& c : out) c = kAlphabet[random_u32() & 63];
  return out;
}

}  // namespace spillway::peer
