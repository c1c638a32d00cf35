// A server under test (any back end) and remote peers, behind one face, so that
// the contract tests say the same of sockets on loopback and of the simulator.
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "datapath/io/make_packet_io.h"
#include "datapath/io/sim/sim_io.h"
#include "datapath/io/udp_message.h"

namespace spillway::test {

using Payload = std::vector<uint8_t>;

struct Datagram {
  Endpoint from;
  Payload payload;
};

// Long enough for a stalled 2-core VM; never waited for when things work.
inline constexpr int kDeadlineMs = 10'000;

class Peer {
 public:
  virtual ~Peer() = default;
  virtual Endpoint endpoint() const = 0;
  virtual void send(const Endpoint& to, Bytes payload) = 0;
  // Waits; nullopt after wait_ms.
  virtual std::optional<Datagram> receive(int wait_ms = kDeadlineMs) = 0;
};

class Rig {
 public:
  virtual ~Rig() = default;
  virtual PacketIo& io() = 0;
  virtual bool has_v6() const { return true; }
  // Addresses of the server: two v4, one v6.
  virtual Endpoint v4() const = 0;
  virtual Endpoint v4_other() const = 0;
  virtual Endpoint v6() const = 0;
  virtual std::unique_ptr<Peer> peer(bool is_v4 = true) = 0;
  // Lets time pass until something could have arrived at the server.
  virtual uint32_t rx(std::span<RxPacket> out) = 0;

