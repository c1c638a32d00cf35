// ICE, DTLS, URLs and offers, two of our own ends against each other or a scripted one.
#include <gtest/gtest.h>

#include <deque>

#include "signaling/sdp/sdp.h"
#include "tests/peer/clock.h"
#include "tests/peer/dtls_peer.h"
#include "tests/peer/http_client.h"
#include "tests/peer/ice_agent.h"
#include "tests/peer/peer_sdp.h"
#include "tests/peer/random.h"

namespace spillway::peer {
namespace {

Endpoint at(uint8_t last) { return {IpAddress::v4(192, 0, 2, last), 3478}; }

// A server that answers checks, as an ICE-lite one does.
class IceWorld {
 public:
  IceWorld()
      : agent({"ours", "our-password-of-22-chars"}, 7, [this](const Endpoint& to, Bytes d) {
          sent.push_back({to, {d.begin(), d.end()}});
        }) {}
  void start(std::vector<IceCandidate> candidates) {
    agent.start({"them", kPassword}, std::move(candidates), now);
  }
  // Answers everything sent to `server`; gives how many had USE-CANDIDATE.
  int answer(const Endpoint& server, const char* password = kPassword) {
    int nominations = 0;
    auto all = std::exchange(sent, {});
    for (auto& [to, bytes] : all) {
      const auto m = parse_stun(bytes);
      if (!m || to != server || m->type != StunType::binding_request) continue;
      EXPECT_TRUE(verify_stun_integrity(bytes, *m, kPassword));
      EXPECT_EQ(m->username, "them:ours");
      EXPECT_EQ(m->role, IceRole::controlling);
      nominations += m->use_candidate;
      uint8_t out[200];
      const uint32_t n = write_stun_success(out, *m, at(99), password);
      agent.receive(server, {out, n}, now);
    }
    return nominations;
  }
  void pass(Nanos time) {
    const Nanos end = now + time;
    for (; now < end; now += millis(10)) agent.tick(now);
  }

