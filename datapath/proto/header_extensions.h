// RTP header extension elements (RFC 8285): read, map ids to kinds, write.
//
//   one-byte element   | ID 1..14 |L-1| value, 1..16 bytes |        profile 0xBEDE
//   two-byte element   | ID 1..255 | L | value, 0..255 bytes |      profile 0x100x
//
// At most kMaxExtensions elements are looked at or written. Values are borrowed from
// the packet. Nothing allocates; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "datapath/base/bytes.h"
#include "datapath/base/limits.h"
#include "datapath/base/media.h"
#include "datapath/base/units.h"
#include "datapath/proto/rtp.h"

namespace spillway {

// Calls f(uint8_t id, Bytes value) for each element of `block` (the bytes after the
// 4-byte block header), in order. Id 0 is padding; one-byte id 15 ends the block, and so
// does a one-byte id 0 that claims a length (RFC 8285 §4.2). False: an element
// reached past the end; those before it were reported. An unknown profile has none.
template <typename F>
constexpr bool for_each_extension(uint16_t profile, Bytes block, F&& f) {
  uint32_t elements = 0;
  size_t at = 0;
  if (profile == kRtpOneByteProfile) {
    while (at < block.size() && elements < kMaxExtensions) {
      uint8_t head = block[at];
      if (head == 0) {
        ++at;
        continue;
      }
      auto id = static_cast<uint8_t>(head >> 4);
      if (id == 15 || id == 0) return true;
      size_t bytes = (head & 0x0fu) + 1u;
      if (bytes > block.size() - at - 1) return false;
      f(id, block.subspan(at + 1, bytes));
      at += 1 + bytes;
      ++elements;
    }
  } else if ((profile & 0xfff0) == kRtpTwoByteProfile) {
    while (at < block.size() && elements < kMaxExtensions) {
      uint8_t id = block[at];
      if (id == 0) {
        ++at;
        continue;
      }
      if (block.size() - at < 2) return false;
      size_t bytes = block[at + 1];
      if (bytes > block.size() - at - 2) return false;
      f(id, block.subspan(at + 2, bytes));
      at += 2 + bytes;
      ++elements;
    }
  }
  return true;
}

// The same on a packet; `header` is of this packet.
template <typename F>
constexpr bool for_each_extension(const RtpHeader& header, Bytes packet, F&& f) {
  return for_each_extension(header.extension_profile, rtp_extension_block(header, packet), f);
}

// The numbering one m-line negotiated: id <-> kind, both ways. A plain value, may be
// copied; all zero = nothing mapped.
class ExtensionIdMap {
 public:
  // id 1..255. False and unchanged: id 0, kind none or unknown, or the id is taken by
  // another kind. A kind that was mapped moves to the new id.
  constexpr bool set(uint8_t id, ExtensionKind kind) {
    auto k = static_cast<uint8_t>(kind);
    if (id == 0 || k == 0 || k >= kExtensionKindCount) return false;
    if (kinds_[id] != 0 && kinds_[id] != k) return false;
    if (ids_[k] != 0) kinds_[ids_[k]] = 0;
    kinds_[id] = k;
    ids_[k] = id;
    return true;
  }
  // none when the id is not mapped.
  constexpr ExtensionKind kind(uint8_t id) const { return static_cast<ExtensionKind>(kinds_[id]); }
  // 0 when the kind is not mapped.
  constexpr uint8_t id(ExtensionKind kind) const {
    auto k = static_cast<uint8_t>(kind);
    return k < kExtensionKindCount ? ids_[k] : uint8_t{0};
  }

 private:
  std::array<uint8_t, 256> kinds_{};
  std::array<uint8_t, kExtensionKindCount> ids_{};
};

// Builds an extension block behind the fixed header and the CSRCs: 4 header bytes,
// elements, zero padding to a multiple of 4. Starts in the one-byte form and
// converts what is there when an element needs the other and that is allowed
// (a=extmap-allow-mixed, or ids above 14 were negotiated).
//
//   ExtensionWriter w(out, two_byte_allowed);
//   w.add(id, value) ...     false: this element does not fit; the others stay
//   bytes = w.finish()       0: no element, leave the X bit clear; nothing was written
class ExtensionWriter {
 public:
  // out: all room there is; borrowed until finish().
  ExtensionWriter(MutableBytes out, bool two_byte_allowed)
      : out_(out),
        room_(static_cast<uint32_t>(out.size() < 0x40000 ? out.size() & ~size_t{3} : 0x40000)),
        two_byte_allowed_(two_byte_allowed) {}

