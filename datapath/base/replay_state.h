// Storage of an SRTP replay window (RFC 3711 §3.3.2). Only the bytes are defined
// here, because they lie in shared memory and must outlive the datapath; the rules
// are in srtp/replay_window.h.
#pragma once

#include <cstdint>

namespace spillway {

// Bits: window width in packets, multiple of 64. Bit (index % Bits) of `bits` says
// that `index` was accepted, for indices in (highest - Bits, highest].
// All zero is an empty window.
template <uint32_t Bits>
struct ReplayState {
  static_assert(Bits % 64 == 0 && (Bits & (Bits - 1)) == 0);
  uint64_t highest_plus_one = 0;  // 0 = nothing accepted yet
  uint64_t bits[Bits / 64] = {};
};

}  // namespace spillway
