#include "tests/peer/proxy.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <queue>
#include <vector>

#include "datapath/base/bytes.h"
#include "datapath/io/udp_message.h"
#include "datapath/io/unique_fd.h"
#include "tests/peer/clock.h"
#include "tests/peer/commands.h"
#include "tests/peer/event_loop.h"

namespace spillway::peer {
namespace {

constexpr int kReadsPerTurn = 64;
constexpr size_t kWaitingMax = 200'000;  // datagrams held back

UniqueFd open_socket(const Endpoint& like) {
  UniqueFd fd(socket(like.ip.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int bytes = 4 * 1024 * 1024;
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  return fd;
}

struct Waiting {
  Nanos due{};
  uint64_t order = 0;  // first in, first out for equal times
  int fd = -1;
  Endpoint to;
  std::vector<uint8_t> data;
  bool operator<(const Waiting& o) const { return due != o.due ? due > o.due : order > o.order; }
};

class Proxy : public Pollable {
 public:
  Proxy(EventLoop& loop, const ProxyArguments& a, Endpoint server)
      : loop_(loop), up_(a.up), down_(a.down), server_(server) {}

  Result<void> listen(const Endpoint& at) {
    front_ = open_socket(at);
    SocketAddress name;
    const socklen_t bytes = to_sockaddr(at, name);
    if (bind(front_.get(), &name.any, bytes) != 0) return errno_error("bind " + at.to_string());
    return loop_.add(front_.get(), this);
  }

  void readable(Nanos now) override {
    read_all(front_.get(), now, [&](const Endpoint& from, Bytes data) {
      if (Client* c = client(from)) forward(c->socket.get(), server_, data, up_, now);
    });
  }

  Nanos release(Nanos now) {
    while (!waiting_.empty() && waiting_.top().due <= now) {
      const Waiting& w = waiting_.top();
      send(w.fd, w.to, w.data);
      waiting_.pop();
    }
    return waiting_.empty() ? now + kLoopTick : std::min(waiting_.top().due, now + kLoopTick);
  }

  uint64_t forwarded = 0, lost = 0;
  size_t clients() const { return clients_.size(); }

 private:
  struct Client : Pollable {
    Client(Proxy& p, const Endpoint& a) : proxy(p), address(a), socket(open_socket(p.server_)) {}
    void readable(Nanos now) override {
      proxy.read_all(socket.get(), now, [&](const Endpoint& from, Bytes data) {
        if (from == proxy.server_) proxy.forward(proxy.front_.get(), address, data, proxy.down_, now);
      });
    }
    Proxy& proxy;
    Endpoint address;
    UniqueFd socket;
  };

  template <typename F>
  void read_all(int fd, Nanos, F&& f) {
    uint8_t buffer[2048];
    for (int i = 0; i < kReadsPerTurn; ++i) {
      SocketAddress name;
      socklen_t bytes = sizeof name;
      const ssize_t n = recvfrom(fd, buffer, sizeof buffer, 0, &name.any, &bytes);
      Endpoint from;
      if (n < 0) return;
      if (from_sockaddr(&name, bytes, from)) f(from, Bytes(buffer, static_cast<size_t>(n)));
    }
  }

  Client* client(const Endpoint& from) {
    auto& slot = clients_[from.to_string()];
    if (!slot && clients_.size() <= kProxyClientsMax) {
      slot = std::make_unique<Client>(*this, from);
      if (!slot->socket.valid() || !loop_.add(slot->socket.get(), slot.get())) slot.reset();
    }
    return slot.get();
  }

  void forward(int fd, const Endpoint& to, Bytes data, Fate& fate, Nanos now) {
    if (fate.lost()) {
      ++lost;
      return;
    }
    const Nanos wait = fate.wait();
    if (wait.ns == 0) {
      send(fd, to, data);
    } else if (waiting_.size() < kWaitingMax) {
      waiting_.push({now + wait, order_++, fd, to, {data.begin(), data.end()}});
    } else {
      ++lost;
    }
  }

  void send(int fd, const Endpoint& to, Bytes data) {
    SocketAddress name;
    const socklen_t bytes = to_sockaddr(to, name);
    if (sendto(fd, data.data(), data.size(), 0, &name.any, bytes) >= 0) ++forwarded;
  }

  EventLoop& loop_;
  Fate up_, down_;
  Endpoint server_;
  UniqueFd front_;
  std::map<std::string, std::unique_ptr<Client>> clients_;
  std::priority_queue<Waiting> waiting_;
  uint64_t order_ = 0;
};

}  // namespace

int proxy_command(const ProxyArguments& a) {
  const auto listen = Endpoint::parse(a.listen);
  const auto to = Endpoint::parse(a.to);
  if (!listen || !to) {
    std::fprintf(stderr, "spillway-peer: --listen and --to want ADDRESS:PORT\n");
    return 1;
  }
  EventLoop loop;
  Proxy proxy(loop, a, *to);
  if (auto ok = proxy.listen(*listen); !ok) {
    std::fprintf(stderr, "spillway-peer: %s\n", ok.error().text.c_str());
    return 1;
  }
  const Nanos end = a.duration_s > 0 ? clock_now() + millis(static_cast<int64_t>(a.duration_s * 1000)) : kNever;
  loop.on_tick = [&](Nanos now) {
    if (interrupted() || now >= end) loop.stop();
  };
  loop.on_deadline = [&](Nanos now) { return proxy.release(now); };
  loop.run();
  std::fprintf(stderr, "forwarded %llu, lost %llu, %zu clients\n",
               static_cast<unsigned long long>(proxy.forwarded),
               static_cast<unsigned long long>(proxy.lost), proxy.clients());
  return 0;
}

}  // namespace spillway::peer
