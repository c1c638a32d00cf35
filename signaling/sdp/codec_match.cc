#include "signaling/sdp/codec_match.h"

#include <array>

#include "signaling/sdp/text.h"

namespace spillway {
namespace {

constexpr std::array<Codec, 9> kCodecs{Codec::opus, Codec::red,  Codec::pcmu,
                                       Codec::pcma, Codec::h264, Codec::h265,
                                       Codec::vp8,  Codec::vp9,  Codec::av1};

std::optional<uint8_t> hex_byte(std::string_view s) {
  uint32_t v = 0;
  for (const char c : s.substr(0, 2)) {
    v <<= 4;
    if (c >= '0' && c <= '9') {
      v |= static_cast<uint32_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      v |= static_cast<uint32_t>(c - 'a' + 10);
    } else if (c >= 'A' && c <= 'F') {
      v |= static_cast<uint32_t>(c - 'A' + 10);
    } else {
      return std::nullopt;
    }
  }
  return s.size() < 2 ? std::nullopt : std::optional<uint8_t>(static_cast<uint8_t>(v));
}

// A profile number with its default where the parameter is absent or no number.
uint32_t profile(std::string_view fmtp, std::string_view key, uint32_t absent) {
  return parse_number(fmtp_value(fmtp, key), UINT16_MAX).value_or(absent);
}

uint32_t h264_score(std::string_view offered, std::string_view sent) {
  const H264Parameters o = h264_parameters(offered);
  const H264Parameters s = h264_parameters(sent);
  uint32_t score = 0;
  if (o.same_profile(s)) {
    score = 3;
  } else if (o.baseline() && s.baseline()) {
    score = 2;
  } else if (o.baseline() || s.baseline()) {
    score = 1;
  } else {
    return 0;
  }
  return o.packetization_mode == s.packetization_mode ? score + 4 : score;
}

}  // namespace

std::string_view fmtp_value(std::string_view fmtp, std::string_view key) {
  while (!fmtp.empty()) {
    std::string_view value = trim(cut_at(fmtp, ';'));
    const std::string_view name = cut_at(value, '=');
    if (equal_no_case(trim(name), key)) return trim(value);
  }
  return {};
}

Codec codec_of(const SdpFormat& format, MediaKind kind) {
  for (const Codec codec : kCodecs) {
    if (kind_of(codec) != kind || format.clock_rate != clock_rate_of(codec)) continue;
    if (!equal_no_case(format.encoding, name_of(codec))) continue;
    const bool stereo = codec == Codec::opus || codec == Codec::red;
    if (kind == MediaKind::audio && format.channels != (stereo ? 2 : 1)) continue;
    return codec;
  }
  return Codec::none;
}

std::optional<uint8_t> rtx_of(const SdpMedia& media, uint8_t pt) {
  for (const SdpFormat& f : media.formats)
    if (equal_no_case(f.encoding, "rtx") && parse_number(fmtp_value(f.fmtp, "apt"), 127) == pt)
      return f.pt;
  return std::nullopt;
}

H264Parameters h264_parameters(std::string_view fmtp) {
  H264Parameters p;
  p.packetization_mode =
      static_cast<uint8_t>(parse_number(fmtp_value(fmtp, "packetization-mode"), 2).value_or(0));
  const std::string_view id = fmtp_value(fmtp, "profile-level-id");
  if (id.size() == 6) {
    p.profile_idc = hex_byte(id).value_or(p.profile_idc);
    p.constraints = hex_byte(id.substr(2)).value_or(p.constraints);
  }
  return p;
}

uint32_t match_score(Codec codec, std::string_view offered, std::string_view sent) {
  switch (codec) {
    case Codec::h264:
      return h264_score(offered, sent);
    case Codec::h265:
      return profile(offered, "profile-id", 1) == profile(sent, "profile-id", 1);
    case Codec::vp9:
      return profile(offered, "profile-id", 0) == profile(sent, "profile-id", 0);
    case Codec::av1:
      return profile(offered, "profile", 0) == profile(sent, "profile", 0);
    default:
      return 1;
  }
}

PayloadType to_payload_type(const SdpMedia& media, const SdpFormat& format, Codec codec) {
  PayloadType p;
  p.pt = format.pt;
  p.rtx_pt = rtx_of(media, format.pt);
  p.codec = codec;
  p.clock_rate = format.clock_rate;
  p.channels = format.channels;
  p.fmtp = std::string(format.fmtp);
  p.nack = format.feedback.nack;
  p.pli = format.feedback.pli;
  p.fir = format.feedback.fir;
  p.transport_cc = format.feedback.transport_cc;
  p.remb = format.feedback.remb;
  return p;
}

}  // namespace spillway
