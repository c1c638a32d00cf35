#include "tests/unit/core/engine_world.h"

namespace spillway {
namespace {

using abi::Count;
using abi::Drop;
using abi::SessionRole;
using Packet = TestPeer::Packet;

// key frame at sequence `first`, then deltas; one packet per frame, 33 ms apart.
void publish(World& world, TestPeer& publisher, uint64_t first, uint32_t frames,
             bool start_with_key = true, uint32_t worker = 0) {
  for (uint32_t i = 0; i < frames; ++i) {
    Packet p;
    p.index = first + i;
    p.timestamp = static_cast<uint32_t>(3000 * (first + i));
    p.payload = TestPeer::vp8(start_with_key && i == 0, static_cast<uint16_t>(first + i),
                              static_cast<uint8_t>(first + i), static_cast<uint8_t>(first + i));
    publisher.send(p, worker);
    world.advance(millis(33));
  }
}

TEST(Engine, AnswersAVerifiedCheckAndSaysWhereThePeerIs) {
  World world;
  TestPeer viewer(world, 1, SessionRole::viewer);
  viewer.check();
  viewer.receive();
  EXPECT_EQ(viewer.stun_answers, 1u);
  ASSERT_FALSE(world.events.empty());
  EXPECT_EQ(world.events[0].type, static_cast<uint32_t>(abi::EventType::validated));
  EXPECT_EQ(world.events[0].path, viewer.path);
}

TEST(Engine, IsSilentToWrongPasswordsForeignFragmentsAndTheDead) {
  World world;
  TestPeer viewer(world, 1, SessionRole::viewer);
  world.deliver(0, viewer.path, viewer.stun(true, "peer", true));
  world.deliver(0, viewer.path, viewer.stun(true, "else"));
  EXPECT_EQ(world.dropped(Drop::stun_bad_integrity), 2u);
  auto gone = viewer.stun();
  viewer.config().phase = static_cast<uint8_t>(abi::SessionPhase::free);
  world.apply(1);
  world.deliver(0, viewer.path, gone);
  EXPECT_EQ(world.dropped(Drop::stun_no_session), 1u);
  EXPECT_TRUE(world.take(viewer.path.remote).empty());
}

TEST(Engine, ForwardsWithTheViewersNumbersAndTheSamePayload) {
  World world;
  TestPeer publisher(world, 0, SessionRole::publisher);
  TestPeer viewer(world, 1, SessionRole::viewer);
  publisher.connect();
  viewer.connect();
  publish(world, publisher, 1000, 5);
  viewer.receive();
  ASSERT_EQ(viewer.media.size(), 5u);
  for (uint32_t i = 0; i < 5; ++i) {
    auto& r = viewer.media[i];
    EXPECT_EQ(r.header.pt, 120);
    EXPECT_EQ(value(r.header.ssrc), viewer.ssrc());
    EXPECT_EQ(r.index, viewer.media[0].index + i);
    EXPECT_EQ(value(r.header.timestamp) - value(viewer.media[0].header.timestamp), 3000 * i);
    EXPECT_EQ(r.payload.back(), static_cast<uint8_t>(1000 + i));
    EXPECT_TRUE(r.header.marker);
    std::map<int, std::vector<uint8_t>> x;
    for_each_extension(r.header, r.packet,
                       [&](uint8_t id, Bytes v) { x[id].assign(v.begin(), v.end()); });
    EXPECT_EQ(x[4], std::vector<uint8_t>{'v'});  // the viewer's mid
    EXPECT_EQ(x[9], std::vector<uint8_t>{3});    // orientation, 7 at the publisher
    EXPECT_EQ(x[5].size(), 2u);
    EXPECT_EQ(x.count(10), 0u);                  // rid is not for viewers
  }
}

TEST(Engine, ServesAJoinerFromTheLastKeyFrameAtOnce) {
  World world;
  TestPeer publisher(world, 0, SessionRole::publisher);
  publisher.connect();
  publish(world, publisher, 10, 8, false);
  publish(world, publisher, 18, 10);
  TestPeer viewer(world, 1, SessionRole::viewer);
  viewer.connect();
  world.settle();
  viewer.receive();
  // connect() threw away what came during the handshake; media starts with keys.
  uint64_t before = world.counted(Count::forwarded_copies);
  EXPECT_EQ(before, 10u);
  EXPECT_EQ(world.counted(Count::pli_sent), 1u) << "only the one a new publisher is sent";
}

TEST(Engine, ServesALongStartUpCacheInPortionsButWhole) {
  World world;
  TestPeer publisher(world, 0, SessionRole::publisher);
  publisher.connect();
  // 600 packets of one key frame in 1 s.
  for (uint32_t i = 0; i < 600; ++i) {
    Packet p;
    p.index = 10 + i;
    p.timestamp = 1000;
    p.marker = i == 599;
    p.payload = TestPeer::vp8(i == 0, 1, 1, static_cast<uint8_t>(i), 1000);
    if (i > 0) p.payload[0] = 0x80;  // continuation: S = 0
    publisher.send(p);
    if (i % 60 == 59) world.advance(millis(50));
  }
  TestPeer viewer(world, 1, SessionRole::viewer);
  viewer.check();
  viewer.key();
  viewer.receive();
  EXPECT_LE(viewer.media.size(), 100u) << "not in one burst";
  world.advance(millis(200));
  viewer.receive();
  EXPECT_EQ(viewer.media.size(), 600u);
}

TEST(Engine, WaitsForAKeyFrameAndAsksForOneAtMostTwiceASecond) {
  World world;
  TestPeer publisher(world, 0, SessionRole::publisher);
  publisher.connect();
  TestPeer viewer(world, 1, SessionRole::viewer);
  viewer.connect();
  publisher.reports.clear();
  publish(world, publisher, 10, 60, false);  // 2 s without a key frame
  publisher.receive();
  viewer.receive();
  EXPECT_TRUE(viewer.media.empty());
  uint32_t plis = publisher.count_rtcp(RtcpType::payload_feedback, kRtcpPli);
  EXPECT_GE(plis, 3u);
  EXPECT_LE(plis, 5u);
  publish(world, publisher, 70, 3);
  viewer.receive();
  EXPECT_EQ(viewer.media.size(), 3u);
}

TEST(Engine, AnswersNackByRtxWithinTheBudget) {
  World world;
  TestPeer publisher(world, 0, SessionRole::publisher);
  TestPeer viewer(world, 1, SessionRole::viewer);
  publisher.connect();
  viewer.connect();
  publish(world, publisher, 1000, 5);
  viewer.receive();
  ASSERT_EQ(viewer.media.size(), 5u);
  auto lost = static_cast<uint16_t>(viewer.media[2].index);
  uint8_t buffer[64];
  Writer w(buffer);
  write_nack(w, Ssrc{1}, Ssrc{viewer.ssrc()}, std::array{lost});
  viewer.rtcp(w.written());
  viewer.receive();
  ASSERT_EQ(viewer.rtx.size(), 1u);
  EXPECT_EQ(viewer.rtx[0].header.pt, 121);
  EXPECT_EQ(load_be16(viewer.rtx[0].payload.data()), lost);
  EXPECT_TRUE(std::equal(viewer.rtx[0].payload.begin() + 2, viewer.rtx[0].payload.end(),
                         viewer.media[2].payload.begin(), viewer.media[2].payload.end()));
  // Asked again at once: the repair is on its way.
  Writer again(buffer);
  write_nack(again, Ssrc{1}, Ssrc{viewer.ssrc()}, std::array{lost});
  viewer.rtcp(again.written());
  viewer.receive();
  EXPECT_EQ(viewer.rtx.size(), 1u);
  // A NACK flood gets no more than the bucket holds.
  for (int i = 0; i < 3000; ++i) {
    world.now += millis(31);
    Writer flood(buffer);
    write_nack(flood, Ssrc{1}, Ssrc{viewer.ssrc()}, std::array{lost});
    viewer.rtcp(flood.written());
  }
  viewer.receive();
  EXPECT_LT(world.counted(Count::rtx_bytes), 66u * 1024);
  EXPECT_GT(world.counted(Count::rtx_refused_budget), 1000u);
}

TEST(Engine, AsksThePublisherForWhatIsMissingAndTakesItsRtx) {
  World world;
  TestPeer publisher(world, 0, SessionRole::publisher);
  TestPeer viewer(world, 1, SessionRole::viewer);
  publisher.connect();
  viewer.connect();
  publish(world, publisher, 100, 3);
  publish(world, publisher, 104, 2, false);  // 103 is missing
  publisher.receive();
  EXPECT_GE(publisher.count_rtcp(RtcpType::transport_feedback, kRtcpNack), 1u);
  // RTX on its own SSRC, placed by mid and payload type (rtx pt 97).
  Packet p;
  p.index = 7;
  p.ssrc = 0x2222;
  p.pt = 97;
  p.timestamp = 3000 * 103;
  p.payload = {0, 103};
  auto original = TestPeer::vp8(false, 103, 103, 103);
  p.payload.insert(p.payload.end(), original.begin(), original.end());
  publisher.send(p);
  viewer.receive();
  ASSERT_EQ(viewer.media.size(), 6u);
  EXPECT_EQ(viewer.media[5].index, viewer.media[0].index + 3);
  EXPECT_EQ(viewer.media[5].payload.back(), 103);
  // Answered: not asked again.
  uint64_t asked = world.counted(Count::nack_sent);
  world.advance(millis(300));
  EXPECT_EQ(world.counted(Count::nack_sent), asked);
}

TEST(Engine, SendsTransportFeedbackAndReceiverReports) {
  World world;
  TestPeer publisher(world, 0, SessionRole::publisher);
  publisher.connect();
  for (uint32_t i = 0; i < 100; ++i) {
    Packet p;
    p.index = i + 1;
    p.timestamp = i * 3000;
    p.transport_cc = static_cast<int>((65500 + i) & 0xffff);
    p.payload = TestPeer::vp8(i == 0, 1, 1, 1);
    if (i != 40) publisher.send(p);
    world.advance(millis(20));
  }
  publisher.receive();
  uint32_t received = 0, lost = 0;
  for (auto& compound : publisher.reports) {
    RtcpWalker walker(compound);
    while (auto packet = walker.next()) {
      if (!packet->is(RtcpType::transport_feedback, kRtcpTransportCc)) continue;
      auto fb = parse_transport_cc(parse_feedback(*packet)->fci);
      ASSERT_TRUE(fb);
      for_each_transport_cc(*fb, [&](uint16_t, int64_t t) {
        ++(t == kTransportCcLost ? lost : received);
      });
    }
  }
  EXPECT_GE(received, 95u);
  EXPECT_EQ(lost, 1u);
  EXPECT_GE(publisher.count_rtcp(RtcpType::receiver_report), 1u);
}

TEST(Engine, RewritesSenderReportsToTheViewersTimeline) {
  World world;
  TestPeer publisher(world, 0, SessionRole::publisher);
  TestPeer viewer(world, 1, SessionRole::viewer);
  publisher.connect();
  viewer.connect();
  publish(world, publisher, 1, 3);
  uint8_t buffer[64];
  Writer w(buffer);
  write_sender_report(w, {Ssrc{kPublisherSsrc}, NtpTime{uint64_t{5000} << 32}, RtpTime{9000}, 3, 9},
                      {});
  publisher.rtcp(w.written());
  viewer.receive();
  ASSERT_FALSE(viewer.media.empty());
  uint32_t offset = value(viewer.media[0].header.timestamp) - 3000;
  world.advance(seconds(3));
  viewer.receive();
  uint32_t seen = 0;
  for (auto& compound : viewer.reports) {
    RtcpWalker walker(compound);
    while (auto packet = walker.next())
      if (auto sr = parse_sender_report(*packet)) {
        ++seen;
        EXPECT_EQ(value(sr->ssrc), viewer.ssrc());
        // RTP and NTP advanced together since the publisher's report.
        double s = static_cast<double>(value(sr->ntp) - (uint64_t{5000} << 32)) / 4294967296.0;
        double ticks = static_cast<int32_t>(value(sr->rtp) - offset - 9000);
        EXPECT_NEAR(ticks / 90000.0, s, 0.001);
        EXPECT_EQ(sr->packets, 3u);
      }
  }
  EXPECT_GE(seen, 2u);
}

// RFC 3711 §3.2.3: one SRTCP index per sender, as libsrtp counts.
TEST(Engine, SrtcpIndicesOfTwoSendersDoNotCollide) {
  World world;
  TestPeer publisher(world, 0, SessionRole::publisher);
  publisher.connect();
  for (uint32_t sender : {10u, 11u}) {
    publisher.next_rtcp_index = 1;
    for (int i = 0; i < 3; ++i) {
      uint8_t buffer[64];
      Writer w(buffer);
      write_receiver_report(w, Ssrc{sender}, {});
      publisher.rtcp(w.written());
    }
  }
  EXPECT_EQ(world.dropped(Drop::rtcp_replayed), 0u);
  EXPECT_EQ(world.counted(Count::consumed_rtcp), 6u);
  publisher.next_rtcp_index = 2;
  uint8_t buffer[64];
  Writer w(buffer);
  write_receiver_report(w, Ssrc{11}, {});
  publisher.rtcp(w.written());
  EXPECT_EQ(world.dropped(Drop::rtcp_replayed), 1u);
}

TEST(Engine, OneAndThreeWorkersServeTheSamePayloads) {
  std::vector<std::vector<uint8_t>> first;
  for (uint32_t workers : {1u, 3u}) {
    World world(workers);
    TestPeer publisher(world, 0, SessionRole::publisher);
    std::vector<std::unique_ptr<TestPeer>> viewers;
    publisher.connect(workers - 1);
    for (uint32_t v = 1; v <= 6; ++v) {
      viewers.push_back(std::make_unique<TestPeer>(world, v, SessionRole::viewer));
      viewers.back()->connect(v % workers);
    }
    publish(world, publisher, 500, 20, true, workers - 1);
    for (auto& v : viewers) {
      v->receive();
      std::vector<std::vector<uint8_t>> got;
      for (auto& r : v->media) got.push_back(r.payload);
      if (first.empty()) first = got;
      ASSERT_EQ(got.size(), 20u) << workers << " workers";
      EXPECT_EQ(got, first);
    }
    if (workers == 3) {
      EXPECT_GE(world.counted(Count::moves), 4u) << "sessions follow their packets";
    }
  }
}

TEST(Engine, HandsOverWhatArrivesAtAnotherWorkerAndThenMovesTheSession) {
  World world(2);
  TestPeer publisher(world, 0, SessionRole::publisher);
  TestPeer viewer(world, 1, SessionRole::viewer);
  publisher.connect(0);
  viewer.connect(0);
  publish(world, publisher, 1, 10);
  world.advance(seconds(2));
  // The flow now arrives at worker 1: its check teaches that worker the address.
  publisher.check(1);
  publish(world, publisher, 11, 190, false, 1);
  viewer.receive();
  EXPECT_EQ(viewer.media.size(), 200u);
  EXPECT_GE(world.counted(Count::handovers), 60u);
  EXPECT_LE(world.counted(Count::handovers), 80u);
  EXPECT_EQ(world.states()[0].owner_worker.load(), 1u);
}

// Aim: a peer with two addresses checks both at once and the kernel spreads them: the check
// that nominates must arrive though the session moves because of the other one. Else media
// and DTLS go to the wrong address until the next consent check, five seconds later.
TEST(Engine, ANominationIsNotLostWhileTheSessionMoves) {
  for (const bool overtaken : {false, true}) {
    World world(3);
    TestPeer viewer(world, 1, SessionRole::viewer);
    const Path other{endpoint(77, 5555), viewer.path.local};
    auto receive = [&](uint32_t worker, const Path& path, std::vector<uint8_t> bytes) {
      RxPacket p{path, bytes.data(), static_cast<uint32_t>(bytes.size()), 0};
      world.engines[worker]->receive({&p, 1}, world.now, world.tx);
      world.tx.clear();
    };
    receive(1, other, viewer.stun(false));
    if (!overtaken) receive(2, viewer.path, viewer.stun(true));  // on its way to worker 0
    world.engines[0]->run(world.now, world.tx);  // moves the session to worker 1
    EXPECT_EQ(world.states()[1].owner_worker.load(), 1u);
    // Worker 1 owns it, and has not yet taken the message that says so.
    if (overtaken) receive(1, viewer.path, viewer.stun(true));
    world.settle();
    EXPECT_EQ(world.states()[1].path, viewer.path) << overtaken;
  }
}

// Aim: a handshake does not wait for the owner: any worker that knows the address gives
// DTLS to control, and its bytes are there until the packets are released.
TEST(Engine, PassesDtlsToControlFromTheWorkerItArrivesAt) {
  World world(2);
  TestPeer viewer(world, 1, SessionRole::viewer);
  viewer.check(0);
  viewer.check(1);
  for (uint32_t w = 0; w < 2; ++w) {
    std::vector<uint8_t> hello{22, 0xfe, 0xfd, static_cast<uint8_t>(w)};
    RxPacket p{viewer.path, hello.data(), static_cast<uint32_t>(hello.size()), 0};
    world.engines[w]->receive({&p, 1}, world.now, world.tx);
    EngineOutputs& out = world.engines[w]->outputs();
    ASSERT_EQ(out.dtls_count, 1u);
    EXPECT_EQ(out.dtls[0].slot, 1u);
    EXPECT_EQ(out.dtls[0].data.data(), hello.data());
    out.clear();
  }
  EXPECT_EQ(world.counted(Count::consumed_dtls), 2u);
  EXPECT_EQ(world.counted(Count::handovers), 0u);
}

TEST(Engine, NewProcessContinuesWithFreshIndices) {
  World world(2);
  TestPeer publisher(world, 0, SessionRole::publisher);
  TestPeer viewer(world, 1, SessionRole::viewer);
  publisher.connect(0);
  viewer.connect(1);
  publish(world, publisher, 100, 10);
  world.restart();
  // Late duplicate of something forwarded before: refused.
  Packet old;
  old.index = 105;
  old.payload = TestPeer::vp8(true, 1, 1, 1);
  publisher.send(old);
  EXPECT_EQ(world.dropped(Drop::rtp_replayed), 1u);
  publish(world, publisher, 110, 5, false);  // no key frame yet: nothing to start from
  publish(world, publisher, 115, 5);
  viewer.receive();  // fails on any reused index
  ASSERT_EQ(viewer.media.size(), 15u);
  EXPECT_EQ(viewer.media[10].payload.back(), 115);
  EXPECT_GT(viewer.media[10].index, viewer.media[9].index);
  auto gap = static_cast<int32_t>(value(viewer.media[10].header.timestamp) -
                                  value(viewer.media[9].header.timestamp));
  EXPECT_GT(gap, 0);
  EXPECT_LT(gap, 90000);
}

TEST(Engine, SwitchesLayersOnKeyFramesWithContinuousNumbers) {
  World world;
  TestPeer publisher(world, 0, SessionRole::publisher, 5, 2);
  TestPeer viewer(world, 1, SessionRole::viewer);
  publisher.connect();
  viewer.connect();
  auto send_both = [&](uint32_t i, bool key_a, bool key_b) {
    for (uint32_t l = 0; l < 2; ++l) {
      Packet p;
      p.index = (l == 0 ? 1000u : 40000u) + i;
      p.ssrc = 0x100 + l;
      p.timestamp = (l == 0 ? 0u : 777777u) + 3000 * i;
      p.rid = std::string(1, static_cast<char>('a' + l));
      p.payload = TestPeer::vp8(l == 0 ? key_a : key_b, static_cast<uint16_t>((l ? 9000 : 100) + i),
                                static_cast<uint8_t>((l ? 77 : 5) + i), static_cast<uint8_t>(l),
                                l == 0 ? 60 : 600);
      publisher.send(p);
    }
    world.advance(millis(33));
  };
  viewer.config().media[0].selected_layer = 0;
  world.apply(1);
  for (uint32_t i = 0; i < 10; ++i) send_both(i, i == 0, i == 0);
  viewer.config().media[0].selected_layer = 1;
  world.apply(1);
  for (uint32_t i = 10; i < 40; ++i) send_both(i, false, i == 25);
  viewer.receive();
  ASSERT_GE(viewer.media.size(), 35u);
  bool on_high = false;
  for (size_t i = 1; i < viewer.media.size(); ++i) {
    auto &a = viewer.media[i - 1], &b = viewer.media[i];
    EXPECT_EQ(b.index, a.index + 1);
    auto dt = static_cast<int32_t>(value(b.header.timestamp) - value(a.header.timestamp));
    EXPECT_GT(dt, 0);
    EXPECT_LT(dt, 9000);
    auto da = parse_vp8(a.payload), db = parse_vp8(b.payload);
    ASSERT_TRUE(da && db);
    EXPECT_EQ(db->picture_id, (da->picture_id + 1) & 0x7fff);
    EXPECT_EQ(db->tl0, static_cast<uint8_t>(da->tl0 + 1));
    on_high = b.payload.back() == 1;
  }
  EXPECT_TRUE(on_high);
  EXPECT_EQ(world.counted(Count::layer_switches), 1u);
}

// Aim: rid is negotiated on the video line only; an audio line before it must not hide it.
TEST(Engine, FindsLayersBehindAnAudioLineWithoutRid) {
  World world;
  TestPeer publisher(world, 0, SessionRole::publisher, 5, 2);
  abi::SessionConfig& c = publisher.config();
  c.media[1] = c.media[0];
  c.media[0] = {};
  c.media[0].track = abi::kNoTrack;
  c.media[0].mid_bytes = 1;
  c.media[0].mid[0] = '9';
  c.media[0].payload_count = 1;
  c.media[0].payloads[0] = {111, static_cast<uint8_t>(Codec::opus), abi::kNoPayloadType, 0};
  c.media[0].extension_count = 1;
  c.media[0].extensions[0] = {4, static_cast<uint8_t>(ExtensionKind::mid)};
  c.media_count = 2;
  ASSERT_TRUE(abi::validate(c));
  world.apply(0);
  publisher.connect();
  for (uint32_t l = 0; l < 2; ++l) {
    Packet p;
    p.index = 100;
    p.ssrc = 0x100 + l;
    p.rid = std::string(1, static_cast<char>('a' + l));
    p.payload = TestPeer::vp8(true, 1, 1, static_cast<uint8_t>(l));
    publisher.send(p);
  }
  EXPECT_EQ(world.counted(Count::forwarded_sources), 2u);
  EXPECT_EQ(world.dropped(Drop::rtp_unknown_stream), 0u);
}

TEST(Engine, StopsSendingWithoutConsentAndSaysSo) {
  World world;
  TestPeer publisher(world, 0, SessionRole::publisher);
  TestPeer viewer(world, 1, SessionRole::viewer);
  publisher.connect();
  viewer.connect();
  publish(world, publisher, 1, 5);
  for (int s = 0; s < 40; ++s) {
    world.advance(seconds(1));
    publisher.check();
  }
  bool expired = false;
  for (auto& e : world.events)
    expired |= e.type == static_cast<uint32_t>(abi::EventType::expired) && e.slot == 1;
  EXPECT_TRUE(expired);
  viewer.receive();
  size_t before = viewer.media.size();
  publish(world, publisher, 6, 5);
  viewer.receive();
  EXPECT_EQ(viewer.media.size(), before);
}

TEST(Engine, NoMediaGoesToAnAddressThatOnlySpokeStun) {
  World world;
  TestPeer publisher(world, 0, SessionRole::publisher);
  TestPeer viewer(world, 1, SessionRole::viewer);
  publisher.connect();
  viewer.connect();
  publish(world, publisher, 1, 3);
  Path victim = viewer.path;
  victim.remote = endpoint(66, 6666);
  world.advance(seconds(2));
  world.deliver(0, victim, viewer.stun());
  publish(world, publisher, 4, 30, false);
  for (auto& bytes : world.take(victim.remote)) EXPECT_EQ(classify(bytes), PacketClass::stun);
  viewer.receive();
  EXPECT_EQ(viewer.media.size(), 33u);
  // Authenticated SRTCP from there is proof: media follows.
  viewer.path = victim;
  uint8_t rr[64];
  Writer w(rr);
  write_receiver_report(w, Ssrc{1}, {});
  viewer.rtcp(w.written());
  publish(world, publisher, 34, 3, false);
  viewer.receive();
  EXPECT_EQ(viewer.media.size(), 36u);
}

TEST(Engine, CountsEveryDatagramOnce) {
  World world(2);
  TestPeer publisher(world, 0, SessionRole::publisher);
  TestPeer viewer(world, 1, SessionRole::viewer);
  publisher.connect(0);
  viewer.connect(1);
  publish(world, publisher, 1, 20);
  uint64_t random = 12345;
  for (int i = 0; i < 5000; ++i) {
    random = random * 6364136223846793005 + 1442695040888963407;
    std::vector<uint8_t> bytes(random >> 56, static_cast<uint8_t>(random >> 40));
    for (auto& b : bytes) b = static_cast<uint8_t>((random = random * 6364136223846793005 + 1) >> 33);
    if (i % 3 == 0 && bytes.size() > 20) {  // nearly right: a mutated good packet
      Packet p;
      p.index = 30 + static_cast<uint64_t>(i);
      p.payload = TestPeer::vp8(false, 1, 1, 1);
      bytes = publisher.protect(p);
      bytes[random % bytes.size()] ^= 0x40;
    }
    world.deliver(i & 1, i & 2 ? publisher.path : viewer.path, bytes);
  }
  uint64_t drops = 0;
  for (uint32_t d = 0; d < abi::kDropCount; ++d) drops += world.dropped(static_cast<Drop>(d));
  uint64_t used = world.counted(Count::consumed_stun) + world.counted(Count::consumed_dtls) +
                  world.counted(Count::consumed_rtcp) + world.counted(Count::consumed_rtx) +
                  world.counted(Count::forwarded_sources);
  EXPECT_EQ(world.counted(Count::rx_datagrams), drops + used);
  viewer.receive();
  EXPECT_EQ(viewer.media.size(), 20u);
}

}  // namespace
}  // namespace spillway
