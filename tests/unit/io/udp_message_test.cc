// Socket addresses and control messages, well-formed and not.
#include "datapath/io/udp_message.h"

#include <gtest/gtest.h>
#include <netinet/udp.h>

#include <cstring>
#include <random>
#include <vector>

namespace spillway {
namespace {

// Aim: an endpoint survives the way through the kernel's form.
TEST(SocketAddress, RoundTrip) {
  for (const char* text : {"192.0.2.1:3478", "[2001:db8::1]:65535", "127.0.0.1:1"}) {
    const Endpoint e = *Endpoint::parse(text);
    SocketAddress name;
    const socklen_t len = to_sockaddr(e, name);
    EXPECT_EQ(len, e.ip.is_v4() ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    Endpoint back;
    ASSERT_TRUE(from_sockaddr(&name, len, back));
    EXPECT_EQ(back, e);
    EXPECT_FALSE(from_sockaddr(&name, len - 1, back));
    EXPECT_FALSE(from_sockaddr(&name, 0, back));
  }
  SocketAddress name{};
  name.any.sa_family = AF_UNIX;
  Endpoint e;
  EXPECT_FALSE(from_sockaddr(&name, sizeof name, e));
}

// Aim: what we write is what the system's own macros find.
TEST(Control, WritesSourceAndSegmentSize) {
  const IpAddress v4 = IpAddress::v4(192, 0, 2, 7);
  TxControl control;
  msghdr h{};
  h.msg_control = &control;
  h.msg_controllen = write_control(v4, true, 1200, control);
  cmsghdr* c = CMSG_FIRSTHDR(&h);
  ASSERT_TRUE(c);
  EXPECT_EQ(c->cmsg_type, IP_PKTINFO);
  in_pktinfo info;
  std::memcpy(&info, CMSG_DATA(c), sizeof info);
  EXPECT_EQ(info.ipi_spec_dst.s_addr, htonl(v4.v4_value()));
  EXPECT_EQ(info.ipi_ifindex, 0);
  c = CMSG_NXTHDR(&h, c);
  ASSERT_TRUE(c);
  EXPECT_EQ(c->cmsg_level, SOL_UDP);
  EXPECT_EQ(c->cmsg_type, UDP_SEGMENT);
  uint16_t segment = 0;
  std::memcpy(&segment, CMSG_DATA(c), sizeof segment);
  EXPECT_EQ(segment, 1200);
  EXPECT_EQ(CMSG_NXTHDR(&h, c), nullptr);

  EXPECT_EQ(write_control(IpAddress{}, false, 0, control), 0u);
  EXPECT_EQ(write_control(IpAddress::v4(0), true, 0, control), 0u);
  EXPECT_EQ(write_control(*IpAddress::parse("2001:db8::1"), false, 9, control), sizeof control);
}

std::vector<uint8_t> cmsg(int level, int type, const void* data, size_t bytes) {
  std::vector<uint8_t> out(CMSG_SPACE(bytes));
  cmsghdr header{};
  header.cmsg_len = CMSG_LEN(bytes);
  header.cmsg_level = level;
  header.cmsg_type = type;
  std::memcpy(out.data(), &header, sizeof header);
  if (bytes > 0) std::memcpy(out.data() + CMSG_LEN(0), data, bytes);
  return out;
}

// Aim: the local address is found for both families, also behind other messages;
// for IPv4 it is the usable source, not the header's broadcast address.
TEST(Control, ParsesLocalAddress) {
  in_pktinfo v4{};
  v4.ipi_spec_dst.s_addr = htonl(0xc0000205);
  v4.ipi_addr.s_addr = 0xffffffff;
  IpAddress local;
  auto bytes = cmsg(IPPROTO_IP, IP_PKTINFO, &v4, sizeof v4);
  ASSERT_TRUE(parse_control(bytes.data(), bytes.size(), local));
  EXPECT_EQ(local, IpAddress::v4(192, 0, 2, 5));

  in6_pktinfo v6{};
  v6.ipi6_addr.s6_addr[0] = 0x20;
  v6.ipi6_addr.s6_addr[15] = 9;
  int other = 3;
  bytes = cmsg(SOL_SOCKET, SO_RXQ_OVFL, &other, sizeof other);
  auto info = cmsg(IPPROTO_IPV6, IPV6_PKTINFO, &v6, sizeof v6);
  bytes.insert(bytes.end(), info.begin(), info.end());
  ASSERT_TRUE(parse_control(bytes.data(), bytes.size(), local));
  EXPECT_EQ(local.to_string(), "2000::9");
}

// Aim: cut or corrupt control data ends the search inside its bounds (run with
// the address sanitizer: each input lies in its own exact allocation).
TEST(Control, MalformedInputIsBounded) {
  in_pktinfo v4{};
  auto whole = cmsg(IPPROTO_IP, IP_PKTINFO, &v4, sizeof v4);
  IpAddress local;
  for (size_t n = 0; n < CMSG_LEN(sizeof v4); ++n) {
    std::vector<uint8_t> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n));
    EXPECT_FALSE(parse_control(cut.data(), cut.size(), local)) << n;
  }
  for (uint64_t len : {uint64_t{0}, uint64_t{15}, uint64_t{1} << 40, UINT64_MAX, UINT64_MAX - 7}) {
    auto bad = whole;
    std::memcpy(bad.data(), &len, sizeof len);
    EXPECT_FALSE(parse_control(bad.data(), bad.size(), local)) << len;
  }
  std::mt19937 random(5);
  for (int i = 0; i < 20000; ++i) {
    std::vector<uint8_t> noise(random() % 96);
    for (auto& b : noise) b = static_cast<uint8_t>(random() % 4 ? random() % 40 : random());
    // Half of them with a plausible first length.
    if (noise.size() >= sizeof(cmsghdr) && i % 2) {
      uint64_t len = sizeof(cmsghdr) + random() % 40;
      std::memcpy(noise.data(), &len, sizeof len);
    }
    parse_control(noise.data(), noise.size(), local);
  }
}

}  // namespace
}  // namespace spillway
