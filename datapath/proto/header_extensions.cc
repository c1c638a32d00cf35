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

bool ExtensionWriter::add(uint8_t id, Bytes value) {
  if (id == 0 || value.size() > 255 || count_ >= kMaxExtensions) return false;
  bool one_byte_will_do = id <= 14 && !value.empty() && value.size() <= 16;
  bool widening = !two_byte_ && !one_byte_will_do;
  if (widening && !two_byte_allowed_) return false;
  uint32_t head = two_byte_ || widening ? 2 : 1;
  // Widening adds a byte to each element written so far.
  uint64_t end = uint64_t{at_} + (widening ? count_ : 0) + head + value.size();
  if (padded(static_cast<uint32_t>(end)) > out_.size()) return false;
  if (widening) widen();
  if (two_byte_) {
    out_[at_++] = id;
    out_[at_++] = static_cast<uint8_t>(value.size());
  } else {
    out_[at_++] = static_cast<uint8_t>(id << 4 | static_cast<int>(value.size() - 1));
  }
  if (!value.empty()) std::memcpy(&out_[at_], value.data(), value.size());
  at_ += static_cast<uint32_t>(value.size());
  ++count_;
  return true;
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

bool ExtensionWriter::add_u8(uint8_t id, uint8_t v) { return add(id, {&v, 1}); }

bool ExtensionWriter::add_be16(uint8_t id, uint16_t v) {
  uint8_t b[2];
  store_be16(b, v);
  return add(id, b);
}

bool ExtensionWriter::add_be24(uint8_t id, uint32_t v) {
  uint8_t b[3];
  store_be24(b, v);
  return add(id, b);
}

uint32_t ExtensionWriter::finish() {
  if (count_ == 0) return 0;
  uint32_t end = padded(at_);
  std::memset(&out_[at_ - 1] + 1, 0, end - at_);
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
