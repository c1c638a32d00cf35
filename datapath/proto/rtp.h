// RTP header (RFC 3550 §5.1, extension block §5.3.1): parse and write.
//
//    0                   1                   2                   3
//   |V=2|P|X|  CC   |M|     PT      |       sequence number         |
//   |                           timestamp                           |
//   |                             SSRC                              |
//   |                      CSRC, CC of them                         |
//   |      profile  (when X)        |    length in 32-bit words     |
//   |                      extension elements                       |
//   |                           payload ...                         |
//
// The header lies in clear text in SRTP, padding does not: parse_rtp_header works on
// the encrypted packet and leaves padding alone; rtp_payload_bytes looks at it once the
// packet is plaintext (threats A-14). Every count is checked against the bytes there
// are. Nothing allocates; any thread; spans are borrowed.
#pragma once

#include <cstdint>
#include <optional>

#include "datapath/base/bytes.h"
#include "datapath/base/units.h"

namespace spillway {

inline constexpr uint32_t kRtpFixedHeaderBytes = 12;
inline constexpr uint16_t kRtpOneByteProfile = 0xBEDE;  // RFC 8285 §4.2
inline constexpr uint16_t kRtpTwoByteProfile = 0x1000;  // RFC 8285 §4.3; low 4 bits "appbits"

struct RtpHeader {
  uint8_t pt = 0;              // 0..127
  bool marker = false;
  bool padding = false;        // P bit only: not yet validated
  bool has_extension = false;  // X bit
  uint8_t csrc_count = 0;      // 0..15
  uint16_t sequence = 0;
  RtpTime timestamp{};
  Ssrc ssrc{};
  uint16_t header_bytes = 0;       // fixed part, CSRCs and the whole extension block
  uint16_t extension_profile = 0;  // valid only if has_extension
  uint16_t extension_offset = 0;   // of the first element in the packet; 0 = none
  uint16_t extension_bytes = 0;    // of the elements, a multiple of 4, may be 0
};

// packet: an RTP or SRTP packet. nullopt: not version 2, or CSRCs or the extension
// block do not fit, or longer than 65535.
constexpr std::optional<RtpHeader> parse_rtp_header(Bytes packet) {
  if (packet.size() < kRtpFixedHeaderBytes || packet.size() > 0xffff) return std::nullopt;
  const uint8_t* p = packet.data();
  if (p[0] >> 6 != 2) return std::nullopt;
  RtpHeader h;
  h.padding = (p[0] & 0x20) != 0;
  h.csrc_count = p[0] & 0x0f;
  h.marker = (p[1] & 0x80) != 0;
  h.pt = p[1] & 0x7f;
  h.sequence = load_be16(p + 2);
  h.timestamp = RtpTime{load_be32(p + 4)};
  h.ssrc = Ssrc{load_be32(p + 8)};
  uint32_t at = kRtpFixedHeaderBytes + 4u * h.csrc_count;
  if (at > packet.size()) return std::nullopt;
  h.has_extension = (p[0] & 0x10) != 0;
  if (h.has_extension) {
    if (packet.size() - at < 4) return std::nullopt;
    h.extension_profile = load_be16(p + at);
    uint32_t bytes = 4u * load_be16(p + at + 2);
    at += 4;
    if (bytes > packet.size() - at) return std::nullopt;
    h.extension_offset = static_cast<uint16_t>(at);
    h.extension_bytes = static_cast<uint16_t>(bytes);
    at += bytes;
  }
  h.header_bytes = static_cast<uint16_t>(at);
  return h;
}

// plaintext: the whole decrypted packet `header` was parsed from (or one with the same
// header_bytes and tail). The length of the payload without padding; 0 for a packet
// of padding only. nullopt: P is set and the last byte is 0 or more than what
// follows the header (RFC 3550 §5.1, A-14).
constexpr std::optional<uint32_t> rtp_payload_bytes(const RtpHeader& header, Bytes plaintext) {
  if (plaintext.size() < header.header_bytes) return std::nullopt;
  auto bytes = static_cast<uint32_t>(plaintext.size() - header.header_bytes);
  if (!header.padding) return bytes;
  if (bytes == 0) return std::nullopt;
  uint8_t pad = plaintext[plaintext.size() - 1];
  if (pad == 0 || pad > bytes) return std::nullopt;
  return bytes - pad;
}

// The elements of the extension block; empty when there is none.
constexpr Bytes rtp_extension_block(const RtpHeader& header, Bytes packet) {
  if (!header.has_extension) return {};
  if (size_t{header.extension_offset} + header.extension_bytes > packet.size()) return {};
  return packet.subspan(header.extension_offset, header.extension_bytes);
}

// What write_rtp_header puts into the first 12 bytes; no CSRCs (we are no mixer).
struct RtpFixedHeader {
  uint8_t pt = 0;  // 0..127
  bool marker = false;
  bool padding = false;
  bool extension = false;  // an extension block follows (ExtensionWriter)
  uint16_t sequence = 0;
  RtpTime timestamp{};
  Ssrc ssrc{};
};

// out: at least kRtpFixedHeaderBytes, else false and nothing is written.
constexpr bool write_rtp_header(MutableBytes out, const RtpFixedHeader& h) {
  if (out.size() < kRtpFixedHeaderBytes) return false;
  out[0] = static_cast<uint8_t>(0x80 | (h.padding ? 0x20 : 0) | (h.extension ? 0x10 : 0));
  out[1] = static_cast<uint8_t>((h.marker ? 0x80 : 0) | (h.pt & 0x7f));
  store_be16(&out[2], h.sequence);
  store_be32(&out[4], value(h.timestamp));
  store_be32(&out[8], value(h.ssrc));
  return true;
}

}  // namespace spillway
