// Writes the SDP answer of a publisher's or viewer's offer.
//
// Shape (RFC 8829 §5.3, RFC 9725 §4, and what strict clients check): CRLF, at most
// kMaxSdpAnswerBytes; "s=-", "t=0 0", a numeric session id; the offer's m-lines in
// number, order and mid; exactly one rtpmap per listed payload type, in the offer's
// numbering; one direction (recvonly to publishers, sendonly to viewers); ICE-lite;
// candidates in the BUNDLE-tagged m-section only, IPv4 first. Refused m-lines have
// port 0, are inactive and outside the BUNDLE group.
#pragma once

#include <string>

#include "control/control_api.h"
#include "signaling/sdp/negotiation.h"
#include "signaling/sdp/sdp.h"

namespace spillway {

// Candidates written; further ones of TransportAnswer are left out.
inline constexpr uint32_t kMaxAnswerCandidates = 8;
// One identifier of a=msid (RFC 8830 §2: 1*64 token-char); longer ones are cut.
inline constexpr uint32_t kMaxMsidTokenBytes = 64;

// offer and plan: as parsed and planned; answer.media: same order and number as
// plan.media. Any thread. An error means the answer would be too long or the three
// do not belong together; plan_publish and plan_watch make sure of the length.
Result<std::string> write_answer(const SessionDescription& offer, const OfferPlan& plan,
                                 const SessionAnswer& answer);

}  // namespace spillway
