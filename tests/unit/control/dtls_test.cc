// Handshakes against a peer made of plain OpenSSL calls, driven datagram by datagram.
#include "control/dtls.h"

#include <chrono>
#include <ctime>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "tests/unit/control/dtls_peer.h"

namespace spillway {
namespace {

using test::DtlsPeer;
using test::Identity;
using test::PeerOptions;

Nanos real_now() {
  return {std::chrono::duration_cast<std::chrono::nanoseconds>(
              std::chrono::steady_clock::now().time_since_epoch())
              .count()};
}

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

class DtlsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    ours = new Identity;
    theirs = new Identity;
    context = DtlsContext::create(ours->pem()).value().release();
  }
  static void TearDownTestSuite() {
    delete context;
    delete theirs;
    delete ours;
  }

  // Runs until one side ends or nothing moves. `lose` may drop a datagram.
  template <typename Lose>
  static void run(DtlsHandshake& us, DtlsPeer& peer, Lose lose, bool packed = false) {
    Nanos end = real_now() + seconds(30);
    peer.step();
    while (real_now() < end) {
      bool moved = false;
      for (auto& d : packed ? peer.packed() : peer.take()) {
        moved = true;
        if (!lose()) us.receive(d, real_now());
        deliver(us, peer, lose);
      }
      moved |= deliver(us, peer, lose);
      if (us.state() == DtlsHandshake::State::failed || peer.failed()) {
        deliver(us, peer, lose);
        return;
      }
      if (us.state() == DtlsHandshake::State::done && peer.done()) return;
      if (moved) continue;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      if (Nanos now = real_now(); us.deadline(now) <= now) us.tick(now);
      peer.timeout();
      // As server with a lost last flight: the peer repeats its own, we ours.
      if (us.state() == DtlsHandshake::State::done && !peer.done() && !peer.packed().empty())
        for (size_t i = 0; i < us.last_flight().count(); ++i)
          if (!lose()) peer.receive(us.last_flight()[i]);
    }
    ADD_FAILURE() << "no end within 30 s";
  }
  static void run(DtlsHandshake& us, DtlsPeer& peer) {
    run(us, peer, [] { return false; });
  }
  template <typename Lose>
  static bool deliver(DtlsHandshake& us, DtlsPeer& peer, Lose lose) {
    bool any = !us.output().empty();
    DatagramList flight = us.output();
    us.output().clear();
    for (size_t i = 0; i < flight.count(); ++i) {
      EXPECT_LE(flight[i].size(), kDtlsMtuBytes);
      if (!lose()) peer.receive(flight[i]);
    }
    return any;
  }

  static void expect_same_keys(const DtlsHandshake& us, const DtlsPeer& peer, bool we_are_client) {
    DtlsPeer::Keys k = peer.keys();
    const SrtpKeys& mine = us.keys();
    ASSERT_EQ(static_cast<unsigned>(mine.profile), k.profile);
    auto& our_key = we_are_client ? k.client_key : k.server_key;
    auto& our_salt = we_are_client ? k.client_salt : k.server_salt;
    auto& peer_key = we_are_client ? k.server_key : k.client_key;
    auto& peer_salt = we_are_client ? k.server_salt : k.client_salt;
    EXPECT_TRUE(std::equal(our_key.begin(), our_key.end(), mine.tx_key.begin()));
    EXPECT_TRUE(std::equal(our_salt.begin(), our_salt.end(), mine.tx_salt.begin()));
    EXPECT_TRUE(std::equal(peer_key.begin(), peer_key.end(), mine.rx_key.begin()));
    EXPECT_TRUE(std::equal(peer_salt.begin(), peer_salt.end(), mine.rx_salt.begin()));
    EXPECT_NE(our_key, peer_key);
  }

  static inline Identity* ours = nullptr;
  static inline Identity* theirs = nullptr;
  static inline DtlsContext* context = nullptr;
};

