#include "datapath/proto/header_extensions.h"

#include <algorithm>
#include <cstring>

namespace spillway {
namespace {

constexpr uint32_t padded(uint32_t bytes) { return (bytes + 3) & ~uint32_t{3}; }

bool is_token(uint8_t c) {
  // token-char of RFC 4566 §9 (RFC 8866 §9 keeps it).
  return c == 0x21 || (c >= 0x23 && c <= 0x27) || c == 0x2a || c == 0x2b || c == 0x2d ||
         c == 0x2e || (c >= 0x30 && c <= 0x39) || (c >= 0x41 && c <= 0x5a) ||
         (c >= 0x5e && c <= 0x7e);
}
bool is_rid(uint8_t c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
         c == '_';
}

}  // namespace

uint8_t* ExtensionWriter::place_unusual(uint8_t id, size_t bytes) {
  if (id == 0 || bytes > 255 || count_ >= kMaxExtensions) return nullptr;
  bool one_byte_will_do = id <= 14 && bytes >= 1 && bytes <= 16;
  bool widening = !two_byte_ && !one_byte_will_do;
  if (widening && !two_byte_allowed_) return nullptr;
  uint32_t head = two_byte_ || widening ? 2 : 1;
  // Widening adds a byte to each element written so far.
  if (at_ + (widening ? count_ : 0) + head + bytes > room_) return nullptr;
  if (widening) widen();
  // One-byte elements that fit were placed before coming here.
  out_[at_] = id;
  out_[at_ + 1] = static_cast<uint8_t>(bytes);
  uint8_t* p = out_.data() + at_ + 2;
  at_ += 2 + static_cast<uint32_t>(bytes);
  ++count_;
  return p;
}

// From the last element to the first, each moves up by as many bytes as elements
// stand before it, plus its own longer head.
void ExtensionWriter::widen() {
  std::array<uint32_t, kMaxExtensions> starts{};
  uint32_t from = 4;
  for (uint32_t i = 0; i < count_; ++i) {
    starts[i] = from;
    from += 2u + (out_[from] & 0x0fu);
  }
  for (uint32_t i = count_; i-- > 0;) {
    uint32_t start = starts[i];
    uint32_t to = start + i;
    uint8_t head = out_[start];
    auto bytes = static_cast<uint8_t>((head & 0x0f) + 1);
    std::memmove(&out_[to + 2], &out_[start + 1], bytes);
    out_[to] = head >> 4;
    out_[to + 1] = bytes;
  }
  at_ += count_;
  two_byte_ = true;
}

uint32_t ExtensionWriter::finish() {
  if (count_ == 0) return 0;
  uint32_t end = padded(at_);
  for (uint32_t i = at_; i < end; ++i) out_[i] = 0;
  store_be16(&out_[0], two_byte_ ? kRtpTwoByteProfile : kRtpOneByteProfile);
  store_be16(&out_[2], static_cast<uint16_t>((end - 4) / 4));
  return end;
}

Bytes read_mid(Bytes v) {
  if (v.size() > kMaxMidBytes || !std::all_of(v.begin(), v.end(), is_token)) return {};
  return v;
}

Bytes read_rid(Bytes v) {
  if (v.size() > kMaxRidBytes || !std::all_of(v.begin(), v.end(), is_rid)) return {};
  return v;
}

std::optional<AudioLevel> read_audio_level(Bytes v) {
  if (v.empty() || v.size() > 2) return std::nullopt;
  return AudioLevel{(v[0] & 0x80) != 0, static_cast<uint8_t>(v[0] & 0x7f)};
}

std::optional<uint32_t> read_abs_send_time(Bytes v) {
  if (v.size() != 3) return std::nullopt;
  return load_be24(v.data());
}

std::optional<uint16_t> read_transport_cc(Bytes v) {
  if (v.size() != 2 && v.size() != 4) return std::nullopt;
  return load_be16(v.data());
}

std::optional<VideoOrientation> read_video_orientation(Bytes v) {
  if (v.size() != 1) return std::nullopt;
  return VideoOrientation{(v[0] & 0x08) != 0, (v[0] & 0x04) != 0,
                          static_cast<uint16_t>((v[0] & 3) * 90)};
}

}  // namespace spillway
