// Which payload types of an offer are media we forward, and which of them can carry
// what a publisher sends. Pure functions over parsed formats; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "control/control_api.h"
#include "signaling/sdp/sdp.h"

namespace spillway {

// Value of `key` in "a=1;b=2" (keys compared without case); empty when absent.
std::string_view fmtp_value(std::string_view fmtp, std::string_view key);

// The codec a format of an m-line of this kind carries; Codec::none for RTX, FEC,
// comfort noise, telephone events, video RED and what we do not know. Name, clock
// rate and (Opus, RED: 2) channels must fit.
Codec codec_of(const SdpFormat& format, MediaKind kind);

// The RTX payload type whose apt is `pt` (RFC 4588 §8.1).
std::optional<uint8_t> rtx_of(const SdpMedia& media, uint8_t pt);

// H.264 parameters that decide whether two ends fit (RFC 6184 §8.1).
struct H264Parameters {
  uint8_t packetization_mode = 0;
  uint8_t profile_idc = 0x42;  // RFC 6184: no profile-level-id means baseline, level 1
  uint8_t constraints = 0;     // profile-iop
  // Decodable by every H.264 receiver: (constrained) baseline. Browsers that say
  // 42001f encode what 42e01f allows, so both count.
  bool baseline() const { return profile_idc == 0x42; }
  bool same_profile(const H264Parameters& o) const {
    return profile_idc == o.profile_idc && (constraints & 0xf0) == (o.constraints & 0xf0);
  }
};
H264Parameters h264_parameters(std::string_view fmtp);

// How well a receiver with `offered` takes what a sender with `sent` produces: 0 = not
// at all, higher is better. H.264: same packetization mode before same profile before
// a baseline on either side, levels ignored and real bitstreams never policed
// (publishers announce constants). VP9, AV1, H.265: the profile must be equal.
uint32_t match_score(Codec codec, std::string_view offered, std::string_view sent);

// A PayloadType of the plan from a format of the offer; fmtp may be empty.
PayloadType to_payload_type(const SdpMedia& media, const SdpFormat& format, Codec codec);

}  // namespace spillway