TEST_F(DtlsTest, KeysAreEqualOnBothEndsForEveryProfileAndRole) {
  struct Case {
    const char* profiles;
    SrtpProfile expected;
  };
  for (const Case& c :
       {Case{"SRTP_AES128_CM_SHA1_80", SrtpProfile::aes128_cm_hmac_sha1_80},
        Case{"SRTP_AEAD_AES_128_GCM", SrtpProfile::aead_aes_128_gcm},
        Case{"SRTP_AEAD_AES_256_GCM", SrtpProfile::aead_aes_256_gcm}}) {
    for (DtlsRole role : {DtlsRole::server, DtlsRole::client}) {
      SCOPED_TRACE(std::string(c.profiles) + (role == DtlsRole::server ? " server" : " client"));
      std::vector<Fingerprint> fingerprints{theirs->fingerprint()};
      DtlsHandshake us(*context, role, fingerprints, real_now());
      PeerOptions o;
      o.client = role == DtlsRole::server;
      o.identity = theirs;
      o.profiles = c.profiles;
      DtlsPeer peer(o);
      us.start(real_now());
      run(us, peer);
      ASSERT_EQ(us.state(), DtlsHandshake::State::done) << name_of(us.failure());
      ASSERT_TRUE(peer.done());
      EXPECT_EQ(us.keys().profile, c.expected);
      expect_same_keys(us, peer, role == DtlsRole::client);
      EXPECT_EQ(us.last_flight().empty(), role == DtlsRole::client);
      EXPECT_STREQ(SSL_get_version(peer.ssl()), "DTLSv1.2");
    }
  }
}

TEST_F(DtlsTest, ServerPrefersGcm128WhateverThePeersOrder) {
  std::vector<Fingerprint> fingerprints{theirs->fingerprint()};
  DtlsHandshake us(*context, DtlsRole::server, fingerprints, real_now());
  PeerOptions o;
  o.identity = theirs;
  o.profiles = "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM";
  DtlsPeer peer(o);
  run(us, peer);
  ASSERT_EQ(us.state(), DtlsHandshake::State::done);
  EXPECT_EQ(us.keys().profile, SrtpProfile::aead_aes_128_gcm);
}

TEST_F(DtlsTest, AcceptsEachFingerprintAlgorithmAndKeyType) {
  Identity p384(Identity::Kind::p384), rsa(Identity::Kind::rsa2048);
  for (const Identity* id : {theirs, &p384, &rsa})
    for (const char* algorithm : {"sha-256", "sha-384", "sha-512"}) {
      // A second, wrong one beside it must not matter.
      std::vector<Fingerprint> fingerprints{ours->fingerprint(), id->fingerprint(algorithm)};
      DtlsHandshake us(*context, DtlsRole::server, fingerprints, real_now());
      PeerOptions o;
      o.identity = id;
      DtlsPeer peer(o);
      run(us, peer);
      EXPECT_EQ(us.state(), DtlsHandshake::State::done) << algorithm << name_of(us.failure());
    }
}

TEST_F(DtlsTest, WrongFingerprintGetsAnAlertAndNoKeys) {
  for (DtlsRole role : {DtlsRole::server, DtlsRole::client}) {
    std::vector<Fingerprint> fingerprints{ours->fingerprint()};  // not the peer's
    DtlsHandshake us(*context, role, fingerprints, real_now());
    PeerOptions o;
    o.client = role == DtlsRole::server;
    o.identity = theirs;
    DtlsPeer peer(o);
    us.start(real_now());
    run(us, peer);
    EXPECT_EQ(us.state(), DtlsHandshake::State::failed);
    EXPECT_EQ(us.failure(), HandshakeFailure::fingerprint);
    EXPECT_EQ(us.keys().profile, SrtpProfile::none);
    EXPECT_EQ(us.keys().rx_key, (std::array<uint8_t, 32>{}));
    EXPECT_TRUE(peer.failed()) << "no alert arrived";
    EXPECT_FALSE(peer.done());
  }
}

TEST_F(DtlsTest, DigestOfAnotherAlgorithmOrLengthDoesNotMatch) {
  Fingerprint cut = theirs->fingerprint();
  cut.digest.resize(31);
  Fingerprint renamed = theirs->fingerprint();
  renamed.algorithm = "sha-512";
  Fingerprint weak = theirs->fingerprint();
  weak.algorithm = "sha-1";
  for (const Fingerprint& f : {cut, renamed, weak}) {
    std::vector<Fingerprint> fingerprints{f};
    DtlsHandshake us(*context, DtlsRole::server, fingerprints, real_now());
    PeerOptions o;
    o.identity = theirs;
    DtlsPeer peer(o);
    run(us, peer);
    EXPECT_EQ(us.failure(), HandshakeFailure::fingerprint);
  }
}

TEST_F(DtlsTest, RefusesAPeerWithoutCertificate) {
  std::vector<Fingerprint> fingerprints{theirs->fingerprint()};
  DtlsHandshake us(*context, DtlsRole::server, fingerprints, real_now());
  DtlsPeer peer(PeerOptions{});
  run(us, peer);
  EXPECT_EQ(us.state(), DtlsHandshake::State::failed);
  EXPECT_EQ(us.failure(), HandshakeFailure::no_certificate);
  EXPECT_EQ(us.keys().profile, SrtpProfile::none);
}

