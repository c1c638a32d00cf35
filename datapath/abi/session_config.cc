#include "datapath/abi/session_config.h"

namespace spillway::abi {
namespace {

bool valid_payload(const PayloadConfig& p, uint8_t kind) {
  if (p.pt > 127 || (p.rtx_pt > 127 && p.rtx_pt != kNoPayloadType)) return false;
  if (p.codec == 0 || p.codec >= kCodecCount) return false;
  return static_cast<uint8_t>(kind_of(static_cast<Codec>(p.codec))) == kind;
}

bool valid_media(const MediaConfig& m, uint8_t role) {
  if (m.track >= kMaxTracks && m.track != kNoTrack) return false;
  if (m.kind > static_cast<uint8_t>(MediaKind::video)) return false;
  if (m.payload_count > kMaxPayloadTypes || m.extension_count > kMaxExtensions) return false;
  if (m.layer_count > kMaxLayers || m.mid_bytes > kMaxMidBytes) return false;
  if (m.cname_bytes > kMaxCnameBytes || m.two_byte_allowed > 1) return false;
  if (m.selected_layer >= kMaxLayers && m.selected_layer != kLayerAuto) return false;
  for (uint8_t bytes : m.rid_bytes)
    if (bytes > kMaxRidBytes) return false;
  for (uint32_t i = 0; i < m.payload_count; ++i)
    if (!valid_payload(m.payloads[i], m.kind)) return false;
  for (uint32_t i = 0; i < m.extension_count; ++i)
    if (m.extensions[i].id == 0 || m.extensions[i].kind >= kExtensionKindCount) return false;
  // A viewer's packets need an SSRC of their own; 0 would collide between lines.
  return role != static_cast<uint8_t>(SessionRole::viewer) || m.track == kNoTrack ||
         m.ssrc[0] != 0;
}

}  // namespace

bool validate(const SessionConfig& c) {
  if (c.phase > static_cast<uint8_t>(SessionPhase::keyed)) return false;
  if (c.phase == static_cast<uint8_t>(SessionPhase::free)) return true;
  if (c.generation == 0) return false;
  if (c.role != static_cast<uint8_t>(SessionRole::publisher) &&
      c.role != static_cast<uint8_t>(SessionRole::viewer))
    return false;
  if (c.media_count == 0 || c.media_count > kMaxMedia) return false;
  if (c.home_worker >= kMaxWorkers || c.rtx_percent > 100 || c.old_ice_valid > 1) return false;
  if (c.connect_timeout_ms == 0 || c.consent_timeout_ms == 0) return false;
  if (c.remote_ufrag_bytes > kMaxUfragBytes || c.old_remote_ufrag_bytes > kMaxUfragBytes)
    return false;
  for (uint32_t i = 0; i < c.media_count; ++i)
    if (!valid_media(c.media[i], c.role)) return false;
  return true;
}

bool validate(const KeyConfig& k) {
  auto profile = static_cast<SrtpProfile>(k.profile);
  if (profile != SrtpProfile::none && profile != SrtpProfile::aes128_cm_hmac_sha1_80 &&
      profile != SrtpProfile::aead_aes_128_gcm && profile != SrtpProfile::aead_aes_256_gcm)
    return false;
  return k.ice_pwd_bytes <= kMaxIcePwdBytes;
}

}  // namespace spillway::abi