  // id 1..255, value 0..255 bytes. False: id 0, kMaxExtensions reached, the form is
  // not allowed, or no room (padding included) is left.
  bool add(uint8_t id, Bytes value) {
    uint8_t* p = place(id, value.size());
    // A loop: most values have one to three bytes, for which memcpy is a call too many.
    if (p)
      for (size_t i = 0; i < value.size(); ++i) p[i] = value[i];
    return p != nullptr;
  }
  bool add_u8(uint8_t id, uint8_t v) {
    uint8_t* p = place(id, 1);
    if (p) *p = v;
    return p != nullptr;
  }
  bool add_be16(uint8_t id, uint16_t v) {
    uint8_t* p = place(id, 2);
    if (p) store_be16(p, v);
    return p != nullptr;
  }
  bool add_be24(uint8_t id, uint32_t v) {  // low 24 bits
    uint8_t* p = place(id, 3);
    if (p) store_be24(p, v);
    return p != nullptr;
  }

  // Call once. Bytes of the block, a multiple of 4.
  uint32_t finish();

  uint32_t count() const { return count_; }
  bool two_byte() const { return two_byte_; }

 private:
  // Writes the element's head; where its value goes, nullptr = refused.
  uint8_t* place(uint8_t id, size_t bytes) {
    bool usual = !two_byte_ && id >= 1 && id <= 14 && bytes >= 1 && bytes <= 16 &&
                 count_ < kMaxExtensions && at_ + 1 + bytes <= room_;
    if (!usual) return place_unusual(id, bytes);
    out_[at_] = static_cast<uint8_t>(id << 4 | static_cast<int>(bytes - 1));
    uint8_t* p = out_.data() + at_ + 1;
    at_ += 1 + static_cast<uint32_t>(bytes);
    ++count_;
    return p;
  }
  uint8_t* place_unusual(uint8_t id, size_t bytes);
  void widen();

  MutableBytes out_;
  uint32_t room_;    // of out_ in whole words: the padded block must fit
  uint32_t at_ = 4;  // where the next element goes
  uint32_t count_ = 0;
  bool two_byte_allowed_;
  bool two_byte_ = false;
};

// --- values -------------------------------------------------------------------------
// Readers give nullopt when the length is not the one defined.

// mid (RFC 9143), rid and repaired-rid (RFC 8852) are text: 1..max bytes, each a token
// character (RFC 4566); compare as bytes. Empty span: not that.
Bytes read_mid(Bytes v);
Bytes read_rid(Bytes v);  // only letters, digits, '-' and '_' (RFC 8851 §10, RFC 8852 §3.3)

// RFC 6464: V bit and level in -dBov, 0 (loudest) .. 127 (silence). The two-byte form
// may carry a byte of padding.
struct AudioLevel {
  bool voice = false;
  uint8_t level = 127;
};
std::optional<AudioLevel> read_audio_level(Bytes v);
constexpr uint8_t audio_level_byte(AudioLevel a) {
  return static_cast<uint8_t>((a.voice ? 0x80 : 0) | (a.level & 0x7f));
}

// abs-send-time: seconds modulo 64 as unsigned 6.18 fixed point, 24 bits.
std::optional<uint32_t> read_abs_send_time(Bytes v);
// Of any clock that runs evenly; only differences mean something to a receiver. now >= 0.
constexpr uint32_t abs_send_time(Nanos now) {
  auto ns = static_cast<uint64_t>(now.ns) % 64'000'000'000u;
  return static_cast<uint32_t>((ns << 18) / 1'000'000'000u) & 0xffffff;
}

// draft-holmer-rmcat-transport-wide-cc-extensions-01 §2; version 2 appends two bytes
// (feedback request), which are ignored.
std::optional<uint16_t> read_transport_cc(Bytes v);

// 3GPP TS 26.114 §7.4.5 (CVO): camera, flip, rotation.
struct VideoOrientation {
  bool back_camera = false;
  bool flipped = false;
  uint16_t rotation_degrees = 0;  // 0, 90, 180, 270 clockwise
};
std::optional<VideoOrientation> read_video_orientation(Bytes v);
constexpr uint8_t video_orientation_byte(VideoOrientation o) {
  return static_cast<uint8_t>((o.back_camera ? 0x08 : 0) | (o.flipped ? 0x04 : 0) |
                              ((o.rotation_degrees / 90) & 3));
}

}  // namespace spillway
