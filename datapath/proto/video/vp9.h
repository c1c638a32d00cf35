// VP9 payload descriptor (RFC 9628 §4.2): parse, and rewrite the picture id in place.
//
//   |I|P|L|F|B|E|V|Z|
//   |M| PICTURE ID  | (if I)   M: 15 bits, else 7
//   | TID |U| SID |D| (if L)
//   |   TL0PICIDX   | (if L and not F)
//   | P_DIFF      |N| (if F and P) up to 3
//   | SS ...        | (if V)
//
// Bounded: at most 3 P_DIFF, 8 spatial layers, 255 pictures of a group with 3 references
// each, all inside the payload (threats A-16). Nothing allocates; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "datapath/base/bytes.h"

namespace spillway {

struct Vp9Descriptor {
  uint16_t bytes = 0;              // of the descriptor, scalability structure included
  bool inter_predicted = false;    // P
  bool has_layers = false;         // L
  bool flexible = false;           // F
  bool frame_start = false;        // B, of a layer frame
  bool frame_end = false;          // E, of a layer frame
  bool has_structure = false;      // V
  bool not_reference_above = false;// Z
  uint8_t picture_id_bits = 0;     // 0 = absent, 7 or 15
  uint8_t picture_id_offset = 0;   // valid when picture_id_bits != 0
  uint16_t picture_id = 0;
  uint8_t temporal_id = 0;         // TID, 0..7
  bool switching_up = false;       // U
  uint8_t spatial_id = 0;          // SID, 0..7
  bool inter_layer = false;        // D
  uint8_t tl0_offset = 0;          // 0 = absent
  uint8_t tl0 = 0;
  uint8_t reference_count = 0;     // P_DIFFs
  std::array<uint8_t, 3> reference_diffs{};
  uint8_t spatial_layers = 0;      // N_S + 1 when V, else 0
  std::array<uint16_t, 8> width{}; // 0 = not said
  std::array<uint16_t, 8> height{};
};

// nullopt: cut off, or more than 3 references.
std::optional<Vp9Descriptor> parse_vp9(Bytes payload);

// True on the first packet of a key picture: begins a layer frame, not predicted from
// another picture, base spatial layer.
constexpr bool vp9_starts_key_frame(const Vp9Descriptor& d) {
  return d.frame_start && !d.inter_predicted && d.spatial_id == 0;
}

// Like shift_vp8.
void shift_vp9(MutableBytes payload, const Vp9Descriptor& d, uint16_t picture_id_add,
               uint8_t tl0_add);

}  // namespace spillway
