#include "datapath/io/udp_message.h"

#include <arpa/inet.h>
#include <netinet/udp.h>

#include <cstring>

namespace spillway {

socklen_t to_sockaddr(const Endpoint& e, SocketAddress& out) {
  if (e.ip.is_v4()) {
    out.v4 = sockaddr_in{};
    out.v4.sin_family = AF_INET;
    out.v4.sin_port = htons(e.port);
    std::memcpy(&out.v4.sin_addr, &e.ip.bytes[12], 4);
    return sizeof out.v4;
  }
  out.v6 = sockaddr_in6{};
  out.v6.sin6_family = AF_INET6;
  out.v6.sin6_port = htons(e.port);
  std::memcpy(&out.v6.sin6_addr, e.ip.bytes.data(), 16);
  return sizeof out.v6;
}

bool from_sockaddr(const void* name, size_t bytes, Endpoint& out) {
  sa_family_t family = AF_UNSPEC;
  if (bytes < sizeof family) return false;
  std::memcpy(&family, name, sizeof family);
  if (family == AF_INET && bytes >= sizeof(sockaddr_in)) {
    sockaddr_in a;
    std::memcpy(&a, name, sizeof a);
    out = {IpAddress::v4(ntohl(a.sin_addr.s_addr)), ntohs(a.sin_port), 0};
    return true;
  }
  if (family == AF_INET6 && bytes >= sizeof(sockaddr_in6)) {
    sockaddr_in6 a;
    std::memcpy(&a, name, sizeof a);
    out = {{}, ntohs(a.sin6_port), 0};
    std::memcpy(out.ip.bytes.data(), &a.sin6_addr, 16);
    return true;
  }
  return false;
}

namespace {

// Appends one control message; returns the room it takes.
template <typename T>
size_t put_cmsg(uint8_t* at, int level, int type, const T& value) {
  cmsghdr header{};
  header.cmsg_len = CMSG_LEN(sizeof value);
  header.cmsg_level = level;
  header.cmsg_type = type;
  std::memcpy(at, &header, sizeof header);
  std::memcpy(at + CMSG_LEN(0), &value, sizeof value);
  return CMSG_SPACE(sizeof value);
}

}  // namespace

size_t write_control(const IpAddress& source, bool v4, uint16_t segment_bytes, TxControl& out) {
  size_t used = 0;
  if (!source.unspecified()) {
    if (v4) {
      in_pktinfo info{};
      std::memcpy(&info.ipi_spec_dst, &source.bytes[12], 4);
      used += put_cmsg(out.bytes, IPPROTO_IP, IP_PKTINFO, info);
    } else {
      in6_pktinfo info{};
      std::memcpy(&info.ipi6_addr, source.bytes.data(), 16);
      used += put_cmsg(out.bytes, IPPROTO_IPV6, IPV6_PKTINFO, info);
    }
  }
  if (segment_bytes > 0) used += put_cmsg(out.bytes + used, SOL_UDP, UDP_SEGMENT, segment_bytes);
  return used;
}

bool parse_control(const void* control, size_t bytes, IpAddress& local) {
  const auto* at = static_cast<const uint8_t*>(control);
  while (bytes >= sizeof(cmsghdr)) {
    cmsghdr header;
    std::memcpy(&header, at, sizeof header);
    if (header.cmsg_len < sizeof header || header.cmsg_len > bytes) return false;
    const uint8_t* data = at + CMSG_LEN(0);
    size_t data_bytes = header.cmsg_len - CMSG_LEN(0);
    if (header.cmsg_level == IPPROTO_IP && header.cmsg_type == IP_PKTINFO &&
        data_bytes >= sizeof(in_pktinfo)) {
      in_pktinfo info;
      std::memcpy(&info, data, sizeof info);
      local = IpAddress::v4(ntohl(info.ipi_spec_dst.s_addr));
      return true;
    }
    if (header.cmsg_level == IPPROTO_IPV6 && header.cmsg_type == IPV6_PKTINFO &&
        data_bytes >= sizeof(in6_pktinfo)) {
      in6_pktinfo info;
      std::memcpy(&info, data, sizeof info);
      std::memcpy(local.bytes.data(), &info.ipi6_addr, 16);
      return true;
    }
    size_t step = CMSG_ALIGN(header.cmsg_len);
    if (step >= bytes) return false;
    at += step;
    bytes -= step;
  }
  return false;
}

}  // namespace spillway
