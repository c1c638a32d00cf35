// Control's end of the shared memory: the table it writes, the rings it fills and
// drains, the snapshots it reads.
//
// Purpose: every access of control to the regions goes through here, so that what
// comes from the datapath is copied once and checked once. No descriptor is read or
// written: waking a worker is a callback, being woken is the driver's business
// (runtime.h, or a test).
//
// Trust: slots, generations, lengths and worker numbers from the datapath are
// questions. next_event() and next_dtls() hand out only records whose slot is below
// kMaxSessions and whose length fits; whether the generation is still current is for
// the caller to know. What breaks these rules is counted in bad_records().
//
// Threads: control's one thread. Errors: false, as noted.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "datapath/abi/regions.h"
#include "datapath/base/bytes.h"
#include "datapath/base/packet.h"
#include "datapath/base/units.h"

namespace spillway {

struct ControlRegions {
  abi::MappedRegion<const abi::BootRegion> boot;
  abi::MappedRegion<abi::ControlRegion> control;
  abi::MappedRegion<abi::KeysRegion> keys;
  abi::MappedRegion<const abi::DatapathRegion> datapath;
  std::string lock_note;  // keys are not locked in memory, and what to do; empty = they are
};
Result<ControlRegions> map_control_regions(const abi::RegionFds& fds);

// The datapath's sign of life, copied.
struct DatapathStatus {
  abi::ProcessState state = abi::ProcessState::never;
  Nanos heartbeat{};     // 0 = never started
  uint32_t starts = 0;
  std::string io_backend, srtp_backend, note;
};

// Sums over the workers.
struct CounterTotals {
  std::array<uint64_t, abi::kDropCount> drops{};
  std::array<uint64_t, abi::kCountCount> counts{};
  std::array<uint64_t, abi::kLatencyBuckets> latency{};
};

struct RingFill {
  uint32_t commands = 0, dtls_out = 0, events = 0, dtls_in = 0;  // records
};

class DatapathLink {
 public:
  using Wake = std::function<void(uint32_t worker)>;
  // wake: writes worker's eventfd; called by flush() only.
  DatapathLink(ControlRegions regions, Wake wake);

  const abi::BootConfig& boot() const { return boot_; }
  uint32_t workers() const { return workers_; }  // 1..kMaxWorkers
  const std::string& lock_note() const { return regions_.lock_note; }

  // --- our own sign of life -------------------------------------------------------
  void announce(abi::ProcessState state, uint32_t pid, Nanos now);  // boot counts a start
  void heartbeat(Nanos now);
  uint32_t starts() const;

  // --- the table; what we wrote ourselves --------------------------------------------
  // False: never written, or torn by a predecessor that died while writing.
  bool read_session(uint32_t slot, abi::SessionConfig* out) const;
  void write_session(uint32_t slot, const abi::SessionConfig& config);
  bool read_keys(uint32_t slot, abi::KeyConfig* out) const;  // wipe the copy after use
  void write_keys(uint32_t slot, const abi::KeyConfig& keys);
  void wipe_keys(uint32_t slot);
  bool read_record(uint32_t slot, abi::ControlRecord* out) const;
  void write_record(uint32_t slot, const abi::ControlRecord& record);
  void wipe_record(uint32_t slot);
  bool read_track(uint32_t track, abi::TrackRecord* out) const;
  void write_track(uint32_t track, const abi::TrackRecord& record);
  bool session_was_written(uint32_t slot) const;
  uint32_t slots_used() const;
  void set_slots_used(uint32_t slots);

  // --- the datapath's answers ---------------------------------------------------------
  uint32_t released_generation(uint32_t slot) const;
  bool read_report(uint32_t slot, abi::SessionReport* out) const;
  DatapathStatus datapath_status() const;
  CounterTotals counters() const;
  RingFill fill(uint32_t worker) const;

  // --- doorbells: never lost ----------------------------------------------------------
  // "Look at this slot", for the session's home worker and, when the datapath says it
  // has moved, its owner. Full rings: remembered per slot and retried by flush().
  void ring(uint32_t slot, uint32_t generation, uint32_t home_worker);
  // Sends what waits, as far as the rings take it, and wakes the workers concerned.
  // Call at the end of each turn and each API call.
  void flush();
  size_t doorbells_waiting() const { return waiting_.size(); }

  // False: ring full; the datagram is lost, which DTLS expects.
  bool send_dtls(uint32_t worker, uint32_t slot, uint32_t generation, const Path& path,
                 Bytes datagram);

  // --- input, one worker after the other ------------------------------------------------
  bool next_event(abi::Event* out, uint32_t* worker);
  bool next_dtls(abi::DtlsDatagram* out, uint32_t* worker);
  uint64_t bad_records() const { return bad_records_; }
  uint64_t resyncs() const;

 private:
  struct Waiting {
    uint32_t slot;
    uint32_t worker;
  };
  bool push_doorbell(uint32_t slot, uint32_t worker);

  ControlRegions regions_;
  abi::BootConfig boot_;
  uint32_t workers_;
  Wake wake_;
  uint32_t wake_mask_ = 0;
  std::vector<abi::CommandProducer> commands_;
  std::vector<abi::DtlsProducer> dtls_out_;
  std::vector<abi::EventConsumer> events_;
  std::vector<abi::DtlsConsumer> dtls_in_;
  uint32_t event_worker_ = 0;  // whose turn it is
  uint32_t dtls_worker_ = 0;
  std::deque<Waiting> waiting_;
  std::vector<uint16_t> waiting_mask_;  // per slot, bit per worker: it is in waiting_
  std::vector<uint32_t> generation_;    // per slot, of its newest doorbell
  uint64_t bad_records_ = 0;
};
static_assert(kMaxWorkers <= 16, "waiting_mask_");

}  // namespace spillway
