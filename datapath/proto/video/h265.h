// H.265 RTP payloads (RFC 7798): a walk over the NAL units one packet starts.
//
//   |F| type 6 | layer id 6 | TID+1 3 |   48 aggregation (AP), 49 fragment (FU); PACI (50)
//   holds none here. Without DONL fields: sprop-max-don-diff is 0 in WebRTC.
// Nothing allocates; any thread.
#pragma once

#include <cstdint>

#include "datapath/base/bytes.h"

namespace spillway {

inline constexpr uint8_t kH265FirstIrap = 16;  // BLA 16..18, IDR 19..20, CRA 21
inline constexpr uint8_t kH265LastIrap = 21;
inline constexpr uint8_t kH265LastSlice = 31;
inline constexpr uint8_t kH265Vps = 32;
inline constexpr uint8_t kH265Sps = 33;
inline constexpr uint8_t kH265Pps = 34;
inline constexpr uint8_t kH265Delimiter = 35;
inline constexpr uint8_t kH265PrefixSei = 39;
inline constexpr uint8_t kH265Ap = 48;
inline constexpr uint8_t kH265Fu = 49;

// Calls f(uint8_t type, Bytes body) for each NAL unit that begins in this packet; body is
// what follows the two-byte NAL header (for FU: what this fragment has of it).
// False: a length inside reached past the end; units before it were reported.
template <typename F>
constexpr bool for_each_h265_nal(Bytes payload, F&& f) {
  if (payload.size() < 2) return false;
  auto type = static_cast<uint8_t>(payload[0] >> 1 & 0x3f);
  if (type < kH265Ap) {
    f(type, payload.subspan(2));
    return true;
  }
  if (type == kH265Ap) {
    Reader r(payload.subspan(2));
    while (r.left() > 0) {
      Bytes nal = r.bytes(r.be16());
      if (r.bad() || nal.size() < 2) return false;
      f(static_cast<uint8_t>(nal[0] >> 1 & 0x3f), nal.subspan(2));
    }
    return true;
  }
  if (type == kH265Fu) {
    if (payload.size() < 3) return false;
    if (payload[2] & 0x80) f(static_cast<uint8_t>(payload[2] & 0x3f), payload.subspan(3));
    return true;
  }
  return false;
}

// True for a fragment that is not the last of its NAL unit.
constexpr bool h265_fragment_goes_on(Bytes payload) {
  return payload.size() >= 3 && (payload[0] >> 1 & 0x3f) == kH265Fu && !(payload[2] & 0x40);
}

}  // namespace spillway
