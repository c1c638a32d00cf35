#include "offers.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "signaling/sdp/answer.h"
#include "signaling/sdp/sdp.h"

namespace spillway::test {

std::string vector_path(std::string_view name) {
  return std::string(SPILLWAY_SDP_VECTORS) + "/" + std::string(name);
}

std::string read_vector(std::string_view name) {
  std::ifstream in(vector_path(name), std::ios::binary);
  EXPECT_TRUE(in) << "cannot read " << vector_path(name);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

Line audio(std::string direction) {
  Line l;
  l.direction = std::move(direction);
  return l;
}

Line video(std::string direction) {
  Line l;
  l.media = "video";
  l.payload = "96 97";
  l.mid = "1";
  l.direction = std::move(direction);
  l.more =
      "a=rtpmap:96 VP8/90000\na=rtpmap:97 rtx/90000\na=fmtp:97 apt=96\n"
      "a=rtcp-fb:96 nack\na=rtcp-fb:96 nack pli\n";
  return l;
}

std::string offer_text(const std::vector<Line>& lines, std::string session, std::string bundle) {
  std::string text = "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nt=0 0\n";
  if (bundle == "*") {
    bundle.clear();
    for (const Line& l : lines)
      if (!l.mid.empty()) bundle += " " + l.mid;
  }
  if (!bundle.empty()) text += "a=group:BUNDLE " + bundle + "\n";
  text += session;
  for (const Line& l : lines) {
    text += "m=" + l.media + " " + l.port + " " + l.protocol + " " + l.payload + "\n";
    text += "c=IN IP4 0.0.0.0\n";
    if (!l.mid.empty()) text += "a=mid:" + l.mid + "\n";
    text += "a=ice-ufrag:abcd\na=ice-pwd:0123456789012345678901\n";
    text += kFingerprint;
    if (!l.setup.empty()) text += "a=setup:" + l.setup + "\n";
    if (!l.direction.empty()) text += "a=" + l.direction + "\n";
    text += "a=rtcp-mux\n" + l.more;
  }
  return text;
}

namespace {

PlanResult plan(std::string_view text, bool to_publish, const PublishOptions& options,
                const StreamDescription& stream) {
  const auto offer = parse_sdp(text);
  if (!offer) return Refusal{Refusal::Kind::malformed, "does not parse: " + offer.error().text};
  return to_publish ? plan_publish(*offer, options) : plan_watch(*offer, stream);
}

OfferPlan accepted(const PlanResult& result) {
  if (const auto* refusal = std::get_if<Refusal>(&result)) {
    ADD_FAILURE() << "refused: " << refusal->detail;
    return {};
  }
  return std::get<OfferPlan>(result);
}

Refusal refused(const PlanResult& result) {
  if (std::holds_alternative<OfferPlan>(result)) {
    ADD_FAILURE() << "accepted, should have been refused";
    return {};
  }
  return std::get<Refusal>(result);
}

}  // namespace

OfferPlan publish(std::string_view text, PublishOptions options) {
  return accepted(plan(text, true, options, {}));
}
OfferPlan watch(std::string_view text, const StreamDescription& stream) {
  return accepted(plan(text, false, {}, stream));
}
Refusal refused_publish(std::string_view text, PublishOptions options) {
  return refused(plan(text, true, options, {}));
}
Refusal refused_watch(std::string_view text, const StreamDescription& stream) {
  return refused(plan(text, false, {}, stream));
}

StreamDescription live_stream(std::vector<TrackCodec> audio, std::vector<TrackCodec> video) {
  StreamDescription s;
  s.live = true;
  if (!audio.empty()) s.tracks.push_back({MediaKind::audio, std::move(audio), {}});
  if (!video.empty()) s.tracks.push_back({MediaKind::video, std::move(video), {}});
  return s;
}

SessionAnswer fixed_answer(const OfferPlan& plan) {
  SessionAnswer a;
  a.session_id = "AAAAAAAAAAAAAAAAAAAAAA";
  a.etag = "1-00000001";
  a.transport.ice_ufrag = "spwyUFRAG0123456";
  a.transport.ice_pwd = "spwyPWD012345678901234567";
  for (uint8_t i = 0; i < 32; ++i) a.transport.fingerprint_sha256[i] = static_cast<uint8_t>(i * 7);
  // IPv6 first on purpose: the writer has to put IPv4 first.
  for (const char* e : {"[2001:db8::5]:3478", "192.0.2.5:3478", "198.51.100.5:3478"})
    a.transport.candidates.push_back(*Endpoint::parse(e));
  a.transport.local_role = plan.transport.local_role;
  for (uint32_t i = 0; i < plan.media.size(); ++i) {
    MediaAnswer m;
    if (!plan.publish) {
      m.ssrc = Ssrc{1000 + 10 * i};
      if (plan.media[i].kind == MediaKind::video) m.rtx_ssrc = Ssrc{1001 + 10 * i};
      m.cname = "spillway";
      m.msid = plan.media[i].kind == MediaKind::video ? "stream video" : "stream audio";
    }
    a.media.push_back(m);
  }
  return a;
}

std::string answer_of(std::string_view offer, const OfferPlan& plan) {
  const auto parsed = parse_sdp(offer);
  if (!parsed) {
    ADD_FAILURE() << parsed.error().text;
    return {};
  }
  const auto answer = write_answer(*parsed, plan, fixed_answer(plan));
  if (!answer) {
    ADD_FAILURE() << answer.error().text;
    return {};
  }
  return *answer;
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  std::istringstream in{std::string(text)};
  for (std::string line; std::getline(in, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    lines.push_back(line);
  }
  return lines;
}

std::string section(std::string_view sdp, size_t n) {
  std::string out;
  size_t seen = 0;
  for (const std::string& line : lines_of(sdp)) {
    if (line.starts_with("m=")) ++seen;
    if (seen == n + 1) out += line + "\n";
  }
  return out;
}

}  // namespace spillway::test
