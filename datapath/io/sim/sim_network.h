// A virtual UDP network with a virtual clock, for tests and the simulator.
//
// Shape: ports (like sockets) at addresses; directed links between addresses
// with loss, delay, jitter, duplication, reordering, corruption and capacity; one
// event queue. Everything random comes from one seed in the order of the calls,
// so a run repeats exactly. One thread. All memory is taken in the constructor and
// open_port(): send and receive never allocate.
//
//   send --link: lost? corrupt? twice?--> in flight (heap by arrival time)
//        --advance_to(t)--> the port's receive queue --receive()/discard()--> free
//
// Conservation: sent + duplicated = delivered + lost + no_port + queue_full +
// pool_full + link_queue_full + in_flight().
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "datapath/base/packet.h"
#include "datapath/base/units.h"

namespace spillway {

// One direction. Probabilities in parts per million, 0..1'000'000.
struct SimLink {
  uint32_t loss_ppm = 0;
  uint32_t duplicate_ppm = 0;
  uint32_t reorder_ppm = 0;  // held back by reorder_delay, overtaken by later ones
  uint32_t corrupt_ppm = 0;  // one random bit of the payload flips
  Nanos delay = micros(100);
  Nanos jitter = {};  // uniform 0..jitter on top; keeps the order
  Nanos reorder_delay = millis(5);
  uint64_t bits_per_second = 0;       // 0 = without limit
  uint32_t queue_bytes = 256 * 1024;  // before the bottleneck; tail drop
  bool down = false;                  // partition: all is lost
};

struct SimNetworkStats {
  uint64_t sent = 0;
  uint64_t duplicated = 0;
  uint64_t delivered = 0;  // put into a port's queue
  uint64_t corrupted = 0;
  uint64_t reordered = 0;
  uint64_t lost = 0;  // loss_ppm or down
  uint64_t link_queue_full = 0;
  uint64_t no_port = 0;     // nobody at that endpoint when it arrived
  uint64_t queue_full = 0;  // of the receiving port
  uint64_t pool_full = 0;   // packets_max in flight and queued
};

class SimNetwork;

// A socket of the virtual network: may have several addresses with one port
// number. Owned by the network; valid until close_port().
class SimPort {
 public:
  struct Received {
    Path path;                // local = the address it was sent to
    uint8_t* data = nullptr;  // the network's, writable, until discard()
    uint32_t bytes = 0;       // as sent; data has at most kMaxDatagramBytes of them
    uint32_t handle = 0;
  };

  // The oldest datagram that has arrived; nullopt = none.
  std::optional<Received> receive();
  // Returns the memory of a received datagram; each exactly once.
  void discard(uint32_t handle);
  // `path.local` unspecified or not one of ours: the first address is used.
  void send(const Path& path, Bytes payload);

  std::span<const IpAddress> addresses() const { return addresses_; }
  uint16_t number() const { return number_; }
  uint32_t queued() const { return queue_count_; }

 private:
  friend class SimNetwork;
  SimNetwork* network_ = nullptr;
  std::vector<IpAddress> addresses_;
  uint16_t number_ = 0;
  std::vector<uint32_t> queue_;  // ring of packet indices
  uint32_t queue_head_ = 0;
  uint32_t queue_count_ = 0;
};

class SimNetwork {
 public:
  // Ordered pairs of addresses that may ever talk; one more is a program fault.
  static constexpr uint32_t kPairsMax = 4096;

  // packets_max: in flight plus queued, 1.5 KiB each.
  explicit SimNetwork(uint64_t seed, uint32_t packets_max = 16384);
  ~SimNetwork();
  SimNetwork(const SimNetwork&) = delete;
  SimNetwork& operator=(const SimNetwork&) = delete;

  Nanos now() const { return now_; }
  // Delivers all that arrives up to and including t (>= now) in order of time,
  // ties in order of sending. Then now() == t.
  void advance_to(Nanos t);
  // Arrival of the next datagram in flight; kNever = none.
  Nanos next_event() const;

  // addresses not empty; number != 0; queue_max datagrams wait at most, more are
  // dropped as a full socket buffer does. Several ports with the same address
  // and number share the flows by a hash of the sender (SO_REUSEPORT).
  SimPort* open_port(std::vector<IpAddress> addresses, uint16_t number, uint32_t queue_max = 1024);
  // Queued datagrams are gone, counted no_port. Received ones must be discarded before.
  void close_port(SimPort* port);

  // For every pair without a link of its own.
  void set_default_link(const SimLink& link) { default_link_ = link; }
  void set_link(const IpAddress& from, const IpAddress& to, const SimLink& link);

  // Sends from any address, also a forged one; payload of any length up to
  // 65535, of which kMaxDatagramBytes are kept.
  void send(const Endpoint& from, const Endpoint& to, Bytes payload);

  uint32_t in_flight() const { return static_cast<uint32_t>(heap_.size()); }
  // Datagrams that exist: in flight, queued or lent by receive().
  uint32_t packets_used() const { return packets_max_ - static_cast<uint32_t>(free_.size()); }
  const SimNetworkStats& stats() const { return stats_; }

 private:
  friend class SimPort;
  struct Packet {
    Path path;  // as the receiver sees it
    uint32_t bytes = 0;
    uint8_t data[kMaxDatagramBytes];
  };
  struct Event {
    Nanos at;
    uint64_t order = 0;
    uint32_t packet = 0;
    bool operator>(const Event& o) const { return at != o.at ? at > o.at : order > o.order; }
  };
  struct LinkState {
    IpAddress from;
    IpAddress to;
    bool used = false;
    bool own = false;  // set_link() was called; else the default link applies
    SimLink link;
    Nanos busy_until;    // the bottleneck's transmitter
    Nanos last_arrival;  // keeps order under jitter
  };

  LinkState& link_state(const IpAddress& from, const IpAddress& to);
  void launch(LinkState& state, const SimLink& link, const Endpoint& from, const Endpoint& to,
              Bytes payload);
  void deliver(uint32_t packet);
  void free_packet(uint32_t packet);
  uint64_t random();
  bool chance(uint32_t ppm);

  Nanos now_;
  uint64_t random_state_;
  uint64_t order_ = 0;
  uint32_t packets_max_;
  std::unique_ptr<Packet[]> packets_;
  std::vector<uint32_t> free_;
  std::vector<Event> heap_;
  std::vector<std::unique_ptr<SimPort>> ports_;
  SimLink default_link_;
  std::vector<LinkState> links_;  // open addressing, kPairsMax * 2 slots
  uint32_t links_used_ = 0;
  SimNetworkStats stats_;
};

}  // namespace spillway
