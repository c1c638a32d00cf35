// The pure parts: candidates, builder, ids, slots, screen, metrics, logs.
#include <regex>
#include <sstream>

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include "control/candidates.h"
#include "control/log_limit.h"
#include "control/logging.h"
#include "tests/unit/control/rig.h"

namespace spillway {
namespace {

using test::Rig;

std::vector<std::string> texts(const std::vector<Endpoint>& in) {
  std::vector<std::string> out;
  for (const Endpoint& e : in) out.push_back(e.ip.to_string());
  return out;
}
using Texts = std::vector<std::string>;

TEST(Candidates, OrderDependsOnTheClient) {
  std::vector<std::string> all{"::1",        "127.0.0.1",   "fe80::1", "2001:db8::1",
                               "192.0.2.1", "198.51.100.1", "junk",    "192.0.2.1"};
  auto endpoints = candidate_endpoints(all, 3478);
  EXPECT_EQ(endpoints.size(), 6u);
  EXPECT_EQ(endpoints[0].port, 3478);
  EXPECT_EQ(texts(order_candidates(endpoints, *IpAddress::parse("203.0.113.9"))),
            (Texts{"192.0.2.1", "198.51.100.1", "2001:db8::1", "fe80::1"}));
  EXPECT_EQ(texts(order_candidates(endpoints, *IpAddress::parse("127.0.0.1"))),
            (Texts{"127.0.0.1", "::1", "192.0.2.1", "198.51.100.1", "2001:db8::1", "fe80::1"}));
  auto only = candidate_endpoints(Texts{"127.0.0.1", "::1"}, 1);
  EXPECT_EQ(texts(order_candidates(only, *IpAddress::parse("203.0.113.9"))),
            (Texts{"127.0.0.1", "::1"}));
  EXPECT_TRUE(order_candidates({}, {}).empty());
}

TEST(SessionIds, HaveOneSpelling) {
  std::mt19937 rng(1);
  for (int i = 0; i < 1000; ++i) {
    std::array<uint8_t, 16> id;
    for (auto& b : id) b = static_cast<uint8_t>(rng());
    std::string text = base64url(id);
    ASSERT_EQ(text.size(), 22u);
    ASSERT_EQ(session_id_from(text), id);
    for (char c : std::string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")) {
      std::string other = text;
      other[21] = c;
      ASSERT_EQ(session_id_from(other) == id, other == text);
    }
  }
}

TEST(Builder, FormatParametersThatDoNotFitLoseTheirSpropFirst) {
  MediaPlan plan;
  plan.kind = MediaKind::video;
  plan.payload_types.resize(3);
  plan.payload_types[0].codec = Codec::h265;
  plan.payload_types[0].fmtp = "level-id=93; sprop-vps=" + std::string(900, 'A') + ";tx-mode=SRST";
  plan.payload_types[1].codec = Codec::h264;
  plan.payload_types[1].fmtp = "packetization-mode=1";
  plan.payload_types[2].codec = Codec::h264;
  plan.payload_types[2].fmtp = "x=" + std::string(300, 'B');
  abi::TrackRecord record = make_track_record(plan, 5, 6);
  abi::MediaConfig media{};
  media.kind = 1;
  for (const auto& p : plan.payload_types)
    media.payloads[media.payload_count++].codec = static_cast<uint8_t>(p.codec);
  TrackDescription d = describe_track(media, record);
  ASSERT_EQ(d.codecs.size(), 3u);
  EXPECT_EQ(d.codecs[0].fmtp, "level-id=93;tx-mode=SRST");
  EXPECT_EQ(d.codecs[1].fmtp, "packetization-mode=1");
  EXPECT_EQ(d.codecs[2].fmtp, plan.payload_types[2].fmtp);

  plan.payload_types[1].fmtp = "y=" + std::string(1100, 'C');
  d = describe_track(media, make_track_record(plan, 5, 6));
  EXPECT_EQ(d.codecs[1].fmtp, "");
  EXPECT_EQ(d.codecs[2].fmtp, plan.payload_types[2].fmtp);

  // A record that claims more than there is.
  abi::TrackRecord bad = record;
  for (auto& n : bad.fmtp_bytes) n = 0xffff;
  d = describe_track(media, bad);
  EXPECT_LE(d.codecs[0].fmtp.size() + d.codecs[1].fmtp.size() + d.codecs[2].fmtp.size(), 1024u);
}

TEST(Builder, LayersComeFromRidsElseFromSsrcs) {
  Rig rig;
  SessionRequest r = rig.request("x");
  r.media[1].ssrcs = {{Ssrc{11}, Ssrc{12}}, {Ssrc{21}, Ssrc{22}}};
  auto c = std::get<abi::SessionConfig>(build_session(r, abi::SessionRole::publisher, {}));
  EXPECT_EQ(c.media[1].layer_count, 2);
  EXPECT_EQ(c.media[1].ssrc[1], 21u);
  EXPECT_EQ(c.media[1].rtx_ssrc[1], 22u);
  r.media[1].rids = {"a", "b", "c"};
  c = std::get<abi::SessionConfig>(build_session(r, abi::SessionRole::publisher, {}));
  EXPECT_EQ(c.media[1].layer_count, 3);
  EXPECT_EQ(c.media[1].ssrc[0], 0u) << "order of rids and of SSRCs need not agree";
  EXPECT_EQ(rid_of(c.media[1], 2), "c");
  r.media[1].extensions.push_back({15, ExtensionKind::rid});
  c = std::get<abi::SessionConfig>(build_session(r, abi::SessionRole::publisher, {}));
  EXPECT_EQ(c.media[1].two_byte_allowed, 1);
  EXPECT_EQ(c.media[0].two_byte_allowed, 0);
}

TEST(Slots, ModelOfTakeRestAndFree) {
  // Against sets: no slot twice, generations rise, capacity holds.
  SlotPool pool(50);
  std::mt19937 rng(5);
  std::map<uint32_t, uint32_t> taken, resting, newest, released;
  for (int i = 0; i < 20'000; ++i) {
    switch (rng() % 4) {
      case 3:
      case 0: {
        auto n = pool.take();
        if (!n) {
          ASSERT_EQ(taken.size() + resting.size(), 50u);
          break;
        }
        ASSERT_FALSE(taken.contains(n->slot) || resting.contains(n->slot));
        ASSERT_GT(n->generation, newest[n->slot]);
        if (rng() % 8 == 0) {
          pool.cancel(*n);
          break;
        }
        taken[n->slot] = newest[n->slot] = n->generation;
        break;
      }
      case 1:
        if (taken.empty()) break;
        {
          auto it = std::next(taken.begin(), static_cast<int>(rng() % taken.size()));
          pool.give_back({it->first, it->second}, kNoTracks, Nanos{0});
          resting.insert(*it);
          taken.erase(it);
        }
        break;
      case 2:
        for (auto& [slot, generation] : resting)
          if (rng() % 2) released[slot] = generation;
        pool.poll(
            1000, Nanos{i}, seconds(1), [&](uint32_t slot) { return released[slot]; },
            [](const TrackList&) {}, [](SlotName) {});
        std::erase_if(resting, [&](auto& r) { return released[r.first] == r.second; });
        ASSERT_EQ(pool.resting(), resting.size());
    }
  }
  EXPECT_EQ(pool.used(), 50u);
}

TEST(Slots, GenerationZeroIsNeverUsed) {
  SlotPool pool(1);
  pool.found({0, UINT32_MAX}, SlotPool::Found::free);
  pool.recovered(1);
  EXPECT_EQ(pool.take()->generation, 1u);
}

TEST(Tracks, HoldsAreCountedAndSurviveRecovery) {
  TrackPool pool;
  ASSERT_TRUE(pool.hold(3));
  ASSERT_TRUE(pool.hold(3));
  EXPECT_FALSE(pool.hold(kMaxTracks));
  std::set<uint32_t> all;
  while (auto t = pool.take()) ASSERT_TRUE(all.insert(*t).second);
  EXPECT_EQ(all.size(), kMaxTracks - 1);
  EXPECT_FALSE(all.contains(3));
  pool.drop(3);
  EXPECT_FALSE(pool.take().has_value());
  pool.drop(3);
  EXPECT_EQ(pool.take(), 3u);
  pool.drop(abi::kNoTrack);
}

TEST(Screen, RecordAndFragmentRules) {
  auto record = [](uint8_t type, uint16_t epoch, std::vector<uint8_t> body) {
    std::vector<uint8_t> d{type, 0xfe, 0xfd, static_cast<uint8_t>(epoch >> 8),
                           static_cast<uint8_t>(epoch), 0, 0, 0, 0, 0, 0,
                           static_cast<uint8_t>(body.size() >> 8),
                           static_cast<uint8_t>(body.size())};
    d.insert(d.end(), body.begin(), body.end());
    return d;
  };
  std::vector<uint8_t> hello{1, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 4, 9, 9, 9, 9};
  using V = DtlsScreen::Verdict;
  auto check = [](const std::vector<uint8_t>& d) { return DtlsScreen().check(d); };
  auto good = record(22, 0, hello);
  EXPECT_EQ(check(good), V::pass);
  EXPECT_TRUE(is_client_hello(good));
  for (size_t n = 0; n < good.size(); ++n)
    EXPECT_EQ(check({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(n)}), V::drop) << n;
  auto many = [&](size_t n) {
    std::vector<uint8_t> d;
    for (size_t i = 0; i < n; ++i) d.insert(d.end(), good.begin(), good.end());
    return d;
  };
  EXPECT_EQ(check(many(kMaxRecordsPerDatagram)), V::pass);
  EXPECT_EQ(check(many(kMaxRecordsPerDatagram + 1)), V::drop);
  EXPECT_EQ(check(record(21, 0, {2, 40})), V::drop);
  EXPECT_EQ(check(record(21, 1, {2, 40})), V::pass);  // OpenSSL authenticates it
  EXPECT_EQ(check(record(23, 0, {1})), V::drop);
  EXPECT_EQ(check(record(19, 0, {1})), V::drop);
  EXPECT_EQ(check(record(22, 0, {})), V::drop);
  auto beyond = hello;
  beyond[8] = 1;  // offset 1 + 4 > length 4
  EXPECT_EQ(check(record(22, 0, beyond)), V::drop);
  auto huge = hello;
  huge[1] = 1;
  EXPECT_EQ(check(record(22, 0, huge)), V::drop);
  auto late = hello;
  late[5] = 16;
  EXPECT_EQ(check(record(22, 0, late)), V::drop);
  DtlsScreen screen;
  for (uint32_t i = 0; i < kMaxFragmentsPerMessage; ++i) EXPECT_EQ(screen.check(good), V::pass);
  EXPECT_EQ(screen.check(good), V::limit);
  EXPECT_TRUE(is_handshake(record(20, 0, {1})));
  EXPECT_FALSE(is_handshake(record(23, 1, {1})));
}

TEST(Metrics, EveryLineParsesAndEveryCounterIsThere) {
  Rig rig;
  auto p = rig.publish("live");
  rig.connect(p);
  rig.watch("live");
  auto& c = rig.datapath->region().counters;
  for (uint32_t w = 0; w < 2; ++w) {
    for (uint32_t i = 0; i < abi::kDropCount; ++i) c[w].drops[i].store(1000 + i);
    for (uint32_t i = 0; i < abi::kCountCount; ++i) c[w].counts[i].store(5000 + i);
    c[w].latency[abi::latency_bucket(3000)].store(7);
  }
  rig.turn();
  std::string text = rig.manager->metrics_text();
  std::regex sample(R"(spillway_[a-z0-9_]+(\{[a-z]+="[^"\\]*"(,[a-z]+="[^"\\]*")*\})? -?[0-9.e+-]+)");
  std::regex comment(R"(# (HELP|TYPE) spillway_[a-z0-9_]+ .+)");
  std::istringstream in(text);
  std::set<std::string> families;
  for (std::string line; std::getline(in, line);) {
    EXPECT_TRUE(std::regex_match(line, line[0] == '#' ? comment : sample)) << line;
    if (line.starts_with("# TYPE ")) {
      EXPECT_TRUE(families.insert(line.substr(7, line.find(' ', 7) - 7)).second)
          << "family twice: " << line;
    }
  }
  auto has = [&](const std::string& s) { return text.find(s + "\n") != std::string::npos; };
  for (uint32_t i = 0; i < abi::kDropCount; ++i)
    EXPECT_TRUE(has("spillway_drops_total{reason=\"" + std::string(abi::kDropNames[i]) + "\"} " +
                    std::to_string(2 * (1000 + i))));
  EXPECT_TRUE(has("spillway_rx_datagrams_total 10000"));
  EXPECT_TRUE(has("spillway_forward_latency_seconds_bucket{le=\"+Inf\"} 14"));
  EXPECT_TRUE(has("spillway_forward_latency_seconds_count 14"));
  EXPECT_TRUE(has("spillway_sessions{role=\"publisher\",state=\"connected\"} 1"));
  EXPECT_TRUE(has("spillway_sessions{role=\"viewer\",state=\"new\"} 1"));
  EXPECT_TRUE(has("spillway_dtls_handshakes_total{result=\"ok\"} 1"));
  EXPECT_TRUE(has("spillway_dtls_handshake_seconds_count 1"));
  EXPECT_TRUE(has("spillway_ring_fill{ring=\"commands\",worker=\"1\"} 0"));
}

TEST(Metrics, HistogramIsCumulative) {
  Rig rig;
  auto& c = rig.datapath->region().counters[0];
  for (uint32_t b = 0; b < abi::kLatencyBuckets; ++b) c.latency[b].store(1);
  std::istringstream in(rig.manager->metrics_text());
  uint64_t last = 0, lines = 0;
  double last_limit = 0;
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with("spillway_forward_latency_seconds_bucket")) continue;
    ++lines;
    uint64_t v = std::stoull(line.substr(line.rfind(' ') + 1));
    EXPECT_EQ(v, last + 1);
    last = v;
    std::string le = line.substr(line.find('"') + 1);
    if (le[0] == '+') continue;
    double limit = std::stod(le);
    EXPECT_GT(limit, last_limit);
    last_limit = limit;
  }
  EXPECT_EQ(lines, abi::kLatencyBuckets);
}

TEST(Health, FollowsTheHeartbeat) {
  Rig rig;
  auto& status = rig.datapath->region().status;
  std::strcpy(status.io_backend, "uring");
  std::strcpy(status.srtp_backend, "openssl");
  std::memset(status.note, 'n', sizeof status.note);  // no terminating zero
  rig.turn();
  Health h = rig.manager->health();
  EXPECT_TRUE(h.datapath_ok);
  EXPECT_EQ(h.io_backend, "uring");
  EXPECT_EQ(h.srtp_backend, "openssl");
  EXPECT_GE(h.io_note.size(), sizeof status.note);
  EXPECT_EQ(h.workers, 2u);
  rig.now += millis(101);
  EXPECT_FALSE(rig.manager->health().datapath_ok);
  status.state.store(static_cast<uint32_t>(abi::ProcessState::boot));
  EXPECT_TRUE(rig.manager->health().datapath_ok) << "1 s while starting";
  status.state.store(static_cast<uint32_t>(abi::ProcessState::fail));
  rig.datapath->region().status.heartbeat_ns.store(rig.now.ns);
  EXPECT_FALSE(rig.manager->health().datapath_ok);
  status.starts.store(3);
  EXPECT_EQ(rig.manager->health().datapath_restarts, 2u);
}

TEST(LogLimit, PassesSoManyAndCountsTheRest) {
  LogLimit limit(3);
  int passed = 0;
  for (int i = 0; i < 10; ++i) passed += limit.allow(millis(i));
  EXPECT_EQ(passed, 3);
  EXPECT_TRUE(limit.allow(seconds(2)));
  EXPECT_EQ(limit.note(), " (7 more not shown)");
  EXPECT_EQ(limit.note(), "");
}

TEST(Logging, JsonLinesStayOneLineWhateverTheMessage) {
  std::ostringstream out;
  Config::Log config;
  config.json = true;
  auto before = spdlog::default_logger();
  setup_logging(config, "control", std::make_shared<spdlog::sinks::ostream_sink_mt>(out));
  spdlog::info("evil \"quote\" \\ \r\n\x1b[31m {}", "x");
  spdlog::default_logger()->flush();
  spdlog::set_default_logger(before);
  stop_logging();  // joins the writer
  std::string line = out.str();
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  EXPECT_NE(line.find(R"("message":"evil \"quote\" \\ \u000d\u000a\u001b[31m x")"),
            std::string::npos)
      << line;
  EXPECT_NE(line.find(R"("level":"info")"), std::string::npos);
}

}  // namespace
}  // namespace spillway
