#include "datapath/io/sockets.h"

#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "datapath/io/udp_message.h"

namespace spillway {

namespace {

// A dead io_uring's sockets are released some tens of ms after its process.
constexpr int kBusyRetries = 10;
constexpr int kBusyRetryMs = 50;
// With port 0 the port chosen for the first socket may be taken in the other
// family; then another one is chosen.
constexpr int kPortTries = 16;

Result<void> set_option(int fd, int level, int name, int value, const char* what) {
  if (::setsockopt(fd, level, name, &value, sizeof value) != 0) return errno_error(what);
  return {};
}

Result<UniqueFd> bind_udp(const Endpoint& at, bool share) {
  const int family = at.ip.is_v4() ? AF_INET : AF_INET6;
  UniqueFd fd(::socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP));
  if (!fd.valid()) return errno_error("socket for " + at.to_string());
  if (family == AF_INET6)
    if (auto r = set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1, "IPV6_V6ONLY"); !r)
      return r.error();
  if (share)
    if (auto r = set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT"); !r)
      return r.error();
  SocketAddress name;
  socklen_t len = to_sockaddr(at, name);
  if (::bind(fd.get(), &name.any, len) != 0) return errno_error("bind UDP " + at.to_string());
  return fd;
}

Result<Endpoint> bound_to(int fd) {
  SocketAddress name{};
  socklen_t len = sizeof name;
  Endpoint e;
  if (::getsockname(fd, &name.any, &len) != 0) return errno_error("getsockname");
  if (!from_sockaddr(&name, len, e))
    return Error{"fd " + std::to_string(fd) + " is not an IP socket", EAFNOSUPPORT};
  return e;
}

Result<void> configure(int fd, bool v4) {
  struct Option {
    int level, name, value;
    const char* what;
  };
  static constexpr Option kV4[] = {
      {IPPROTO_IP, IP_PKTINFO, 1, "IP_PKTINFO"},
      {IPPROTO_IP, IP_RECVERR, 0, "IP_RECVERR"},
      {IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_INTERFACE, "IP_MTU_DISCOVER"},
  };
  static constexpr Option kV6[] = {
      {IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO"},
      {IPPROTO_IPV6, IPV6_RECVERR, 0, "IPV6_RECVERR"},
      {IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_INTERFACE, "IPV6_MTU_DISCOVER"},
  };
  for (const Option& o : v4 ? kV4 : kV6)
    if (auto r = set_option(fd, o.level, o.name, o.value, o.what); !r) return r;
  return {};
}

// FORCE needs CAP_NET_ADMIN; the plain option is silently capped.
void set_buffer(int fd, int force, int plain, uint32_t bytes, const char* sysctl,
                std::string& note) {
  const int value = static_cast<int>(std::min<uint32_t>(bytes, INT32_MAX / 2));
  if (::setsockopt(fd, SOL_SOCKET, force, &value, sizeof value) == 0) return;
  [[maybe_unused]] int ignored = ::setsockopt(fd, SOL_SOCKET, plain, &value, sizeof value);
  int got = 0;
  socklen_t len = sizeof got;
  if (::getsockopt(fd, SOL_SOCKET, plain, &got, &len) != 0) return;
  if (got / 2 >= value) return;  // the kernel reports the doubled value
  std::string text = "socket buffer is " + std::to_string(got / 2) + " of " +
                     std::to_string(value) + " bytes: raise " + sysctl + ". ";
  if (note.find(text) == std::string::npos) note += text;
}

bool family_missing(const Error& e) {
  return e.code == EAFNOSUPPORT || e.code == EADDRNOTAVAIL || e.code == EPROTONOSUPPORT;
}

class Opener {
 public:
  Opener(const MediaSocketOptions& options, uint16_t port) : options_(options) {
    set_.port = port;
    set_.workers.resize(options.workers);
  }

  Result<MediaSocketSet> run() {
    if (options_.v4)
      if (auto r = open_family(*options_.v4, &MediaSockets::v4); !r) return r.error();
    if (options_.v6) {
      auto r = open_family(*options_.v6, &MediaSockets::v6);
      if (!r) {
        const bool optional = options_.v6->unspecified() && options_.v4;
        if (!optional || !family_missing(r.error())) return r.error();
        set_.note += "no IPv6 here (" + r.error().text + "): IPv4 only. ";
      }
    }
    return std::move(set_);
  }

 private:
  Result<void> open_family(const IpAddress& ip, UniqueFd MediaSockets::*member) {
    // Without SO_REUSEPORT: fails when anybody has the port, sharing or not.
    Endpoint at{ip, set_.port, 0};
    auto probe = bind_udp(at, false);
    for (int i = 0; !probe && probe.error().code == EADDRINUSE && i < kBusyRetries; ++i) {
      if (options_.port == 0) break;  // another port is as good
      ::poll(nullptr, 0, kBusyRetryMs);
      probe = bind_udp(at, false);
    }
    if (!probe) return probe.error();
    auto chosen = bound_to(probe->get());
    if (!chosen) return chosen.error();
    probe->reset();
    set_.port = at.port = chosen->port;

    for (auto& worker : set_.workers) {
      auto fd = bind_udp(at, true);
      if (!fd) return fd.error();
      if (auto r = configure(fd->get(), ip.is_v4()); !r) return r;
      set_buffer(fd->get(), SO_RCVBUFFORCE, SO_RCVBUF, options_.rcvbuf_bytes, "net.core.rmem_max",
                 set_.note);
      set_buffer(fd->get(), SO_SNDBUFFORCE, SO_SNDBUF, options_.sndbuf_bytes, "net.core.wmem_max",
                 set_.note);
      worker.*member = *std::move(fd);
    }
    return {};
  }

  const MediaSocketOptions& options_;
  MediaSocketSet set_;
};

}  // namespace

Result<MediaSocketSet> open_media_sockets(const MediaSocketOptions& options) {
  if (options.workers < 1 || options.workers > kMaxWorkers)
    return Error{"workers must be 1.." + std::to_string(kMaxWorkers), EINVAL};
  if (!options.v4 && !options.v6) return Error{"media port without an address", EINVAL};
  if ((options.v4 && !options.v4->is_v4()) || (options.v6 && options.v6->is_v4()))
    return Error{"media port: address of the wrong family", EINVAL};
  auto set = Opener(options, options.port).run();
  for (int i = 1; !set && options.port == 0 && set.error().code == EADDRINUSE && i < kPortTries;
       ++i)
    set = Opener(options, 0).run();
  if (!set && set.error().code == EADDRINUSE)
    return Error{set.error().text + " (another instance? choose another media port)", EADDRINUSE};
  return set;
}

Result<Endpoint> check_media_socket(int fd) {
  const std::string who = "media socket fd " + std::to_string(fd);
  auto get = [fd](int level, int name) {
    int value = -1;
    socklen_t len = sizeof value;
    return ::getsockopt(fd, level, name, &value, &len) == 0 ? value : -1;
  };
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0) return errno_error(who);
  if (get(SOL_SOCKET, SO_TYPE) != SOCK_DGRAM || get(SOL_SOCKET, SO_PROTOCOL) != IPPROTO_UDP)
    return Error{who + " is not a UDP socket", EINVAL};
  const int family = get(SOL_SOCKET, SO_DOMAIN);
  if (family != AF_INET && family != AF_INET6) return Error{who + " is not an IP socket", EINVAL};
  if (!(flags & O_NONBLOCK)) return Error{who + " is blocking", EINVAL};
  const int info =
      family == AF_INET ? get(IPPROTO_IP, IP_PKTINFO) : get(IPPROTO_IPV6, IPV6_RECVPKTINFO);
  if (info != 1) return Error{who + " has packet info off", EINVAL};
  SocketAddress peer{};
  socklen_t peer_len = sizeof peer;
  if (::getpeername(fd, &peer.any, &peer_len) == 0) return Error{who + " is connected", EINVAL};
  auto bound = bound_to(fd);
  if (bound && !bound->valid()) return Error{who + " is not bound", EINVAL};
  return bound;
}

Result<std::vector<LocalAddress>> list_local_addresses() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return errno_error("getifaddrs");
  std::vector<LocalAddress> out;
  for (const ifaddrs* i = list; i; i = i->ifa_next) {
    if (!i->ifa_addr || !(i->ifa_flags & IFF_UP)) continue;
    const auto family = i->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    Endpoint e;
    const size_t len = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    if (!from_sockaddr(i->ifa_addr, len, e)) continue;
    if (e.ip.unspecified() || e.ip.is_link_local()) continue;
    const auto same = [&](const LocalAddress& a) { return a.ip == e.ip; };
    if (std::any_of(out.begin(), out.end(), same)) continue;
    out.push_back({e.ip, e.ip.is_loopback(), i->ifa_name ? i->ifa_name : ""});
  }
  ::freeifaddrs(list);
  std::stable_partition(out.begin(), out.end(), [](const LocalAddress& a) { return a.ip.is_v4(); });
  return out;
}

}  // namespace spillway
