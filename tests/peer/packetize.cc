#include "tests/peer/packetize.h"

#include <algorithm>

#include "datapath/proto/bit_reader.h"
#include "datapath/proto/video/av1.h"

namespace spillway::peer {
namespace {

// Pieces of nearly equal size, each at most `max`; no tiny last packet.
size_t piece_bytes(size_t left, size_t max) {
  const size_t pieces = (left + max - 1) / max;
  return pieces == 0 ? 0 : (left + pieces - 1) / pieces;
}

void append(std::vector<uint8_t>& out, Bytes bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void append_leb128(std::vector<uint8_t>& out, size_t v) {
  do {
    out.push_back(static_cast<uint8_t>((v & 0x7f) | (v > 0x7f ? 0x80 : 0)));
    v >>= 7;
  } while (v > 0);
}

// The OBUs of a temporal unit that are sent, without their size fields.
struct Obu {
  uint8_t type = 0;
  std::vector<uint8_t> bytes;
};
std::vector<Obu> read_obus(Bytes unit) {
  std::vector<Obu> out;
  Reader r(unit);
  while (r.left() > 0) {
    const Bytes at = unit.subspan(r.position());
    const auto h = parse_av1_obu_header(at);
    if (!h) break;
    r.skip(h->bytes);
    size_t size = r.left();
    if (h->has_size) {
      const auto n = read_leb128(r);
      if (!n) break;
      size = *n;
    }
    const Bytes body = r.bytes(size);
    if (r.bad()) break;
    constexpr uint8_t kTemporalDelimiter = 2, kTileList = 8, kPadding = 15;
    if (h->type == kTemporalDelimiter || h->type == kTileList || h->type == kPadding) continue;
    Obu obu{h->type, {}};
    obu.bytes.push_back(static_cast<uint8_t>(at[0] & ~0x02));  // obu_has_size_field off
    if (h->bytes == 2) obu.bytes.push_back(at[1]);
    append(obu.bytes, body);
    out.push_back(std::move(obu));
  }
  return out;
}

}  // namespace

void write_vp8_descriptor(MutableBytes payload, bool first, PictureNumbers n) {
  payload[0] = static_cast<uint8_t>(0x80 | (first ? 0x10 : 0));
  payload[1] = 0xe0;
  payload[2] = static_cast<uint8_t>(0x80 | (n.picture_id >> 8 & 0x7f));
  payload[3] = static_cast<uint8_t>(n.picture_id);
  payload[4] = n.tl0;
  payload[5] = 0x00;  // TID 0
}

bool vp8_frame_is_key(Bytes frame) { return !frame.empty() && (frame[0] & 1) == 0; }

Payloads packetize_vp8(Bytes frame, PictureNumbers n) {
  Payloads out;
  for (size_t at = 0; at < frame.size();) {
    const size_t bytes = piece_bytes(frame.size() - at, kPayloadBytesMax - kVp8DescriptorBytes);
    std::vector<uint8_t> p(kVp8DescriptorBytes);
    write_vp8_descriptor(p, at == 0, n);
    append(p, frame.subspan(at, bytes));
    out.push_back(std::move(p));
    at += bytes;
  }
  return out;
}

bool vp9_frame_is_key(Bytes frame) {
  BitReader r(frame);
  if (r.bits(2) != 2) return false;  // frame_marker
  const uint32_t profile = r.bits(1) | r.bits(1) << 1;
  if (profile == 3) r.skip(1);
  if (r.flag()) return false;  // show_existing_frame
  const bool key = r.bits(1) == 0;
  return key && !r.bad();
}

Payloads packetize_vp9(Bytes frame, PictureNumbers n) {
  constexpr size_t kDescriptorBytes = 3;
  const bool key = vp9_frame_is_key(frame);
  Payloads out;
  for (size_t at = 0; at < frame.size();) {
    const size_t bytes = piece_bytes(frame.size() - at, kPayloadBytesMax - kDescriptorBytes);
    const bool last = at + bytes == frame.size();
    std::vector<uint8_t> p{
        static_cast<uint8_t>(0x80 | (key ? 0 : 0x40) | (at == 0 ? 0x08 : 0) | (last ? 0x04 : 0)),
        static_cast<uint8_t>(0x80 | (n.picture_id >> 8 & 0x7f)), static_cast<uint8_t>(n.picture_id)};
    append(p, frame.subspan(at, bytes));
    out.push_back(std::move(p));
    at += bytes;
  }
  return out;
}

bool av1_unit_is_key(Bytes temporal_unit) {
  for (const Obu& o : read_obus(temporal_unit))
    if (o.type == kAv1SequenceHeader) return true;
  return false;
}

Payloads packetize_av1(Bytes temporal_unit) {
  const std::vector<Obu> obus = read_obus(temporal_unit);
  bool sequence = !obus.empty() && obus.front().type == kAv1SequenceHeader;
  Payloads out;
  std::vector<uint8_t> packet{0};
  const auto close = [&](bool continues) {
    if (packet.size() <= 1) return;
    // W = 0: every element has its length.
    packet[0] = static_cast<uint8_t>(packet[0] | (continues ? 0x40 : 0) | (sequence ? 0x08 : 0));
    sequence = false;
    out.push_back(std::move(packet));
    packet = {static_cast<uint8_t>(continues ? 0x80 : 0)};
  };
  for (const Obu& obu : obus) {
    const Bytes all(obu.bytes);
    for (size_t at = 0; at < all.size();) {
      constexpr size_t kLengthBytes = 2;  // of leb128 up to 16383
      if (packet.size() + kLengthBytes + 16 > kPayloadBytesMax) close(at > 0);
      const size_t bytes = std::min(all.size() - at, kPayloadBytesMax - packet.size() - kLengthBytes);
      append_leb128(packet, bytes);
      append(packet, all.subspan(at, bytes));
      at += bytes;
      if (at < all.size()) close(true);
    }
  }
  close(false);
  return out;
}

Payloads packetize_h264(const std::vector<Bytes>& access_unit) {
  Payloads out;
  std::vector<uint8_t> aggregate;  // STAP-A of parameter sets and SEI in front of a slice
  const auto flush = [&] {
    if (aggregate.empty()) return;
    const size_t first = load_be16(&aggregate[1]);
    // One unit alone needs no aggregation.
    if (aggregate.size() == 3 + first) aggregate.erase(aggregate.begin(), aggregate.begin() + 3);
    out.push_back(std::move(aggregate));
    aggregate.clear();
  };
  for (const Bytes nal : access_unit) {
    if (nal.empty()) continue;
    const uint8_t type = nal[0] & 0x1f;
    if (type == 0 || type >= 24) continue;  // not a NAL unit of a stream
    const bool small = type >= 6 && type <= 9 && nal.size() <= 400;
    if (small) {
      if (aggregate.size() + 2 + nal.size() > kPayloadBytesMax) flush();
      if (aggregate.empty()) aggregate.push_back(24);
      aggregate[0] = std::max<uint8_t>(aggregate[0], static_cast<uint8_t>(24 | (nal[0] & 0x60)));
      aggregate.push_back(static_cast<uint8_t>(nal.size() >> 8));
      aggregate.push_back(static_cast<uint8_t>(nal.size()));
      append(aggregate, nal);
      continue;
    }
    flush();
    if (nal.size() <= kPayloadBytesMax) {
      out.emplace_back(nal.begin(), nal.end());
      continue;
    }
    const Bytes body = nal.subspan(1);
    for (size_t at = 0; at < body.size();) {
      const size_t bytes = piece_bytes(body.size() - at, kPayloadBytesMax - 2);
      std::vector<uint8_t> p{static_cast<uint8_t>(28 | (nal[0] & 0x60)),
                             static_cast<uint8_t>(type | (at == 0 ? 0x80 : 0) |
                                                  (at + bytes == body.size() ? 0x40 : 0))};
      append(p, body.subspan(at, bytes));
      out.push_back(std::move(p));
      at += bytes;
    }
  }
  flush();
  return out;
}

}  // namespace spillway::peer
