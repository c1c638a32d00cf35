// Frames of real codecs cut into RTP payloads: VP8 (RFC 7741), VP9 (RFC 9628, one layer,
// non-flexible without references), AV1 (RTP Payload Format For AV1), H.264 (RFC 6184,
// single NAL units, STAP-A for parameter sets, FU-A).
//
// Pure; input is whatever a file held, so it may be malformed: then there are fewer or no
// payloads, never a payload of nonsense lengths.
#pragma once

#include <cstdint>
#include <vector>

#include "datapath/base/bytes.h"

namespace spillway::peer {

using Payloads = std::vector<std::vector<uint8_t>>;

inline constexpr uint32_t kPayloadBytesMax = 1200;

// Picture numbers of VP8 and VP9: 15-bit picture id, TL0PICIDX.
struct PictureNumbers {
  uint16_t picture_id = 0;
  uint8_t tl0 = 0;
};

// X, I (15 bit), L and T: | X..S.PID | I L T . | M pid | pid | tl0 | TID Y KEYIDX |
inline constexpr uint32_t kVp8DescriptorBytes = 6;
// payload: at least kVp8DescriptorBytes.
void write_vp8_descriptor(MutableBytes payload, bool first, PictureNumbers n);

Payloads packetize_vp8(Bytes frame, PictureNumbers n);
bool vp8_frame_is_key(Bytes frame);

Payloads packetize_vp9(Bytes frame, PictureNumbers n);
bool vp9_frame_is_key(Bytes frame);  // RFC 9628's uncompressed header, profile 0..3

// temporal_unit: OBUs with sizes, as IVF has them. Temporal delimiters and padding are
// left out; N is set when a sequence header begins it.
Payloads packetize_av1(Bytes temporal_unit);
bool av1_unit_is_key(Bytes temporal_unit);

// access_unit: NAL units without start codes.
Payloads packetize_h264(const std::vector<Bytes>& access_unit);

}  // namespace spillway::peer
