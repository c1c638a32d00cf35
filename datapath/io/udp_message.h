// Socket addresses and control messages (cmsg) of one UDP message, both ways,
// shared by the uring and mmsg back ends. Linux ip(7), ipv6(7), udp(7).
//
// No allocation; any thread. What is parsed comes from the kernel.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>

#include "datapath/base/endpoint.h"

namespace spillway {

union SocketAddress {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

// Returns the length of the filled part.
socklen_t to_sockaddr(const Endpoint& e, SocketAddress& out);
// False: neither IPv4 nor IPv6, or cut short.
bool from_sockaddr(const void* name, size_t bytes, Endpoint& out);

// Room for what we send: a source address and a segment size.
struct alignas(cmsghdr) TxControl {
  uint8_t bytes[CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(uint16_t))];
};
// Room for what we receive: one packet info of either family, and what a future
// kernel may add before it.
struct alignas(cmsghdr) RxControl {
  uint8_t bytes[80];
};
static_assert(sizeof(RxControl) >= CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(int)));

// Packet info with `source` (unspecified = the kernel chooses) and, for
// segment_bytes > 0, UDP_SEGMENT. Returns the bytes written (0 = no control).
size_t write_control(const IpAddress& source, bool v4, uint16_t segment_bytes, TxControl& out);

// The local address a datagram was sent to. For IPv4 it is ipi_spec_dst, which
// differs from the header only for broadcast and multicast, where the header's
// address cannot be the source of a reply. False: there was no packet info.
bool parse_control(const void* control, size_t bytes, IpAddress& local);

}  // namespace spillway
