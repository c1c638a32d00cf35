#include "datapath/proto/video/vp9.h"

namespace spillway {
namespace {

// Scalability structure, RFC 9628 §4.2.1. The picture group is only walked.
void read_structure(Reader& r, Vp9Descriptor& d) {
  uint8_t b = r.u8();
  if (r.bad()) return;
  d.spatial_layers = static_cast<uint8_t>((b >> 5) + 1);
  if (b & 0x10)
    for (uint8_t i = 0; i < d.spatial_layers; ++i) {
      d.width[i] = r.be16();
      d.height[i] = r.be16();
    }
  if (b & 0x08) {
    uint8_t pictures = r.u8();
    for (uint32_t i = 0; i < pictures && !r.bad(); ++i) r.skip(r.u8() >> 2 & 3);
  }
}

}  // namespace

std::optional<Vp9Descriptor> parse_vp9(Bytes payload) {
  Reader r(payload);
  Vp9Descriptor d;
  uint8_t b = r.u8();
  d.inter_predicted = (b & 0x40) != 0;
  d.has_layers = (b & 0x20) != 0;
  d.flexible = (b & 0x10) != 0;
  d.frame_start = (b & 0x08) != 0;
  d.frame_end = (b & 0x04) != 0;
  d.has_structure = (b & 0x02) != 0;
  d.not_reference_above = (b & 0x01) != 0;
  if (b & 0x80) {
    d.picture_id_offset = static_cast<uint8_t>(r.position());
    uint8_t id = r.u8();
    d.picture_id_bits = id & 0x80 ? 15 : 7;
    d.picture_id = id & 0x7f;
    if (id & 0x80) d.picture_id = static_cast<uint16_t>(d.picture_id << 8 | r.u8());
  }
  if (d.has_layers) {
    uint8_t l = r.u8();
    d.temporal_id = l >> 5;
    d.switching_up = (l & 0x10) != 0;
    d.spatial_id = l >> 1 & 7;
    d.inter_layer = (l & 0x01) != 0;
    if (!d.flexible) {
      d.tl0_offset = static_cast<uint8_t>(r.position());
      d.tl0 = r.u8();
    }
  }
  if (d.flexible && d.inter_predicted) {
    bool more = true;
    while (more && !r.bad()) {
      if (d.reference_count == d.reference_diffs.size()) return std::nullopt;
      uint8_t diff = r.u8();
      d.reference_diffs[d.reference_count++] = diff >> 1;
      more = (diff & 1) != 0;
    }
  }
  if (d.has_structure) read_structure(r, d);
  if (r.bad()) return std::nullopt;
  d.bytes = static_cast<uint16_t>(r.position());
  return d;
}

void shift_vp9(MutableBytes payload, const Vp9Descriptor& d, uint16_t picture_id_add,
               uint8_t tl0_add) {
  if (payload.size() < d.bytes) return;
  if (d.picture_id_bits == 15) {
    auto id = static_cast<uint16_t>((d.picture_id + picture_id_add) & 0x7fff);
    store_be16(&payload[d.picture_id_offset], static_cast<uint16_t>(0x8000 | id));
  } else if (d.picture_id_bits == 7) {
    payload[d.picture_id_offset] = static_cast<uint8_t>((d.picture_id + picture_id_add) & 0x7f);
  }
  if (d.tl0_offset != 0) payload[d.tl0_offset] = static_cast<uint8_t>(d.tl0 + tl0_add);
}

}  // namespace spillway
