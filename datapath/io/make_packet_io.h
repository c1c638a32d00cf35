// Chooses and builds the back end of one worker.
//
// Call at start-up, in any thread; the returned object belongs to the thread
// that first calls rx_burst or tx_burst (an io_uring is bound to it then).
// After that first call the back ends use only these system calls:
//   uring: io_uring_enter, and write from wake(); the first call also
//          io_uring_register
//   mmsg:  recvmmsg, sendmmsg, ppoll, read (eventfd), and write from wake()
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "datapath/base/result.h"
#include "datapath/io/packet_io.h"
#include "datapath/io/sockets.h"

namespace spillway {

enum class IoBackend : uint8_t {
  automatic,  // uring, else mmsg with a note
  uring,      // or an error
  mmsg,
};

struct PacketIoOptions {
  IoBackend backend = IoBackend::automatic;
  // Borrowed: stay open until the PacketIo is destroyed. At least one of them.
  MediaFds fds;
  // Receive buffers of the uring back end: a power of two, 8..4096. Too few: the
  // receive is re-armed often (rx_no_buffer); too many: the buffers are used in
  // turn and fall out of the cache. 512 x 1.6 KiB = 0.8 MiB. mmsg always has
  // kBurst, which is all the contract can lend.
  uint32_t rx_buffers = 512;
};

struct PacketIoChoice {
  std::unique_ptr<PacketIo> io;
  // Empty, or a sentence for a human: what was refused, what is used instead and
  // what to change. For the log and /readyz.
  std::string note;
};

Result<PacketIoChoice> make_packet_io(const PacketIoOptions& options);

}  // namespace spillway
