// Offers and answers for tests: files of tests/vectors/sdp, small composed offers,
// and the fixed values every golden answer has.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "control/control_api.h"
#include "signaling/sdp/negotiation.h"

namespace spillway::test {

std::string vector_path(std::string_view name);
std::string read_vector(std::string_view name);  // fails the test when absent

inline constexpr std::string_view kFingerprint =
    "a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:"
    "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\n";

// What composed offers are made of. Lines end with LF, which the parser takes.
struct Line {
  std::string media = "audio";
  std::string payload = "111";
  std::string mid = "0";
  std::string direction = "sendonly";
  std::string protocol = "UDP/TLS/RTP/SAVPF";
  std::string port = "9";
  std::string setup = "actpass";
  std::string more = "a=rtpmap:111 opus/48000/2\n";  // attributes, each with its LF
};
Line audio(std::string direction = "sendonly");
Line video(std::string direction = "sendonly");  // mid 1, VP8 96 with RTX 97
// session: attributes before the m-lines. The BUNDLE group names every mid unless
// `bundle` says otherwise ("" = no group).
std::string offer_text(const std::vector<Line>& lines, std::string session = "",
                       std::string bundle = "*");

// Plans that must succeed, or refusals that must come; else the test fails.
OfferPlan publish(std::string_view text, PublishOptions options = {});
OfferPlan watch(std::string_view text, const StreamDescription& stream = {});
Refusal refused_publish(std::string_view text, PublishOptions options = {});
Refusal refused_watch(std::string_view text, const StreamDescription& stream = {});

StreamDescription live_stream(std::vector<TrackCodec> audio, std::vector<TrackCodec> video);

// Fixed answer values: two IPv4 and one IPv6 candidates, SSRCs 1000.. per m-line.
SessionAnswer fixed_answer(const OfferPlan& plan);
// parse + write_answer of a plan that succeeded.
std::string answer_of(std::string_view offer, const OfferPlan& plan);

// The section of `sdp` from its n-th m-line to the next, without the session part.
std::string section(std::string_view sdp, size_t n);
std::vector<std::string> lines_of(std::string_view text);

}  // namespace spillway::test
