#include "datapath/proto/video/vp8.h"

namespace spillway {

std::optional<Vp8Descriptor> parse_vp8(Bytes payload) {
  Reader r(payload);
  Vp8Descriptor d;
  uint8_t b = r.u8();
  bool extended = (b & 0x80) != 0;
  d.non_reference = (b & 0x20) != 0;
  d.partition_start = (b & 0x10) != 0;
  d.partition = b & 0x07;
  if (extended) {
    uint8_t x = r.u8();
    if (x & 0x80) {
      d.picture_id_offset = static_cast<uint8_t>(r.position());
      uint8_t id = r.u8();
      d.picture_id_bits = id & 0x80 ? 15 : 7;
      d.picture_id = id & 0x7f;
      if (id & 0x80) d.picture_id = static_cast<uint16_t>(d.picture_id << 8 | r.u8());
    }
    if (x & 0x40) {
      d.tl0_offset = static_cast<uint8_t>(r.position());
      d.tl0 = r.u8();
    }
    if (x & 0x30) {
      uint8_t t = r.u8();
      d.has_temporal = (x & 0x20) != 0;
      if (d.has_temporal) {
        d.temporal_id = t >> 6;
        d.layer_sync = (t & 0x20) != 0;
      }
      d.has_key_index = (x & 0x10) != 0;
      if (d.has_key_index) d.key_index = t & 0x1f;
    }
  }
  if (r.bad()) return std::nullopt;
  d.bytes = static_cast<uint8_t>(r.position());
  return d;
}

bool vp8_starts_key_frame(Bytes payload) {
  auto d = parse_vp8(payload);
  if (!d || !d->partition_start || d->partition != 0 || payload.size() <= d->bytes) return false;
  return (payload[d->bytes] & 0x01) == 0;  // frame tag, RFC 6386 §9.1
}

void shift_vp8(MutableBytes payload, const Vp8Descriptor& d, uint16_t picture_id_add,
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
