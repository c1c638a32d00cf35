// Aim: offers of real clients in, our exact answers out, and each answer keeps every
// rule. SPILLWAY_UPDATE_GOLDEN=1 rewrites the answers (then read the diff).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "answer_rules.h"
#include "offers.h"
#include "signaling/sdp/sdp.h"

namespace spillway::test {
namespace {

const TrackCodec kOpus{Codec::opus, "minptime=10;useinbandfec=1"};
const TrackCodec kH264{Codec::h264,
                       "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"};
const TrackCodec kVp8{Codec::vp8, ""};

struct Golden {
  const char* offer;   // in offers/
  const char* answer;  // in answers/
  bool publish = true;
  StreamDescription stream = {};
};

void PrintTo(const Golden& g, std::ostream* out) {
  *out << g.answer;
}

class GoldenAnswer : public ::testing::TestWithParam<Golden> {};

TEST_P(GoldenAnswer, IsExactAndKeepsEveryRule) {
  const Golden& g = GetParam();
  const std::string offer = read_vector(std::string("offers/") + g.offer + ".sdp");
  const OfferPlan plan = g.publish ? publish(offer) : watch(offer, g.stream);
  ASSERT_FALSE(plan.media.empty());
  const std::string answer = answer_of(offer, plan);
  EXPECT_THAT(broken_answer_rules(offer, answer, g.publish), ::testing::IsEmpty());

  const std::string file = std::string("answers/") + g.answer + ".sdp";
  if (std::getenv("SPILLWAY_UPDATE_GOLDEN") != nullptr)
    std::ofstream(vector_path(file), std::ios::binary) << answer;
  EXPECT_EQ(answer, read_vector(file));

  const auto again = parse_sdp(answer);
  ASSERT_TRUE(again) << again.error().text;
  EXPECT_EQ(again->media.size(), plan.media.size() + plan.refused.size());
}

INSTANTIATE_TEST_SUITE_P(
    Clients, GoldenAnswer,
    ::testing::Values(
        Golden{"chromium-publish", "chromium-publish"},
        Golden{"chromium-simulcast", "chromium-simulcast"},
        Golden{"chromium-watch", "chromium-watch-h264", false, live_stream({kOpus}, {kH264})},
        Golden{"chromium-watch", "chromium-watch-vp8", false, live_stream({kOpus}, {kVp8})},
        Golden{"chromium-watch", "chromium-watch-waiting", false},
        Golden{"firefox-publish", "firefox-publish"},
        Golden{"firefox-simulcast", "firefox-simulcast"},
        Golden{"firefox-watch", "firefox-watch-vp8", false, live_stream({kOpus}, {kVp8})},
        Golden{"firefox-watch", "firefox-watch-waiting", false},
        Golden{"obs-publish", "obs-publish"}, Golden{"obs-simulcast", "obs-simulcast"},
        Golden{"ffmpeg8-publish", "ffmpeg8-publish"},
        Golden{"ffmpeg8-video-only", "ffmpeg8-video-only"},
        Golden{"ffmpeg8-dtls-active", "ffmpeg8-dtls-active"},
        Golden{"gstreamer-publish-vp8", "gstreamer-publish-vp8"},
        Golden{"gstreamer-publish-h264", "gstreamer-publish-h264"},
        Golden{"aiortc-publish", "aiortc-publish"},
        Golden{"aiortc-watch", "aiortc-watch-h264", false, live_stream({kOpus}, {kH264})},
        Golden{"pion-publish", "pion-publish"},
        Golden{"pion-watch", "pion-watch-h264", false, live_stream({kOpus}, {kH264})},
        Golden{"str0m-watch", "str0m-watch-h264", false, live_stream({kOpus}, {kH264})},
        Golden{"str0m-watch", "str0m-watch-waiting", false}),
    [](const auto& test) {
      std::string name = test.param.answer;
      for (char& c : name)
        if (c == '-') c = '_';
      return name;
    });

// Aim: the rule checker itself can fail; each of these breaks one rule of a good answer.
TEST(AnswerRules, EveryBrokenRuleIsSeen) {
  const std::string offer = read_vector("offers/chromium-simulcast.sdp");
  const std::string good = answer_of(offer, publish(offer));
  ASSERT_THAT(broken_answer_rules(offer, good, true), ::testing::IsEmpty());
  const std::vector<std::pair<std::string, std::string>> edits{
      {"s=-\r\n", "s=x\r\n"},
      {"\r\n", "\n"},
      {"a=ice-lite\r\n", ""},
      {"a=group:BUNDLE 0 1", "a=group:BUNDLE 1 0"},
      {"a=mid:1", "a=mid:2"},
      {"a=recvonly", "a=sendrecv"},
      {"a=setup:passive", "a=setup:active"},
      {"a=rtcp-mux-only\r\n", ""},
      {"a=rtpmap:111 opus/48000/2\r\n", ""},
      {"a=rtpmap:111 opus/48000/2", "a=rtpmap:111 OPUS/48000/2"},
      {"a=rid:h recv\r\n", ""},
      {"a=simulcast:recv q;h;f", "a=simulcast:recv q;f"},
      {"m=audio 9", "m=audio 0"},
      {"VP8/90000", "VP9/90000"},
      {"192.0.2.5", "2001:db8::9"},
      {"a=end-of-candidates\r\n", ""},
      {"a=extmap:4 ", "a=extmap:5 "},
      {"apt=96", "apt=98"},
  };
  for (const auto& [from, to] : edits) {
    std::string bad = good;
    const size_t at = bad.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    bad.replace(at, from.size(), to);
    EXPECT_FALSE(broken_answer_rules(offer, bad, true).empty()) << from << " -> " << to;
  }
}

}  // namespace
}  // namespace spillway::test
