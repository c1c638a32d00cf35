#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <deque>
#include <fstream>
#include <memory>
#include <random>
#include <sstream>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

#include "datapath/abi/regions.h"

namespace spillway::abi {
namespace {

struct Record {
  uint64_t number;
  uint64_t copies[7];  // all equal to number: a torn record shows
};

struct RingWorld {
  RingPosition head{}, tail{};
  RingRecords<Record, 16> records{};
};

Record record(uint64_t n) {
  Record r;
  r.number = n;
  for (uint64_t& c : r.copies) c = n;
  return r;
}

TEST(Ring, BehavesLikeAQueueAlsoWhenEitherSideRestarts) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::mt19937_64 random(seed);
    auto world = std::make_unique<RingWorld>();
    RingProducer<Record, 16> producer(&world->head, &world->records, &world->tail);
    RingConsumer<Record, 16> consumer(&world->head, &world->records, &world->tail);
    std::deque<uint64_t> model;
    for (uint64_t step = 0; step < 20000; ++step) {
      switch (random() % 5) {
        case 0:
        case 1: {
          bool ok = producer.push(record(step));
          ASSERT_EQ(ok, model.size() < 16);
          if (ok) model.push_back(step);
          break;
        }
        case 2:
        case 3: {
          Record r;
          bool ok = consumer.pop(&r);
          ASSERT_EQ(ok, !model.empty());
          if (!ok) break;
          ASSERT_EQ(r.number, model.front());
          model.pop_front();
          break;
        }
        default:
          if (random() % 2)
            producer = {&world->head, &world->records, &world->tail};
          else
            consumer = {&world->head, &world->records, &world->tail};
      }
      ASSERT_EQ(consumer.fill(), model.size());
      ASSERT_EQ(producer.fill(), model.size());
    }
  }
}

TEST(Ring, SurvivesImpossiblePositions) {
  std::mt19937_64 random(1);
  auto world = std::make_unique<RingWorld>();
  RingProducer<Record, 16> producer(&world->head, &world->records, &world->tail);
  RingConsumer<Record, 16> consumer(&world->head, &world->records, &world->tail);
  Record r;
  world->head.value = 1'000'000;  // further ahead than the ring is long
  EXPECT_FALSE(consumer.pop(&r));
  EXPECT_EQ(consumer.resyncs(), 1u);
  EXPECT_EQ(consumer.fill(), 0u);
  world->tail.value = 2'000'000;  // a consumer ahead of the producer
  EXPECT_FALSE(producer.push(record(1)));
  for (int i = 0; i < 100000; ++i) {
    world->head.value = random();
    world->tail.value = random();
    producer.push(record(2));
    consumer.pop(&r);
    EXPECT_LE(consumer.fill(), 16u);
  }
}

TEST(Ring, CarriesRecordsBetweenThreadsWhole) {
  auto world = std::make_unique<RingWorld>();
  constexpr uint64_t kRecords = 100000;
  std::thread writer([&] {
    RingProducer<Record, 16> producer(&world->head, &world->records, &world->tail);
    for (uint64_t n = 0; n < kRecords;)
      if (producer.push(record(n)))
        ++n;
      else
        std::this_thread::yield();
  });
  RingConsumer<Record, 16> consumer(&world->head, &world->records, &world->tail);
  for (uint64_t n = 0; n < kRecords;) {
    Record r;
    if (!consumer.pop(&r)) {
      std::this_thread::yield();
      continue;
    }
    ASSERT_EQ(r.number, n);
    for (uint64_t c : r.copies) ASSERT_EQ(c, n);
    ++n;
  }
  writer.join();
}

TEST(Seqlock, NeverShowsATornValue) {
  auto lock = std::make_unique<Seqlock<Record>>();
  std::memset(static_cast<void*>(lock.get()), 0, sizeof *lock);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (uint64_t n = 1; !stop; ++n) lock->write(record(n));
  });
  uint64_t good = 0, last = 0;
  for (int i = 0; i < 200000 || good < 1000; ++i) {
    Record r;
    if (!lock->read(&r)) continue;
    ++good;
    for (uint64_t c : r.copies) ASSERT_EQ(c, r.number);
    ASSERT_GE(r.number, last);
    last = r.number;
  }
  stop = true;
  writer.join();
}

TEST(Seqlock, AReaderOfADeadWriterGivesUpAndTheNextWriterTakesOver) {
  struct alignas(8) Raw {
    uint64_t words[9];
  };
  Raw raw{};
  auto* lock = reinterpret_cast<Seqlock<Record>*>(&raw);
  lock->write(record(5));
  raw.words[0] |= 1;  // died in the middle of a write
  Record r;
  EXPECT_FALSE(lock->read(&r));
  lock->write(record(6));
  ASSERT_TRUE(lock->read(&r));
  EXPECT_EQ(r.number, 6u);
  EXPECT_EQ(raw.words[0] % 2, 0u);
}

