// Sizes and limits of the SRTP protection profiles, and the one length check
// that stands before every authentication (RFC 3711, RFC 5764 §4.1.2, RFC 7714).
//
//   SRTP    | RTP header (+CSRC, extension) | payload ~encrypted~ | tag |
//   SRTCP   | 8 bytes | rest ~encrypted~ | E|index 4 | tag 10 |       (CM + HMAC)
//           | 8 bytes | rest ~encrypted~ | tag 16 | E|index 4 |       (GCM)
//
// No MKI, key derivation rate 0. All functions are pure and total: an unknown
// profile gives 0 or false.
#pragma once

#include <cstddef>
#include <cstdint>

#include "datapath/base/bytes.h"
#include "datapath/base/limits.h"
#include "datapath/base/media.h"
#include "datapath/proto/rtp.h"  // kRtpFixedHeaderBytes

namespace spillway {

enum class SrtpStreamKind : uint8_t { rtp = 0, rtcp = 1 };

// Key life (RFC 3711 §9.2, RFC 7714 §8.3): an index at or past these is refused,
// in both directions. RTP index = ROC << 16 | SEQ.
inline constexpr uint64_t kSrtpIndexLimit = uint64_t{1} << 48;
inline constexpr uint32_t kSrtcpIndexLimit = uint32_t{1} << 31;

inline constexpr uint32_t kRtcpFixedHeaderBytes = 8;  // the part SRTCP leaves clear
inline constexpr uint32_t kSrtcpIndexBytes = 4;       // E | 31-bit index

constexpr bool srtp_is_gcm(SrtpProfile p) {
  return p == SrtpProfile::aead_aes_128_gcm || p == SrtpProfile::aead_aes_256_gcm;
}
constexpr uint32_t srtp_tag_bytes(SrtpProfile p) {
  if (p == SrtpProfile::aes128_cm_hmac_sha1_80) return 10;
  return srtp_is_gcm(p) ? 16 : 0;
}
// Master (and session) cipher key bytes: 16 or 32.
constexpr uint32_t srtp_key_bytes(SrtpProfile p) {
  if (p == SrtpProfile::aead_aes_256_gcm) return 32;
  return srtp_tag_bytes(p) != 0 ? 16 : 0;
}
// Master (and session) salt bytes: 14 (RFC 3711) or 12 (RFC 7714 §12).
constexpr uint32_t srtp_salt_bytes(SrtpProfile p) {
  if (p == SrtpProfile::aes128_cm_hmac_sha1_80) return 14;
  return srtp_is_gcm(p) ? 12 : 0;
}
// What protection adds behind an RTP packet.
constexpr uint32_t srtp_trailer_bytes(SrtpProfile p) {
  return srtp_tag_bytes(p);
}
// What protection adds behind a compound RTCP packet.
constexpr uint32_t srtcp_trailer_bytes(SrtpProfile p) {
  return srtp_tag_bytes(p) != 0 ? srtp_tag_bytes(p) + kSrtcpIndexBytes : 0;
}

// Threats A-13: the only place where the length of a protected packet is judged,
// before anything is subtracted from it. header_bytes: for RTP the length of
// fixed header + CSRC + extension as parsed from this very packet; ignored for
// RTCP (always 8 clear bytes).
constexpr bool check_srtp_length(SrtpProfile profile, SrtpStreamKind kind, size_t packet_bytes,
                                 size_t header_bytes) {
  if (srtp_tag_bytes(profile) == 0 || packet_bytes > kMaxDatagramBytes) return false;
  if (kind == SrtpStreamKind::rtcp)
    return packet_bytes >= kRtcpFixedHeaderBytes + srtcp_trailer_bytes(profile);
  return header_bytes >= kRtpFixedHeaderBytes && header_bytes <= packet_bytes &&
         packet_bytes - header_bytes >= srtp_trailer_bytes(profile);
}

// The index a protected RTCP packet claims, for the replay check before the
// authentication; nothing to believe yet. 0 when the packet is too short.
constexpr uint32_t peek_srtcp_index(SrtpProfile profile, Bytes packet) {
  if (!check_srtp_length(profile, SrtpStreamKind::rtcp, packet.size(), 0)) return 0;
  const size_t behind = kSrtcpIndexBytes + (srtp_is_gcm(profile) ? 0 : srtp_tag_bytes(profile));
  return load_be32(packet.data() + packet.size() - behind) & (kSrtcpIndexLimit - 1);
}

static_assert(srtp_trailer_bytes(SrtpProfile::aead_aes_256_gcm) <= kMaxSrtpTrailerBytes);
static_assert(srtcp_trailer_bytes(SrtpProfile::aead_aes_256_gcm) <= kMaxSrtcpTrailerBytes);

}  // namespace spillway
