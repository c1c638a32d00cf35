#include "control/session_builder.h"

#include <algorithm>
#include <cstring>

namespace spillway {
namespace {

ApiError unsupported(std::string detail) {
  return {ApiError::Kind::unsupported, std::move(detail), 0};
}
ApiError invalid(std::string detail) { return {ApiError::Kind::invalid, std::move(detail), 0}; }

template <size_t N>
uint8_t copy_text(uint8_t (&out)[N], std::string_view text) {
  size_t n = std::min(text.size(), N);
  std::copy_n(text.data(), n, out);
  return static_cast<uint8_t>(n);
}

uint8_t feedback_flags(const PayloadType& p) {
  return static_cast<uint8_t>((p.nack ? abi::kFeedbackNack : 0) | (p.pli ? abi::kFeedbackPli : 0) |
                              (p.fir ? abi::kFeedbackFir : 0) |
                              (p.transport_cc ? abi::kFeedbackTransportCc : 0) |
                              (p.remb ? abi::kFeedbackRemb : 0));
}

std::optional<ApiError> check_plan(const MediaPlan& plan) {
  if (plan.mid.size() > kMaxMidBytes) return unsupported("a mid is longer than 16 characters");
  if (plan.payload_types.empty()) return invalid("an accepted media line has no payload type");
  if (plan.payload_types.size() > kMaxPayloadTypes)
    return unsupported("a media line has more than 24 payload types");
  if (plan.extensions.size() > kMaxExtensions)
    return unsupported("a media line has more than 16 header extensions");
  if (plan.rids.size() > kMaxLayers) return unsupported("more than 4 simulcast layers");
  for (const std::string& rid : plan.rids)
    if (rid.empty() || rid.size() > kMaxRidBytes)
      return unsupported("a rid is empty or longer than 16 characters");
  for (const PayloadType& p : plan.payload_types)
    if (p.pt > 127 || p.rtx_pt.value_or(0) > 127 || p.codec == Codec::none ||
        kind_of(p.codec) != plan.kind)
      return invalid("a payload type does not fit its media line");
  for (const HeaderExtension& e : plan.extensions)
    if (e.id == 0) return invalid("header extension id 0");
  return std::nullopt;
}

abi::MediaConfig build_media(const MediaPlan& plan, abi::SessionRole role) {
  abi::MediaConfig m{};
  m.track = abi::kNoTrack;
  m.kind = static_cast<uint8_t>(plan.kind);
  m.mid_bytes = copy_text(m.mid, plan.mid);
  m.selected_layer = abi::kLayerAuto;
  for (const PayloadType& p : plan.payload_types)
    m.payloads[m.payload_count++] = {p.pt, static_cast<uint8_t>(p.codec),
                                     p.rtx_pt.value_or(abi::kNoPayloadType), feedback_flags(p)};
  for (const HeaderExtension& e : plan.extensions) {
    m.extensions[m.extension_count++] = {e.id, static_cast<uint8_t>(e.kind)};
    if (e.id > 14) m.two_byte_allowed = 1;  // only negotiable with extmap-allow-mixed
  }
  if (role == abi::SessionRole::publisher) {
    if (plan.cname.size() <= kMaxCnameBytes) m.cname_bytes = copy_text(m.cname, plan.cname);
    if (!plan.rids.empty()) {
      for (const std::string& rid : plan.rids) {
        m.rid_bytes[m.layer_count] = copy_text(m.rid[m.layer_count], rid);
        ++m.layer_count;
      }
    } else {
      for (const SignalledSsrc& s : plan.ssrcs) {
        if (m.layer_count == kMaxLayers) break;
        m.ssrc[m.layer_count] = value(s.primary);
        m.rtx_ssrc[m.layer_count] = value(s.rtx);
        ++m.layer_count;
      }
    }
  }
  return m;
}

// "a=1;sprop-x=AAA;b=2" -> "a=1;b=2"
std::string without_sprop(std::string_view fmtp) {
  std::string out;
  while (!fmtp.empty()) {
    size_t end = std::min(fmtp.find(';'), fmtp.size());
    std::string_view part = fmtp.substr(0, end);
    fmtp.remove_prefix(std::min(end + 1, fmtp.size()));
    size_t start = std::min(part.find_first_not_of(' '), part.size());
    if (part.substr(start).starts_with("sprop-")) continue;
    if (!out.empty()) out += ';';
    out += part;
  }
  return out;
}

}  // namespace

std::optional<ApiError> check_credentials(std::string_view ufrag, std::string_view pwd) {
  if (ufrag.empty() || pwd.empty()) return invalid("ice-ufrag or ice-pwd is missing");
  if (ufrag.size() > kMaxUfragBytes) return unsupported("ice-ufrag is longer than 32 characters");
  if (pwd.size() > kMaxIcePwdBytes) return unsupported("ice-pwd is longer than 48 characters");
  return std::nullopt;
}

void set_remote_ufrag(abi::SessionConfig& config, std::string_view ufrag) {
  std::memset(config.remote_ufrag, 0, sizeof config.remote_ufrag);
  config.remote_ufrag_bytes = copy_text(config.remote_ufrag, ufrag);
}

void set_remote_pwd(abi::KeyConfig& keys, std::string_view pwd) {
  std::memset(keys.ice_pwd, 0, sizeof keys.ice_pwd);
  keys.ice_pwd_bytes = copy_text(keys.ice_pwd, pwd);
}

ApiResult<abi::SessionConfig> build_session(const SessionRequest& request, abi::SessionRole role,
                                            const SessionTimes& times) {
  if (request.stream.empty() || request.stream.size() > kMaxStreamNameBytes)
    return invalid("stream name must have 1 to 128 characters");
  if (request.media.empty()) return unsupported("no media line can be served");
  if (request.media.size() > kMaxMedia) return unsupported("more than 4 media lines");
  if (auto e = check_credentials(request.transport.ice_ufrag, request.transport.ice_pwd)) return *e;
  bool usable = false;
  for (const Fingerprint& f : request.transport.fingerprints)
    usable |= (f.algorithm == "sha-256" && f.digest.size() == 32) ||
              (f.algorithm == "sha-384" && f.digest.size() == 48) ||
              (f.algorithm == "sha-512" && f.digest.size() == 64);
  if (!usable) return invalid("no usable certificate fingerprint");

  abi::SessionConfig c{};
  c.phase = static_cast<uint8_t>(abi::SessionPhase::half_open);
  c.role = static_cast<uint8_t>(role);
  c.rtx_percent = static_cast<uint16_t>(std::min<uint32_t>(times.rtx_percent, 100));
  c.connect_timeout_ms = std::max<uint32_t>(times.connect_timeout_ms, 1);
  c.consent_timeout_ms = std::max<uint32_t>(times.consent_timeout_ms, 1);
  set_remote_ufrag(c, request.transport.ice_ufrag);
  for (const MediaPlan& plan : request.media) {
    if (auto e = check_plan(plan)) return *e;
    c.media[c.media_count++] = build_media(plan, role);
  }
  return c;
}

abi::TrackRecord make_track_record(const MediaPlan& plan, uint32_t slot, uint32_t generation) {
  abi::TrackRecord r{};
  r.publisher_slot = slot;
  r.publisher_generation = generation;
  size_t total = 0;
  for (const PayloadType& p : plan.payload_types) total += p.fmtp.size();
  size_t used = 0;
  for (size_t i = 0; i < plan.payload_types.size() && i < kMaxPayloadTypes; ++i) {
    std::string fmtp = plan.payload_types[i].fmtp;
    if (total > sizeof r.text) fmtp = without_sprop(fmtp);
    if (fmtp.size() > sizeof r.text - used) continue;
    std::copy_n(fmtp.data(), fmtp.size(), r.text + used);
    r.fmtp_bytes[i] = static_cast<uint16_t>(fmtp.size());
    used += fmtp.size();
  }
  return r;
}

TrackDescription describe_track(const abi::MediaConfig& media, const abi::TrackRecord& record) {
  TrackDescription out;
  out.kind = static_cast<MediaKind>(media.kind);
  size_t at = 0;
  for (uint32_t i = 0; i < media.payload_count && i < kMaxPayloadTypes; ++i) {
    size_t bytes = std::min<size_t>(record.fmtp_bytes[i], sizeof record.text - at);
    out.codecs.push_back({static_cast<Codec>(media.payloads[i].codec),
                          std::string(reinterpret_cast<const char*>(record.text) + at, bytes)});
    at += bytes;
  }
  for (uint32_t l = 0; l < media.layer_count && l < kMaxLayers; ++l)
    if (media.rid_bytes[l] != 0) out.rids.push_back(rid_of(media, l));
  return out;
}

std::string mid_of(const abi::MediaConfig& media) {
  return {reinterpret_cast<const char*>(media.mid),
          std::min<size_t>(media.mid_bytes, kMaxMidBytes)};
}

std::string rid_of(const abi::MediaConfig& media, uint32_t layer) {
  return {reinterpret_cast<const char*>(media.rid[layer]),
          std::min<size_t>(media.rid_bytes[layer], kMaxRidBytes)};
}

namespace {
constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
}

std::string base64url(Bytes bytes) {
  std::string out;
  uint32_t bits = 0, held = 0;
  for (uint8_t b : bytes) {
    held = held << 8 | b;
    for (bits += 8; bits >= 6; bits -= 6) out += kAlphabet[held >> (bits - 6) & 63];
  }
  if (bits > 0) out += kAlphabet[held << (6 - bits) & 63];
  return out;
}

std::optional<std::array<uint8_t, 16>> session_id_from(std::string_view text) {
  if (text.size() != 22) return std::nullopt;
  std::array<uint8_t, 16> out{};
  uint32_t bits = 0, held = 0;
  size_t at = 0;
  for (char c : text) {
    size_t v = kAlphabet.find(c);
    if (v == std::string_view::npos) return std::nullopt;
    held = held << 6 | static_cast<uint32_t>(v);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out[at++] = static_cast<uint8_t>(held >> bits);
    }
  }
  // 132 bits carry 128: the rest must be zero, so that each id has one spelling.
  if ((held & ((1u << bits) - 1)) != 0) return std::nullopt;
  return out;
}

}  // namespace spillway
