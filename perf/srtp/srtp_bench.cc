// Cost of SRTP per packet: protect and unprotect for each back end and profile,
// and the expansion of a key.
//
//   srtp_bench --benchmark_repetitions=7 --benchmark_report_aggregates_only=true
//              --benchmark_enable_random_interleaving=true [--benchmark_filter=...]
//
// Names: protect/<back end>/<profile>/<keys>/<payload bytes>[/random]. protect is
// the fan-out: one shared payload, batches of 64, each packet under the next key (in
// array order, or random), output end to end in 2 KiB frames of an 8 MiB ring.
// Items are packets, so 1e9 / items_per_second is ns per packet.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "datapath/srtp/srtp_engine.h"

namespace spillway {
namespace {

constexpr uint32_t kHeaderBytes = 12;
constexpr uint32_t kFrameBytes = 2048;
constexpr uint32_t kRingFrames = 4096;  // 8 MiB

struct EngineChoice {
  const char* name;
  SrtpBackend backend;
  SrtpCpu cpu;
};
constexpr EngineChoice kEngines[] = {
    {"ipsec-mb", SrtpBackend::ipsec_mb, SrtpCpu::native},
    {"ipsec-mb-sse", SrtpBackend::ipsec_mb, SrtpCpu::sse},
    {"openssl", SrtpBackend::openssl, SrtpCpu::native},
};
struct ProfileChoice {
  const char* name;
  SrtpProfile profile;
};
constexpr ProfileChoice kProfiles[] = {
    {"cm", SrtpProfile::aes128_cm_hmac_sha1_80},
    {"gcm128", SrtpProfile::aead_aes_128_gcm},
    {"gcm256", SrtpProfile::aead_aes_256_gcm},
};

SrtpMasterKey random_master(SrtpProfile profile, std::mt19937_64& random) {
  SrtpMasterKey m;
  m.profile = profile;
  for (uint8_t& b : m.key) b = static_cast<uint8_t>(random());
  for (uint8_t& b : m.salt) b = static_cast<uint8_t>(random());
  return m;
}

std::unique_ptr<SrtpEngine> engine_or_skip(benchmark::State& state, const EngineChoice& choice) {
  auto engine = SrtpEngine::create(choice.backend, choice.cpu);
  if (!engine) {
    state.SkipWithError("not on this CPU");
    return nullptr;
  }
  state.SetLabel(std::string((*engine)->name()));
  return std::move(engine).value();
}

void protect(benchmark::State& state, EngineChoice choice, SrtpProfile profile, uint32_t key_count,
             uint32_t payload_bytes, bool shuffled) {
  auto engine = engine_or_skip(state, choice);
  if (!engine) return;
  std::mt19937_64 random(1);
  std::vector<SrtpKeys> keys(key_count);
  std::vector<uint32_t> order(key_count);
  for (uint32_t i = 0; i < key_count; ++i) {
    engine->expand(random_master(profile, random), SrtpStreamKind::rtp, keys[i]);
    order[i] = i;
  }
  if (shuffled) std::shuffle(order.begin(), order.end(), random);
  std::vector<uint8_t> ring(size_t{kFrameBytes} * kRingFrames);
  const std::vector<uint8_t> payload(payload_bytes, 0x42);
  std::vector<RtpProtectJob> jobs(kBurst);
  uint32_t next_key = 0, frame = 0;
  uint64_t index = 0;
  for (auto _ : state) {
    for (RtpProtectJob& job : jobs) {
      job.keys = &keys[order[next_key]];
      job.out = &ring[size_t{frame} * kFrameBytes];
      job.payload = payload.data();
      job.index = index & (kSrtpIndexLimit - 1);
      job.ssrc = Ssrc{next_key};
      job.header_bytes = kHeaderBytes;
      job.payload_bytes = payload_bytes;
      if (++next_key == key_count) {
        next_key = 0;
        ++index;
      }
      frame = (frame + 1) % kRingFrames;
    }
    benchmark::DoNotOptimize(engine->protect_rtp(jobs));
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * kBurst);
}

void unprotect(benchmark::State& state, EngineChoice choice, SrtpProfile profile,
               uint32_t payload_bytes) {
  auto engine = engine_or_skip(state, choice);
  if (!engine) return;
  std::mt19937_64 random(1);
  SrtpKeys keys;
  engine->expand(random_master(profile, random), SrtpStreamKind::rtp, keys);
  const std::vector<uint8_t> payload(payload_bytes, 0x42);
  std::vector<std::vector<uint8_t>> packets(kBurst, std::vector<uint8_t>(kFrameBytes));
  std::vector<std::vector<uint8_t>> slots(kBurst, std::vector<uint8_t>(kFrameBytes));
  std::vector<RtpUnprotectJob> jobs(kBurst);
  for (uint32_t i = 0; i < kBurst; ++i) {
    RtpProtectJob p;
    p.keys = &keys;
    p.out = packets[i].data();
    p.payload = payload.data();
    p.index = i;
    p.header_bytes = kHeaderBytes;
    p.payload_bytes = payload_bytes;
    engine->protect_rtp({&p, 1});
    jobs[i].keys = &keys;
    jobs[i].packet = packets[i].data();
    jobs[i].payload_out = slots[i].data();  // a track ring: the packet stays as it is
    jobs[i].index = i;
    jobs[i].packet_bytes = p.out_bytes;
    jobs[i].header_bytes = kHeaderBytes;
  }
  for (auto _ : state) {
    if (engine->unprotect_rtp(jobs) != kBurst) {
      state.SkipWithError("authentication failed");
      break;
    }
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * kBurst);
}

void expand(benchmark::State& state, EngineChoice choice, SrtpProfile profile) {
  auto engine = engine_or_skip(state, choice);
  if (!engine) return;
  std::mt19937_64 random(1);
  const SrtpMasterKey master = random_master(profile, random);
  SrtpKeys keys;
  for (auto _ : state) {
    benchmark::DoNotOptimize(engine->expand(master, SrtpStreamKind::rtp, keys));
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
}

void register_all() {
  for (const EngineChoice& e : kEngines) {
    for (const ProfileChoice& p : kProfiles) {
      const std::string who = std::string(e.name) + "/" + p.name;
      for (const uint32_t bytes : {1200u, 120u}) {
        for (const uint32_t count : {1u, 1000u, 10'000u}) {
          const std::string name = who + "/" + std::to_string(count) + "/" + std::to_string(bytes);
          benchmark::RegisterBenchmark(("protect/" + name).c_str(), protect, e, p.profile, count,
                                       bytes, false);
        }
        benchmark::RegisterBenchmark(("unprotect/" + who + "/" + std::to_string(bytes)).c_str(),
                                     unprotect, e, p.profile, bytes);
      }
      benchmark::RegisterBenchmark(("protect/" + who + "/10000/1200/random").c_str(), protect, e,
                                   p.profile, 10'000u, 1200u, true);
      benchmark::RegisterBenchmark(("expand/" + who).c_str(), expand, e, p.profile);
    }
  }
}

}  // namespace
}  // namespace spillway

int main(int argc, char** argv) {
  spillway::register_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
