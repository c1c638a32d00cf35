// SRTP replay window and index estimation (RFC 3711 §3.3.1, §3.3.2; threats A-12).
//
// The storage is base/replay_state.h, a plain struct in shared memory with one
// writer, the worker that owns the stream. Per received packet:
//
//   index = estimate_index(state, seq)       RTP; SRTCP carries its index
//   check(state, index) == fresh             else drop
//   authenticate
//   accept(state, index)                     only now: nothing unauthenticated
//                                            moves the window
//
// After a restart of the datapath: mark_all_seen(), so that a late duplicate is
// not forwarded a second time (threats §4).
//
// Total functions: any content of the state, however damaged, only makes packets
// look old or fresh. No allocation.
#pragma once

#include <cstdint>

#include "datapath/base/replay_state.h"
#include "datapath/base/sequence.h"

namespace spillway {

enum class ReplayVerdict : uint8_t { fresh = 0, replayed = 1, too_old = 2 };

namespace replay_detail {
template <uint32_t Bits>
constexpr uint64_t& word(ReplayState<Bits>& s, uint64_t index) {
  return s.bits[(index % Bits) / 64];
}
constexpr uint64_t bit(uint64_t index) {
  return uint64_t{1} << (index % 64);
}
}  // namespace replay_detail

// The index (ROC << width | wire) the sender most probably meant. Exactly the rule
// of RFC 3711 §3.3.1 with s_l and ROC from the highest index accepted, but never a
// ROC below 0: then it is the first cycle. Nothing accepted yet: ROC 0.
template <typename Wire = uint16_t, uint32_t Bits>
constexpr uint64_t estimate_index(const ReplayState<Bits>& s, Wire wire) {
  if (s.highest_plus_one == 0) return wire;
  constexpr uint64_t kHalf = uint64_t{1} << (8 * sizeof(Wire) - 1);
  // The mask is for a damaged state only: extend_sequence computes with sign.
  const uint64_t highest = (s.highest_plus_one - 1) & ((uint64_t{1} << 56) - 1);
  const uint64_t nearest = extend_sequence<Wire>(highest, wire);
  // At exactly half the range extend_sequence gives the earlier one; the RFC stays
  // in the current cycle.
  if (highest >= nearest && highest - nearest == kHalf && (highest & (2 * kHalf - 1)) < kHalf)
    return nearest + 2 * kHalf;
  return nearest;
}

// Changes nothing.
template <uint32_t Bits>
constexpr ReplayVerdict check(const ReplayState<Bits>& s, uint64_t index) {
  if (index >= s.highest_plus_one) return ReplayVerdict::fresh;
  if (s.highest_plus_one - index > Bits) return ReplayVerdict::too_old;
  return (s.bits[(index % Bits) / 64] & replay_detail::bit(index)) != 0 ? ReplayVerdict::replayed
                                                                        : ReplayVerdict::fresh;
}

// Only for an authenticated packet whose check() was fresh. index < UINT64_MAX.
template <uint32_t Bits>
constexpr void accept(ReplayState<Bits>& s, uint64_t index) {
  using replay_detail::bit;
  using replay_detail::word;
  if (index >= s.highest_plus_one) {
    // The positions of the indices jumped over still speak of one window earlier.
    if (s.highest_plus_one == 0 || index - s.highest_plus_one >= Bits) {
      for (uint64_t& w : s.bits) w = 0;
    } else {
      for (uint64_t i = s.highest_plus_one; i < index;) {
        if (i % 64 == 0 && index - i >= 64) {
          word(s, i) = 0;
          i += 64;
        } else {
          word(s, i) &= ~bit(i);
          ++i;
        }
      }
    }
    s.highest_plus_one = index + 1;
  }
  word(s, index) |= bit(index);
}

// Everything up to the highest index counts as seen. A window that never accepted
// anything stays open.
template <uint32_t Bits>
constexpr void mark_all_seen(ReplayState<Bits>& s) {
  for (uint64_t& w : s.bits) w = ~uint64_t{0};
}

}  // namespace spillway
