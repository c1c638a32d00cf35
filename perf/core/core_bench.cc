// What one forwarded copy costs in the engine, without the network: rewrite, index store,
// encryption into the batch. `copies` is the rate; crypto alone is in srtp_bench.
#include <benchmark/benchmark.h>

#include "tests/unit/core/engine_world.h"

namespace spillway {
namespace {

void forward(benchmark::State& state) {
  auto viewers = static_cast<uint32_t>(state.range(0));
  auto bytes = static_cast<size_t>(state.range(1));
  World world(1, SrtpBackend::automatic);
  TestPeer publisher(world, 0, abi::SessionRole::publisher);
  publisher.connect();
  std::vector<std::unique_ptr<TestPeer>> peers;
  for (uint32_t v = 1; v <= viewers; ++v) {
    peers.push_back(std::make_unique<TestPeer>(world, v, abi::SessionRole::viewer));
    peers.back()->connect();
  }
  Engine& engine = *world.engines[0];
  // Eight packets a burst, as a frame brings them.
  uint64_t index = 1;
  uint64_t copies = 0;
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<std::vector<uint8_t>> burst;
    std::vector<RxPacket> packets;
    for (int i = 0; i < 8; ++i, ++index) {
      TestPeer::Packet p;
      p.index = index;
      p.timestamp = static_cast<uint32_t>(index / 8 * 3000);
      p.payload = TestPeer::vp8(index <= 8, 1, 1, 1, bytes);
      burst.push_back(publisher.protect(p));
      packets.push_back({publisher.path, burst.back().data(),
                         static_cast<uint32_t>(burst.back().size()), 0});
    }
    state.ResumeTiming();
    engine.receive(packets, world.now, world.tx);
    bool more = true;
    while (more) {
      more = engine.run(world.now, world.tx);
      copies += world.tx.datagrams();
      benchmark::DoNotOptimize(world.tx.runs().data());
      world.tx.clear();
    }
    engine.outputs().clear();
  }
  state.counters["per_copy"] = benchmark::Counter(
      static_cast<double>(copies), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.SetLabel(std::string(world.srtp[0]->name()));
}
BENCHMARK(forward)->Args({1, 1100})->Args({100, 1100})->Args({1000, 1100})->Args({5000, 1100})
    ->Args({1000, 120})->Unit(benchmark::kMicrosecond);

void hash_address(benchmark::State& state) {
  Endpoint e = endpoint(1, 1);
  for (auto _ : state) {
    ++e.port;
    benchmark::DoNotOptimize(hash_endpoint(e, {1, 2}));
  }
}
BENCHMARK(hash_address);

void unknown_address(benchmark::State& state) {
  AddressTable table({1, 2});
  Endpoint e = endpoint(1, 1);
  for (auto _ : state) {
    ++e.port;
    benchmark::DoNotOptimize(table.find(e));
  }
}
BENCHMARK(unknown_address);

}  // namespace
}  // namespace spillway

BENCHMARK_MAIN();
