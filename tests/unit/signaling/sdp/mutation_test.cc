// Aim: no cut or mutated offer breaks the parser or makes an answer that breaks a rule
// of length or grammar, and the worst of them is parsed quickly.
#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <random>

#include "offers.h"
#include "signaling/sdp/answer.h"
#include "signaling/sdp/sdp.h"
#include "signaling/sdp/sdp_fragment.h"

namespace spillway::test {
namespace {

constexpr const char* kOffers[] = {
    "chromium-simulcast",     "chromium-watch", "firefox-simulcast", "obs-simulcast",
    "gstreamer-publish-h264", "pion-watch",     "str0m-watch",       "aiortc-publish"};

struct Counts {
  uint32_t parsed = 0;
  uint32_t planned = 0;
};

// Everything that happens to a POST body, whatever it holds.
void run(const std::string& text, Counts& counts) {
  const auto offer = parse_sdp(text);
  if (!offer) {
    ASSERT_EQ(offer.error().text.rfind("line ", 0), 0U) << offer.error().text;
    return;
  }
  ++counts.parsed;
  StreamDescription live = live_stream(
      {{Codec::opus, ""}}, {{Codec::h264, "packetization-mode=1;profile-level-id=42e01f"}});
  for (const PlanResult& result : {plan_publish(*offer, {.half_accept = true}),
                                   plan_watch(*offer, {}), plan_watch(*offer, live)}) {
    if (const auto* refusal = std::get_if<Refusal>(&result)) {
      ASSERT_FALSE(refusal->detail.empty());
      continue;
    }
    ++counts.planned;
    const OfferPlan& plan = std::get<OfferPlan>(result);
    const auto answer = write_answer(*offer, plan, fixed_answer(plan));
    ASSERT_TRUE(answer) << answer.error().text;
    ASSERT_LE(answer->size(), kMaxSdpAnswerBytes);
    const auto again = parse_sdp(*answer);
    ASSERT_TRUE(again) << again.error().text;
    ASSERT_EQ(again->media.size(), offer->media.size());
  }
}

TEST(Mutation, EveryTruncationIsHandled) {
  Counts counts;
  for (const char* name : kOffers) {
    const std::string text = read_vector(std::string("offers/") + name + ".sdp");
    for (size_t n = 0; n < text.size(); n += 3) {
      run(text.substr(0, n), counts);
      if (HasFatalFailure()) FAIL() << name << " cut at " << n;
    }
  }
  EXPECT_GT(counts.parsed, 1000U);
  EXPECT_GT(counts.planned, 1000U);
}

std::string mutated(std::string text, std::mt19937& rng) {
  const auto pick = [&](size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(rng); };
  const size_t edits = 1 + pick(4);
  for (size_t e = 0; e < edits && !text.empty(); ++e) {
    const size_t at = pick(text.size());
    switch (pick(6)) {
      case 0:  // a byte, more often one with a meaning
        text[at] = pick(2) == 0 ? ":=/; ,~0919\r\n-"[pick(14)] : static_cast<char>(pick(256));
        break;
      case 1:  // lose a piece
        text.erase(at, 1 + pick(40));
        break;
      case 2: {  // repeat a line somewhere else
        const size_t begin = text.rfind('\n', at);
        const size_t end = text.find('\n', at);
        if (begin == std::string::npos || end == std::string::npos || begin == end) break;
        const std::string line = text.substr(begin + 1, end - begin);
        size_t to = text.find('\n', pick(text.size()));
        to = to == std::string::npos ? text.size() : to + 1;
        for (size_t n = 1 + pick(20); n > 0; --n) text.insert(to, line);
        break;
      }
      case 3: {  // a number becomes a large one
        const size_t digit = text.find_first_of("0123456789", at);
        if (digit != std::string::npos) text.insert(digit, std::string(1 + pick(12), '9'));
        break;
      }
      case 4: {  // swap two lines
        const size_t a = text.find('\n', at);
        if (a == std::string::npos) break;
        const size_t b = text.find('\n', a + 1);
        if (b == std::string::npos) break;
        const size_t begin = text.rfind('\n', a == 0 ? 0 : a - 1);
        const size_t from = begin == std::string::npos || begin >= a ? 0 : begin + 1;
        std::rotate(text.begin() + static_cast<std::ptrdiff_t>(from),
                    text.begin() + static_cast<std::ptrdiff_t>(a + 1),
                    text.begin() + static_cast<std::ptrdiff_t>(b + 1));
        break;
      }
      default:  // grow a line
        text.insert(at, std::string(1 + pick(300), 'x'));
    }
  }
  return text;
}

TEST(Mutation, TenThousandMutatedOffersAreHandled) {
  constexpr uint32_t kSeed = 20261121;
  std::mt19937 rng(kSeed);
  Counts counts;
  std::vector<std::string> offers;
  for (const char* name : kOffers)
    offers.push_back(read_vector(std::string("offers/") + name + ".sdp"));
  for (uint32_t i = 0; i < 10'000; ++i) {
    run(mutated(offers[i % offers.size()], rng), counts);
    if (HasFatalFailure()) FAIL() << "seed " << kSeed << " round " << i;
  }
  EXPECT_GT(counts.parsed, 2000U);
  EXPECT_GT(counts.planned, 2000U);
}

TEST(Mutation, MutatedFragmentsAreHandled) {
  const std::string good =
      "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n"
      "a=candidate:1 1 udp 1 192.0.2.1 1 typ host\r\na=end-of-candidates\r\n";
  std::mt19937 rng(7);
  uint32_t ok = 0;
  for (uint32_t i = 0; i < 20'000; ++i) {
    const std::string text = mutated(good, rng);
    const auto f = parse_sdp_fragment(text);
    if (!f) continue;
    ++ok;
    ASSERT_LE(f->ice_ufrag.size(), kMaxUfragBytes);
    ASSERT_LE(f->mids.size(), kMaxSdpMediaLines);
  }
  EXPECT_GT(ok, 1000U);
}

// 64 KiB of whatever makes the parser work hardest.
std::string bomb(std::mt19937& rng) {
  static constexpr const char* kLines[] = {
      "a=rtpmap:127 H264/90000",
      "a=fmtp:127 a=1;b=2;c=3;apt=1",
      "a=rtcp-fb:* nack pli",
      "a=extmap:15 urn:nobody",
      "a=ssrc:4294967295 cname:x",
      "a=candidate:1",
      "a=extmap:1 http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00",
      "a=ssrc-group:FID 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20",
      "a=group:BUNDLE 1 2 3 4 5 6 7 8",
      "a=msid:x y",
      "a=x"};
  const auto pick = [&](size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(rng); };
  std::string media = "m=video 9 UDP/TLS/RTP/SAVPF";
  for (int pt = 64; pt < 128; ++pt) media += " " + std::to_string(pt);
  std::string text = "v=0\n";
  for (uint32_t lines = 1, media_lines = 0; lines < kMaxSdpLines; ++lines) {
    std::string line = kLines[pick(std::size(kLines))];
    if (pick(20) == 0) line = "a=fmtp:126 " + std::string(pick(800), pick(2) == 0 ? ';' : ' ');
    if (media_lines < kMaxSdpMediaLines && pick(8) == 0) {
      line = media;
      ++media_lines;
    }
    if (text.size() + line.size() + 1 > kMaxSdpBytes) break;
    text += line + "\n";
  }
  return text;
}

// The target is 2 ms for the worst of 10,000; the limit here has room for sanitizers and a
// slow machine: what counts is that nothing is quadratic, which would be hundreds of
// milliseconds. CPU time, so that other load does not count.
TEST(A22_ParseTime, WorstOf10kGeneratedTextsIsFarFromQuadratic) {
  constexpr std::clock_t kLimit = CLOCKS_PER_SEC / 50;  // 20 ms
  std::mt19937 rng(22);
  std::clock_t worst = 0;
  for (uint32_t i = 0; i < 10'000; ++i) {
    const std::string text = bomb(rng);
    const std::clock_t begin = std::clock();
    const auto offer = parse_sdp(text);
    worst = std::max(worst, std::clock() - begin);
    ASSERT_TRUE(offer) << offer.error().text;  // an early error would be no work
  }
  const auto us = static_cast<int>(worst * 1'000'000 / CLOCKS_PER_SEC);
  RecordProperty("worst_us", us);
  EXPECT_LT(worst, kLimit) << us << " us";
}

}  // namespace
}  // namespace spillway::test
