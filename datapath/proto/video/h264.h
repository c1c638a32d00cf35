// H.264 RTP payloads (RFC 6184): a walk over the NAL units one packet starts.
//
//   | F |NRI| type |   1..23 single NAL unit, 24 STAP-A, 28 FU-A; others are not
//                    negotiable in WebRTC (packetization-mode 0 and 1) and hold none
// Nothing allocates; any thread.
#pragma once

#include <cstdint>

#include "datapath/base/bytes.h"

namespace spillway {

inline constexpr uint8_t kH264SliceNonIdr = 1;
inline constexpr uint8_t kH264SliceIdr = 5;
inline constexpr uint8_t kH264Sei = 6;
inline constexpr uint8_t kH264Sps = 7;
inline constexpr uint8_t kH264Pps = 8;
inline constexpr uint8_t kH264Delimiter = 9;
inline constexpr uint8_t kH264StapA = 24;
inline constexpr uint8_t kH264FuA = 28;

// Calls f(uint8_t type, Bytes body) for each NAL unit that begins in this packet; body is
// what follows the one-byte NAL header (for FU-A: what this fragment has of it).
// False: a length inside reached past the end; units before it were reported.
template <typename F>
constexpr bool for_each_h264_nal(Bytes payload, F&& f) {
  if (payload.empty()) return false;
  auto type = static_cast<uint8_t>(payload[0] & 0x1f);
  if (type >= 1 && type <= 23) {
    f(type, payload.subspan(1));
    return true;
  }
  if (type == kH264StapA) {
    Reader r(payload.subspan(1));
    while (r.left() > 0) {
      Bytes nal = r.bytes(r.be16());
      if (r.bad() || nal.empty()) return false;
      f(static_cast<uint8_t>(nal[0] & 0x1f), nal.subspan(1));
    }
    return true;
  }
  if (type == kH264FuA) {
    if (payload.size() < 2) return false;
    if (payload[1] & 0x80) f(static_cast<uint8_t>(payload[1] & 0x1f), payload.subspan(2));
    return true;
  }
  return false;
}

// True for a fragment that is not the last of its NAL unit.
constexpr bool h264_fragment_goes_on(Bytes payload) {
  return payload.size() >= 2 && (payload[0] & 0x1f) == kH264FuA && !(payload[1] & 0x40);
}

}  // namespace spillway