  static constexpr const char* kPassword = "their-password-of-24-chars";
  Nanos now = seconds(10);
  std::deque<std::pair<Endpoint, std::vector<uint8_t>>> sent;
  IceAgent agent;
};

TEST(IceAgent, ChecksThenNominatesTheBestThatAnswers) {
  IceWorld w;
  w.start({{at(1), 100}, {at(2), 50}});
  EXPECT_EQ(w.answer(at(2)), 0) << "the first check does not nominate";
  w.pass(kNominationPatience + millis(20));
  EXPECT_GE(w.answer(at(2)), 1);
  EXPECT_EQ(w.agent.state(), IceState::connected);
  EXPECT_EQ(w.agent.selected(), at(2));
  EXPECT_EQ(w.agent.mapped(), at(99));
}

TEST(IceAgent, IgnoresAnswersThatAreForgedOrFromElsewhere) {
  IceWorld w;
  w.start({{at(1), 100}});
  w.answer(at(1), "another-password-of-no-worth");
  EXPECT_EQ(w.agent.state(), IceState::checking);
  EXPECT_EQ(w.agent.rejected(), 1u);
  w.pass(millis(150));
  auto& [to, bytes] = w.sent.back();
  const auto m = parse_stun(bytes);
  uint8_t out[200];
  const uint32_t n = write_stun_success(out, *m, at(99), IceWorld::kPassword);
  w.agent.receive(at(3), {out, n}, w.now);
  EXPECT_EQ(w.agent.rejected(), 2u);
}

TEST(IceAgent, FailsWithoutAnswersAndWithoutConsent) {
  IceWorld silent;
  silent.start({{at(1), 100}});
  silent.pass(kCheckTimeout + millis(100));
  EXPECT_EQ(silent.agent.state(), IceState::failed);

  IceWorld w;
  w.start({{at(1), 100}});
  w.answer(at(1));
  w.answer(at(1));
  ASSERT_EQ(w.agent.state(), IceState::connected);
  w.pass(seconds(20));
  EXPECT_GE(w.sent.size(), 3u);
  EXPECT_LE(w.sent.size(), 6u);
  w.answer(at(1));
  w.pass(seconds(25));
  EXPECT_EQ(w.agent.state(), IceState::connected) << "the answer renewed the consent";
  w.pass(seconds(10));
  EXPECT_EQ(w.agent.state(), IceState::failed);
}

TEST(IceAgent, AnswersChecksOfTheOtherEnd) {
  IceWorld w;
  w.start({{at(1), 100}});
  w.sent.clear();
  StunRequest r;
  r.username = "ours:them";
  r.role = IceRole::controlled;
  for (const char* password : {"our-password-of-22-chars", "not-our-password-at-all"}) {
    uint8_t out[200];
    const uint32_t n = write_stun_request(out, r, password);
    w.agent.receive(at(1), {out, n}, w.now);
  }
  EXPECT_EQ(w.agent.checks_answered(), 1u);
  ASSERT_EQ(w.sent.size(), 1u);
  EXPECT_EQ(parse_stun(w.sent[0].second)->type, StunType::binding_success);
}

struct DtlsPair {
  explicit DtlsPair(const char* client_srtp, const char* server_srtp, bool wrong_fingerprint = false)
      : a(std::move(*DtlsIdentity::create(client_srtp))),
        b(std::move(*DtlsIdentity::create(server_srtp))),
        client(*a, true, wrong_fingerprint ? a->fingerprint() : b->fingerprint(),
               [this](Bytes d) { to_server.emplace_back(d.begin(), d.end()); }),
        server(*b, false, a->fingerprint(),
               [this](Bytes d) { to_client.emplace_back(d.begin(), d.end()); }) {
    server.start();
    client.start();
    for (int i = 0; i < 20; ++i) {
      for (auto& d : std::exchange(to_server, {})) {
        EXPECT_LE(d.size(), 1200u);
        server.receive(d);
      }
      for (auto& d : std::exchange(to_client, {})) client.receive(d);
    }
  }
  std::unique_ptr<DtlsIdentity> a, b;
  std::vector<std::vector<uint8_t>> to_server, to_client;
  DtlsPeer client, server;
};

TEST(DtlsPeer, AgreesOnEachProfileAndOnKeys) {
  const std::pair<const char*, SrtpProfile> cases[] = {
      {"any", SrtpProfile::aead_aes_128_gcm},
      {"gcm", SrtpProfile::aead_aes_128_gcm},
      {"gcm256", SrtpProfile::aead_aes_256_gcm},
      {"cm", SrtpProfile::aes128_cm_hmac_sha1_80}};
  for (const auto& [name, profile] : cases) {
    DtlsPair p(name, name);
    ASSERT_EQ(p.client.state(), DtlsState::connected) << p.client.error();
    ASSERT_EQ(p.server.state(), DtlsState::connected) << p.server.error();
    EXPECT_EQ(p.client.profile(), profile);
    EXPECT_EQ(std::memcmp(p.client.send_key().key, p.server.receive_key().key, kSrtpKeyBytesMax), 0);
    EXPECT_EQ(std::memcmp(p.client.receive_key().salt, p.server.send_key().salt, kSrtpSaltBytesMax), 0);
    EXPECT_NE(std::memcmp(p.client.send_key().key, p.client.receive_key().key, 16), 0);
    p.client.close();
    for (auto& d : p.to_server) p.server.receive(d);
    EXPECT_EQ(p.server.state(), DtlsState::closed);
  }
}

TEST(DtlsPeer, RefusesAnotherCertificateAndAnotherProfile) {
  DtlsPair wrong("any", "any", true);
  EXPECT_EQ(wrong.client.state(), DtlsState::failed);
  DtlsPair none("gcm", "cm");
  EXPECT_NE(none.client.state(), DtlsState::connected);
}

TEST(HttpUrl, ParsesAndResolves) {
  const auto u = HttpUrl::parse("http://[::1]:8080/whip/demo?x=1#f");
  ASSERT_TRUE(u);
  EXPECT_EQ(u->host, "::1");
  EXPECT_EQ(u->port, "8080");
  EXPECT_EQ(u->target, "/whip/demo?x=1");
  EXPECT_EQ(u->resolve("/w/abc")->to_string(), "http://[::1]:8080/w/abc");
  EXPECT_EQ(u->resolve("abc")->target, "/whip/abc");
  EXPECT_EQ(u->resolve("https://other/r")->to_string(), "https://other:443/r");
  for (const char* bad : {"ftp://x/", "http://", "http://[::1/x", "http://h:port/", "http://h/a b"})
    EXPECT_FALSE(HttpUrl::parse(bad)) << bad;
}

TEST(PeerSdp, OffersAreWellFormedAndComplete) {
  OfferOptions o;
  o.publish = true;
  o.video = Codec::vp8;
  o.rids = {"a", "b", "c"};
  o.audio_ssrc = {11, 0};
  o.cname = "cn";
  o.fingerprint = "AA:BB";
  o.ice = {"ufrag", "password-password-password"};
  const std::string text = write_offer(o);
  const auto sdp = parse_sdp(text);
  ASSERT_TRUE(sdp) << sdp.error().text;
  ASSERT_EQ(sdp->media.size(), 2u);
  EXPECT_EQ(sdp->bundle_groups.size(), 1u);
  EXPECT_EQ(sdp->media[1].rids.size(), 3u);
  EXPECT_EQ(sdp->media[1].simulcast_send.size(), 3u);
  EXPECT_EQ(sdp->direction(sdp->media[1]), SdpDirection::sendonly);
  EXPECT_EQ(sdp->media[0].ssrcs.size(), 1u);
}

TEST(PeerSdp, ReadsAnAnswerAndRefusesUselessOnes) {
  const std::string head = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 1\r\n"
                           "m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\n";
  const std::string media = "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n"
                            "a=fingerprint:sha-256 AA:BB\r\na=setup:passive\r\na=sendonly\r\n"
                            "a=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n"
                            "a=rtcp-fb:96 nack\r\na=ssrc:5 cname:x\r\n";
  const std::string candidates = "a=candidate:1 1 udp 2130706431 192.0.2.1 3478 typ host\r\n"
                                 "a=candidate:2 1 tcp 99 192.0.2.1 9 typ host tcptype active\r\n"
                                 "a=candidate:3 1 udp 2130706175 2001:db8::1 3478 typ host\r\n";
  const auto a = read_answer(head + media + candidates);
  ASSERT_TRUE(a) << a.error().text;
  EXPECT_EQ(a->candidates.size(), 2u);
  EXPECT_TRUE(a->dtls_client);
  ASSERT_TRUE(a->find(MediaKind::video));
  EXPECT_EQ(a->find(MediaKind::video)->payloads[1].apt, 96);
  EXPECT_TRUE(a->find(MediaKind::video)->payloads[0].nack);
  EXPECT_EQ(a->find(MediaKind::video)->ssrcs.front(), 5u);
  EXPECT_FALSE(read_answer(head + media)) << "no candidate";
  EXPECT_FALSE(read_answer(head + candidates)) << "no credentials";
  EXPECT_FALSE(read_answer("not SDP"));
}

}  // namespace
}  // namespace spillway::peer
