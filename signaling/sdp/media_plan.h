// The plan of a single m-line: payload types, header extensions, simulcast, SSRCs.
// The rules of the whole offer (security, BUNDLE, transport) are in negotiation.cc.
// Pure functions, any thread.
#pragma once

#include <string>
#include <variant>

#include "control/control_api.h"
#include "signaling/sdp/sdp.h"

namespace spillway {

// A plan, or one sentence why the m-line cannot be served. `media` is audio or video.
using MediaPlanResult = std::variant<MediaPlan, std::string>;

MediaPlanResult plan_published_media(const SessionDescription& offer, const SdpMedia& media);

// track: of the live publisher; nullptr: nobody publishes yet.
MediaPlanResult plan_watched_media(const SessionDescription& offer, const SdpMedia& media,
                                   const TrackDescription* track);

// transport-cc feedback is about numbers that the header extension carries: without it
// no payload type asks for feedback.
void drop_transport_cc_without_extension(MediaPlan& plan);

}  // namespace spillway
