// Drives a SessionManager on an io_context: woken by the datapath's eventfd, and by a
// timer that also stores the heartbeat.
//
//   eventfd readable --> turn() until it has no more --> wait again
//   every 20 ms      --> heartbeat, turn()     (also the safety net for a lost wake)
//
// Threads: the io_context's one thread. Owns a duplicate of the descriptor.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "control/datapath_link.h"
#include "control/session_manager.h"
#include "datapath/base/result.h"

namespace spillway {

Nanos monotonic_now();  // CLOCK_MONOTONIC

class Runtime {
 public:
  Runtime(boost::asio::io_context& io, DatapathLink& link, SessionManager& manager);
  // wake_fd: eventfd the datapath writes (abi/process.h, 8); duplicated.
  Result<void> start(int wake_fd);
  void stop();
  // Longest time between two turns so far: how late a heartbeat was at worst.
  Nanos worst_gap() const { return worst_gap_; }

 private:
  void wait_readable();
  void wait_timer();
  void turn();

  boost::asio::posix::stream_descriptor descriptor_;
  boost::asio::steady_timer timer_;
  DatapathLink& link_;
  SessionManager& manager_;
  bool turn_queued_ = false;
  Nanos last_turn_{};
  Nanos worst_gap_{};
};

}  // namespace spillway
