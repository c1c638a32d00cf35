#include "signaling/sdp/negotiation.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <optional>

#include "signaling/sdp/answer.h"
#include "signaling/sdp/media_plan.h"
#include "signaling/sdp/text.h"

namespace spillway {
namespace {

constexpr std::string_view kMediaProtocol = "UDP/TLS/RTP/SAVPF";  // no other is ever accepted
constexpr uint32_t kMinUfragBytes = 4;                            // RFC 8839 §5.4
constexpr uint32_t kMinIcePwdBytes = 22;

Refusal malformed(std::string detail) {
  return {Refusal::Kind::malformed, std::move(detail)};
}
Refusal unsupported(std::string detail) {
  return {Refusal::Kind::unsupported, std::move(detail)};
}

bool is_audio_or_video(const SdpMedia& m) {
  return m.type == SdpMediaType::audio || m.type == SdpMediaType::video;
}

// "m-line 1 (video, mid 1)"
std::string name_line(const SessionDescription& offer, uint32_t index) {
  const SdpMedia& m = offer.media[index];
  std::string name = "m-line " + std::to_string(index) + " (" + std::string(m.type_text);
  if (!m.mid.empty()) name += ", mid " + std::string(m.mid);
  return name + ")";
}

std::optional<Refusal> check_security(const SessionDescription& offer) {
  if (offer.crypto) return unsupported("a=crypto (SDES keys) is not accepted, DTLS-SRTP is");
  for (uint32_t i = 0; i < offer.media.size(); ++i) {
    const SdpMedia& m = offer.media[i];
    if (m.crypto)
      return unsupported(name_line(offer, i) +
                         ": a=crypto (SDES keys) is not accepted, DTLS-SRTP is");
    if (is_audio_or_video(m) && m.protocol != kMediaProtocol)
      return unsupported(name_line(offer, i) + ": protocol " + std::string(m.protocol) +
                         " is not accepted, only " + std::string(kMediaProtocol));
  }
  return std::nullopt;
}

std::optional<Refusal> check_mids(const SessionDescription& offer) {
  for (uint32_t i = 0; i < offer.media.size(); ++i)
    for (uint32_t j = 0; j < i; ++j)
      if (!offer.media[i].mid.empty() && offer.media[i].mid == offer.media[j].mid)
        return malformed(name_line(offer, i) + ": two m-lines have this mid");
  return std::nullopt;
}

// Index of the BUNDLE group that names the m-line; nullopt: none.
std::optional<size_t> bundle_of(const SessionDescription& offer, const SdpMedia& m) {
  if (m.mid.empty()) return std::nullopt;
  for (size_t g = 0; g < offer.bundle_groups.size(); ++g) {
    const auto& mids = offer.bundle_groups[g];
    if (std::find(mids.begin(), mids.end(), m.mid) != mids.end()) return g;
  }
  return std::nullopt;
}

// Why the m-line cannot join those already accepted: there is one transport for all.
std::optional<std::string> bundle_problem(const SessionDescription& offer, const OfferPlan& plan,
                                          const SdpMedia& m) {
  if (plan.media.empty()) return std::nullopt;
  const auto first = bundle_of(offer, offer.media[plan.media.front().mline_index]);
  if (first && bundle_of(offer, m) == first) return std::nullopt;
  return "all media must be in one BUNDLE group";
}

std::optional<std::string> direction_problem(const SessionDescription& offer, const SdpMedia& m,
                                             bool publish) {
  const SdpDirection d = offer.direction(m);
  const SdpDirection right = publish ? SdpDirection::sendonly : SdpDirection::recvonly;
  if (d == right || d == SdpDirection::sendrecv) return std::nullopt;
  return publish ? "a publisher must offer sendonly or sendrecv"
                 : "a viewer must offer recvonly or sendrecv";
}

// Payload types are unique across a BUNDLE group (RFC 9143 §9.1): what an earlier
// m-line has taken is left out. True: something is left.
bool drop_taken_payload_types(std::bitset<128>& taken, MediaPlan& media) {
  std::erase_if(media.payload_types, [&](const PayloadType& p) {
    return taken[p.pt] || (p.rtx_pt && taken[*p.rtx_pt]);
  });
  for (const PayloadType& p : media.payload_types) {
    taken.set(p.pt);
    if (p.rtx_pt) taken.set(*p.rtx_pt);
  }
  return !media.payload_types.empty();
}

// An extension id has one meaning in a BUNDLE group (RFC 9143). aiortc 1.4 gives
// id 2 to the audio level and to abs-send-time, and its receiver ends at the first packet
// that has the other one: the earlier m-line keeps the id.
void drop_taken_extension_ids(std::array<ExtensionKind, 256>& meaning, MediaPlan& media) {
  std::erase_if(media.extensions, [&](const HeaderExtension& e) {
    return meaning[e.id] != ExtensionKind::none && meaning[e.id] != e.kind;
  });
  for (const HeaderExtension& e : media.extensions) meaning[e.id] = e.kind;
  drop_transport_cc_without_extension(media);
}

std::optional<std::vector<uint8_t>> parse_digest(std::string_view text, size_t bytes) {
  if (text.size() != bytes * 3 - 1) return std::nullopt;
  const auto nibble = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  std::vector<uint8_t> digest;
  for (size_t i = 0; i < text.size(); i += 3) {
    const int high = nibble(text[i]);
    const int low = nibble(text[i + 1]);
    if (high < 0 || low < 0 || (i + 2 < text.size() && text[i + 2] != ':')) return std::nullopt;
    digest.push_back(static_cast<uint8_t>(high << 4 | low));
  }
  return digest;
}

std::optional<Refusal> plan_fingerprints(const std::vector<SdpFingerprint>& offered,
                                         TransportPlan& out) {
  constexpr std::array<std::pair<std::string_view, size_t>, 3> kHashes{
      {{"sha-256", 32}, {"sha-384", 48}, {"sha-512", 64}}};
  for (const SdpFingerprint& f : offered) {
    for (const auto& [name, bytes] : kHashes) {
      if (!equal_no_case(f.algorithm, name)) continue;
      auto digest = parse_digest(f.digest, bytes);
      if (!digest) return malformed("the " + std::string(name) + " fingerprint is no valid digest");
      out.fingerprints.push_back({std::string(name), std::move(*digest)});
    }
  }
  if (out.fingerprints.empty())
    return unsupported("DTLS needs an a=fingerprint with sha-256, sha-384 or sha-512");
  return std::nullopt;
}

// The BUNDLE-tagged m-line's transport (RFC 9143 §7.2): the first accepted one, or
// where that is bundle-only and bare, the first that has credentials.
std::optional<Refusal> plan_transport(const SessionDescription& offer, OfferPlan& plan) {
  const SdpMedia* tagged = &offer.media[plan.media.front().mline_index];
  if (offer.ice_ufrag(*tagged).empty())
    for (const SdpMedia& m : offer.media)
      if (!m.transport.ice_ufrag.empty() && offer.ice_ufrag(*tagged).empty()) tagged = &m;

  TransportPlan& t = plan.transport;
  t.ice_ufrag = std::string(offer.ice_ufrag(*tagged));
  t.ice_pwd = std::string(offer.ice_pwd(*tagged));
  if (t.ice_ufrag.empty() || t.ice_pwd.empty())
    return malformed("the offer has no a=ice-ufrag and a=ice-pwd");
  if (!is_ice_text(t.ice_ufrag) || !is_ice_text(t.ice_pwd) || t.ice_ufrag.size() < kMinUfragBytes ||
      t.ice_pwd.size() < kMinIcePwdBytes)
    return malformed("a=ice-ufrag or a=ice-pwd is too short or has other than ICE characters");
  if (t.ice_ufrag.size() > kMaxUfragBytes || t.ice_pwd.size() > kMaxIcePwdBytes)
    return unsupported("a=ice-ufrag may have " + std::to_string(kMaxUfragBytes) +
                       " characters and a=ice-pwd " + std::to_string(kMaxIcePwdBytes));
  if (auto refusal = plan_fingerprints(offer.fingerprints(*tagged), t)) return refusal;

  // Absent means active (RFC 4145 §4). Where we may choose we are passive: the peer
  // then sends the ClientHello as soon as its own check succeeded.
  const SdpSetup setup = offer.setup(*tagged).value_or(SdpSetup::active);
  if (setup == SdpSetup::holdconn) return unsupported("a=setup:holdconn is not supported");
  t.local_role = setup == SdpSetup::passive ? DtlsRole::client : DtlsRole::server;
  return std::nullopt;
}

// The longest answer control could ask for with this plan.
SessionAnswer longest_answer(const OfferPlan& plan) {
  SessionAnswer a;
  Endpoint far;
  far.ip.bytes.fill(0xff);
  far.port = UINT16_MAX;
  a.transport.candidates.assign(kMaxAnswerCandidates, far);
  a.transport.ice_ufrag.assign(kMaxUfragBytes, 'u');
  a.transport.ice_pwd.assign(kMaxIcePwdBytes, 'p');
  for (size_t i = 0; i < plan.media.size(); ++i) {
    MediaAnswer m;
    m.ssrc = Ssrc{UINT32_MAX};
    m.rtx_ssrc = Ssrc{UINT32_MAX};
    m.cname.assign(kMaxCnameBytes, 'c');
    m.msid = std::string(kMaxMsidTokenBytes, 's') + ' ' + std::string(kMaxMsidTokenBytes, 't');
    a.media.push_back(std::move(m));
  }
  return a;
}

// Leaves out the least wanted payload types until the answer fits.
bool fit_answer(const SessionDescription& offer, OfferPlan& plan) {
  const SessionAnswer longest = longest_answer(plan);
  while (!write_answer(offer, plan, longest)) {
    MediaPlan& most = *std::max_element(plan.media.begin(), plan.media.end(),
                                        [](const MediaPlan& a, const MediaPlan& b) {
                                          return a.payload_types.size() < b.payload_types.size();
                                        });
    if (most.payload_types.size() == 1) return false;
    most.payload_types.pop_back();
  }
  return true;
}

// line_plan(media, problem so far) -> MediaPlanResult for one audio or video m-line.
// is_fatal: an m-line that cannot be served refuses the offer.
template <typename LinePlan>
PlanResult plan_offer(const SessionDescription& offer, bool publish, bool is_fatal,
                      const LinePlan& line_plan) {
  if (offer.media.empty()) return unsupported("the offer has no m-lines");
  if (auto refusal = check_security(offer)) return *refusal;
  if (auto refusal = check_mids(offer)) return *refusal;
  if (offer.ice_lite) return unsupported("the offer is ice-lite, and so are we");

  OfferPlan plan;
  plan.publish = publish;
  std::bitset<128> taken;
  std::array<ExtensionKind, 256> extension_ids{};  // none: free
  std::string first_reason;
  for (uint32_t i = 0; i < offer.media.size(); ++i) {
    const SdpMedia& m = offer.media[i];
    const auto refuse = [&](std::string reason) {
      plan.refused.push_back({i, name_line(offer, i) + ": " + std::move(reason)});
    };
    if (m.type == SdpMediaType::application) {
      refuse("data channels are not supported");
      continue;
    }
    if (m.port == 0 && !m.bundle_only) {
      refuse("disabled by the offer");
      continue;
    }
    MediaPlanResult result = std::string("only audio and video are supported");
    if (is_audio_or_video(m)) {
      std::optional<std::string> problem = direction_problem(offer, m, publish);
      if (!problem) problem = bundle_problem(offer, plan, m);
      if (!problem && m.mid.size() > kMaxMidBytes)
        problem = "the mid is longer than " + std::to_string(kMaxMidBytes) + " characters";
      if (!problem && plan.media.size() == kMaxMedia)
        problem = "more than " + std::to_string(kMaxMedia) + " m-lines";
      result = problem ? MediaPlanResult(std::move(*problem)) : line_plan(m, plan);
    }
    if (auto* media = std::get_if<MediaPlan>(&result)) {
      if (drop_taken_payload_types(taken, *media)) {
        drop_taken_extension_ids(extension_ids, *media);
        media->mline_index = i;
        plan.media.push_back(std::move(*media));
        continue;
      }
      result = std::string("its payload types are those of another m-line");
    }
    refuse(std::get<std::string>(result));
    if (first_reason.empty()) first_reason = plan.refused.back().reason;
    if (is_fatal) return unsupported(first_reason);
  }
  if (plan.media.empty())
    return unsupported(first_reason.empty() ? "the offer has no audio or video" : first_reason);
  if (auto refusal = plan_transport(offer, plan)) return *refusal;
  if (!fit_answer(offer, plan))
    return unsupported("the answer would be longer than " + std::to_string(kMaxSdpAnswerBytes) +
                       " bytes");
  return plan;
}

size_t planned_of(const OfferPlan& plan, MediaKind kind) {
  return static_cast<size_t>(std::count_if(plan.media.begin(), plan.media.end(),
                                           [&](const MediaPlan& m) { return m.kind == kind; }));
}

MediaKind kind_of(const SdpMedia& m) {
  return m.type == SdpMediaType::audio ? MediaKind::audio : MediaKind::video;
}

}  // namespace

PlanResult plan_publish(const SessionDescription& offer, const PublishOptions& options) {
  return plan_offer(offer, true, !options.half_accept,
                    [&](const SdpMedia& m, const OfferPlan& plan) -> MediaPlanResult {
                      if (planned_of(plan, kind_of(m)) != 0)
                        return "a stream has one track of each kind, this is the second " +
                               std::string(m.type_text);
                      return plan_published_media(offer, m);
                    });
}

PlanResult plan_watch(const SessionDescription& offer, const StreamDescription& stream) {
  std::array<size_t, 2> next_track{};  // by MediaKind
  return plan_offer(offer, false, false,
                    [&](const SdpMedia& m, const OfferPlan&) -> MediaPlanResult {
                      const MediaKind kind = kind_of(m);
                      size_t skip = next_track[static_cast<size_t>(kind)]++;
                      if (!stream.live) {
                        if (skip != 0) return "nobody publishes yet; one m-line of each kind waits";
                        return plan_watched_media(offer, m, nullptr);
                      }
                      for (const TrackDescription& track : stream.tracks)
                        if (track.kind == kind && skip-- == 0)
                          return plan_watched_media(offer, m, &track);
                      return "the publisher has no such track";
                    });
}

}  // namespace spillway