TEST_F(DtlsTest, RefusesOversizedKeysAndCertificates) {
  Identity p521(Identity::Kind::p521), big(Identity::Kind::p256, 5000);
  for (const Identity* id : {&p521, &big}) {
    std::vector<Fingerprint> fingerprints{id->fingerprint()};
    DtlsHandshake us(*context, DtlsRole::server, fingerprints, real_now());
    PeerOptions o;
    o.identity = id;
    DtlsPeer peer(o);
    run(us, peer);
    EXPECT_EQ(us.failure(), HandshakeFailure::bad_certificate) << name_of(us.failure());
  }
}

TEST_F(DtlsTest, RefusesAPeerWithoutUseSrtp) {
  std::vector<Fingerprint> fingerprints{theirs->fingerprint()};
  DtlsHandshake us(*context, DtlsRole::server, fingerprints, real_now());
  PeerOptions o;
  o.identity = theirs;
  o.profiles = "";
  DtlsPeer peer(o);
  run(us, peer);
  EXPECT_EQ(us.failure(), HandshakeFailure::no_profile);
  EXPECT_EQ(us.keys().profile, SrtpProfile::none);
}

TEST_F(DtlsTest, TakesAClientHelloInManyDatagrams) {
  // Firefox with ML-KEM sends about 1.7 kB; here 3 kB at the smallest MTU.
  for (bool packed : {false, true}) {
    std::vector<Fingerprint> fingerprints{theirs->fingerprint()};
    DtlsHandshake us(*context, DtlsRole::server, fingerprints, real_now());
    PeerOptions o;
    o.identity = theirs;
    o.mtu = 256;
    o.hello_padding = 3000;
    DtlsPeer peer(o);
    peer.step();
    auto hello = packed ? peer.packed(600) : peer.take();
    ASSERT_GE(hello.size(), packed ? 5u : 10u);
    for (auto& d : hello) us.receive(d, real_now());
    ASSERT_FALSE(us.output().empty());
    run(us, peer, [] { return false; }, packed);
    ASSERT_EQ(us.state(), DtlsHandshake::State::done) << name_of(us.failure());
    expect_same_keys(us, peer, false);
  }
}

TEST_F(DtlsTest, RepeatedHelloInFrontOfTheFlightDoesNotSpoilTheDatagram) {
  std::vector<Fingerprint> fingerprints{theirs->fingerprint()};
  DtlsHandshake us(*context, DtlsRole::server, fingerprints, real_now());
  PeerOptions o;
  o.identity = theirs;
  DtlsPeer peer(o);
  peer.step();
  for (auto& d : peer.take()) us.receive(d, real_now());
  DatagramList flight = us.output();
  us.output().clear();
  std::this_thread::sleep_for(std::chrono::milliseconds(80));
  peer.timeout();  // the hello again, in the same datagram as what follows
  for (size_t i = 0; i < flight.count(); ++i) peer.receive(flight[i]);
  auto sent = peer.packed();
  ASSERT_EQ(sent.size(), 1u);
  ASSERT_TRUE(is_client_hello(sent[0]));
  us.receive(sent[0], real_now());
  EXPECT_EQ(us.state(), DtlsHandshake::State::done);
  EXPECT_EQ(us.last_flight().count(), 1u);
}

TEST_F(DtlsTest, TakesFragmentsOutOfOrderAndTwice) {
  std::vector<Fingerprint> fingerprints{theirs->fingerprint()};
  DtlsHandshake us(*context, DtlsRole::server, fingerprints, real_now());
  PeerOptions o;
  o.identity = theirs;
  o.mtu = 256;
  o.hello_padding = 1500;
  DtlsPeer peer(o);
  peer.step();
  auto hello = peer.take();
  std::mt19937 rng(7);
  std::shuffle(hello.begin(), hello.end(), rng);
  for (auto& d : hello) {
    us.receive(d, real_now());
    us.receive(d, real_now());
  }
  run(us, peer);
  EXPECT_EQ(us.state(), DtlsHandshake::State::done) << name_of(us.failure());
}

TEST_F(DtlsTest, LostDatagramsAreSentAgain) {
  for (DtlsRole role : {DtlsRole::server, DtlsRole::client})
    for (uint32_t seed = 1; seed <= 3; ++seed) {
      std::vector<Fingerprint> fingerprints{theirs->fingerprint()};
      DtlsHandshake us(*context, role, fingerprints, real_now());
      PeerOptions o;
      o.client = role == DtlsRole::server;
      o.identity = theirs;
      DtlsPeer peer(o);
      us.start(real_now());
      std::mt19937 rng(seed);
      uint32_t lost = 0;
      run(us, peer, [&] { return rng() % 4 == 0 && ++lost < 8; });
      EXPECT_EQ(us.state(), DtlsHandshake::State::done)
          << "seed " << seed << ": " << name_of(us.failure());
      EXPECT_TRUE(peer.done());
      EXPECT_GT(lost, 0u);
    }
}

