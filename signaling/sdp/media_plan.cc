#include "signaling/sdp/media_plan.h"

#include <algorithm>
#include <optional>

#include "signaling/sdp/codec_match.h"
#include "signaling/sdp/text.h"

namespace spillway {
namespace {

// Id 15 is reserved in the one-byte form; above it only the two-byte form exists.
bool usable_id(uint16_t id, bool two_byte) {
  return (id >= 1 && id <= 14) || (two_byte && id >= 16 && id <= 255);
}

bool wanted(ExtensionKind kind, bool publish) {
  switch (kind) {
    case ExtensionKind::mid:
    case ExtensionKind::audio_level:
    case ExtensionKind::abs_send_time:
    case ExtensionKind::transport_cc:
    case ExtensionKind::video_orientation:
    case ExtensionKind::dependency_descriptor:
    case ExtensionKind::playout_delay:
    case ExtensionKind::abs_capture_time:
    case ExtensionKind::color_space:
    case ExtensionKind::video_content_type:
      return true;
    case ExtensionKind::rid:
    case ExtensionKind::repaired_rid:
      return publish;
    // Bytes in every packet that nothing here reads or hands on.
    case ExtensionKind::toffset:
    case ExtensionKind::video_timing:
    case ExtensionKind::video_layers_allocation:
    case ExtensionKind::none:
      return false;
  }
  return false;
}

std::vector<HeaderExtension> plan_extensions(const SessionDescription& offer, const SdpMedia& media,
                                             const MediaPlan& plan, bool publish) {
  const bool two_byte = offer.extmap_allow_mixed(media);
  const bool feedback = std::any_of(plan.payload_types.begin(), plan.payload_types.end(),
                                    [](const PayloadType& p) { return p.transport_cc; });
  std::vector<HeaderExtension> out;
  const auto has_kind = [&](ExtensionKind k) {
    return std::any_of(out.begin(), out.end(), [&](const auto& e) { return e.kind == k; });
  };
  const auto has_id = [&](uint16_t id) {
    return std::any_of(out.begin(), out.end(), [&](const auto& e) { return e.id == id; });
  };
  for (const SdpExtmap& e : media.extmaps) {
    const SdpDirection other_way = publish ? SdpDirection::recvonly : SdpDirection::sendonly;
    if (e.direction == other_way || e.direction == SdpDirection::inactive) continue;
    if (!usable_id(e.id, two_byte) || !wanted(e.kind, publish)) continue;
    if (has_kind(e.kind) || has_id(e.id) || out.size() == kMaxExtensions) continue;
    if (e.kind == ExtensionKind::mid && plan.mid.empty()) continue;
    const bool names_layer = e.kind == ExtensionKind::rid || e.kind == ExtensionKind::repaired_rid;
    if (names_layer && plan.rids.empty()) continue;
    if (e.kind == ExtensionKind::transport_cc && !feedback) continue;
    out.push_back({static_cast<uint8_t>(e.id), e.kind});
  }
  // A publisher's send time has no use beside transport-cc.
  if (publish && has_kind(ExtensionKind::transport_cc))
    std::erase_if(out, [](const auto& e) { return e.kind == ExtensionKind::abs_send_time; });
  return out;
}

// RED carries the payload type its fmtp begins with (RFC 2198 §5).
bool red_fits(const PayloadType& red, const std::vector<PayloadType>& others) {
  std::string_view fmtp = red.fmtp;
  if (fmtp.empty()) return true;
  const auto inner = parse_number(trim(cut_at(fmtp, '/')), 127);
  return std::any_of(others.begin(), others.end(),
                     [&](const PayloadType& p) { return p.codec == Codec::opus && inner == p.pt; });
}

void drop_orphaned_red(std::vector<PayloadType>& types) {
  const std::vector<PayloadType> all = types;
  std::erase_if(types,
                [&](const PayloadType& p) { return p.codec == Codec::red && !red_fits(p, all); });
}

std::string offered_names(const SdpMedia& media) {
  std::string names;
  for (const SdpFormat& f : media.formats) {
    // Enough to see what is wrong; payload types of one codec come in rows.
    if (f.encoding.empty() || names.find(f.encoding) != std::string::npos) continue;
    if (names.size() > 100) return names + " ...";
    if (!names.empty()) names += ' ';
    names += f.encoding;
  }
  return names.empty() ? "nothing with an rtpmap" : names;
}

MediaKind kind_of(const SdpMedia& media) {
  return media.type == SdpMediaType::audio ? MediaKind::audio : MediaKind::video;
}

std::vector<PayloadType> published_audio(const SdpMedia& media) {
  std::vector<PayloadType> out;
  for (const Codec wish : {Codec::opus, Codec::none}) {
    for (const SdpFormat& f : media.formats) {
      const Codec codec = codec_of(f, MediaKind::audio);
      const bool first_of_kind =
          std::none_of(out.begin(), out.end(), [&](const auto& p) { return p.codec == codec; });
      const bool chosen = wish == Codec::opus
                              ? (codec == Codec::opus || codec == Codec::red) && first_of_kind
                              : (codec == Codec::pcmu || codec == Codec::pcma) && out.empty();
      if (chosen) out.push_back(to_payload_type(media, f, codec));
    }
    drop_orphaned_red(out);
    const bool opus =
        std::any_of(out.begin(), out.end(), [](const auto& p) { return p.codec == Codec::opus; });
    if (opus || wish == Codec::none) return out;
    out.clear();
  }
  return out;
}

std::vector<PayloadType> published_video(const SdpMedia& media) {
  const SdpFormat* chosen = nullptr;
  Codec codec = Codec::none;
  for (const SdpFormat& f : media.formats) {
    const Codec c = codec_of(f, MediaKind::video);
    if (c == Codec::none || (chosen != nullptr && c != codec)) continue;
    const bool fragments = c == Codec::h264 && h264_parameters(f.fmtp).packetization_mode == 1;
    if (chosen == nullptr || fragments) {
      chosen = &f;
      codec = c;
    }
    if (c != Codec::h264 || fragments) break;
  }
  if (chosen == nullptr) return {};
  return {to_payload_type(media, *chosen, codec)};
}

// Whether the pt= restriction of a rid (RFC 8851 §4) admits one of the payload types.
bool rid_admits(const SdpRid& rid, const std::vector<PayloadType>& types) {
  std::string_view list = fmtp_value(rid.restrictions, "pt");
  if (list.empty()) return true;
  while (!list.empty()) {
    const auto pt = parse_number(trim(cut_at(list, ',')), 127);
    if (std::any_of(types.begin(), types.end(), [&](const auto& p) { return pt == p.pt; }))
      return true;
  }
  return false;
}

// The layers a publisher announces: a=simulcast in its order; without it the a=rid
// lines. Rids without an a=rid line are void (RFC 8853 §5.2).
std::vector<std::string> plan_rids(const SdpMedia& media, const std::vector<PayloadType>& types) {
  std::vector<std::string> rids;
  const auto add = [&](std::string_view id) {
    const auto it = std::find_if(media.rids.begin(), media.rids.end(),
                                 [&](const SdpRid& r) { return r.send && r.id == id; });
    if (it == media.rids.end() || !rid_admits(*it, types)) return;
    if (std::find(rids.begin(), rids.end(), id) == rids.end()) rids.emplace_back(id);
  };
  for (const SdpSimulcastStream& stream : media.simulcast_send)
    for (const std::string_view id : stream.alternatives) add(id);
  if (media.simulcast_send.empty())
    for (const SdpRid& r : media.rids) add(r.id);
  return rids;
}

const SdpSsrcGroup* group_of(const SdpMedia& media, std::string_view semantics) {
  const auto it = std::find_if(media.ssrc_groups.begin(), media.ssrc_groups.end(),
                               [&](const auto& g) { return g.semantics == semantics; });
  return it == media.ssrc_groups.end() ? nullptr : &*it;
}

bool is_secondary(const SdpMedia& media, Ssrc ssrc) {
  return std::any_of(media.ssrc_groups.begin(), media.ssrc_groups.end(), [&](const auto& g) {
    return g.semantics != "SIM" && !g.ssrcs.empty() && g.ssrcs.front() != ssrc &&
           std::find(g.ssrcs.begin(), g.ssrcs.end(), ssrc) != g.ssrcs.end();
  });
}

// Primary SSRCs with their FID partner, in layer order. Several only with rids or a
// SIM group; with rids only when there is one for each, else the rid extension says
// which is which.
std::vector<SignalledSsrc> plan_ssrcs(const SdpMedia& media, const MediaPlan& plan) {
  std::vector<SignalledSsrc> out;
  const auto add = [&](Ssrc primary) {
    const bool known =
        std::any_of(out.begin(), out.end(), [&](const auto& s) { return s.primary == primary; });
    if (primary == Ssrc{} || known) return;
    SignalledSsrc s{primary, Ssrc{}};
    for (const SdpSsrcGroup& g : media.ssrc_groups)
      if (g.semantics == "FID" && g.ssrcs.size() == 2 && g.ssrcs[0] == primary)
        if (plan.payload_types.front().rtx_pt) s.rtx = g.ssrcs[1];
    out.push_back(s);
  };
  const SdpSsrcGroup* sim = group_of(media, "SIM");
  if (sim != nullptr) {
    for (const Ssrc s : sim->ssrcs) add(s);
  } else {
    for (const SdpSsrc& s : media.ssrcs)
      if (!is_secondary(media, s.ssrc)) add(s.ssrc);
  }
  if (!plan.rids.empty() && out.size() != plan.rids.size()) return {};
  if (plan.rids.empty() && sim == nullptr && out.size() > 1) out.resize(1);
  return out;
}

MediaPlan begin_plan(const SdpMedia& media) {
  MediaPlan plan;
  plan.kind = kind_of(media);
  plan.mid = std::string(media.mid);
  return plan;
}

}  // namespace

void drop_transport_cc_without_extension(MediaPlan& plan) {
  const bool numbered =
      std::any_of(plan.extensions.begin(), plan.extensions.end(),
                  [](const auto& e) { return e.kind == ExtensionKind::transport_cc; });
  if (numbered) return;
  for (PayloadType& p : plan.payload_types) p.transport_cc = false;
}

MediaPlanResult plan_published_media(const SessionDescription& offer, const SdpMedia& media) {
  MediaPlan plan = begin_plan(media);
  plan.payload_types =
      plan.kind == MediaKind::audio ? published_audio(media) : published_video(media);
  if (plan.payload_types.empty()) return "no codec we forward among " + offered_names(media);

  plan.rids = plan_rids(media, plan.payload_types);
  const bool long_rid = std::any_of(plan.rids.begin(), plan.rids.end(),
                                    [](const auto& r) { return r.size() > kMaxRidBytes; });
  if (long_rid) return "a rid is longer than " + std::to_string(kMaxRidBytes) + " characters";
  plan.ssrcs = plan_ssrcs(media, plan);
  const size_t layers = std::max(plan.rids.size(), plan.ssrcs.size());
  if (layers > kMaxLayers)
    return std::to_string(layers) + " simulcast layers, at most " + std::to_string(kMaxLayers) +
           " are supported";
  for (const SdpSsrc& s : media.ssrcs)
    if (plan.cname.empty()) plan.cname = std::string(s.cname.substr(0, kMaxCnameBytes));
  plan.extensions = plan_extensions(offer, media, plan, true);
  drop_transport_cc_without_extension(plan);
  return plan;
}

MediaPlanResult plan_watched_media(const SessionDescription& offer, const SdpMedia& media,
                                   const TrackDescription* track) {
  MediaPlan plan = begin_plan(media);
  auto& types = plan.payload_types;
  if (track != nullptr) {
    for (const TrackCodec& sent : track->codecs) {
      const SdpFormat* best = nullptr;
      uint32_t best_score = 0;
      for (const SdpFormat& f : media.formats) {
        if (codec_of(f, plan.kind) != sent.codec) continue;
        const bool taken =
            std::any_of(types.begin(), types.end(), [&](const auto& p) { return p.pt == f.pt; });
        const uint32_t score = taken ? 0 : match_score(sent.codec, f.fmtp, sent.fmtp);
        if (score > best_score) {
          best = &f;
          best_score = score;
        }
      }
      if (best != nullptr && types.size() < kMaxPayloadTypes)
        types.push_back(to_payload_type(media, *best, sent.codec));
    }
  } else {
    for (const SdpFormat& f : media.formats) {
      const Codec codec = codec_of(f, plan.kind);
      if (codec == Codec::none || types.size() == kMaxPayloadTypes) continue;
      const H264Parameters h264 = h264_parameters(f.fmtp);
      const bool better_mode =
          codec == Codec::h264 && h264.packetization_mode == 0 &&
          std::any_of(media.formats.begin(), media.formats.end(), [&](const SdpFormat& g) {
            const H264Parameters other = h264_parameters(g.fmtp);
            return codec_of(g, plan.kind) == codec && other.packetization_mode == 1 &&
                   other.same_profile(h264);
          });
      if (!better_mode) types.push_back(to_payload_type(media, f, codec));
    }
  }
  drop_orphaned_red(types);
  if (types.empty()) {
    std::string sent;
    if (track != nullptr)
      for (const TrackCodec& c : track->codecs)
        sent += (sent.empty() ? "" : " ") + std::string(name_of(c.codec));
    return track == nullptr
               ? "no codec we forward among " + offered_names(media)
               : "the publisher sends " + sent + ", the offer has " + offered_names(media);
  }
  // A repeat without RTX would be a second packet under one SRTP index.
  for (PayloadType& p : types) p.nack = p.nack && p.rtx_pt.has_value();
  plan.extensions = plan_extensions(offer, media, plan, false);
  drop_transport_cc_without_extension(plan);
  return plan;
}

}  // namespace spillway
