// Where frames begin, told from one RTP payload without state.
//
// payload: plaintext, without RTP header and padding. A payload that is not what its
// codec says is simply not a key frame. Nothing allocates; any thread.
#pragma once

#include <optional>

#include "datapath/base/bytes.h"
#include "datapath/base/media.h"

namespace spillway {

// True on a packet from which a decoder can start:
//   H.264  SPS or IDR slice: single NAL unit, inside STAP-A, first fragment of FU-A
//   H.265  VPS, SPS or IRAP slice (IDR, CRA, BLA): single, inside AP, first of FU
//   VP8    S=1, PID=0, and the frame header's P bit is 0
//   VP9    B=1, P=0 and the base spatial layer
//   AV1    N=1: first packet of a coded video sequence
// H.264 and H.265 can have several such packets in one frame (one timestamp): the
// first of them is where to start. Audio: always false.
bool starts_key_frame(Codec codec, Bytes payload);

// True: this packet begins a frame (of the base layer); false: it does not; nullopt:
// the payload does not say (AV1 without N; other codecs' malformed payloads; audio).
// For H.264 and H.265 a frame begins with parameter sets, a delimiter, or the slice that
// has the first macroblock or coding block.
std::optional<bool> starts_frame(Codec codec, Bytes payload);

// Likewise for the last packet of a frame, where the codec says more than the marker bit:
// VP9 (E bit, per layer frame); false for AV1 whose last OBU goes on, and for a fragment
// of H.264 or H.265 that is not the last. nullopt: ask the marker bit.
std::optional<bool> ends_frame(Codec codec, Bytes payload);

}  // namespace spillway
