// Extension of wrapping sequence numbers to 64 bits (RFC 3550 A.1, RFC 3711 §3.3.1).
//
// Shape: Wire is the unsigned type on the wire (uint16_t for RTP; uint8_t in
// tests, so that wrapping is exhaustive). No allocation, no clock; one owner.
#pragma once

#include <cstdint>
#include <type_traits>

namespace spillway {

// The extended value nearest to `reference` whose low bits are `wire`; for the
// exact half-way distance the earlier one. Never below 0: near the start of a
// stream the candidate above is taken.
template <typename Wire>
constexpr uint64_t extend_sequence(uint64_t reference, Wire wire) {
  static_assert(std::is_unsigned_v<Wire> && sizeof(Wire) < 8);
  using Signed = std::make_signed_t<Wire>;
  auto delta = static_cast<Signed>(static_cast<Wire>(wire - static_cast<Wire>(reference)));
  auto signed_ref = static_cast<int64_t>(reference);
  int64_t candidate = signed_ref + delta;
  if (candidate < 0) candidate += int64_t{1} << (8 * sizeof(Wire));
  return static_cast<uint64_t>(candidate);
}

// True when a is later than b modulo the width (RFC 1982 serial comparison).
template <typename Wire>
constexpr bool sequence_newer(Wire a, Wire b) {
  using Signed = std::make_signed_t<Wire>;
  return static_cast<Signed>(static_cast<Wire>(a - b)) > 0;
}

}  // namespace spillway
