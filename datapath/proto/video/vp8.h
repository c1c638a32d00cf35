// VP8 payload descriptor (RFC 7741 §4.2): parse, and rewrite in place.
//
//   |X|R|N|S|R| PID | (required)
//   |I|L|T|K| RSV   | (if X)
//   |M| PictureID   | (if I)   M: 15 bits, else 7
//   |   TL0PICIDX   | (if L)
//   |TID|Y| KEYIDX  | (if T or K)
//
// Offsets are from the start of the payload, so that a copy can be changed without
// parsing again. Nothing allocates; any thread.
#pragma once

#include <cstdint>
#include <optional>

#include "datapath/base/bytes.h"

namespace spillway {

struct Vp8Descriptor {
  uint8_t bytes = 0;              // of the descriptor: 1..6
  bool non_reference = false;     // N
  bool partition_start = false;   // S
  uint8_t partition = 0;          // PID, 0..7
  uint8_t picture_id_bits = 0;    // 0 = absent, 7 or 15
  uint8_t picture_id_offset = 0;  // valid when picture_id_bits != 0
  uint16_t picture_id = 0;
  uint8_t tl0_offset = 0;         // 0 = absent
  uint8_t tl0 = 0;
  bool has_temporal = false;      // T
  uint8_t temporal_id = 0;        // 0..3
  bool layer_sync = false;        // Y
  bool has_key_index = false;     // K
  uint8_t key_index = 0;          // 0..31
};

// nullopt: cut off.
std::optional<Vp8Descriptor> parse_vp8(Bytes payload);

// True on the first packet of a key frame.
bool vp8_starts_key_frame(Bytes payload);

// Adds to PictureID (modulo 2^7 or 2^15, its width is kept) and TL0PICIDX (modulo 256)
// where they exist. d: parsed from these bytes or from what they were copied from; a
// payload shorter than d.bytes is left alone.
void shift_vp8(MutableBytes payload, const Vp8Descriptor& d, uint16_t picture_id_add,
               uint8_t tl0_add);

}  // namespace spillway
