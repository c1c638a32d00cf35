// The UDP sockets of the media port: opened by one process (the launcher), used
// by another (the datapath), because the opener outlives the user. While the
// datapath is dead its sockets stay bound, so peers get no ICMP "port
// unreachable", and the restarted datapath finds what arrived meanwhile.
//
//   launcher: open_media_sockets() --fork/exec, descriptors--> datapath:
//   check_media_socket(), make_packet_io()
//
// Start-up code: allocates, any thread, errors explain themselves. Needs only
// base/ (target spillway_sockets).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "datapath/base/endpoint.h"
#include "datapath/base/limits.h"
#include "datapath/base/result.h"
#include "datapath/io/unique_fd.h"

namespace spillway {

// Borrowed descriptors of one worker; -1 = that family is absent.
struct MediaFds {
  int v4 = -1;
  int v6 = -1;
};

struct MediaSockets {
  UniqueFd v4;
  UniqueFd v6;
  MediaFds fds() const { return {v4.get(), v6.get()}; }
};

// Receive buffer asked for, per socket, before the kernel doubles it. 4 MiB hold
// the 250 ms of a datapath restart at about 60 Mb/s per worker. Too low: bursts
// of key frames are lost; too high: after a stall old media is forwarded first.
inline constexpr uint32_t kMediaRcvbufBytes = 4 * 1024 * 1024;
// Send buffer: a full TxBatch (512 KiB) must fit together with the kernel's
// overhead per packet (about two times its bytes). Too low: EAGAIN on every
// burst; too high: a congested link is met by queueing instead of by drops.
inline constexpr uint32_t kMediaSndbufBytes = 4 * 1024 * 1024;

struct MediaSocketOptions {
  // Unspecified = every address of the host; nullopt = no socket of this family.
  std::optional<IpAddress> v4 = IpAddress::v4(0);
  std::optional<IpAddress> v6 = IpAddress{};
  uint16_t port = 0;     // host order; 0 = the kernel chooses, the same for all
  uint32_t workers = 1;  // 1..kMaxWorkers
  uint32_t rcvbuf_bytes = kMediaRcvbufBytes;
  uint32_t sndbuf_bytes = kMediaSndbufBytes;
};

struct MediaSocketSet {
  std::vector<MediaSockets> workers;
  uint16_t port = 0;
  // One sentence per thing that is less than asked for (no IPv6 here, buffers
  // capped by net.core.rmem_max); empty = all as asked. For the log.
  std::string note;
};

// Opens workers x {v4, v6} sockets on one port: SO_REUSEPORT (the kernel spreads
// flows by address hash, stable while the number of sockets is), non-blocking,
// close-on-exec, V6ONLY, packet info on, IP_RECVERR off (so that no ICMP error
// is ever reported on a socket that serves thousands of peers), and
// PMTUDISC_INTERFACE: DF is not set and learnt path MTUs are ignored, so a forged
// "fragmentation needed" (RFC 9000 §14.2.1 tells the story) cannot shrink or stop
// a flow, and a narrower link on the way fragments instead of swallowing; what
// exceeds the interface's own MTU is refused (EMSGSIZE, counted), never
// fragmented by us. PROBE would set DF and turn each narrow tunnel into a hole.
//
// A port that somebody else holds is refused even if he set SO_REUSEPORT too:
// two instances would silently share the packets. Retries for up to 500 ms while
// the port is busy: the kernel releases a dead io_uring's sockets late.
// A kernel without IPv6 gives v4 alone and a note, unless v6 names an address.
Result<MediaSocketSet> open_media_sockets(const MediaSocketOptions& options);

// The bound address of an inherited descriptor, or why it cannot be a media
// socket: not open, not UDP over IP, not bound, connected, blocking, or without
// packet info.
Result<Endpoint> check_media_socket(int fd);

struct LocalAddress {
  IpAddress ip;
  bool loopback = false;
  std::string interface;  // name, for an operator's filter
};

// Numeric addresses of the interfaces that are up, without link-local (a
// candidate needs a scope then), unspecified and duplicates; v4 before v6,
// otherwise in the kernel's order. For ICE host candidates.
Result<std::vector<LocalAddress>> list_local_addresses();

}  // namespace spillway