TEST_F(DtlsTest, LastFlightAnswersARepeatedFinished) {
  std::vector<Fingerprint> fingerprints{theirs->fingerprint()};
  DtlsHandshake us(*context, DtlsRole::server, fingerprints, real_now());
  PeerOptions o;
  o.identity = theirs;
  DtlsPeer peer(o);
  peer.step();
  while (us.state() == DtlsHandshake::State::running) {
    for (auto& d : peer.take()) us.receive(d, real_now());
    DatagramList flight = us.output();
    us.output().clear();
    if (us.state() == DtlsHandshake::State::done) break;  // the last flight is lost
    for (size_t i = 0; i < flight.count(); ++i) peer.receive(flight[i]);
  }
  ASSERT_EQ(us.state(), DtlsHandshake::State::done);
  ASSERT_FALSE(peer.done());
  ASSERT_FALSE(us.last_flight().empty());
  EXPECT_LE(us.last_flight().bytes(), 512u);
  for (size_t i = 0; i < us.last_flight().count(); ++i) peer.receive(us.last_flight()[i]);
  EXPECT_TRUE(peer.done());
  expect_same_keys(us, peer, false);
}

TEST_F(DtlsTest, CloseNotifyEncodedAheadEndsThePeersAssociation) {
  for (DtlsRole role : {DtlsRole::server, DtlsRole::client}) {
    std::vector<Fingerprint> fingerprints{theirs->fingerprint()};
    DtlsHandshake us(*context, role, fingerprints, real_now());
    PeerOptions o;
    o.client = role == DtlsRole::server;
    o.identity = theirs;
    DtlsPeer peer(o);
    us.start(real_now());
    run(us, peer);
    ASSERT_EQ(us.state(), DtlsHandshake::State::done);
    ASSERT_FALSE(us.close_notify().empty());
    EXPECT_FALSE(peer.closed());
    peer.receive(us.close_notify());
    EXPECT_TRUE(peer.closed());
  }
}

TEST_F(DtlsTest, GarbageNeitherEndsNorAnswersAnAttempt) {
  std::vector<Fingerprint> fingerprints{theirs->fingerprint()};
  DtlsHandshake us(*context, DtlsRole::server, fingerprints, real_now());
  std::mt19937 rng(3);
  uint32_t sent = 0;
  while (sent < 30'000) {  // below the byte limit
    std::vector<uint8_t> d(1 + rng() % 60);
    for (auto& b : d) b = static_cast<uint8_t>(rng());
    d[0] = static_cast<uint8_t>(20 + rng() % 44);
    sent += static_cast<uint32_t>(d.size());
    us.receive(d, real_now());
    ASSERT_TRUE(us.output().empty());
  }
  ASSERT_EQ(us.state(), DtlsHandshake::State::running);
  PeerOptions o;
  o.identity = theirs;
  DtlsPeer peer(o);
  run(us, peer);
  EXPECT_EQ(us.state(), DtlsHandshake::State::done);
}

TEST_F(DtlsTest, AlertInClearIsNotBelieved) {
  std::vector<Fingerprint> fingerprints{theirs->fingerprint()};
  DtlsHandshake us(*context, DtlsRole::server, fingerprints, real_now());
  PeerOptions o;
  o.identity = theirs;
  DtlsPeer peer(o);
  peer.step();
  for (auto& d : peer.take()) us.receive(d, real_now());
  const uint8_t alert[] = {21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40};
  us.receive(alert, real_now());
  ASSERT_EQ(us.state(), DtlsHandshake::State::running);
  deliver(us, peer, [] { return false; });
  run(us, peer);
  EXPECT_EQ(us.state(), DtlsHandshake::State::done);
}

TEST_F(DtlsTest, NullCipherHelloFailsSilently) {
  // The hello of the ClientHello race: nothing in it is acceptable.
  std::vector<uint8_t> body{0xfe, 0xfd};
  body.insert(body.end(), 32, 7);
  body.insert(body.end(), {0, 0, 0, 2, 0, 0, 1, 0});
  std::vector<uint8_t> d{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0};
  auto n = static_cast<uint8_t>(body.size());
  d.insert(d.end(), {0, static_cast<uint8_t>(n + 12), 1, 0, 0, n, 0, 0, 0, 0, 0, 0, 0, n});
  d.insert(d.end(), body.begin(), body.end());
  ASSERT_TRUE(is_client_hello(d));
  std::vector<Fingerprint> fingerprints{theirs->fingerprint()};
  DtlsHandshake us(*context, DtlsRole::server, fingerprints, real_now());
  us.receive(d, real_now());
  EXPECT_EQ(us.state(), DtlsHandshake::State::failed);
  EXPECT_EQ(us.failure(), HandshakeFailure::protocol);
  EXPECT_TRUE(us.output().empty()) << "an alert would end the real peer's handshake";
}

