// AV1 RTP payloads (RTP Payload Format For AV1 §4): aggregation header, OBU walk.
//
//   |Z|Y|W W|N|- - -|  Z: first OBU element continues one of the packet before
//                      Y: the last continues in the next packet
//                      W: 1..3 elements, the last without a length; 0: all have one
//                      N: first packet of a coded video sequence
// Nothing allocates; any thread.
#pragma once

#include <cstdint>
#include <optional>

#include "datapath/base/bytes.h"

namespace spillway {

struct Av1Aggregation {
  bool continues_previous = false;  // Z
  bool continues_in_next = false;   // Y
  uint8_t element_count = 0;        // W; 0 = not said
  bool new_sequence = false;        // N
};

// nullopt: empty, or N together with Z (forbidden, §4.4).
constexpr std::optional<Av1Aggregation> parse_av1_aggregation(Bytes payload) {
  if (payload.empty()) return std::nullopt;
  uint8_t b = payload[0];
  Av1Aggregation a{(b & 0x80) != 0, (b & 0x40) != 0, static_cast<uint8_t>(b >> 4 & 3),
                   (b & 0x08) != 0};
  if (a.new_sequence && a.continues_previous) return std::nullopt;
  return a;
}

// leb128() of the AV1 specification §4.10.5, at most 32 bits of value in 8 bytes.
constexpr std::optional<uint32_t> read_leb128(Reader& r) {
  uint64_t v = 0;
  for (uint32_t i = 0; i < 8; ++i) {
    uint8_t b = r.u8();
    if (r.bad()) return std::nullopt;
    v |= static_cast<uint64_t>(b & 0x7f) << (7 * i);
    if (!(b & 0x80)) {
      if (v > UINT32_MAX) return std::nullopt;
      return static_cast<uint32_t>(v);
    }
  }
  return std::nullopt;
}

// Calls f(Bytes element, bool starts) for each OBU element; starts is false only for the
// continuation of an earlier one. False: a length reached past the end or W promised
// more elements; those before it were reported.
template <typename F>
constexpr bool for_each_av1_element(Bytes payload, F&& f) {
  auto a = parse_av1_aggregation(payload);
  if (!a) return false;
  Reader r(payload.subspan(1));
  uint32_t n = 0;
  while (r.left() > 0) {
    ++n;
    Bytes element;
    if (a->element_count != 0 && n == a->element_count) {
      element = r.rest();
    } else {
      auto bytes = read_leb128(r);
      if (!bytes) return false;
      element = r.bytes(*bytes);
      if (r.bad()) return false;
    }
    f(element, n > 1 || !a->continues_previous);
  }
  return n >= a->element_count;
}

inline constexpr uint8_t kAv1SequenceHeader = 1;
inline constexpr uint8_t kAv1FrameHeader = 3;
inline constexpr uint8_t kAv1Frame = 6;

// OBU header (AV1 specification §5.3.2).
struct Av1ObuHeader {
  uint8_t type = 0;         // 0..15
  bool has_extension = false;
  bool has_size = false;
  uint8_t temporal_id = 0;  // 0..7, valid when has_extension
  uint8_t spatial_id = 0;   // 0..3
  uint8_t bytes = 0;        // 1 or 2
};
// nullopt: cut off, or the forbidden bit is set.
constexpr std::optional<Av1ObuHeader> parse_av1_obu_header(Bytes obu) {
  if (obu.empty() || (obu[0] & 0x80)) return std::nullopt;
  Av1ObuHeader h;
  h.type = obu[0] >> 3 & 0x0f;
  h.has_extension = (obu[0] & 0x04) != 0;
  h.has_size = (obu[0] & 0x02) != 0;
  h.bytes = h.has_extension ? 2 : 1;
  if (obu.size() < h.bytes) return std::nullopt;
  if (h.has_extension) {
    h.temporal_id = obu[1] >> 5;
    h.spatial_id = obu[1] >> 3 & 3;
  }
  return h;
}

}  // namespace spillway
