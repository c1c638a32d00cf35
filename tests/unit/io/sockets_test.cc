// Opening and checking the media sockets, and the addresses of the host.
#include "datapath/io/sockets.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "datapath/io/udp_message.h"

namespace spillway {
namespace {

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t len = sizeof value;
  return ::getsockopt(fd, level, name, &value, &len) == 0 ? value : -1;
}

// Aim: what the header promises about every socket holds, for all workers.
TEST(MediaSockets, AreConfiguredAsPromised) {
  MediaSocketOptions options;
  options.workers = 3;
  auto set = open_media_sockets(options);
  ASSERT_TRUE(set) << set.error().text;
  ASSERT_EQ(set->workers.size(), 3u);
  ASSERT_NE(set->port, 0);
  for (const auto& w : set->workers) {
    for (int fd : {w.v4.get(), w.v6.get()}) {
      if (fd < 0) continue;
      auto bound = check_media_socket(fd);
      ASSERT_TRUE(bound) << bound.error().text;
      EXPECT_EQ(bound->port, set->port);
      EXPECT_TRUE(bound->ip.unspecified());
      EXPECT_EQ(option(fd, SOL_SOCKET, SO_REUSEPORT), 1);
      EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    }
    EXPECT_EQ(option(w.v4.get(), IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_INTERFACE);
    EXPECT_EQ(option(w.v4.get(), IPPROTO_IP, IP_RECVERR), 0);
    if (!w.v6.valid()) continue;
    EXPECT_EQ(option(w.v6.get(), IPPROTO_IPV6, IPV6_V6ONLY), 1);
    EXPECT_EQ(option(w.v6.get(), IPPROTO_IPV6, IPV6_MTU_DISCOVER), IPV6_PMTUDISC_INTERFACE);
  }
  if (set->note.empty()) {
    EXPECT_GE(option(set->workers[0].v4.get(), SOL_SOCKET, SO_RCVBUF) / 2,
              static_cast<int>(kMediaRcvbufBytes));
  }
}

// Aim: a port in use is refused, although both sides set SO_REUSEPORT, instead
// of sharing the packets with a forgotten instance; and is free after it closed.
TEST(MediaSockets, PortOfAnotherInstanceIsRefused) {
  MediaSocketOptions options;
  {
    auto first = open_media_sockets(options);
    ASSERT_TRUE(first);
    options.port = first->port;
    auto second = open_media_sockets(options);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, EADDRINUSE);
    EXPECT_NE(second.error().text.find("another instance"), std::string::npos);
  }
  EXPECT_TRUE(open_media_sockets(options));
}

// Aim: a named address is bound, and only it.
TEST(MediaSockets, BindsToANamedAddress) {
  MediaSocketOptions options;
  options.v4 = IpAddress::v4(127, 0, 0, 3);
  options.v6.reset();
  auto set = open_media_sockets(options);
  ASSERT_TRUE(set);
  EXPECT_FALSE(set->workers[0].v6.valid());
  auto bound = check_media_socket(set->workers[0].v4.get());
  ASSERT_TRUE(bound);
  EXPECT_EQ(bound->ip, IpAddress::v4(127, 0, 0, 3));
}

// Aim: impossible requests are errors that say what is wrong.
TEST(MediaSockets, ImpossibleRequestsAreRefused) {
  MediaSocketOptions none;
  none.v4.reset();
  none.v6.reset();
  EXPECT_FALSE(open_media_sockets(none));
  MediaSocketOptions swapped;
  swapped.v4 = IpAddress{};
  EXPECT_FALSE(open_media_sockets(swapped));
  MediaSocketOptions workers;
  workers.workers = 0;
  EXPECT_FALSE(open_media_sockets(workers));
  workers.workers = kMaxWorkers + 1;
  EXPECT_FALSE(open_media_sockets(workers));
  MediaSocketOptions foreign;
  foreign.v4 = IpAddress::v4(192, 0, 2, 77);  // TEST-NET: not ours
  auto r = open_media_sockets(foreign);
  ASSERT_FALSE(r);
  EXPECT_NE(r.error().text.find("192.0.2.77"), std::string::npos);
}

// Aim: an inherited descriptor that is not a media socket is named as such.
TEST(CheckMediaSocket, RefusesEverythingElse) {
  EXPECT_FALSE(check_media_socket(-1));
  int pipes[2];
  ASSERT_EQ(::pipe2(pipes, O_CLOEXEC), 0);
  UniqueFd pipe_in(pipes[0]), pipe_out(pipes[1]);
  EXPECT_FALSE(check_media_socket(pipe_in.get()));
  UniqueFd tcp(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
  EXPECT_FALSE(check_media_socket(tcp.get()));
  UniqueFd local(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0));
  EXPECT_FALSE(check_media_socket(local.get()));

  UniqueFd udp(::socket(AF_INET, SOCK_DGRAM, 0));
  auto reason = [&] {
    auto r = check_media_socket(udp.get());
    return r ? std::string("accepted") : r.error().text;
  };
  EXPECT_NE(reason().find("blocking"), std::string::npos);
  ASSERT_EQ(::fcntl(udp.get(), F_SETFL, O_NONBLOCK), 0);
  EXPECT_NE(reason().find("packet info"), std::string::npos);
  int one = 1;
  ASSERT_EQ(::setsockopt(udp.get(), IPPROTO_IP, IP_PKTINFO, &one, sizeof one), 0);
  EXPECT_NE(reason().find("not bound"), std::string::npos);
  SocketAddress name;
  socklen_t len = to_sockaddr({IpAddress::v4(127, 0, 0, 1), 0, 0}, name);
  ASSERT_EQ(::bind(udp.get(), &name.any, len), 0);
  EXPECT_EQ(reason(), "accepted");
  len = to_sockaddr({IpAddress::v4(127, 0, 0, 1), 9, 0}, name);
  ASSERT_EQ(::connect(udp.get(), &name.any, len), 0);
  EXPECT_NE(reason().find("connected"), std::string::npos);
}

// Aim: candidates are usable: no link-local, no duplicates, loopback flagged.
TEST(LocalAddresses, AreUsableAsCandidates) {
  auto list = list_local_addresses();
  ASSERT_TRUE(list);
  std::set<std::string> seen;
  bool v6_began = false;
  for (const auto& a : *list) {
    EXPECT_FALSE(a.ip.is_link_local()) << a.ip.to_string();
    EXPECT_FALSE(a.ip.unspecified());
    EXPECT_EQ(a.loopback, a.ip.is_loopback());
    EXPECT_FALSE(a.interface.empty());
    EXPECT_TRUE(seen.insert(a.ip.to_string()).second);
    v6_began |= !a.ip.is_v4();
    EXPECT_EQ(v6_began, !a.ip.is_v4()) << "v4 first";
  }
  EXPECT_EQ(seen.count("127.0.0.1"), 1u);
}

}  // namespace
}  // namespace spillway
