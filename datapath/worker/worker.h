// One pinned thread: the loop that drives an Engine with a PacketIo and the rings to
// control.
//
//   network -> PacketIo -> Engine -> TxBatch -> PacketIo -> network
//   control -> command ring, DTLS-out ring -> Engine
//   Engine  -> event ring, DTLS-in ring, reports, counters -> control
//
// Each turn: one receive burst, at most kCommandsPerTurn commands and DTLS datagrams,
// fan-out until done or kRunsPerTurn batches, timers when due. Everything is bounded,
// so a flood of one kind cannot starve the others for longer than a turn.
// Memory: all borrowed, alive until run() returns.
#pragma once

#include <atomic>
#include <cstdint>

#include "datapath/abi/regions.h"
#include "datapath/core/engine.h"
#include "datapath/io/packet_io.h"

namespace spillway {

struct WorkerParts {
  uint32_t index = 0;
  const abi::ControlRegion* control = nullptr;
  const abi::KeysRegion* keys = nullptr;
  abi::DatapathRegion* datapath = nullptr;
  Engine* engine = nullptr;
  PacketIo* io = nullptr;
  PacketIo* const* all_io = nullptr;  // of every worker, to wake them
  uint32_t workers = 1;
  int wake_control_fd = -1;           // eventfd; -1 = none (tests)
};

class Worker {
 public:
  explicit Worker(const WorkerParts& parts);

  // Adopts what a previous datapath left. Every worker before any runs.
  void recover(Nanos now);

  // Until stop(). The owning thread.
  void run();
  // One turn; wait at most `wait_max`. The owning thread (tests, and run()).
  void turn(Nanos wait_max);

  // Any thread.
  void stop();
  // When the last turn began, monotonic ns: the process' watchdog reads it.
  int64_t beat_ns() const { return beat_ns_.load(std::memory_order_relaxed); }

 private:
  static constexpr uint32_t kCommandsPerTurn = 64;
  static constexpr uint32_t kRunsPerTurn = 32;

  void look_at(uint32_t slot, Nanos now);
  void take_commands(Nanos now);
  void take_dtls();
  void drain_outputs(Nanos now);
  void publish(Nanos now);
  Nanos next_wait(Nanos now, Nanos wait_max) const;

  WorkerParts p_;
  abi::CommandConsumer commands_;
  abi::DtlsConsumer dtls_out_;
  abi::EventProducer events_;
  abi::DtlsProducer dtls_in_;
  TxBatch tx_;
  RxPacket packets_[kBurst];
  abi::SessionConfig config_;   // scratch copies of table entries
  abi::KeyConfig key_config_;
  abi::DtlsDatagram datagram_;
  bool more_ = false;           // work is left: do not wait
  Nanos next_publish_{0};
  PacketIoStats tx_before_;     // what the process before us had sent
  std::atomic<bool> stop_{false};
  std::atomic<int64_t> beat_ns_{0};
};

// CLOCK_MONOTONIC.
Nanos monotonic_now();

}  // namespace spillway