TEST(Seqlock, WipeLeavesNoByte) {
  Seqlock<Record> lock{};
  lock.write(record(0x4141414141414141));
  lock.wipe();
  const auto* bytes = reinterpret_cast<const uint8_t*>(&lock);
  for (size_t i = 8; i < sizeof lock; ++i) EXPECT_EQ(bytes[i], 0) << i;
}

RegionFds make_regions() {
  BootConfig boot{};
  boot.workers = 2;
  boot.media_port = 3478;
  auto fds = create_regions(boot);
  EXPECT_TRUE(fds.ok()) << (fds.ok() ? "" : fds.error().text);
  return *fds;
}

TEST(Region, RoundTripAndRights) {
  RegionFds fds = make_regions();
  auto boot = map_boot(fds.boot);
  ASSERT_TRUE(boot.ok());
  EXPECT_EQ((*boot)->config.workers, 2u);
  auto control = map_control(fds.control);
  auto seen = map_control_read(fds.control);
  ASSERT_TRUE(control.ok() && seen.ok());
  (*control)->status.heartbeat_ns = 77;
  EXPECT_EQ((*seen)->status.heartbeat_ns.load(), 77);
  EXPECT_DEATH(const_cast<ControlRegion&>(**seen).status.heartbeat_ns = 1, "");
  EXPECT_NE(ftruncate(fds.control, 100), 0) << "sealed";
  std::string note;
  EXPECT_TRUE(map_keys(fds.keys, &note).ok());
  EXPECT_TRUE(map_datapath(fds.datapath).ok());
}

TEST(Region, NamesEachMismatch) {
  RegionFds fds = make_regions();
  EXPECT_FALSE(map_boot(fds.control).ok()) << "another size";
  auto damage = [&](size_t offset, uint8_t value, const char* expected) {
    auto raw = map_region(fds.boot, sizeof(BootRegion), Access::read_write);
    ASSERT_TRUE(raw.ok());
    auto* bytes = static_cast<uint8_t*>(raw->address());
    uint8_t old = bytes[offset];
    bytes[offset] = value;
    auto mapped = map_boot(fds.boot);
    ASSERT_FALSE(mapped.ok());
    EXPECT_NE(mapped.error().text.find(expected), std::string::npos) << mapped.error().text;
    bytes[offset] = old;
  };
  damage(0, 1, "magic");
  damage(offsetof(RegionHeader, abi_major), 200, "ABI major");
  damage(offsetof(RegionHeader, kind), 9, "kind");
  damage(offsetof(RegionHeader, total_bytes), 1, "size");
  damage(offsetof(RegionHeader, section_count), 0, "section count");
  damage(offsetof(RegionHeader, sections), 1, "section 0 offset");
  int unsealed = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  ASSERT_EQ(ftruncate(unsealed, sizeof(BootRegion)), 0);
  auto mapped = map_boot(unsealed);
  ASSERT_FALSE(mapped.ok());
  EXPECT_NE(mapped.error().text.find("not sealed"), std::string::npos);
}

SessionConfig good_config() {
  SessionConfig c{};
  c.generation = 1;
  c.phase = static_cast<uint8_t>(SessionPhase::keyed);
  c.role = static_cast<uint8_t>(SessionRole::viewer);
  c.media_count = 1;
  c.connect_timeout_ms = 1;
  c.consent_timeout_ms = 1;
  c.media[0].kind = 1;
  c.media[0].ssrc[0] = 5;
  c.media[0].payload_count = 1;
  c.media[0].payloads[0] = {96, static_cast<uint8_t>(Codec::vp8), 97, 0};
  c.media[0].extension_count = 1;
  c.media[0].extensions[0] = {1, 1};
  return c;
}

