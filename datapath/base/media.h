// The closed vocabularies every module shares: media kinds, codecs, header
// extensions. Values are ABI (they lie in shared memory): append, never renumber.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace spillway {

enum class MediaKind : uint8_t { audio = 0, video = 1 };

enum class Codec : uint8_t {
  none = 0,
  opus = 1,
  red = 2,  // RFC 2198 around Opus
  pcmu = 3,
  pcma = 4,
  h264 = 5,
  h265 = 6,
  vp8 = 7,
  vp9 = 8,
  av1 = 9,
};
inline constexpr uint8_t kCodecCount = 10;

constexpr MediaKind kind_of(Codec c) {
  return c >= Codec::h264 ? MediaKind::video : MediaKind::audio;
}
constexpr uint32_t clock_rate_of(Codec c) {
  if (c == Codec::opus || c == Codec::red) return 48000;
  if (c == Codec::pcmu || c == Codec::pcma) return 8000;
  return 90000;
}
// Encoding name as in a=rtpmap; compare without case (RFC 8866 §6.6).
constexpr std::string_view name_of(Codec c) {
  constexpr std::array<std::string_view, kCodecCount> names{
      "none", "opus", "red", "PCMU", "PCMA", "H264", "H265", "VP8", "VP9", "AV1"};
  return names[static_cast<uint8_t>(c)];
}

// Header extensions we understand well enough to map from one offer's numbering
// to another's (RFC 8285). Anything else is dropped on the way to a viewer.
enum class ExtensionKind : uint8_t {
  none = 0,
  mid = 1,                    // RFC 9143; rewritten to the viewer's mid
  rid = 2,                    // RFC 8852; publisher only, never forwarded
  repaired_rid = 3,           // RFC 8852; publisher only, never forwarded
  audio_level = 4,            // RFC 6464
  abs_send_time = 5,          // rewritten with our own send time
  transport_cc = 6,           // draft-holmer-rmcat-transport-wide-cc-extensions; ours per session
  video_orientation = 7,      // 3GPP TS 26.114
  dependency_descriptor = 8,  // AV1 RTP specification appendix A
  playout_delay = 9,
  toffset = 10,               // RFC 5450
  abs_capture_time = 11,
  color_space = 12,
  video_content_type = 13,
  video_timing = 14,
  video_layers_allocation = 15,
};
inline constexpr uint8_t kExtensionKindCount = 16;

inline constexpr std::array<std::string_view, kExtensionKindCount> kExtensionUris{
    "",
    "urn:ietf:params:rtp-hdrext:sdes:mid",
    "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
    "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
    "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    "urn:3gpp:video-orientation",
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension",
    "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
    "urn:ietf:params:rtp-hdrext:toffset",
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
    "http://www.webrtc.org/experiments/rtp-hdrext/color-space",
    "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type",
    "http://www.webrtc.org/experiments/rtp-hdrext/video-timing",
    "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00",
};
constexpr std::optional<ExtensionKind> extension_from_uri(std::string_view uri) {
  for (uint8_t i = 1; i < kExtensionKindCount; ++i)
    if (kExtensionUris[i] == uri) return static_cast<ExtensionKind>(i);
  return std::nullopt;
}

// DTLS-SRTP protection profiles by their IANA numbers (RFC 5764 §4.1.2, RFC 7714 §14.2).
enum class SrtpProfile : uint16_t {
  none = 0,
  aes128_cm_hmac_sha1_80 = 0x0001,
  aead_aes_128_gcm = 0x0007,
  aead_aes_256_gcm = 0x0008,
};

}  // namespace spillway
