// Aim: one test for each row of the WHIP/WHEP checklist (H), leniency (C) and attack
// (A) that an offer can touch.
#include "signaling/sdp/negotiation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "offers.h"

namespace spillway::test {
namespace {

using ::testing::HasSubstr;

const TrackCodec kOpus{Codec::opus, ""};
const TrackCodec kVp8{Codec::vp8, ""};
const TrackCodec kH264{Codec::h264, "packetization-mode=1;profile-level-id=42e01f"};

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}

Line data_channel() {
  Line l;
  l.media = "application";
  l.payload = "webrtc-datachannel";
  l.mid = "2";
  l.protocol = "UDP/DTLS/SCTP";
  l.direction = "";
  l.more = "a=sctp-port:5000\n";
  return l;
}

// --- H6: directions -----------------------------------------------------------------

TEST(H06_Direction, PublisherOffersSendonlySendrecvOrNothing) {
  for (const char* d : {"sendonly", "sendrecv", ""})
    EXPECT_EQ(publish(offer_text({audio(d), video(d)})).media.size(), 2U) << d;
}

TEST(H06_Direction, PublisherThatDoesNotSendIs422) {
  for (const char* d : {"recvonly", "inactive"}) {
    const Refusal r = refused_publish(offer_text({audio(), video(d)}));
    EXPECT_EQ(r.kind, Refusal::Kind::unsupported);
    EXPECT_EQ(r.detail, "m-line 1 (video, mid 1): a publisher must offer sendonly or sendrecv");
  }
}

TEST(H06_Direction, ViewerOffersRecvonlySendrecvOrNothing) {
  for (const char* d : {"recvonly", "sendrecv", ""})
    EXPECT_EQ(watch(offer_text({audio(d), video(d)})).media.size(), 2U) << d;
}

TEST(H06_Direction, ViewerThatDoesNotReceiveIs422AndHalfOfItPortZero) {
  for (const char* d : {"sendonly", "inactive"}) {
    EXPECT_EQ(refused_watch(offer_text({audio(d), video(d)})).kind, Refusal::Kind::unsupported);
    const OfferPlan p = watch(offer_text({audio("recvonly"), video(d)}));
    ASSERT_EQ(p.refused.size(), 1U);
    EXPECT_THAT(p.refused[0].reason, HasSubstr("a viewer must offer"));
  }
}

// --- H7: BUNDLE and rtcp-mux -----------------------------------------------------------

TEST(H07_Bundle, MuxOnlyAndMuxLinesAreNotRequired) {
  const std::string text = replaced(offer_text({audio(), video()}), "a=rtcp-mux\n", "");
  EXPECT_EQ(publish(text).media.size(), 2U);
}

TEST(H07_Bundle, OneMediaLineNeedsNoGroup) {
  EXPECT_EQ(publish(offer_text({audio()}, "", "")).media.size(), 1U);
  Line bare = audio();
  bare.mid = "";
  EXPECT_EQ(publish(offer_text({bare}, "", "")).media.at(0).mid, "");
}

TEST(H07_Bundle, TwoMediaLinesMustShareOneGroup) {
  for (const char* group : {"", "0", "1"})
    EXPECT_THAT(refused_publish(offer_text({audio(), video()}, "", group)).detail,
                HasSubstr("one BUNDLE group"));
  const std::string split = offer_text({audio(), video()}, "a=group:BUNDLE 1\n", "0");
  EXPECT_THAT(refused_publish(split).detail, HasSubstr("m-line 1 (video, mid 1)"));
  EXPECT_EQ(watch(offer_text({audio("recvonly"), video("recvonly")}, "", "")).refused.size(), 1U);
}

TEST(H07_Bundle, BundleOnlyLinesWithPortZeroAreTaken) {
  Line v = video();
  v.port = "0";
  v.more += "a=bundle-only\n";
  EXPECT_EQ(publish(offer_text({audio(), v})).media.size(), 2U);
}

TEST(H07_Bundle, TransportIsThatOfTheFirstAcceptedLine) {
  std::string text = offer_text({audio("recvonly"), video("recvonly")});
  const size_t second = text.find("a=ice-ufrag:abcd", text.find("m=video"));
  text.replace(second, 16, "a=ice-ufrag:efgh");
  EXPECT_EQ(watch(text).transport.ice_ufrag, "abcd");
  EXPECT_EQ(watch(text, live_stream({}, {kVp8})).transport.ice_ufrag, "efgh");
}

TEST(H07_Bundle, TwoLinesWithOneMidAreMalformed) {
  Line v = video();
  v.mid = "0";
  EXPECT_EQ(refused_publish(offer_text({audio(), v})).kind, Refusal::Kind::malformed);
}

TEST(H07_Bundle, PayloadTypesOfAnotherLineAreNotUsedTwice) {
  Line v = video();
  v.payload = "111";
  v.more = "a=rtpmap:111 VP8/90000\n";
  EXPECT_THAT(refused_publish(offer_text({audio(), v})).detail, HasSubstr("another m-line"));
}

// aiortc 1.4 numbers the extensions of each m-line by themselves and its receiver fails at
// one whose id it knows as another: only the first meaning of an id may be answered.
TEST(H07_Bundle, ExtensionIdsOfAnotherLineKeepTheirMeaning) {
  const OfferPlan plan = publish(read_vector("offers/aiortc-publish.sdp"));
  ASSERT_EQ(plan.media.size(), 2u);
  const auto has = [](const MediaPlan& m, uint8_t id, ExtensionKind kind) {
    return std::any_of(m.extensions.begin(), m.extensions.end(),
                       [&](const HeaderExtension& e) { return e.id == id && e.kind == kind; });
  };
  EXPECT_TRUE(has(plan.media[0], 2, ExtensionKind::audio_level));
  EXPECT_FALSE(has(plan.media[1], 2, ExtensionKind::abs_send_time));
  // The same meaning in both is no conflict.
  EXPECT_TRUE(has(plan.media[0], 1, ExtensionKind::mid));
  EXPECT_TRUE(has(plan.media[1], 1, ExtensionKind::mid));
}

TEST(H07_Bundle, FeedbackGoesWithAnExtensionThatLostItsId) {
  Line a = audio();
  a.more += "a=extmap:5 urn:ietf:params:rtp-hdrext:ssrc-audio-level\n";
  Line v = video();
  v.more += "a=extmap:5 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\n"
            "a=rtcp-fb:96 transport-cc\n";
  const OfferPlan plan = publish(offer_text({a, v}));
  ASSERT_EQ(plan.media.size(), 2u);
  for (const PayloadType& p : plan.media[1].payload_types) EXPECT_FALSE(p.transport_cc);
}

// --- H8, H9: how much, and all or nothing -------------------------------------------------

TEST(H08_TooMuch, SecondTrackOfAKindIs422) {
  Line second = video();
  second.mid = "2";
  second.payload = "98";
  second.more = "a=rtpmap:98 VP8/90000\n";
  const Refusal r = refused_publish(offer_text({audio(), video(), second}));
  EXPECT_EQ(r.kind, Refusal::Kind::unsupported);
  EXPECT_THAT(r.detail, HasSubstr("m-line 2 (video, mid 2): a stream has one track"));
}

TEST(H08_TooMuch, FiveLayersAre422ByRidAndBySsrc) {
  Line v = video();
  for (const char* r : {"a", "b", "c", "d", "e"}) v.more += std::string("a=rid:") + r + " send\n";
  v.more += "a=simulcast:send a;b;c;d;e\n";
  EXPECT_THAT(refused_publish(offer_text({v})).detail, HasSubstr("5 simulcast layers, at most 4"));
  v = video();
  v.more += "a=ssrc-group:SIM 1 2 3 4 5\n";
  EXPECT_THAT(refused_publish(offer_text({v})).detail, HasSubstr("5 simulcast layers, at most 4"));
}

TEST(H08_TooMuch, NamesLongerThanOurTablesAre422) {
  Line v = video();
  v.mid = std::string(kMaxMidBytes + 1, 'm');
  EXPECT_EQ(refused_publish(offer_text({v})).kind, Refusal::Kind::unsupported);
  v = video();
  v.more += "a=rid:" + std::string(kMaxRidBytes + 1, 'r') + " send\n";
  EXPECT_THAT(refused_publish(offer_text({v})).detail, HasSubstr("rid is longer"));
}

TEST(H08_TooMuch, TextOrImageMediaIs422ForPublishersAndPortZeroForViewers) {
  Line text = audio();
  text.media = "text";
  text.mid = "t";
  text.payload = "98";
  EXPECT_THAT(refused_publish(offer_text({video(), text})).detail,
              HasSubstr("m-line 1 (text, mid t)"));
  EXPECT_EQ(watch(offer_text({video("recvonly"), text})).refused.size(), 1U);
}

TEST(H08_TooMuch, OffersWithoutMediaAre422) {
  EXPECT_EQ(refused_publish("v=0\n").kind, Refusal::Kind::unsupported);
  EXPECT_THAT(refused_publish(offer_text({data_channel()})).detail, HasSubstr("no audio or video"));
  Line off = audio();
  off.port = "0";
  EXPECT_THAT(refused_publish(offer_text({off})).detail, HasSubstr("no audio or video"));
}

TEST(H09_HalfAccept, UnknownCodecRefusesTheWholeOfferNamingTheLine) {
  Line v = video();
  v.payload = "96";
  v.more = "a=rtpmap:96 theora/90000\n";
  const Refusal r = refused_publish(offer_text({audio(), v}));
  EXPECT_EQ(r.kind, Refusal::Kind::unsupported);
  EXPECT_EQ(r.detail, "m-line 1 (video, mid 1): no codec we forward among theora");
}

TEST(H09_HalfAccept, OptionAcceptsTheRestButNotNothing) {
  Line v = video();
  v.payload = "96";
  v.more = "a=rtpmap:96 theora/90000\n";
  const OfferPlan p = publish(offer_text({audio(), v}), {.half_accept = true});
  ASSERT_EQ(p.media.size(), 1U);
  EXPECT_EQ(p.media[0].kind, MediaKind::audio);
  ASSERT_EQ(p.refused.size(), 1U);
  EXPECT_EQ(p.refused[0].mline_index, 1U);
  EXPECT_EQ(refused_publish(offer_text({v}), {.half_accept = true}).kind,
            Refusal::Kind::unsupported);
}

TEST(H09_HalfAccept, DataChannelsAndDisabledLinesAreNeverFatal) {
  Line off = video();
  off.port = "0";
  off.mid = "9";
  const OfferPlan p = publish(offer_text({audio(), data_channel(), off}));
  EXPECT_EQ(p.media.size(), 1U);
  ASSERT_EQ(p.refused.size(), 2U);
  EXPECT_THAT(p.refused[0].reason, HasSubstr("data channels"));
  EXPECT_THAT(p.refused[1].reason, HasSubstr("disabled by the offer"));
}

// --- H10: DTLS roles -------------------------------------------------------------------

TEST(H10_Setup, EveryRoleIsServed) {
  const std::vector<std::pair<std::string, DtlsRole>> table{{"actpass", DtlsRole::server},
                                                            {"active", DtlsRole::server},
                                                            {"", DtlsRole::server},
                                                            {"passive", DtlsRole::client}};
  for (const auto& [setup, role] : table) {
    Line l = audio();
    l.setup = setup;
    EXPECT_EQ(publish(offer_text({l})).transport.local_role, role) << setup;
  }
}

TEST(H10_Setup, HoldconnIs422) {
  Line l = audio();
  l.setup = "holdconn";
  EXPECT_EQ(refused_publish(offer_text({l})).kind, Refusal::Kind::unsupported);
}

TEST(H11_IceLite, TwoLiteAgentsCannotMeet) {
  EXPECT_THAT(refused_publish(offer_text({audio()}, "a=ice-lite\n")).detail, HasSubstr("ice-lite"));
}

// --- H32: simulcast -------------------------------------------------------------------

TEST(H32_Simulcast, EveryOfferedRidIsAccepted) {
  const OfferPlan p = publish(read_vector("offers/chromium-simulcast.sdp"));
  EXPECT_THAT(p.media.at(1).rids, ::testing::ElementsAre("q", "h", "f"));
  const OfferPlan obs = publish(read_vector("offers/obs-simulcast.sdp"));
  EXPECT_THAT(obs.media.at(1).rids, ::testing::ElementsAre("0", "1", "2"));
  EXPECT_EQ(obs.media.at(1).ssrcs.size(), 3U);
}

// --- C: leniencies ---------------------------------------------------------------------

TEST(C08_OpusNack, MungedOpusNackIsTakenFromBothSides) {
  Line l = audio();
  l.more += "a=rtcp-fb:111 nack\n";
  EXPECT_TRUE(publish(offer_text({l})).media[0].payload_types[0].nack);
  l.direction = "recvonly";
  EXPECT_EQ(watch(offer_text({l})).media.size(), 1U);
}

TEST(C09_BundleNamesAbsentMid, IsTaken) {
  EXPECT_EQ(publish(read_vector("offers/ffmpeg8-video-only.sdp")).media.size(), 1U);
  EXPECT_EQ(publish(offer_text({video()}, "", "0 1 5")).media.size(), 1U);
}

// --- A-23 and the rest of the transport ----------------------------------------------------

TEST(A23_Downgrade, OnlyDtlsSrtpProfilesAreTaken) {
  for (const char* protocol : {"RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVP",
                               "TCP/TLS/RTP/SAVPF", "udp/tls/rtp/savpf"}) {
    Line v = video();
    v.protocol = protocol;
    const Refusal r = refused_publish(offer_text({audio(), v}), {.half_accept = true});
    EXPECT_EQ(r.kind, Refusal::Kind::unsupported) << protocol;
    EXPECT_THAT(r.detail, HasSubstr(protocol));
    v.direction = "recvonly";
    EXPECT_EQ(refused_watch(offer_text({audio("recvonly"), v})).kind, Refusal::Kind::unsupported);
  }
}

TEST(A23_Downgrade, SdesKeysAreRefusedAnywhere) {
  Line v = video();
  v.more += "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\n";
  EXPECT_THAT(refused_publish(offer_text({audio(), v})).detail, HasSubstr("a=crypto"));
  const std::string session = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\n";
  EXPECT_THAT(refused_publish(offer_text({audio()}, session)).detail, HasSubstr("a=crypto"));
}

TEST(A23_Downgrade, AFingerprintWeTrustIsNeeded) {
  const std::string good = offer_text({audio()});
  EXPECT_EQ(publish(good).transport.fingerprints.at(0).digest.size(), 32U);
  EXPECT_EQ(publish(good).transport.fingerprints.at(0).digest[15], 0xff);
  EXPECT_EQ(refused_publish(replaced(good, kFingerprint, "")).kind, Refusal::Kind::unsupported);
  EXPECT_EQ(refused_publish(replaced(good, "sha-256", "sha-1")).kind, Refusal::Kind::unsupported);
  EXPECT_EQ(refused_publish(replaced(good, "00:11:22", "00:11")).kind, Refusal::Kind::malformed);
  EXPECT_EQ(refused_publish(replaced(good, "00:11:22", "00:1g:22")).kind, Refusal::Kind::malformed);
  EXPECT_EQ(publish(replaced(good, "sha-256", "SHA-256")).transport.fingerprints[0].algorithm,
            "sha-256");
}

TEST(IceCredentials, LengthAndCharactersAreChecked) {
  const std::string good = offer_text({audio()});
  const auto with = [&](const std::string& ufrag, const std::string& pwd) {
    return replaced(replaced(good, "a=ice-ufrag:abcd", "a=ice-ufrag:" + ufrag),
                    "a=ice-pwd:0123456789012345678901", "a=ice-pwd:" + pwd);
  };
  const std::string pwd(22, 'p');
  EXPECT_EQ(publish(with(std::string(kMaxUfragBytes, 'u'), std::string(kMaxIcePwdBytes, 'p')))
                .transport.ice_pwd.size(),
            kMaxIcePwdBytes);
  EXPECT_EQ(refused_publish(with("abc", pwd)).kind, Refusal::Kind::malformed);
  EXPECT_EQ(refused_publish(with("ab:cd", pwd)).kind, Refusal::Kind::malformed);
  EXPECT_EQ(refused_publish(with("abcd", "short")).kind, Refusal::Kind::malformed);
  EXPECT_EQ(refused_publish(with("", pwd)).kind, Refusal::Kind::malformed);
  EXPECT_EQ(refused_publish(with(std::string(kMaxUfragBytes + 1, 'u'), pwd)).kind,
            Refusal::Kind::unsupported);
}

// Aim: A-41, remote candidates change nothing, whatever they say.
TEST(A41_Candidates, AreNeverUsed) {
  Line l = audio();
  l.more +=
      "a=candidate:1 1 udp 1 evil.example.com 1 typ host\na=candidate:garbage\n"
      "a=candidate:1 1 udp 1 127.0.0.1 22 typ host\n";
  const OfferPlan p = publish(offer_text({l}));
  EXPECT_EQ(answer_of(offer_text({l}), p).find("evil"), std::string::npos);
}

// --- watching ---------------------------------------------------------------------------

TEST(Watch, LinesWithoutATrackOrMatchArePortZeroAndTheRestPlays) {
  const std::string text = offer_text({audio("recvonly"), video("recvonly")});
  OfferPlan p = watch(text, live_stream({kOpus}, {}));
  EXPECT_EQ(p.media.size(), 1U);
  EXPECT_THAT(p.refused.at(0).reason, HasSubstr("the publisher has no such track"));
  p = watch(text, live_stream({kOpus}, {kH264}));
  EXPECT_EQ(p.refused.at(0).reason,
            "m-line 1 (video, mid 1): the publisher sends H264, the offer has VP8 rtx");
}

TEST(Watch, NothingToPlayIs422WithTheReason) {
  const Refusal r = refused_watch(offer_text({video("recvonly")}), live_stream({kOpus}, {kH264}));
  EXPECT_EQ(r.kind, Refusal::Kind::unsupported);
  EXPECT_THAT(r.detail, HasSubstr("the publisher sends H264"));
}

TEST(Watch, NthLineGetsNthTrack) {
  StreamDescription s = live_stream({kOpus}, {kVp8});
  s.tracks.push_back({MediaKind::video, {kH264}, {}});
  Line second = video("recvonly");
  second.mid = "2";
  second.payload = "98";
  second.more = "a=rtpmap:98 H264/90000\na=fmtp:98 packetization-mode=1;profile-level-id=42e01f\n";
  const OfferPlan p = watch(offer_text({video("recvonly"), second}), s);
  ASSERT_EQ(p.media.size(), 2U);
  EXPECT_EQ(p.media[0].payload_types[0].codec, Codec::vp8);
  EXPECT_EQ(p.media[1].payload_types[0].codec, Codec::h264);
}

TEST(Watch, WaitingViewerGetsOneLineOfEachKind) {
  Line second = video("recvonly");
  second.mid = "2";
  second.payload = "98";
  second.more = "a=rtpmap:98 VP8/90000\n";
  const OfferPlan p = watch(offer_text({audio("recvonly"), video("recvonly"), second}));
  EXPECT_EQ(p.media.size(), 2U);
  EXPECT_THAT(p.refused.at(0).reason, HasSubstr("nobody publishes yet"));
}

TEST(Watch, WaitingChromiumKeepsEveryVideoCodecItOffers) {
  const OfferPlan p = watch(read_vector("offers/chromium-watch.sdp"));
  std::vector<Codec> codecs;
  for (const auto& t : p.media.at(1).payload_types) {
    if (codecs.empty() || codecs.back() != t.codec) codecs.push_back(t.codec);
    EXPECT_TRUE(t.rtx_pt) << int{t.pt};
  }
  EXPECT_THAT(codecs, ::testing::ElementsAre(Codec::vp8, Codec::vp9, Codec::h264, Codec::av1));
}

// Aim: an answer never exceeds 8 KiB; payload types go from the least wanted end.
TEST(FitAnswer, LongOffersLosePayloadTypesNotTheSession) {
  Line v = video("recvonly");
  v.payload = "";
  v.more = "";
  for (int pt = 90; pt < 110; ++pt) {
    v.payload += std::to_string(pt) + " ";
    v.more += "a=rtpmap:" + std::to_string(pt) + " VP8/90000\na=fmtp:" + std::to_string(pt) +
              " x=" + std::string(900, 'x') + "\n";
  }
  const std::string text = offer_text({v});
  const OfferPlan p = watch(text);
  EXPECT_GE(p.media.at(0).payload_types.size(), 6U);
  EXPECT_LT(p.media[0].payload_types.size(), 10U);
  EXPECT_EQ(p.media[0].payload_types[0].pt, 90);
  EXPECT_LE(answer_of(text, p).size(), kMaxSdpAnswerBytes);
}

}  // namespace
}  // namespace spillway::test
