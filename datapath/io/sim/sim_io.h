// PacketIo over a SimNetwork port: the same contract on a virtual clock.
//
// rx_burst never blocks: it returns what has arrived by the network's now(),
// whatever wait_max says; the driver of the simulation advances the clock. One
// thread, except wake().
#pragma once

#include <atomic>
#include <cstdint>

#include "datapath/io/packet_io.h"
#include "datapath/io/sim/sim_network.h"

namespace spillway {

class SimIo final : public PacketIo {
 public:
  // Borrows the port, which stays open when the object dies (as a socket held by
  // the launcher does). Datagrams still lent then are given back.
  explicit SimIo(SimPort* port) : port_(port) {}
  ~SimIo() override;

  uint32_t rx_burst(std::span<RxPacket> out, Nanos wait_max) override;
  void release(std::span<const RxPacket> packets) override;
  void tx_burst(TxBatch& batch) override;
  void wake() override { wake_requested_.store(true, std::memory_order_relaxed); }
  const PacketIoStats& stats() const override { return stats_; }
  std::string_view name() const override { return "sim"; }

  // For the driver: true once after a wake(); the owner should be run now.
  bool take_wake() { return wake_requested_.exchange(false, std::memory_order_relaxed); }
  // Fault: the next `datagrams` datagrams are refused as by a full socket buffer.
  void refuse_tx(uint32_t datagrams) { refuse_tx_ = datagrams; }

 private:
  SimPort* port_;
  PacketIoStats stats_;
  uint32_t lent_[kBurst] = {};  // handles the worker holds
  uint32_t lent_count_ = 0;
  uint32_t refuse_tx_ = 0;
  std::atomic<bool> wake_requested_{false};  // a flag without data behind it
};

}  // namespace spillway