  // One burst of at least one packet, or 0 after the deadline.
  uint32_t rx_some(std::span<RxPacket> out) {
    for (int i = 0; i < 200; ++i)
      if (uint32_t n = rx(out)) return n;
    return 0;
  }
  // Copies of `count` datagrams (path.remote in from); fewer = deadline.
  std::vector<Datagram> rx_all(size_t count, std::vector<Path>* paths = nullptr) {
    std::vector<Datagram> got;
    RxPacket burst[kBurst];
    while (got.size() < count) {
      uint32_t n = rx_some(burst);
      if (n == 0) break;
      for (uint32_t i = 0; i < n; ++i) {
        got.push_back(
            {burst[i].path.remote, Payload(burst[i].data, burst[i].data + burst[i].bytes)});
        if (paths) paths->push_back(burst[i].path);
      }
      io().release({burst, n});
    }
    return got;
  }
};

inline Payload pattern(size_t bytes, uint32_t seed) {
  Payload p(bytes);
  for (size_t i = 0; i < bytes; ++i)
    p[i] = static_cast<uint8_t>((seed * 2654435761u + i * 40503u) >> 7);
  return p;
}

inline void put(TxBatch& batch, const Path& path, Bytes payload) {
  uint8_t* at = batch.reserve(path, static_cast<uint32_t>(payload.size()));
  SPILLWAY_ASSERT(at);
  std::copy(payload.begin(), payload.end(), at);
  batch.commit(static_cast<uint32_t>(payload.size()));
}

class SocketPeer final : public Peer {
 public:
  explicit SocketPeer(const IpAddress& bind_to) {
    const bool v4 = bind_to.is_v4();
    fd_ = UniqueFd(::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    int bytes = 8 * 1024 * 1024;
    if (::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
      ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    SocketAddress name;
    socklen_t len = to_sockaddr({bind_to, 0, 0}, name);
    SPILLWAY_ASSERT(::bind(fd_.get(), &name.any, len) == 0);
    len = sizeof name;
    SPILLWAY_ASSERT(::getsockname(fd_.get(), &name.any, &len) == 0);
    SPILLWAY_ASSERT(from_sockaddr(&name, len, endpoint_));
  }
  Endpoint endpoint() const override { return endpoint_; }
  void send(const Endpoint& to, Bytes payload) override {
    SocketAddress name;
    socklen_t len = to_sockaddr(to, name);
    ssize_t n = ::sendto(fd_.get(), payload.data(), payload.size(), 0, &name.any, len);
    SPILLWAY_ASSERT(n == static_cast<ssize_t>(payload.size()));
  }
  std::optional<Datagram> receive(int wait_ms) override {
    pollfd p{fd_.get(), POLLIN, 0};
    if (::poll(&p, 1, wait_ms) != 1) return std::nullopt;
    Payload buffer(65536);
    SocketAddress name;
    socklen_t len = sizeof name;
    ssize_t n = ::recvfrom(fd_.get(), buffer.data(), buffer.size(), 0, &name.any, &len);
    if (n < 0) return std::nullopt;
    buffer.resize(static_cast<size_t>(n));
    Endpoint from;
    SPILLWAY_ASSERT(from_sockaddr(&name, len, from));
    return Datagram{from, std::move(buffer)};
  }

 private:
  UniqueFd fd_;
  Endpoint endpoint_;
};

class SocketRig final : public Rig {
 public:
  explicit SocketRig(IoBackend backend, uint32_t rx_buffers = 512) {
    auto sockets = open_media_sockets({});
    SPILLWAY_ASSERT(sockets.ok());
    sockets_ = *std::move(sockets);
    auto io = make_packet_io({backend, sockets_.workers[0].fds(), rx_buffers});
    SPILLWAY_ASSERT(io.ok());
    io_ = std::move(io->io);
  }
  PacketIo& io() override { return *io_; }
  MediaFds fds() const { return sockets_.workers[0].fds(); }
  bool has_v6() const override { return sockets_.workers[0].v6.valid(); }
  Endpoint v4() const override { return {IpAddress::v4(127, 0, 0, 1), sockets_.port, 0}; }
  Endpoint v4_other() const override { return {IpAddress::v4(127, 0, 0, 2), sockets_.port, 0}; }
  Endpoint v6() const override { return {*IpAddress::parse("::1"), sockets_.port, 0}; }
  std::unique_ptr<Peer> peer(bool is_v4) override {
    return std::make_unique<SocketPeer>(is_v4 ? IpAddress::v4(127, 0, 0, 1)
                                              : *IpAddress::parse("::1"));
  }
  uint32_t rx(std::span<RxPacket> out) override { return io_->rx_burst(out, millis(50)); }

 private:
  MediaSocketSet sockets_;
  std::unique_ptr<PacketIo> io_;
};

class SimRig final : public Rig {
 public:
  PacketIo& io() override { return io_; }
  SimIo& sim_io() { return io_; }
  Endpoint v4() const override { return {IpAddress::v4(10, 0, 0, 1), 3478, 0}; }
  Endpoint v4_other() const override { return {IpAddress::v4(10, 0, 0, 2), 3478, 0}; }
  Endpoint v6() const override { return {*IpAddress::parse("fd00::1"), 3478, 0}; }
  std::unique_ptr<Peer> peer(bool is_v4) override {
    return std::make_unique<SimPeer>(network_, is_v4, next_port_++);
  }
  uint32_t rx(std::span<RxPacket> out) override {
    network_.advance_to(network_.now() + millis(1));
    return io_.rx_burst(out, millis(50));
  }

 private:
  class SimPeer final : public Peer {
   public:
    SimPeer(SimNetwork& network, bool is_v4, uint16_t number)
        : network_(network),
          port_(network.open_port(
              {is_v4 ? IpAddress::v4(10, 0, 1, 1) : *IpAddress::parse("fd00::2")}, number, 4096)) {}
    ~SimPeer() override { network_.close_port(port_); }
    Endpoint endpoint() const override { return {port_->addresses()[0], port_->number(), 0}; }
    void send(const Endpoint& to, Bytes payload) override {
      port_->send({to, endpoint()}, payload);
    }
    std::optional<Datagram> receive(int wait_ms) override {
      for (int i = 0; i <= wait_ms && port_->queued() == 0; ++i) {
        if (network_.next_event() == kNever) return std::nullopt;
        network_.advance_to(network_.now() + millis(1));
      }
      auto got = port_->receive();
      if (!got) return std::nullopt;
      Datagram d{got->path.remote, Payload(got->data, got->data + got->bytes)};
      port_->discard(got->handle);
      return d;
    }

   private:
    SimNetwork& network_;
    SimPort* port_;
  };

  SimNetwork network_{1};
  SimIo io_{network_.open_port({v4().ip, v4_other().ip, v6().ip}, 3478, 4096)};
  uint16_t next_port_ = 40000;
};

inline std::unique_ptr<Rig> make_rig(const std::string& kind, uint32_t rx_buffers = 512) {
  if (kind == "sim") return std::make_unique<SimRig>();
  return std::make_unique<SocketRig>(kind == "uring" ? IoBackend::uring : IoBackend::mmsg,
                                     rx_buffers);
}

}  // namespace spillway::test
