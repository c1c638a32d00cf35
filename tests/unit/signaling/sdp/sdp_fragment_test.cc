#include "signaling/sdp/sdp_fragment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "offers.h"
#include "signaling/sdp/sdp.h"

namespace spillway {
namespace {

using ::testing::ElementsAre;
using ::testing::StartsWith;

constexpr std::string_view kPwd = "0123456789012345678901";
const std::string kCredentials = "a=ice-ufrag:abcd\r\na=ice-pwd:" + std::string(kPwd) + "\r\n";

// Keeps the text: the fragment borrows from it.
SdpFragment parsed(std::string text) {
  static std::deque<std::string> kept;
  auto r = parse_sdp_fragment(kept.emplace_back(std::move(text)));
  if (!r) ADD_FAILURE() << r.error().text;
  return r ? *r : SdpFragment{};
}

// Aim: the form of RFC 9725 §4.3.2, as simple-whip-client sends it.
TEST(H13_Fragment, ReadsATrickle) {
  const SdpFragment f = parsed(kCredentials +
                               "m=audio 9 RTP/AVP 0\r\na=mid:0\r\n"
                               "a=candidate:1 1 udp 2130706431 192.0.2.1 4000 typ host\r\n"
                               "a=candidate:2 1 tcp 1 host.local 9 typ host tcptype active\r\n"
                               "a=end-of-candidates\r\n");
  EXPECT_EQ(f.ice_ufrag, "abcd");
  EXPECT_EQ(f.ice_pwd, kPwd);
  EXPECT_THAT(f.mids, ElementsAre("0"));
  EXPECT_EQ(f.candidates, 2U);
  EXPECT_TRUE(f.end_of_candidates);
}

TEST(C06_Fragment, MediaLinesMayLackThePortBeOfTheWrongKindAndListAllMids) {
  const SdpFragment f = parsed(kCredentials +
                               "m=audio RTP/AVP 0\na=mid:0\na=candidate:x\n"
                               "m=audio RTP/AVP 0\na=mid:1\na=mid:1\n");
  EXPECT_EQ(f.ice_ufrag, "abcd");
  EXPECT_THAT(f.mids, ElementsAre("0", "1"));
}

TEST(C06_Fragment, CredentialsMayStandAtMediaLevelAndRepeat) {
  const SdpFragment f =
      parsed("m=audio 9 RTP/AVP 0\n" + kCredentials + "m=video 9 RTP/AVP 0\n" + kCredentials);
  EXPECT_EQ(f.ice_pwd, kPwd);
}

TEST(H14_Fragment, WithoutCredentialsTheyAreEmpty) {
  const SdpFragment f = parsed("a=end-of-candidates\r\n");
  EXPECT_TRUE(f.ice_ufrag.empty());
  EXPECT_TRUE(f.ice_pwd.empty());
  EXPECT_TRUE(parsed("").ice_ufrag.empty());
}

TEST(H14_Fragment, MalformedIsAnErrorWithTheLine) {
  const std::string long_text(kMaxSdpBytes + 1, '\n');
  for (const std::string& bad :
       {std::string("{\"candidate\":1}"), std::string("a=ice-ufrag:\n"),
        std::string("a=ice-ufrag:a:b:c\n"), std::string("a=ice-pwd:short\n"),
        "a=ice-ufrag:" + std::string(kMaxUfragBytes + 1, 'u'),
        "a=ice-pwd:" + std::string(kMaxIcePwdBytes + 1, 'p'), long_text})
    EXPECT_THAT(parse_sdp_fragment(bad) ? "" : parse_sdp_fragment(bad).error().text,
                StartsWith("line 1: "));
  EXPECT_FALSE(parse_sdp_fragment(kCredentials + "a=ice-ufrag:efgh\n"));
  EXPECT_FALSE(parse_sdp_fragment(kCredentials + "a=ice-pwd:" + std::string(22, 'x') + "\n"));
}

TEST(H14_Fragment, ListsAreBounded) {
  std::string text = kCredentials;
  for (int i = 0; i < 500; ++i) text += "a=mid:" + std::to_string(i) + "\n";
  EXPECT_EQ(parsed(text).mids.size(), kMaxSdpMediaLines);
}

// --- the reply ------------------------------------------------------------------------

TransportAnswer transport() {
  TransportAnswer t;
  t.ice_ufrag = "newUfrag";
  t.ice_pwd = "newPassword0123456789012";
  t.candidates = {*Endpoint::parse("[2001:db8::5]:3478"), *Endpoint::parse("192.0.2.5:3478"),
                  *Endpoint::parse("198.51.100.5:3478")};
  return t;
}

TEST(C10_RestartReply, HasExactlyTheBestIpv4Candidate) {
  EXPECT_EQ(write_restart_fragment(transport(), {"0", "1"}),
            "a=ice-lite\r\n"
            "a=ice-options:trickle\r\n"
            "a=group:BUNDLE 0 1\r\n"
            "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n"
            "a=mid:0\r\n"
            "a=ice-ufrag:newUfrag\r\n"
            "a=ice-pwd:newPassword0123456789012\r\n"
            "a=candidate:1 1 udp 2130706431 192.0.2.5 3478 typ host\r\n"
            "a=end-of-candidates\r\n");
}

TEST(C10_RestartReply, TakesIpv6WhereThereIsNothingElse) {
  TransportAnswer t = transport();
  t.candidates.resize(1);
  EXPECT_THAT(write_restart_fragment(t, {"a"}), ::testing::HasSubstr(" 2001:db8::5 3478 typ host"));
}

TEST(C10_RestartReply, NeedsNoMids) {
  const std::string reply = write_restart_fragment(transport(), {});
  EXPECT_EQ(reply.find("mid"), std::string::npos);
  EXPECT_EQ(reply.find("BUNDLE"), std::string::npos);
}

TEST(C10_RestartReply, IsAFragmentWeWouldRead) {
  const std::string reply = write_restart_fragment(transport(), {"0", "1"});
  const SdpFragment f = parsed(reply);
  EXPECT_EQ(f.ice_ufrag, "newUfrag");
  EXPECT_EQ(f.candidates, 1U);
  EXPECT_TRUE(f.end_of_candidates);
}

// Aim: the reply repeats the ICE options and liteness of the answer, word for word.
TEST(H22_RestartReply, SaysTheSameAsTheAnswer) {
  for (const char* client : {"offers/chromium-publish.sdp", "offers/ffmpeg8-publish.sdp"}) {
    const std::string offer = test::read_vector(client);
    const std::string answer = test::answer_of(offer, test::publish(offer));
    const std::string reply = write_restart_fragment(transport(), {"0"});
    const auto ice_lines = [](const std::string& text) {
      std::vector<std::string> out;
      for (const std::string& line : test::lines_of(text)) {
        if (line.starts_with("a=ice-lite") || line.starts_with("a=ice-options"))
          out.push_back(line);
      }
      return out;
    };
    EXPECT_EQ(ice_lines(answer).size(), 2U);
    EXPECT_EQ(ice_lines(reply), ice_lines(answer));
  }
}

}  // namespace
}  // namespace spillway
