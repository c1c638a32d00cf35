// Reads bits, most significant first, and cannot run past its end (threats A-16).
//
// Like Reader: past the end it becomes bad() and stays so, later reads give 0. A loop
// over counts read from the wire must test bad(), or have a bound of its own. The
// span is borrowed; nothing allocates; any thread.
#pragma once

#include <cstdint>

#include "datapath/base/bytes.h"

namespace spillway {

class BitReader {
 public:
  explicit constexpr BitReader(Bytes in) : in_(in), bits_(uint64_t{in.size()} * 8) {}

  constexpr bool bad() const { return bad_; }
  constexpr uint64_t left() const { return bits_ - at_; }
  constexpr uint64_t position() const { return at_; }

  // n: 0..32. The next n bits as a number.
  constexpr uint32_t bits(uint32_t n) {
    if (bad_ || n > 32 || n > left()) {
      bad_ = true;
      return 0;
    }
    uint64_t v = 0;
    uint32_t missing = n;
    while (missing > 0) {
      uint32_t in_byte = 8 - static_cast<uint32_t>(at_ & 7);
      uint32_t take = missing < in_byte ? missing : in_byte;
      uint32_t byte = in_[static_cast<size_t>(at_ >> 3)];
      v = v << take | ((byte >> (in_byte - take)) & ((1u << take) - 1));
      at_ += take;
      missing -= take;
    }
    return static_cast<uint32_t>(v);
  }
  constexpr bool flag() { return bits(1) != 0; }
  constexpr void skip(uint64_t n) {
    if (bad_ || n > left()) {
      bad_ = true;
      return;
    }
    at_ += n;
  }

  // ns(n) of the AV1 specification §4.10.7: a value in 0..n-1, n 1..2^31. Values
  // below 2^w - n take one bit less than the others.
  constexpr uint32_t non_symmetric(uint32_t n) {
    if (n == 0) {
      bad_ = true;
      return 0;
    }
    uint32_t w = 0;
    for (uint32_t x = n; x != 0; x >>= 1) ++w;
    uint32_t m = static_cast<uint32_t>((uint64_t{1} << w) - n);
    uint32_t v = bits(w - 1);
    if (v < m) return v;
    return (v << 1) - m + bits(1);
  }

 private:
  Bytes in_;
  uint64_t bits_;
  uint64_t at_ = 0;
  bool bad_ = false;
};

}  // namespace spillway
