// The four regions, byte for byte.
//
//   region    writer    control   datapath  launcher   holds
//   boot      launcher  read      read      write      secrets and sizes fixed at start
//   control   control   write     read      read       session table, commands, DTLS out
//   keys      control   write     read      -          SRTP master keys, ICE passwords
//   datapath  workers   read      write     read       indices, addresses, events, counters
//
// Each is one C++ object at offset 0 of its memfd, all zero at creation. Sections
// are the members after the header; layout changes bump kAbiMajor and the golden
// table in tests/vectors/abi.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "datapath/abi/control_record.h"
#include "datapath/abi/counters.h"
#include "datapath/abi/messages.h"
#include "datapath/abi/region.h"
#include "datapath/abi/ring.h"
#include "datapath/abi/session_config.h"
#include "datapath/abi/session_state.h"
#include "datapath/base/limits.h"

namespace spillway::abi {

// Liveness of one process, written by itself only.
enum class ProcessState : uint32_t { never = 0, boot = 1, run = 2, halt = 3, fail = 4 };

struct alignas(kNoShare) ProcessStatus {
  std::atomic<uint32_t> state;     // ProcessState
  std::atomic<uint32_t> pid;
  std::atomic<int64_t> heartbeat_ns;  // CLOCK_MONOTONIC; 0 never started, old = dead or hung
  std::atomic<uint32_t> starts;    // how often this process was started on this memory
  std::atomic<uint32_t> reserved_zero;
  // Text for people, zero padded UTF-8; written before state becomes run.
  char io_backend[16];             // "uring", "mmsg"
  char srtp_backend[32];           // "ipsec-mb avx2"
  char note[176];                  // why degraded; empty = nothing to say
};
static_assert(sizeof(ProcessStatus) % kNoShare == 0);

inline constexpr uint32_t kDefaultVideoRings = 512;   // 3.2 MiB of address space each
inline constexpr uint32_t kDefaultAudioRings = 1024;  // 0.4 MiB each

struct BootConfig {
  uint32_t workers;         // 1..kMaxWorkers
  uint16_t media_port;      // UDP
  uint8_t io_backend;       // 0 automatic, 1 uring, 2 mmsg
  uint8_t srtp_backend;     // 0 automatic, 1 ipsec-mb, 2 openssl
  uint32_t video_rings;     // 0 = kDefaultVideoRings
  uint32_t audio_rings;     // 0 = kDefaultAudioRings
  uint16_t cpu_plus_one[kMaxWorkers];  // worker i is pinned to this CPU; 0 = not pinned
  uint8_t ice_secret[32];   // derives ufrag tags and passwords (proto/ice_credentials.h)
  uint64_t hash_key[2];     // HashKey of address tables
  uint64_t boot_id;         // random; differs whenever the launcher starts anew
};

struct BootRegion {
  RegionHeader header;
  BootConfig config;
};

struct ControlRegion {
  RegionHeader header;
  ProcessStatus status;
  RingPosition command_head[kMaxWorkers];
  RingPosition dtls_out_head[kMaxWorkers];
  RingPosition event_tail[kMaxWorkers];
  RingPosition dtls_in_tail[kMaxWorkers];
  RingRecords<Command, kCommandRing> commands[kMaxWorkers];
  RingRecords<DtlsDatagram, kDtlsRing> dtls_out[kMaxWorkers];
  alignas(kNoShare) SessionEntry sessions[kMaxSessions];
  // Control's own memory across its restarts (control_record.h).
  RecoveryMark recovery;
  alignas(kNoShare) ControlRecordEntry records[kMaxSessions];
  alignas(kNoShare) TrackRecordEntry tracks[kMaxTracks];
};

struct KeysRegion {
  RegionHeader header;
  alignas(kNoShare) KeyEntry keys[kMaxSessions];
};

struct DatapathRegion {
  RegionHeader header;
  ProcessStatus status;
  RingPosition command_tail[kMaxWorkers];
  RingPosition dtls_out_tail[kMaxWorkers];
  RingPosition event_head[kMaxWorkers];
  RingPosition dtls_in_head[kMaxWorkers];
  WorkerCounters counters[kMaxWorkers];
  RingRecords<Event, kEventRing> events[kMaxWorkers];
  RingRecords<DtlsDatagram, kDtlsRing> dtls_in[kMaxWorkers];
  alignas(kNoShare) SessionReportEntry reports[kMaxSessions];
  alignas(kNoShare) SessionState states[kMaxSessions];
  alignas(kNoShare) PublisherState publishers[kMaxSessions];
};

// Sections of each region in member order, for init_header and check_header.
std::span<const SectionHeader> sections_of(RegionKind kind);
uint64_t region_bytes(RegionKind kind);

// What the launcher holds and hands on. Descriptors are close-on-exec here.
struct RegionFds {
  int boot = -1;
  int control = -1;
  int keys = -1;
  int datapath = -1;
};

// Launcher: creates all four, initialises headers, fills the boot record.
Result<RegionFds> create_regions(const BootConfig& boot);

// One region mapped and checked, typed.
template <typename Region>
class MappedRegion {
 public:
  MappedRegion() = default;
  explicit MappedRegion(Mapping m) : mapping_(std::move(m)) {}
  Region* operator->() const { return get(); }
  Region& operator*() const { return *get(); }
  Region* get() const { return static_cast<Region*>(mapping_.address()); }
  explicit operator bool() const { return mapping_.address() != nullptr; }

 private:
  Mapping mapping_;
};

Result<MappedRegion<const BootRegion>> map_boot(int fd);
Result<MappedRegion<ControlRegion>> map_control(int fd);               // control
Result<MappedRegion<const ControlRegion>> map_control_read(int fd);    // datapath, launcher
Result<MappedRegion<KeysRegion>> map_keys(int fd, std::string* lock_note);  // control
Result<MappedRegion<const KeysRegion>> map_keys_read(int fd, std::string* lock_note);
Result<MappedRegion<DatapathRegion>> map_datapath(int fd);             // datapath
Result<MappedRegion<const DatapathRegion>> map_datapath_read(int fd);  // control, launcher

// Ring ends, constructed over mapped regions.
using CommandProducer = RingProducer<Command, kCommandRing>;
using CommandConsumer = RingConsumer<Command, kCommandRing>;
using EventProducer = RingProducer<Event, kEventRing>;
using EventConsumer = RingConsumer<Event, kEventRing>;
using DtlsProducer = RingProducer<DtlsDatagram, kDtlsRing>;
using DtlsConsumer = RingConsumer<DtlsDatagram, kDtlsRing>;

}  // namespace spillway::abi
