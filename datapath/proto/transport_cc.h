// Transport-wide congestion control feedback
// (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1): build and parse.
//
//   | base sequence 16 | packet status count 16 |
//   | reference time 24, signed, 64 ms | feedback packet count 8 |
//   | packet chunks, 16 bits each ...      run length, or vector of 14 or 7 symbols
//   | receive deltas, 8 or 16 bits, 250 us ...
//
// Times are ticks of 250 us on any clock of the receiver. Nothing allocates; bounded by
// kMaxTransportCcStatuses (threats A-20); any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "datapath/base/bytes.h"
#include "datapath/base/units.h"

namespace spillway {

inline constexpr int64_t kTransportCcTickNs = 250'000;
inline constexpr int64_t kTransportCcLost = INT64_MIN;
// Statuses of one packet: more than a second of 4000 packets/s. Lower splits feedback
// needlessly; higher lets 20 bytes of input make a reader loop 65535 times.
inline constexpr uint32_t kMaxTransportCcStatuses = 4096;

// arrival_ticks[i]: when sequence base + i arrived, kTransportCcLost = it did not.
// Appends one RTCP packet (padded, P bit set when needed: put it last in a compound). Gives
// how many statuses it covers: fewer than asked when the room ends or a delta exceeds
// 16 bits; the caller goes on from there with the next packet. 0: nothing written
// (none arrived, or not even one status fits).
uint32_t write_transport_cc(Writer& w, Ssrc sender, Ssrc media, uint16_t base,
                            std::span<const int64_t> arrival_ticks, uint8_t feedback_count);

struct TransportCcFeedback {
  uint16_t base = 0;
  uint16_t status_count = 0;    // 1..kMaxTransportCcStatuses
  int32_t reference_time = 0;   // 64 ms, signed 24 bits: wraps every 12 days
  uint8_t feedback_count = 0;
  Bytes chunks;
  Bytes deltas;
};

// fci of a transport_feedback with format kRtcpTransportCc. nullopt: cut off, count 0 or
// above the bound, a reserved symbol (0b11), or fewer deltas than the symbols need. After
// this for_each_transport_cc cannot fail.
std::optional<TransportCcFeedback> parse_transport_cc(Bytes fci);

namespace transport_cc {
enum class Symbol : uint8_t { lost = 0, small = 1, large = 2, reserved = 3 };
// The symbol at position i (0..) of a chunk, and how many a chunk holds.
constexpr uint32_t chunk_symbols(uint16_t chunk) {
  if (!(chunk & 0x8000)) return chunk & 0x1fffu;
  return chunk & 0x4000 ? 7 : 14;
}
constexpr Symbol chunk_symbol(uint16_t chunk, uint32_t i) {
  if (!(chunk & 0x8000)) return static_cast<Symbol>(chunk >> 13 & 3);
  if (chunk & 0x4000) return static_cast<Symbol>(chunk >> (12 - 2 * i) & 3);
  return static_cast<Symbol>(chunk >> (13 - i) & 1);
}
}  // namespace transport_cc

// Calls f(uint16_t sequence, int64_t ticks) in order; ticks = kTransportCcLost, or the
// arrival relative to the sender of feedback's clock (reference_time * 256 + deltas).
template <typename F>
constexpr void for_each_transport_cc(const TransportCcFeedback& fb, F&& f) {
  Reader chunks(fb.chunks), deltas(fb.deltas);
  int64_t ticks = int64_t{fb.reference_time} * 256;
  uint32_t done = 0;
  while (done < fb.status_count && !chunks.bad()) {
    uint16_t chunk = chunks.be16();
    uint32_t n = transport_cc::chunk_symbols(chunk);
    for (uint32_t i = 0; i < n && done < fb.status_count; ++i, ++done) {
      int64_t at = kTransportCcLost;
      switch (transport_cc::chunk_symbol(chunk, i)) {
        case transport_cc::Symbol::small: at = ticks += deltas.u8(); break;
        case transport_cc::Symbol::large: at = ticks += static_cast<int16_t>(deltas.be16()); break;
        default: break;
      }
      f(static_cast<uint16_t>(fb.base + done), at);
    }
  }
}

}  // namespace spillway
