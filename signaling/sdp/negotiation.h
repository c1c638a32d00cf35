// From a parsed offer to what Spillway will do with it: the plan that control is
// asked for and that the answer is written from.
//
// Pure functions, any thread. Views of the offer are copied into the plan, so the
// plan does not depend on the offer's text. A plan that is returned always fits an
// answer of kMaxSdpAnswerBytes (answer.h); the least wanted payload types are left
// out until it does.
//
// Publish (WHIP, RFC 9725) is all or nothing unless half_accept: the first m-line
// that cannot be served refuses the offer. Watch (WHEP) refuses single m-lines with
// port 0 and the offer only when none is left. An m-line that is no audio or video
// (data channel) is always answered with port 0 and never fatal.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "control/control_api.h"
#include "signaling/sdp/sdp.h"

namespace spillway {

// An m-line answered with port 0, and why (one sentence, for logs).
struct RefusedMedia {
  uint32_t mline_index = 0;
  std::string reason;
};

struct OfferPlan {
  bool publish = false;  // else watch
  TransportPlan transport;
  std::vector<MediaPlan> media;       // 1..kMaxMedia, in m-line order
  std::vector<RefusedMedia> refused;  // in m-line order; together with media: every m-line
};

struct Refusal {
  enum class Kind : uint8_t {
    malformed,    // 400: the offer contradicts a MUST of the SDP grammar it uses
    unsupported,  // 422: understood, but not served
  };
  Kind kind = Kind::unsupported;
  std::string detail;  // one sentence naming the m-line, for problem+json
};

using PlanResult = std::variant<OfferPlan, Refusal>;

struct PublishOptions {
  // H9: accept what can be served of a publisher's offer instead of refusing it whole.
  bool half_accept = false;
};

// One audio and one video m-line at most (a stream has one track of each kind).
// Video: the first codec of the offer that we know, H.264 by preference with
// packetization-mode=1, and its RTX. Audio: Opus, with RED where offered (offer's
// order), else PCMU or PCMA.
PlanResult plan_publish(const SessionDescription& offer, const PublishOptions& options);

// `stream.live`: the n-th audio (video) m-line gets the payload types that match the
// n-th audio (video) track of the publisher. Not live: nobody knows what the
// publisher will send, and WHEP cannot renegotiate, so all supported codecs stay,
// in the offer's order, of the first m-line of each kind. Every H.264 profile is
// kept once: a packetization-mode=1 receiver can take a mode 0 stream, so mode 0
// is left out where mode 1 of the same profile is offered.
//
// `nack` is set only for payload types with RTX: a repeat on the primary SSRC with
// other header-extension bytes would use an SRTP index twice.
PlanResult plan_watch(const SessionDescription& offer, const StreamDescription& stream);

}  // namespace spillway