TEST_F(DtlsTest, EmptyAndOverlappingFragmentsCostLittle) {
  double before = cpu_seconds();
  for (int kind = 0; kind < 3; ++kind) {
    std::vector<Fingerprint> fingerprints{theirs->fingerprint()};
    DtlsHandshake us(*context, DtlsRole::server, fingerprints, real_now());
    for (uint32_t i = 0; i < 10'000; ++i) {
      uint8_t length = 200, offset = 0, fragment = 0;
      if (kind == 1) fragment = 10, offset = static_cast<uint8_t>(i % 190);
      if (kind == 2) fragment = 100, length = 50;
      std::vector<uint8_t> d{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, static_cast<uint8_t>(i >> 8),
                             static_cast<uint8_t>(i), 0,
                             static_cast<uint8_t>(12 + fragment), 1, 0, 0, length, 0, 0, 0, 0,
                             offset, 0, 0, fragment};
      d.insert(d.end(), fragment, 0);
      us.receive(d, real_now());
    }
    EXPECT_NE(us.state(), DtlsHandshake::State::done);
  }
  // 50 ms per session in a release build; sanitizers and slow hosts get room.
  EXPECT_LT(cpu_seconds() - before, 2.0);
}

TEST_F(DtlsTest, AttemptEndsAtItsByteLimitAndDeadline) {
  std::vector<Fingerprint> fingerprints{theirs->fingerprint()};
  DtlsHandshake us(*context, DtlsRole::server, fingerprints, Nanos{0});
  std::vector<uint8_t> junk(1200, 0);
  for (uint32_t i = 0; i < kMaxHandshakeBytes / 1200 + 1; ++i) us.receive(junk, Nanos{1});
  EXPECT_EQ(us.failure(), HandshakeFailure::limit);

  DtlsHandshake late(*context, DtlsRole::client, fingerprints, Nanos{0});
  late.start(Nanos{0});
  EXPECT_LE(late.deadline(Nanos{0}), kDtlsDeadline);
  EXPECT_EQ(late.tick(kDtlsDeadline - millis(1)), DtlsHandshake::State::running);
  EXPECT_EQ(late.tick(kDtlsDeadline), DtlsHandshake::State::failed);
  EXPECT_EQ(late.failure(), HandshakeFailure::deadline);
  EXPECT_EQ(late.deadline(kDtlsDeadline), kNever);
}

TEST_F(DtlsTest, BadIdentityIsRefusedWithAReason) {
  for (const std::string& pem : {std::string(), std::string("garbage"),
                                 ours->pem().substr(0, ours->pem().find("-----BEGIN PRIVATE"))}) {
    auto c = DtlsContext::create(pem);
    ASSERT_FALSE(c.ok());
    EXPECT_NE(c.error().text.find("DTLS identity"), std::string::npos);
  }
}

TEST_F(DtlsTest, PrintsHandshakesPerSecond) {
  constexpr uint32_t kRounds = 100;
  double mine = 0;
  for (uint32_t i = 0; i < kRounds; ++i) {
    std::vector<Fingerprint> fingerprints{theirs->fingerprint()};
    double t = cpu_seconds();
    DtlsHandshake us(*context, DtlsRole::server, fingerprints, real_now());
    mine += cpu_seconds() - t;
    PeerOptions o;
    o.identity = theirs;
    DtlsPeer peer(o);
    peer.step();
    while (!peer.done()) {
      auto sent = peer.packed();
      ASSERT_FALSE(sent.empty());
      t = cpu_seconds();
      for (auto& d : sent) us.receive(d, real_now());
      DatagramList flight = us.output();
      us.output().clear();
      mine += cpu_seconds() - t;
      for (size_t k = 0; k < flight.count(); ++k) peer.receive(flight[k]);
    }
    ASSERT_EQ(us.state(), DtlsHandshake::State::done);
  }
  double per_second = kRounds / mine;
  std::printf("server handshakes per second and core: %.0f\n", per_second);
  RecordProperty("handshakes_per_second", static_cast<int>(per_second));
  EXPECT_GT(per_second, 20.0);  // sanitizer builds included
}

}  // namespace
}  // namespace spillway
