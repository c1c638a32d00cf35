// Cost of sorting, parsing and rewriting one packet, and of answering one STUN check.
// --benchmark_format=json gives what is kept and compared.
#include <benchmark/benchmark.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "datapath/proto/crc32.h"
#include "datapath/proto/demux.h"
#include "datapath/proto/header_extensions.h"
#include "datapath/proto/ice_credentials.h"
#include "datapath/proto/rtcp.h"
#include "datapath/proto/rtp.h"
#include "datapath/proto/stun.h"
#include "datapath/proto/transport_cc.h"
#include "datapath/proto/video/dependency_descriptor.h"
#include "datapath/proto/video/key_frame.h"
#include "datapath/proto/video/vp8.h"

namespace spillway {
namespace {

// A browser's video packet: mid, abs-send-time, transport-cc, orientation, 1100 bytes.
std::vector<uint8_t> video_packet() {
  std::vector<uint8_t> p(1200);
  RtpFixedHeader h{.pt = 96, .extension = true, .sequence = 7, .timestamp = RtpTime{90000},
                   .ssrc = Ssrc{0x1234}};
  write_rtp_header(p, h);
  ExtensionWriter w(MutableBytes{p}.subspan(kRtpFixedHeaderBytes), false);
  uint8_t mid = '0';
  w.add(4, {&mid, 1});
  w.add_be24(2, 0x123456);
  w.add_be16(3, 77);
  w.add_u8(13, 0);
  w.finish();
  return p;
}

void Demux(benchmark::State& state) {
  std::array<std::array<uint8_t, 2>, 64> packets{};
  for (size_t i = 0; i < packets.size(); ++i)
    packets[i] = {static_cast<uint8_t>(i % 8 == 0 ? 0x16 : 0x90),
                  static_cast<uint8_t>(i % 5 == 0 ? 200 : 96)};
  for (auto _ : state)
    for (const auto& p : packets) benchmark::DoNotOptimize(classify(p));
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(packets.size()));
}
BENCHMARK(Demux);

void ParseRtpHeader(benchmark::State& state) {
  auto p = video_packet();
  for (auto _ : state) {
    benchmark::DoNotOptimize(p.data());
    auto h = parse_rtp_header(p);
    benchmark::DoNotOptimize(h);
  }
}
BENCHMARK(ParseRtpHeader);

void WalkExtensions(benchmark::State& state) {
  auto p = video_packet();
  ExtensionIdMap map;
  map.set(4, ExtensionKind::mid);
  map.set(2, ExtensionKind::abs_send_time);
  map.set(3, ExtensionKind::transport_cc);
  map.set(13, ExtensionKind::video_orientation);
  auto h = parse_rtp_header(p);
  for (auto _ : state) {
    uint32_t kinds = 0;
    for_each_extension(*h, p, [&](uint8_t id, Bytes v) {
      kinds += static_cast<uint32_t>(map.kind(id)) + v[0];
    });
    benchmark::DoNotOptimize(kinds);
  }
}
BENCHMARK(WalkExtensions);

// What fan-out does per viewer: a new fixed header and a new block from four elements.
void RewriteHeader(benchmark::State& state) {
  std::array<uint8_t, 128> out;
  RtpFixedHeader h{.pt = 96, .extension = true};
  const uint8_t mid[] = {'0'}, orientation[] = {0};
  uint16_t n = 0;
  for (auto _ : state) {
    h.sequence = ++n;
    ExtensionWriter w(MutableBytes{out}.subspan(kRtpFixedHeaderBytes), false);
    w.add(1, mid);
    w.add(13, orientation);
    w.add_be24(2, abs_send_time({n * 1'000'000}));
    w.add_be16(3, n);
    h.extension = w.finish() != 0;
    write_rtp_header(out, h);
    benchmark::DoNotOptimize(out);
  }
}
BENCHMARK(RewriteHeader);

struct Check {
  IceKeys keys{IceSecret{{1, 2, 3}}};
  std::string username;
  std::array<uint8_t, 256> packet{};
  uint32_t bytes = 0;
  Check() {
    LocalUfrag ours = make_local_ufrag(keys, 77, 1, 0);
    username = std::string(ours.view()) + ":abcd";
    StunRequest r;
    r.username = username;
    r.priority = 1;
    r.role = IceRole::controlling;
    bytes = write_stun_request(packet, r, derive_ice_password(keys, ours.view()).view());
  }
  Bytes view() const { return {packet.data(), bytes}; }
};

// A whole check: parse, tag, password, integrity, answer.
void AnswerStunCheck(benchmark::State& state) {
  Check c;
  Endpoint from{IpAddress::v4(192, 0, 2, 1), 50000};
  std::array<uint8_t, 256> out;
  for (auto _ : state) {
    auto m = parse_stun(c.view());
    auto local = m->username.substr(0, m->username.find(':'));
    auto who = parse_local_ufrag(c.keys, local);
    IcePassword password = derive_ice_password(c.keys, local);
    HmacSha1Key key({reinterpret_cast<const uint8_t*>(password.view().data()),
                     password.view().size()});
    if (!who || !verify_stun_integrity(c.view(), *m, key)) state.SkipWithError("not verified");
    benchmark::DoNotOptimize(write_stun_success(out, *m, from, key));
  }
}
BENCHMARK(AnswerStunCheck);

// What a flood of checks with made-up user fragments costs (threats A-09).
void RefuseStunCheck(benchmark::State& state) {
  Check c;
  c.packet[24] ^= 1;  // first character of USERNAME
  for (auto _ : state) {
    auto m = parse_stun(c.view());
    auto who = parse_local_ufrag(c.keys, m->username.substr(0, m->username.find(':')));
    if (who) state.SkipWithError("accepted");
    benchmark::DoNotOptimize(who);
  }
}
BENCHMARK(RefuseStunCheck);

void Fingerprint(benchmark::State& state) {
  Check c;
  for (auto _ : state) benchmark::DoNotOptimize(crc32(c.view()));
}
BENCHMARK(Fingerprint);

// A viewer's usual compound: RR with two blocks, SDES, NACK, PLI.
void WalkRtcp(benchmark::State& state) {
  std::array<uint8_t, 256> buffer;
  Writer w(buffer);
  std::array<ReportBlock, 2> blocks{};
  const uint8_t name[] = {'v', 'i', 'e', 'w', 'e', 'r'};
  write_receiver_report(w, Ssrc{1}, blocks);
  write_sdes(w, Ssrc{1}, name);
  write_nack(w, Ssrc{1}, Ssrc{2}, std::array<uint16_t, 3>{1, 5, 40});
  write_pli(w, Ssrc{1}, Ssrc{2});
  for (auto _ : state) {
    uint32_t seen = 0;
    RtcpWalker walker(w.written());
    while (auto p = walker.next()) {
      for (uint32_t i = 0; i < report_block_count(*p); ++i) seen += report_block(*p, i).jitter;
      auto f = parse_feedback(*p);
      if (f && p->is(RtcpType::transport_feedback, kRtcpNack))
        seen += for_each_nack(f->fci, [](uint16_t s) { benchmark::DoNotOptimize(s); });
    }
    benchmark::DoNotOptimize(seen);
  }
}
BENCHMARK(WalkRtcp);

void BuildTransportCc(benchmark::State& state) {
  std::vector<int64_t> arrivals;
  for (int64_t i = 0; i < 100; ++i) arrivals.push_back(i % 20 == 7 ? kTransportCcLost : i * 16);
  std::array<uint8_t, 1200> out;
  for (auto _ : state) {
    Writer w(out);
    benchmark::DoNotOptimize(write_transport_cc(w, Ssrc{1}, Ssrc{2}, 1, arrivals, 0));
  }
}
BENCHMARK(BuildTransportCc);

void KeyFrameAndVp8Rewrite(benchmark::State& state) {
  std::array<uint8_t, 1100> payload{0x90, 0xe0, 0x81, 0x23, 0x45, 0x60, 0x51};
  for (auto _ : state) {
    benchmark::DoNotOptimize(starts_key_frame(Codec::vp8, payload));
    auto d = parse_vp8(payload);
    shift_vp8(payload, *d, 1, 1);
    benchmark::DoNotOptimize(payload);
  }
}
BENCHMARK(KeyFrameAndVp8Rewrite);

void KeyFrameH264(benchmark::State& state) {
  std::array<uint8_t, 1100> payload{0x7c, 0x05};
  for (auto _ : state) {
    benchmark::DoNotOptimize(payload.data());
    benchmark::DoNotOptimize(starts_key_frame(Codec::h264, payload));
  }
}
BENCHMARK(KeyFrameH264);

void DependencyMandatory(benchmark::State& state) {
  const uint8_t value[] = {0x87, 0x12, 0x34};
  for (auto _ : state) benchmark::DoNotOptimize(parse_dependency_descriptor(value, nullptr));
}
BENCHMARK(DependencyMandatory);

}  // namespace
}  // namespace spillway

BENCHMARK_MAIN();
