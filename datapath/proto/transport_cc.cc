#include "datapath/proto/transport_cc.h"

#include <algorithm>
#include <array>

#include "datapath/proto/rtcp.h"

namespace spillway {
namespace {

using transport_cc::Symbol;

// RTCP header, two SSRCs, and the four fields before the chunks.
constexpr uint32_t kFixedBytes = 4 + 8 + 8;
constexpr uint32_t kRunMax = 0x1fff;

struct Status {
  Symbol symbol;
  int16_t delta;
};

constexpr uint32_t delta_bytes(Symbol s) { return static_cast<uint32_t>(s); }

// One chunk over the front of `left`: how many statuses it takes and what it is. `last`
// chunks may promise more symbols than there are statuses (the count tells).
struct Chunk {
  uint32_t count;
  uint16_t bits;
};

Chunk run_chunk(Symbol symbol, uint32_t count) {
  return {count, static_cast<uint16_t>(static_cast<uint32_t>(symbol) << 13 | count)};
}

Chunk one_bit_chunk(std::span<const Status> s) {
  uint32_t bits = 0x8000;
  for (uint32_t i = 0; i < s.size(); ++i) bits |= static_cast<uint32_t>(s[i].symbol) << (13 - i);
  return {static_cast<uint32_t>(s.size()), static_cast<uint16_t>(bits)};
}

Chunk two_bit_chunk(std::span<const Status> s) {
  uint32_t bits = 0xc000;
  for (uint32_t i = 0; i < s.size(); ++i)
    bits |= static_cast<uint32_t>(s[i].symbol) << (12 - 2 * i);
  return {static_cast<uint32_t>(s.size()), static_cast<uint16_t>(bits)};
}

Chunk choose_chunk(std::span<const Status> left) {
  uint32_t run = 1;
  while (run < left.size() && run < kRunMax && left[run].symbol == left[0].symbol) ++run;
  auto narrow = static_cast<uint32_t>(std::min<size_t>(left.size(), 14));
  bool one_bit = true;
  for (uint32_t i = 0; i < narrow; ++i) one_bit &= left[i].symbol != Symbol::large;
  uint32_t vector = one_bit ? narrow : std::min<uint32_t>(narrow, 7);
  if (run >= vector) return run_chunk(left[0].symbol, run);
  return one_bit ? one_bit_chunk(left.first(vector)) : two_bit_chunk(left.first(vector));
}

}  // namespace

uint32_t write_transport_cc(Writer& w, Ssrc sender, Ssrc media, uint16_t base,
                            std::span<const int64_t> arrival_ticks, uint8_t feedback_count) {
  if (w.bad() || w.left() < kFixedBytes + 4) return 0;
  auto room = static_cast<uint32_t>(std::min<size_t>(w.left() & ~size_t{3}, 4 * 0x10000));

  auto first = std::find_if(arrival_ticks.begin(), arrival_ticks.end(),
                            [](int64_t t) { return t != kTransportCcLost; });
  if (first == arrival_ticks.end()) return 0;
  // Floor division, also below 0: the first delta is then 0..255.
  int64_t reference = *first >> 8;

  // Symbols, until a delta does not fit 16 bits. A plain array: no allocation.
  std::array<Status, kMaxTransportCcStatuses> statuses;
  uint32_t status_count = 0;
  int64_t previous = reference * 256;
  for (int64_t t : arrival_ticks) {
    if (status_count == statuses.size()) break;
    Status s{Symbol::lost, 0};
    if (t != kTransportCcLost) {
      if (t < previous - 0x8000 || t > previous + 0x7fff) break;
      int64_t delta = t - previous;
      s = {delta >= 0 && delta <= 255 ? Symbol::small : Symbol::large,
           static_cast<int16_t>(delta)};
      previous = t;
    }
    statuses[status_count++] = s;
  }

  // Chunks, until the room ends.
  std::array<uint16_t, kMaxTransportCcStatuses / 7 + 1> chunks;
  uint32_t chunk_count = 0, covered = 0, bytes = kFixedBytes;
  bool any_received = false;
  while (covered < status_count) {
    std::span<const Status> left{&statuses[covered], status_count - covered};
    if (bytes + 2 > room) break;
    Chunk c = choose_chunk(left);
    uint32_t fits = 0, used = bytes + 2;
    while (fits < c.count && used + delta_bytes(left[fits].symbol) <= room)
      used += delta_bytes(left[fits++].symbol);
    if (fits == 0) break;
    if (fits < c.count) {
      // Fewer than two bytes are left, so this chunk is the last: what it holds behind
      // the status count is not read.
      if (!(c.bits & 0x8000))
        c = run_chunk(left[0].symbol, fits);
      else if (c.bits & 0x4000)
        c = two_bit_chunk(left.first(fits));
      else
        c = one_bit_chunk(left.first(fits));
    }
    for (uint32_t i = 0; i < fits; ++i) any_received |= left[i].symbol != Symbol::lost;
    chunks[chunk_count++] = c.bits;
    covered += fits;
    bytes = used;
  }
  if (covered == 0 || !any_received) return 0;

  uint32_t padding = (4 - bytes % 4) % 4;
  w.u8(static_cast<uint8_t>(0x80 | (padding != 0 ? 0x20 : 0) | kRtcpTransportCc));
  w.u8(static_cast<uint8_t>(RtcpType::transport_feedback));
  w.be16(static_cast<uint16_t>((bytes + padding) / 4 - 1));
  w.be32(value(sender));
  w.be32(value(media));
  w.be16(base);
  w.be16(static_cast<uint16_t>(covered));
  w.be24(static_cast<uint32_t>(reference) & 0xffffff);
  w.u8(feedback_count);
  for (uint32_t i = 0; i < chunk_count; ++i) w.be16(chunks[i]);
  for (uint32_t i = 0; i < covered; ++i) {
    if (statuses[i].symbol == Symbol::small)
      w.u8(static_cast<uint8_t>(statuses[i].delta));
    else if (statuses[i].symbol == Symbol::large)
      w.be16(static_cast<uint16_t>(statuses[i].delta));
  }
  if (padding != 0) {
    w.zeros(padding - 1);
    w.u8(static_cast<uint8_t>(padding));
  }
  return covered;
}

std::optional<TransportCcFeedback> parse_transport_cc(Bytes fci) {
  Reader r(fci);
  TransportCcFeedback fb;
  fb.base = r.be16();
  fb.status_count = r.be16();
  // Sign-extends 24 bits.
  fb.reference_time = static_cast<int32_t>(r.be24() << 8) >> 8;
  fb.feedback_count = r.u8();
  if (r.bad() || fb.status_count == 0 || fb.status_count > kMaxTransportCcStatuses)
    return std::nullopt;
  size_t chunks_begin = r.position();
  uint32_t done = 0, delta_total = 0;
  while (done < fb.status_count) {
    uint16_t chunk = r.be16();
    uint32_t n = transport_cc::chunk_symbols(chunk);
    if (r.bad() || n == 0) return std::nullopt;
    for (uint32_t i = 0; i < n && done < fb.status_count; ++i, ++done) {
      Symbol s = transport_cc::chunk_symbol(chunk, i);
      if (s == Symbol::reserved) return std::nullopt;
      delta_total += delta_bytes(s);
    }
  }
  fb.chunks = fci.subspan(chunks_begin, r.position() - chunks_begin);
  fb.deltas = r.bytes(delta_total);
  if (r.bad()) return std::nullopt;
  return fb;
}

}  // namespace spillway
