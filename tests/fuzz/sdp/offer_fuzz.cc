// Any text as a POST body: whatever is accepted gets an answer that fits, parses and
// has the offer's m-lines.
#include <cstdint>
#include <string_view>

#include "datapath/base/assert.h"
#include "signaling/sdp/answer.h"

namespace spillway {
namespace {

void answer(const SessionDescription& offer, const PlanResult& result) {
  const auto* plan = std::get_if<OfferPlan>(&result);
  if (plan == nullptr) {
    SPILLWAY_ASSERT(!std::get<Refusal>(result).detail.empty());
    return;
  }
  SPILLWAY_ASSERT(plan->media.size() + plan->refused.size() == offer.media.size());
  SPILLWAY_ASSERT(!plan->media.empty() && plan->media.size() <= kMaxMedia);
  SessionAnswer a;
  a.transport.ice_ufrag = "ufrag";
  a.transport.ice_pwd = "password0123456789012345";
  a.transport.candidates.assign(kMaxAnswerCandidates, *Endpoint::parse("[2001:db8::1]:65535"));
  for (const MediaPlan& m : plan->media) {
    SPILLWAY_ASSERT(m.mid.size() <= kMaxMidBytes && m.cname.size() <= kMaxCnameBytes);
    SPILLWAY_ASSERT(!m.payload_types.empty() && m.payload_types.size() <= kMaxPayloadTypes);
    SPILLWAY_ASSERT(m.extensions.size() <= kMaxExtensions);
    SPILLWAY_ASSERT(m.rids.size() <= kMaxLayers && m.ssrcs.size() <= kMaxLayers);
    a.media.push_back({Ssrc{1}, Ssrc{2}, "cname", "stream track"});
  }
  const auto text = write_answer(offer, *plan, a);
  SPILLWAY_ASSERT(text.ok());
  SPILLWAY_ASSERT(text->size() <= kMaxSdpAnswerBytes);
  const auto again = parse_sdp(*text);
  SPILLWAY_ASSERT(again.ok());
  SPILLWAY_ASSERT(again->media.size() == offer.media.size());
}

}  // namespace
}  // namespace spillway

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace spillway;
  const auto offer = parse_sdp({reinterpret_cast<const char*>(data), size});
  if (!offer) {
    SPILLWAY_ASSERT(offer.error().text.starts_with("line "));
    return 0;
  }
  StreamDescription live;
  live.live = true;
  live.tracks.push_back({MediaKind::audio, {{Codec::opus, ""}, {Codec::red, ""}}, {}});
  live.tracks.push_back({MediaKind::video, {{Codec::h264, "packetization-mode=1"}}, {}});
  answer(*offer, plan_publish(*offer, {.half_accept = true}));
  answer(*offer, plan_publish(*offer, {}));
  answer(*offer, plan_watch(*offer, {}));
  answer(*offer, plan_watch(*offer, live));
  return 0;
}
