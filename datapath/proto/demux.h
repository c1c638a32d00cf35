// Sorting of datagrams on the one media port by their first bytes.
//
// RFC 7983 §7 as updated by RFC 9443, RTCP told from RTP by RFC 5761 §4:
//
//   first byte   0..3    STUN
//               20..63   DTLS
//              128..191  RTP, or RTCP when the second byte is 192..223
//               others   drop (ZRTP 16..19, TURN channels 64..79, QUIC, unassigned)
//
// Says nothing about validity: the parsers do. Pure; any thread.
#pragma once

#include <cstdint>

#include "datapath/base/bytes.h"

namespace spillway {

enum class PacketClass : uint8_t { stun, dtls, rtp, rtcp, drop };

// packet: any length; an empty one, or a media packet of a single byte, is `drop`.
constexpr PacketClass classify(Bytes packet) {
  if (packet.empty()) return PacketClass::drop;
  uint8_t first = packet[0];
  if (first >= 128 && first <= 191) {
    if (packet.size() < 2) return PacketClass::drop;
    return packet[1] >= 192 && packet[1] <= 223 ? PacketClass::rtcp : PacketClass::rtp;
  }
  if (first <= 3) return PacketClass::stun;
  if (first >= 20 && first <= 63) return PacketClass::dtls;
  return PacketClass::drop;
}

}  // namespace spillway
