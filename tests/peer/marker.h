// The mark a synthetic packet carries, so that a viewer knows which payload it got,
// whether it is intact, and how long it was under way. Big-endian, 32 bytes:
//
//   | "SPMK" 32 | source 32 | frame 32 | packet 16 | packets of the frame 16 |
//   | send time, CLOCK_MONOTONIC ns, 64 | hash of the bytes behind, low 32 | layer 8 | flags 8 | bytes 16 |
//
// It stands behind the VP8 payload descriptor and, in a frame's first packet, behind the
// VP8 frame header: servers may rewrite the descriptor, never what follows.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>

#include "datapath/base/bytes.h"
#include "datapath/base/units.h"
#include "datapath/proto/video/vp8.h"

namespace spillway::peer {

inline constexpr uint32_t kMarkerMagic = 0x53504d4b;
inline constexpr uint32_t kMarkerBytes = 32;
inline constexpr uint32_t kVp8KeyHeaderBytes = 10;  // RFC 6386 §9.1
inline constexpr uint32_t kVp8InterHeaderBytes = 3;

struct Marker {
  uint32_t source = 0;
  uint32_t frame = 0;
  uint16_t packet = 0;   // 0 .. packets - 1
  uint16_t packets = 1;  // of this frame
  Nanos sent{};
  uint8_t layer = 0;
  bool key = false;
};

// A quick 64-bit hash for equality, not for secrets.
inline uint64_t hash_bytes(Bytes data, uint64_t seed = 0) {
  constexpr uint64_t kOdd = 0x9e3779b97f4a7c15;
  uint64_t h = (seed ^ data.size()) * kOdd + 1;
  size_t at = 0;
  for (; at + 8 <= data.size(); at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, &data[at], 8);
    h = (h ^ word) * kOdd;
    h ^= h >> 29;
  }
  for (; at < data.size(); ++at) h = (h ^ data[at]) * kOdd;
  return h ^ h >> 32;
}

// at: where the marker goes; what follows it in `packet` must be final.
inline void write_marker(MutableBytes packet, size_t at, const Marker& m) {
  Writer w(packet.subspan(at, kMarkerBytes));
  w.be32(kMarkerMagic);
  w.be32(m.source);
  w.be32(m.frame);
  w.be16(m.packet);
  w.be16(m.packets);
  w.be64(static_cast<uint64_t>(m.sent.ns));
  w.be32(static_cast<uint32_t>(hash_bytes(packet.subspan(at + kMarkerBytes))));
  w.u8(m.layer);
  w.u8(m.key ? 1 : 0);
  w.be16(static_cast<uint16_t>(packet.size() - at));
}

struct MarkedPayload {
  Marker marker;
  Bytes content;       // marker and fill: what must be the same for every viewer
  bool intact = false; // length and hash are right
};

// Of a VP8 RTP payload; nullopt: not marked.
inline std::optional<MarkedPayload> find_marker(Bytes payload) {
  const auto d = parse_vp8(payload);
  if (!d) return std::nullopt;
  size_t at = d->bytes;
  if (d->partition_start && d->partition == 0) {
    if (payload.size() <= at) return std::nullopt;
    at += payload[at] & 1 ? kVp8InterHeaderBytes : kVp8KeyHeaderBytes;
  }
  if (payload.size() < at + kMarkerBytes || load_be32(&payload[at]) != kMarkerMagic)
    return std::nullopt;
  Reader r(payload.subspan(at + 4));
  MarkedPayload out;
  out.marker.source = r.be32();
  out.marker.frame = r.be32();
  out.marker.packet = r.be16();
  out.marker.packets = r.be16();
  out.marker.sent = {static_cast<int64_t>(r.be64())};
  const uint32_t hash = r.be32();
  out.marker.layer = r.u8();
  out.marker.key = (r.u8() & 1) != 0;
  const uint16_t bytes = r.be16();
  out.content = payload.subspan(at);
  out.intact = bytes == out.content.size() &&
               hash == static_cast<uint32_t>(hash_bytes(out.content.subspan(kMarkerBytes)));
  return out;
}

}  // namespace spillway::peer
