// Initialisation vectors of SRTP and SRTCP, from the padded session salt.
//
//   CM   16 bytes   salt14 . 0000  xor  0000 . SSRC . index48 . 0000   RFC 3711 §4.1.1
//                                       ^ 4 bytes
//   GCM  12 bytes   salt12         xor  00 00 . SSRC . index48         RFC 7714 §8.1, §9.1
//
// The 31-bit SRTCP index is the same field with leading zeros.
#pragma once

#include <cstdint>
#include <cstring>

#include "datapath/base/bytes.h"
#include "datapath/base/units.h"

namespace spillway {

namespace iv_detail {
inline void fill(const uint8_t (&salt)[16], Ssrc ssrc, uint64_t index, size_t ssrc_at,
                 uint8_t (&iv)[16]) {
  uint8_t field[16] = {};
  store_be32(field + ssrc_at, value(ssrc));
  store_be16(field + ssrc_at + 4, static_cast<uint16_t>(index >> 32));
  store_be32(field + ssrc_at + 6, static_cast<uint32_t>(index));
  for (size_t i = 0; i < sizeof iv; ++i) iv[i] = static_cast<uint8_t>(salt[i] ^ field[i]);
}
}  // namespace iv_detail

inline void cm_vector(const uint8_t (&salt)[16], Ssrc ssrc, uint64_t index, uint8_t (&iv)[16]) {
  iv_detail::fill(salt, ssrc, index, 4, iv);
}
// 12 bytes count; 16 are written.
inline void gcm_vector(const uint8_t (&salt)[16], Ssrc ssrc, uint64_t index, uint8_t (&iv)[16]) {
  iv_detail::fill(salt, ssrc, index, 2, iv);
}

// The first `kRtcpFixedHeaderBytes` and E|index: what GCM authenticates of an
// encrypted SRTCP packet (RFC 7714 §9.2).
inline void gcm_rtcp_aad(const uint8_t* packet, uint32_t index, uint8_t (&aad)[12]) {
  std::memcpy(aad, packet, 8);
  store_be32(aad + 8, uint32_t{1} << 31 | index);
}

}  // namespace spillway