TEST(Validate, RefusesEveryFieldOutOfRange) {
  ASSERT_TRUE(validate(good_config()));
  auto bad = [](auto change) {
    SessionConfig c = good_config();
    change(c);
    return !validate(c);
  };
  EXPECT_TRUE(bad([](auto& c) { c.generation = 0; }));
  EXPECT_TRUE(bad([](auto& c) { c.phase = 3; }));
  EXPECT_TRUE(bad([](auto& c) { c.role = 0; }));
  EXPECT_TRUE(bad([](auto& c) { c.role = 3; }));
  EXPECT_TRUE(bad([](auto& c) { c.media_count = 0; }));
  EXPECT_TRUE(bad([](auto& c) { c.media_count = kMaxMedia + 1; }));
  EXPECT_TRUE(bad([](auto& c) { c.home_worker = kMaxWorkers; }));
  EXPECT_TRUE(bad([](auto& c) { c.rtx_percent = 101; }));
  EXPECT_TRUE(bad([](auto& c) { c.connect_timeout_ms = 0; }));
  EXPECT_TRUE(bad([](auto& c) { c.remote_ufrag_bytes = kMaxUfragBytes + 1; }));
  EXPECT_TRUE(bad([](auto& c) { c.media[0].track = kMaxTracks; }));
  EXPECT_TRUE(bad([](auto& c) { c.media[0].kind = 2; }));
  EXPECT_TRUE(bad([](auto& c) { c.media[0].payload_count = kMaxPayloadTypes + 1; }));
  EXPECT_TRUE(bad([](auto& c) { c.media[0].extension_count = kMaxExtensions + 1; }));
  EXPECT_TRUE(bad([](auto& c) { c.media[0].layer_count = kMaxLayers + 1; }));
  EXPECT_TRUE(bad([](auto& c) { c.media[0].mid_bytes = kMaxMidBytes + 1; }));
  EXPECT_TRUE(bad([](auto& c) { c.media[0].rid_bytes[2] = kMaxRidBytes + 1; }));
  EXPECT_TRUE(bad([](auto& c) { c.media[0].selected_layer = kMaxLayers; }));
  EXPECT_TRUE(bad([](auto& c) { c.media[0].ssrc[0] = 0; }));
  EXPECT_TRUE(bad([](auto& c) { c.media[0].payloads[0].pt = 128; }));
  EXPECT_TRUE(bad([](auto& c) { c.media[0].payloads[0].codec = kCodecCount; }));
  EXPECT_TRUE(bad([](auto& c) { c.media[0].payloads[0].codec = static_cast<uint8_t>(Codec::opus); }));
  EXPECT_TRUE(bad([](auto& c) { c.media[0].extensions[0].id = 0; }));
  EXPECT_TRUE(bad([](auto& c) { c.media[0].extensions[0].kind = kExtensionKindCount; }));
  KeyConfig k{};
  EXPECT_TRUE(validate(k));
  k.profile = 2;
  EXPECT_FALSE(validate(k));
  k.profile = 7;
  k.ice_pwd_bytes = kMaxIcePwdBytes + 1;
  EXPECT_FALSE(validate(k));
}

// Both processes are built from one tree, but a running datapath may meet a newer
// control: any change of layout must change kAbiMajor, and this table.
TEST(Layout, IsTheGoldenOne) {
  std::ostringstream now;
  now << "abi " << kAbiMajor << "." << kAbiMinor << "\n";
  const char* names[] = {"", "boot", "control", "keys", "datapath"};
  for (uint32_t k = 1; k <= 4; ++k) {
    auto kind = static_cast<RegionKind>(k);
    now << names[k] << " " << region_bytes(kind) << "\n";
    for (const SectionHeader& s : sections_of(kind))
      now << "  " << s.offset << " " << s.stride << " x " << s.count << "\n";
  }
  auto field = [&](const char* name, size_t offset) { now << name << " " << offset << "\n"; };
  field("SessionConfig.media", offsetof(SessionConfig, media));
  field("SessionConfig.remote_ufrag", offsetof(SessionConfig, remote_ufrag));
  field("MediaConfig.ssrc", offsetof(MediaConfig, ssrc));
  field("MediaConfig.payloads", offsetof(MediaConfig, payloads));
  field("MediaConfig.extensions", offsetof(MediaConfig, extensions));
  field("KeyConfig.tx_key", offsetof(KeyConfig, tx_key));
  field("KeyConfig.ice_pwd", offsetof(KeyConfig, ice_pwd));
  field("SessionState.path", offsetof(SessionState, path));
  field("SessionState.rtcp_sources", offsetof(SessionState, rtcp_sources));
  field("SessionState.egress", offsetof(SessionState, egress));
  field("EgressState.timestamp_offset", offsetof(EgressState, timestamp_offset));
  field("EgressState.picture_id_offset", offsetof(EgressState, picture_id_offset));
  field("IngressStream.replay", offsetof(IngressStream, replay));
  field("DtlsDatagram.data", offsetof(DtlsDatagram, data));
  field("Event.path", offsetof(Event, path));
  field("ProcessStatus.note", offsetof(ProcessStatus, note));
  std::ifstream file(SPILLWAY_VECTORS "/abi/layout.txt");
  std::stringstream golden;
  golden << file.rdbuf();
  EXPECT_EQ(now.str(), golden.str()) << "layout now:\n" << now.str();
}

}  // namespace
}  // namespace spillway::abi
