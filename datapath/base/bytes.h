// Network byte order and bounds-checked reading and writing of byte spans.
//
// Nothing here allocates; any thread. A Reader or Writer that runs past its end
// becomes bad() and stays so: later reads give 0, later writes do nothing, so a
// parser may check once at its end. Spans are borrowed from the caller.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>

namespace spillway {

using Bytes = std::span<const uint8_t>;
using MutableBytes = std::span<uint8_t>;

constexpr uint16_t load_be16(const uint8_t* p) {
  return static_cast<uint16_t>(p[0] << 8 | p[1]);
}
constexpr uint32_t load_be24(const uint8_t* p) {
  return static_cast<uint32_t>(p[0]) << 16 | static_cast<uint32_t>(p[1]) << 8 | p[2];
}
constexpr uint32_t load_be32(const uint8_t* p) {
  return static_cast<uint32_t>(p[0]) << 24 | static_cast<uint32_t>(p[1]) << 16 |
         static_cast<uint32_t>(p[2]) << 8 | p[3];
}
constexpr uint64_t load_be64(const uint8_t* p) {
  return static_cast<uint64_t>(load_be32(p)) << 32 | load_be32(p + 4);
}
constexpr void store_be16(uint8_t* p, uint16_t v) {
  p[0] = static_cast<uint8_t>(v >> 8);
  p[1] = static_cast<uint8_t>(v);
}
constexpr void store_be24(uint8_t* p, uint32_t v) {
  p[0] = static_cast<uint8_t>(v >> 16);
  p[1] = static_cast<uint8_t>(v >> 8);
  p[2] = static_cast<uint8_t>(v);
}
constexpr void store_be32(uint8_t* p, uint32_t v) {
  p[0] = static_cast<uint8_t>(v >> 24);
  p[1] = static_cast<uint8_t>(v >> 16);
  p[2] = static_cast<uint8_t>(v >> 8);
  p[3] = static_cast<uint8_t>(v);
}
constexpr void store_be64(uint8_t* p, uint64_t v) {
  store_be32(p, static_cast<uint32_t>(v >> 32));
  store_be32(p + 4, static_cast<uint32_t>(v));
}

class Reader {
 public:
  explicit constexpr Reader(Bytes in) : in_(in) {}

  constexpr bool bad() const { return bad_; }
  constexpr size_t left() const { return in_.size() - at_; }
  constexpr size_t position() const { return at_; }

  constexpr uint8_t u8() { return take(1) ? in_[at_ - 1] : uint8_t{0}; }
  constexpr uint16_t be16() { return take(2) ? load_be16(&in_[at_ - 2]) : uint16_t{0}; }
  constexpr uint32_t be24() { return take(3) ? load_be24(&in_[at_ - 3]) : 0; }
  constexpr uint32_t be32() { return take(4) ? load_be32(&in_[at_ - 4]) : 0; }
  constexpr uint64_t be64() { return take(8) ? load_be64(&in_[at_ - 8]) : 0; }
  // The next n bytes; empty and bad() when there are fewer.
  constexpr Bytes bytes(size_t n) { return take(n) ? in_.subspan(at_ - n, n) : Bytes{}; }
  constexpr void skip(size_t n) { take(n); }
  constexpr Bytes rest() { return bytes(left()); }

 private:
  constexpr bool take(size_t n) {
    if (bad_ || n > left()) {
      bad_ = true;
      return false;
    }
    at_ += n;
    return true;
  }

  Bytes in_;
  size_t at_ = 0;
  bool bad_ = false;
};

class Writer {
 public:
  explicit constexpr Writer(MutableBytes out) : out_(out) {}

  constexpr bool bad() const { return bad_; }
  constexpr size_t size() const { return at_; }
  constexpr size_t left() const { return out_.size() - at_; }
  // What was written so far.
  constexpr MutableBytes written() const { return out_.first(at_); }

  constexpr void u8(uint8_t v) {
    if (take(1)) out_[at_ - 1] = v;
  }
  constexpr void be16(uint16_t v) {
    if (take(2)) store_be16(&out_[at_ - 2], v);
  }
  constexpr void be24(uint32_t v) {
    if (take(3)) store_be24(&out_[at_ - 3], v);
  }
  constexpr void be32(uint32_t v) {
    if (take(4)) store_be32(&out_[at_ - 4], v);
  }
  constexpr void be64(uint64_t v) {
    if (take(8)) store_be64(&out_[at_ - 8], v);
  }
  void bytes(Bytes v) {
    if (!v.empty() && take(v.size())) std::memcpy(&out_[at_ - v.size()], v.data(), v.size());
  }
  void zeros(size_t n) {
    if (n != 0 && take(n)) std::memset(&out_[at_ - n], 0, n);
  }

 private:
  constexpr bool take(size_t n) {
    if (bad_ || n > left()) {
      bad_ = true;
      return false;
    }
    at_ += n;
    return true;
  }

  MutableBytes out_;
  size_t at_ = 0;
  bool bad_ = false;
};

}  // namespace spillway
