// Prometheus text (exposition format 0.0.4) of what both processes count.
//
// Names spillway_*, base units, closed label sets only (threats A-34): nothing a peer
// chooses becomes a label. Pure: a snapshot in, text out.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "control/control_counters.h"
#include "control/datapath_link.h"

namespace spillway {

struct MetricsInput {
  enum State : uint8_t { kNew, kValidated, kKeyed, kConnected };
  static constexpr size_t kStates = 4;

  std::string version;
  const ControlCounters* control = nullptr;
  CounterTotals datapath;
  DatapathStatus status;
  uint32_t control_starts = 0;
  Nanos datapath_heartbeat_age{};
  Nanos uptime{};
  bool draining = false;
  std::array<std::array<uint64_t, kStates>, 2> sessions{};  // [publisher, viewer][State]
  uint64_t streams = 0, tracks = 0, resting_slots = 0;
  uint64_t handshakes_running = 0, doorbells_waiting = 0;
  uint64_t bad_records = 0, ring_resyncs = 0;
  std::vector<RingFill> rings;  // per worker
};

std::string render_metrics(const MetricsInput& in);

}  // namespace spillway
