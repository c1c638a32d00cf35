// Sessions from POST to release, over real regions.
#include "control/session_manager.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/unit/control/rig.h"

namespace spillway {
namespace {

using abi::SessionPhase;
using test::error_kind;
using test::Rig;

TEST(SessionManager, PostWritesAValidHalfOpenEntryAndRingsItsHomeWorker) {
  Rig rig;
  auto p = rig.publish("live");
  abi::SessionConfig c = rig.datapath->entry(p.slot);
  EXPECT_TRUE(abi::validate(c));
  EXPECT_EQ(c.phase, static_cast<uint8_t>(SessionPhase::half_open));
  EXPECT_EQ(c.role, static_cast<uint8_t>(abi::SessionRole::publisher));
  EXPECT_EQ(c.generation, p.generation);
  EXPECT_EQ(c.media_count, 2);
  EXPECT_EQ(c.media[1].payloads[0].rtx_pt, 97);
  EXPECT_EQ(c.media[1].payloads[0].flags, abi::kFeedbackNack | abi::kFeedbackPli);
  EXPECT_EQ(c.remote_ufrag_bytes, 4);
  EXPECT_EQ(c.connect_timeout_ms, 15'000u);
  EXPECT_TRUE(rig.woken.contains(c.home_worker));
  rig.datapath->work();
  EXPECT_TRUE(rig.datapath->seen.contains(p.slot));
  abi::KeyConfig k = rig.datapath->keys(p.slot);
  EXPECT_EQ(k.generation, p.generation);
  EXPECT_EQ(k.profile, 0);
  EXPECT_EQ(k.ice_pwd_bytes, 22);

  EXPECT_EQ(p.answer.session_id.size(), 22u);
  EXPECT_EQ(p.answer.etag.size(), 10u);
  EXPECT_EQ(p.answer.etag.substr(0, 2), "0-");
  EXPECT_EQ(p.answer.transport.ice_pwd,
            derive_ice_password(rig.secret, p.answer.transport.ice_ufrag).view());
  EXPECT_EQ(p.answer.transport.fingerprint_sha256, rig.dtls->fingerprint_sha256());
  ASSERT_EQ(p.answer.transport.candidates.size(), 1u);  // no loopback for a remote client
  EXPECT_EQ(p.answer.transport.candidates[0].to_string(), "192.0.2.1:3478");
}

TEST(SessionManager, ViewersShareTheTracksAndGetSsrcsOfTheirOwn) {
  Rig rig;
  auto p = rig.publish("live");
  auto a = rig.watch("live"), b = rig.watch("live"), other = rig.watch("elsewhere");
  abi::SessionConfig cp = rig.datapath->entry(p.slot), ca = rig.datapath->entry(a.slot),
                     cb = rig.datapath->entry(b.slot), co = rig.datapath->entry(other.slot);
  std::set<uint32_t> ssrcs;
  for (uint32_t m = 0; m < 2; ++m) {
    EXPECT_EQ(cp.media[m].track, ca.media[m].track);
    EXPECT_EQ(cp.media[m].track, cb.media[m].track);
    EXPECT_NE(cp.media[m].track, co.media[m].track);
    EXPECT_EQ(value(a.answer.media[m].ssrc), ca.media[m].ssrc[0]);
    EXPECT_EQ(value(a.answer.media[m].rtx_ssrc), ca.media[m].rtx_ssrc[0]);
    ssrcs.insert(ca.media[m].ssrc[0]);
    EXPECT_EQ(a.answer.media[m].cname, a.answer.media[0].cname);
    EXPECT_EQ(value(p.answer.media[m].ssrc), 0u);
  }
  ssrcs.insert(ca.media[1].rtx_ssrc[0]);
  EXPECT_EQ(ssrcs.size(), 3u);
  EXPECT_FALSE(ssrcs.contains(0));
  EXPECT_EQ(ca.media[0].rtx_ssrc[0], 0u);
  EXPECT_EQ(a.answer.media[0].msid, "live audio");
  EXPECT_NE(a.answer.media[0].cname, b.answer.media[0].cname);
  EXPECT_NE(cp.media[0].track, cp.media[1].track);
}

TEST(SessionManager, HandshakeInstallsThePeersKeysAndConnects) {
  Rig rig;
  auto p = rig.publish("live");
  rig.connect(p);
  EXPECT_EQ(rig.phase(p), SessionPhase::keyed);
  abi::KeyConfig k = rig.datapath->keys(p.slot);
  auto keys = p.peer->keys();
  EXPECT_EQ(k.profile, static_cast<uint16_t>(SrtpProfile::aead_aes_128_gcm));
  EXPECT_TRUE(std::equal(keys.client_key.begin(), keys.client_key.end(), k.rx_key));
  EXPECT_TRUE(std::equal(keys.client_salt.begin(), keys.client_salt.end(), k.rx_salt));
  EXPECT_TRUE(std::equal(keys.server_key.begin(), keys.server_key.end(), k.tx_key));
  EXPECT_TRUE(std::equal(keys.server_salt.begin(), keys.server_salt.end(), k.tx_salt));
  EXPECT_EQ(k.ice_pwd_bytes, 22);
  EXPECT_EQ(rig.manager->half_open_count(), 0u);
  auto sessions = rig.manager->sessions("live");
  ASSERT_EQ(sessions.size(), 1u);
  EXPECT_EQ(sessions[0].state, "connected");
  EXPECT_EQ(sessions[0].remote, p.path.remote.to_string());
  EXPECT_EQ(sessions[0].rx_packets, 10u);
}

TEST(SessionManager, ClientRoleStartsOnlyAfterAVerifiedCheck) {
  Rig rig;
  auto p = rig.accept(rig.manager->publish(rig.request("live", DtlsRole::client)));
  rig.pass(millis(500));
  EXPECT_TRUE(rig.datapath->take_dtls().empty()) << "R2: no DTLS to an unverified address";
  test::PeerOptions o;
  o.client = false;
  o.identity = &test::peer_identity();
  p.peer = std::make_unique<test::DtlsPeer>(o);
  p.peer->step();
  rig.validate(p);
  rig.pump(p);
  EXPECT_TRUE(p.peer->done());
  EXPECT_EQ(rig.phase(p), SessionPhase::keyed);
  abi::KeyConfig k = rig.datapath->keys(p.slot);
  auto keys = p.peer->keys();
  EXPECT_TRUE(std::equal(keys.server_key.begin(), keys.server_key.end(), k.rx_key));
}

// Aim: a session that changed worker tells of its two paths through two rings, which are
// read in any order. The handshake we begin must go to the newer one, or it never ends.
TEST(SessionManager, AnEventThatComesLateDoesNotBringTheOldPathBack) {
  Rig rig;
  ASSERT_GE(rig.datapath->workers(), 2u);
  auto p = rig.accept(rig.manager->publish(rig.request("live", DtlsRole::client)));
  Path old = p.path;
  old.remote.port = 9;
  auto tell = [&](const Path& path, Nanos when, uint32_t worker) {
    rig.datapath->event(abi::EventType::validated, p.slot, p.generation, path, when, 0, worker);
    rig.turn();
    rig.datapath->take_dtls();
  };
  // OpenSSL's timer runs on the real clock: a repeat comes within a quarter of a second.
  auto next_flight = [&] {
    for (int i = 0; i < 500; ++i) {
      rig.pass(millis(20));
      auto sent = rig.datapath->take_dtls();
      if (!sent.empty()) return sent.front().path;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return Path{};
  };
  const Nanos earlier = rig.now - millis(1);
  tell(p.path, rig.now, 0);
  tell(old, earlier, 1);
  EXPECT_EQ(next_flight(), p.path);
  // A time from the future does not shut out what comes later.
  tell(p.path, rig.now + seconds(100), 0);
  rig.pass(millis(10));
  tell(old, rig.now, 1);
  EXPECT_EQ(next_flight(), old);
}

TEST(SessionManager, WrongFingerprintLeavesNoKeysAnywhere) {
  Rig rig;
  auto p = rig.publish("live");
  rig.validate(p);
  rig.handshake(p, &test::our_identity());  // a certificate the SDP did not name
  EXPECT_TRUE(p.peer->failed());
  EXPECT_EQ(rig.phase(p), SessionPhase::half_open);
  EXPECT_EQ(rig.datapath->keys(p.slot).profile, 0);
  EXPECT_EQ(rig.manager->counters()
                .handshakes_failed[static_cast<size_t>(HandshakeFailure::fingerprint)],
            1u);
  // The session is still there for the real peer.
  rig.pass(millis(200));
  rig.handshake(p);
  EXPECT_EQ(rig.phase(p), SessionPhase::keyed);
}

TEST(SessionManager, ForgedHelloFailsTheAttemptNotTheSession) {
  Rig rig;
  auto p = rig.publish("live");
  rig.validate(p);
  std::vector<uint8_t> body{0xfe, 0xfd};
  body.insert(body.end(), 32, 7);
  body.insert(body.end(), {0, 0, 0, 2, 0, 0, 1, 0});
  auto n = static_cast<uint8_t>(body.size());
  std::vector<uint8_t> hello{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, static_cast<uint8_t>(n + 12),
                             1,  0,    0,    n, 0, 0, 0, 0, 0, 0, 0, n};
  hello.insert(hello.end(), body.begin(), body.end());
  for (int i = 0; i < 200; ++i) {
    rig.datapath->dtls(p.slot, p.generation, p.path, hello);
    rig.pass(millis(20));
    EXPECT_TRUE(rig.datapath->take_dtls().empty()) << "answered a forger";
  }
  // Attempts are spaced: 4 s allow at most 40.
  EXPECT_LE(rig.manager->counters().handshakes_started, 41u);
  rig.pass(millis(200));
  rig.handshake(p);
  EXPECT_EQ(rig.phase(p), SessionPhase::keyed);
}

TEST(SessionManager, RenegotiationAndLateDtlsChangeNothing) {
  Rig rig;
  auto p = rig.publish("live");
  rig.connect(p);
  abi::KeyConfig before = rig.datapath->keys(p.slot);
  p.peer->renegotiate();
  rig.pump(p);
  const uint8_t junk[] = {23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 0, 4, 1, 2, 3, 4};
  rig.datapath->dtls(p.slot, p.generation, p.path, junk);
  rig.turn();
  abi::KeyConfig after = rig.datapath->keys(p.slot);
  EXPECT_EQ(std::memcmp(&before, &after, sizeof before), 0);
  EXPECT_EQ(rig.phase(p), SessionPhase::keyed);
  EXPECT_EQ(rig.manager->counters().handshakes_started, 1u);
}

TEST(SessionManager, LostLastFlightIsRepeatedAndForgottenLater) {
  Rig rig;
  auto p = rig.publish("live");
  rig.validate(p);
  test::PeerOptions o;
  o.identity = &test::peer_identity();
  p.peer = std::make_unique<test::DtlsPeer>(o);
  p.peer->step();
  while (rig.phase(p) != SessionPhase::keyed) {
    auto sent = p.peer->packed();
    ASSERT_FALSE(sent.empty());
    for (auto& d : sent) rig.datapath->dtls(p.slot, p.generation, p.path, d);
    rig.turn();
    auto flight = rig.datapath->take_dtls();
    if (rig.phase(p) == SessionPhase::keyed) break;  // lost
    for (auto& d : flight) p.peer->receive({d.data, d.bytes});
  }
  ASSERT_FALSE(p.peer->done());
  EXPECT_EQ(rig.manager->last_flight_count(), 1u);
  rig.pass(millis(200));
  ::usleep(80'000);  // the peer's own timer is real
  p.peer->timeout();
  rig.pump(p);
  EXPECT_TRUE(p.peer->done());
  EXPECT_EQ(rig.manager->counters().last_flights_repeated, 1u);
  rig.pass(kLastFlightLifetime + seconds(1));
  EXPECT_EQ(rig.manager->last_flight_count(), 0u);
}

TEST(SessionManager, RemoveFreesWipesAndSaysGoodbye) {
  Rig rig;
  auto p = rig.publish("live");
  rig.connect(p);
  auto keys = p.peer->keys();
  for (const auto& secret : {keys.client_key, keys.server_key, keys.client_salt})
    ASSERT_TRUE(rig.datapath->keys_contain(secret)) << "the search itself must be able to find";
  auto id = *session_id_from(p.answer.session_id);
  ASSERT_TRUE(rig.datapath->control_contains(id));
  EXPECT_TRUE(rig.manager->remove(p.answer.session_id));
  for (const auto& secret :
       {keys.client_key, keys.server_key, keys.client_salt, keys.server_salt}) {
    EXPECT_FALSE(rig.datapath->keys_contain(secret));
    EXPECT_FALSE(rig.datapath->control_contains(secret));
  }
  EXPECT_FALSE(rig.datapath->control_contains(id));
  abi::SessionConfig c = rig.datapath->entry(p.slot);
  EXPECT_EQ(c.phase, static_cast<uint8_t>(SessionPhase::free));
  EXPECT_EQ(c.generation, p.generation);
  for (auto& d : rig.datapath->take_dtls()) p.peer->receive({d.data, d.bytes});
  EXPECT_TRUE(p.peer->closed());
  EXPECT_FALSE(rig.manager->remove(p.answer.session_id));
  EXPECT_EQ(rig.manager->session_count(), 0u);
  EXPECT_TRUE(rig.manager->streams().empty());
}

TEST(SessionManager, UnknownIdsAreUnknown) {
  Rig rig;
  auto p = rig.publish("live");
  std::string id = p.answer.session_id;
  for (std::string bad : {std::string(), std::string("x"), id + "A", id.substr(1),
                          std::string(22, '!'), std::string(22, 'A'),
                          id.substr(0, 21) + (id[21] == 'A' ? "Q" : "A")}) {
    EXPECT_FALSE(rig.manager->remove(bad)) << bad;
    EXPECT_FALSE(rig.manager->ice_state(bad).has_value());
  }
  EXPECT_TRUE(rig.manager->remove(id));
}

TEST(SessionManager, SlotIsTakenAgainOnlyAfterItsRelease) {
  Rig rig;
  rig.datapath->release = false;
  auto a = rig.publish("a");
  rig.manager->remove(a.answer.session_id);
  rig.pass(seconds(3));
  auto b = rig.publish("b");
  EXPECT_NE(a.slot, b.slot);
  // An older generation is not enough.
  rig.datapath->region().states[a.slot].released_generation.store(a.generation - 1);
  rig.turn();
  auto c = rig.publish("c");
  EXPECT_NE(a.slot, c.slot);
  rig.datapath->region().states[a.slot].released_generation.store(a.generation);
  rig.turn();
  auto d = rig.publish("d");
  EXPECT_EQ(a.slot, d.slot);
  EXPECT_EQ(d.generation, a.generation + 1);
}

TEST(SessionManager, TracksGoToAnotherStreamOnlyAfterTheRelease) {
  Rig rig;
  rig.datapath->release = false;
  auto a = rig.publish("a");
  std::set<uint32_t> old{rig.datapath->entry(a.slot).media[0].track,
                         rig.datapath->entry(a.slot).media[1].track};
  rig.manager->remove(a.answer.session_id);
  auto b = rig.watch("b");
  for (uint32_t m = 0; m < 2; ++m)
    EXPECT_FALSE(old.contains(rig.datapath->entry(b.slot).media[m].track))
        << "a viewer of b could be served what is left of a";
  rig.datapath->release = true;
  rig.pass(seconds(2));
  auto c = rig.watch("c");
  for (uint32_t m = 0; m < 2; ++m)
    EXPECT_TRUE(old.contains(rig.datapath->entry(c.slot).media[m].track));
}

TEST(SessionManager, UnreleasedSlotIsRungAgain) {
  Rig rig;
  auto p = rig.publish("live");
  rig.datapath->work();
  rig.datapath->release = false;
  rig.manager->remove(p.answer.session_id);
  rig.datapath->work();
  rig.datapath->seen.clear();
  rig.pass(seconds(3));
  EXPECT_TRUE(rig.datapath->seen.contains(p.slot));
}

TEST(SessionManager, RefusesWhenFullHalfOpenOrWithoutDatapath) {
  Rig rig;
  rig.limits.max = 3;
  rig.start();
  auto a = rig.publish("a");
  rig.watch("a");
  rig.watch("a");
  EXPECT_EQ(error_kind(rig.manager->watch(rig.request("a"))), ApiError::Kind::overloaded);
  // A takeover needs no further room.
  rig.accept(rig.manager->publish(rig.request("a")));
  EXPECT_FALSE(rig.manager->remove(a.answer.session_id));

  rig.limits.max = 8192;
  rig.limits.max_half_open = 2;
  rig.start();  // half-open ones are swept
  rig.turn();
  auto b = rig.publish("b");
  rig.watch("b");
  EXPECT_EQ(error_kind(rig.manager->watch(rig.request("b"))), ApiError::Kind::overloaded);
  rig.connect(b);
  rig.accept(rig.manager->watch(rig.request("b")));

  rig.now += seconds(3);  // no heartbeat meanwhile
  EXPECT_EQ(error_kind(rig.manager->publish(rig.request("c"))), ApiError::Kind::overloaded);
}

TEST(SessionManager, PublisherPolicyTakeover) {
  Rig rig;
  auto old = rig.publish("live");
  rig.connect(old);
  auto viewer = rig.watch("live");
  rig.connect(viewer);
  uint32_t track = rig.datapath->entry(old.slot).media[1].track;
  auto fresh = rig.publish("live");
  EXPECT_EQ(rig.phase(old), SessionPhase::free);
  EXPECT_EQ(rig.phase(viewer), SessionPhase::keyed);
  EXPECT_EQ(rig.datapath->entry(fresh.slot).media[1].track, track) << "viewers stay where they are";
  EXPECT_TRUE(rig.manager->describe_stream("live").live);
  for (auto& d : rig.datapath->take_dtls()) old.peer->receive({d.data, d.bytes});
  EXPECT_TRUE(old.peer->closed());
}

TEST(SessionManager, PublisherPolicyReject) {
  Rig rig;
  rig.limits.publisher_policy = "reject";
  rig.start();
  auto first = rig.publish("live");
  EXPECT_EQ(error_kind(rig.manager->publish(rig.request("live"))),
            ApiError::Kind::already_published);
  rig.manager->remove(first.answer.session_id);
  rig.publish("live");
}

TEST(SessionManager, ViewerWaitsForItsPublisherSoLongAndNoLonger) {
  Rig rig;
  rig.limits.connect_timeout_s = 600;
  rig.start();
  auto viewer = rig.watch("later");
  EXPECT_FALSE(rig.manager->describe_stream("later").live);
  rig.pass(seconds(50));
  auto publisher = rig.publish("later");
  EXPECT_EQ(rig.datapath->entry(viewer.slot).media[1].track,
            rig.datapath->entry(publisher.slot).media[1].track);
  rig.pass(seconds(30));
  EXPECT_EQ(rig.manager->session_count(), 2u);
  rig.manager->remove(publisher.answer.session_id);
  rig.pass(seconds(58));
  EXPECT_EQ(rig.manager->session_count(), 1u);
  rig.pass(seconds(4));
  EXPECT_EQ(rig.manager->session_count(), 0u);
  EXPECT_EQ(rig.manager->counters().ended[static_cast<size_t>(EndReason::no_publisher)], 1u);
}

TEST(SessionManager, WithoutWaitingAnAbsentPublisherIsAConflict) {
  Rig rig;
  rig.limits.wait_for_publisher_s = 0;
  rig.start();
  EXPECT_EQ(error_kind(rig.manager->watch(rig.request("live"))), ApiError::Kind::no_publisher);
  EXPECT_TRUE(rig.manager->streams().empty());
  rig.publish("live");
  rig.watch("live");
}

TEST(SessionManager, ConnectTimeoutSweepsWhatNeverBecameKeyed) {
  Rig rig;
  auto silent = rig.publish("a");
  auto checked = rig.publish("b");
  rig.validate(checked);
  auto keyed = rig.publish("c");
  rig.connect(keyed);
  rig.pass(seconds(14));
  EXPECT_EQ(rig.manager->session_count(), 3u);
  for (int i = 0; i < 3; ++i) rig.pass(seconds(1)), rig.report(keyed);
  EXPECT_EQ(rig.phase(silent), SessionPhase::free);
  EXPECT_EQ(rig.phase(checked), SessionPhase::free);
  EXPECT_EQ(rig.phase(keyed), SessionPhase::keyed);
  EXPECT_EQ(rig.manager->counters().ended[static_cast<size_t>(EndReason::connect_timeout)], 2u);
}

TEST(SessionManager, ConsentIsEndedByEventAndByReportWhenTheEventWasLost) {
  Rig rig;
  auto told = rig.publish("a");
  rig.connect(told);
  rig.datapath->event(abi::EventType::expired, told.slot, told.generation, told.path, rig.now);
  rig.turn();
  EXPECT_EQ(rig.phase(told), SessionPhase::free);

  auto silent = rig.publish("b");
  rig.connect(silent);
  rig.pass(seconds(38));
  EXPECT_EQ(rig.phase(silent), SessionPhase::keyed);
  rig.pass(seconds(4));
  EXPECT_EQ(rig.phase(silent), SessionPhase::free);
  EXPECT_EQ(rig.manager->counters().ended[static_cast<size_t>(EndReason::consent)], 2u);
}

TEST(SessionManager, DeadDatapathEndsNoSession) {
  Rig rig;
  auto p = rig.publish("a");
  rig.connect(p);
  for (int i = 0; i < 600; ++i) {  // two minutes without a heartbeat
    rig.now += millis(200);
    rig.manager->turn();
  }
  EXPECT_EQ(rig.phase(p), SessionPhase::keyed);
  EXPECT_FALSE(rig.manager->health().datapath_ok);
  rig.pass(seconds(35));
  EXPECT_EQ(rig.phase(p), SessionPhase::keyed) << "consent counts from the datapath's return";
}

TEST(SessionManager, RejectedEntryEndsItsSession) {
  Rig rig;
  auto p = rig.publish("a");
  rig.datapath->event(abi::EventType::rejected, p.slot, p.generation, {}, rig.now);
  rig.turn();
  EXPECT_EQ(rig.phase(p), SessionPhase::free);
}

TEST(SessionManager, SessionsSpreadOverWorkersAndFollowTheirOwner) {
  Rig rig(3);
  std::map<uint8_t, int> homes;
  for (int i = 0; i < 30; ++i)
    ++homes[rig.datapath->entry(rig.publish("s" + std::to_string(i)).slot).home_worker];
  EXPECT_EQ(homes.size(), 3u);
  for (auto& [worker, count] : homes) EXPECT_EQ(count, 10) << int{worker};

  auto p = rig.publish("moved");
  rig.turn();
  uint8_t home = rig.datapath->entry(p.slot).home_worker;
  uint32_t owner = (home + 1u) % 3;
  rig.datapath->region().states[p.slot].owner_worker.store(owner);
  rig.woken.clear();
  rig.manager->remove(p.answer.session_id);
  EXPECT_TRUE(rig.woken.contains(owner));
  EXPECT_TRUE(rig.woken.contains(home));
}

TEST(SessionManager, WaitingViewersLeaveTracksForPublishers) {
  Rig rig;
  rig.limits.max = kMaxSessions;
  rig.limits.max_half_open = kMaxSessions;
  rig.start();
  uint32_t accepted = 0;
  for (; accepted < 2 * kMaxTracks; ++accepted) {
    auto r = rig.manager->watch(rig.request("w" + std::to_string(accepted)));
    if (!std::holds_alternative<ApiError>(r)) continue;
    EXPECT_EQ(error_kind(r), ApiError::Kind::overloaded);
    break;
  }
  EXPECT_EQ(accepted, kMaxTracks / 4);  // two tracks each, half of the pool
  for (int i = 0; i < 100; ++i) {
    rig.publish("p" + std::to_string(i));
    rig.watch("p" + std::to_string(i));
  }
}

TEST(SessionManager, DrainRefusesNewAndEndsAll) {
  Rig rig;
  auto p = rig.publish("live");
  rig.connect(p);
  auto v = rig.watch("live");
  rig.manager->begin_drain();
  EXPECT_EQ(error_kind(rig.manager->publish(rig.request("x"))), ApiError::Kind::draining);
  EXPECT_TRUE(rig.manager->health().draining);
  EXPECT_EQ(rig.phase(p), SessionPhase::keyed) << "running sessions may end by themselves";
  rig.manager->remove_all();
  EXPECT_EQ(rig.manager->session_count(), 0u);
  EXPECT_EQ(rig.phase(p), SessionPhase::free);
  EXPECT_EQ(rig.phase(v), SessionPhase::free);
  for (auto& d : rig.datapath->take_dtls()) p.peer->receive({d.data, d.bytes});
  EXPECT_TRUE(p.peer->closed());
}

TEST(SessionManager, BadRequestsAreRefusedAndLeaveNothing) {
  Rig rig;
  auto expect = [&](ApiError::Kind kind, auto change) {
    SessionRequest r = rig.request("live");
    change(r);
    EXPECT_EQ(error_kind(rig.manager->publish(r)), kind);
  };
  using Kind = ApiError::Kind;
  expect(Kind::unsupported, [](auto& r) { r.media.resize(5, r.media[0]); });
  expect(Kind::unsupported, [](auto& r) { r.media.clear(); });
  expect(Kind::unsupported, [](auto& r) { r.media[1].rids.assign(5, "r"); });
  expect(Kind::unsupported, [](auto& r) { r.media[0].mid.assign(17, 'm'); });
  expect(Kind::unsupported, [](auto& r) { r.transport.ice_ufrag.assign(33, 'u'); });
  expect(Kind::unsupported, [](auto& r) {
    r.media[0].payload_types.resize(25, r.media[0].payload_types[0]);
  });
  expect(Kind::invalid, [](auto& r) { r.media[0].payload_types[0].codec = Codec::vp8; });
  expect(Kind::invalid, [](auto& r) { r.media[0].payload_types[0].pt = 200; });
  expect(Kind::invalid, [](auto& r) { r.transport.fingerprints[0].digest.resize(20); });
  expect(Kind::invalid, [](auto& r) { r.transport.fingerprints.clear(); });
  expect(Kind::invalid, [](auto& r) { r.transport.ice_pwd.clear(); });
  expect(Kind::invalid, [](auto& r) { r.stream.clear(); });
  EXPECT_EQ(rig.manager->session_count(), 0u);
  EXPECT_TRUE(rig.manager->streams().empty());
  EXPECT_EQ(rig.link->slots_used(), 0u);
}

TEST(SessionManager, FourLinesOfOneKindGetFourTracks) {
  Rig rig;
  SessionRequest r = rig.request("live");
  r.media.assign(4, r.media[1]);
  for (uint32_t i = 0; i < 4; ++i) r.media[i].mid = std::to_string(i);
  auto p = rig.accept(rig.manager->publish(r));
  std::set<uint32_t> tracks;
  for (uint32_t m = 0; m < 4; ++m) tracks.insert(rig.datapath->entry(p.slot).media[m].track);
  EXPECT_EQ(tracks.size(), 4u);
  auto v = rig.accept(rig.manager->watch(r));
  for (uint32_t m = 0; m < 4; ++m)
    EXPECT_EQ(rig.datapath->entry(v.slot).media[m].track,
              rig.datapath->entry(p.slot).media[m].track);
  // A viewer alone cannot claim tracks that no publisher gave meaning to.
  auto w = rig.accept(rig.manager->watch([&] {
    SessionRequest q = r;
    q.stream = "empty";
    return q;
  }()));
  EXPECT_NE(rig.datapath->entry(w.slot).media[0].track, abi::kNoTrack);
  EXPECT_EQ(rig.datapath->entry(w.slot).media[1].track, abi::kNoTrack);
}

}  // namespace
}  // namespace spillway
