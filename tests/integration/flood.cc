// spillway-flood: hostile datagrams at a fixed rate, for the test of bad input.
//
// Builds samples of everything a peer sends (STUN, DTLS, RTP, RTCP), damages each copy
// with a seeded generator (truncation, bit flips, wrong lengths, inserted and repeated
// bytes; some stay whole and are merely unwanted) and sends them from several source
// addresses and ports at once. With --as it also forges the address of a live peer through a
// raw socket (needs CAP_NET_RAW), so that datagrams reach SRTP authentication.
//
// Bounded: at most 60 s and 200,000 datagrams/s. Sends to loopback only, or with --netns to
// 10.0.0.0/8 of a network namespace made for the test. Prints one JSON line. Exit: 0 all was
// sent, 1 something failed, 64 wrong usage.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "datapath/base/bytes.h"
#include "datapath/base/endpoint.h"
#include "datapath/proto/rtcp.h"
#include "datapath/proto/rtp.h"
#include "datapath/proto/stun.h"
#include "datapath/proto/transport_cc.h"

namespace spillway {
namespace {

constexpr uint32_t kMaxSeconds = 60;
constexpr uint32_t kMaxRate = 200'000;
constexpr uint32_t kMaxBytes = 1400;
constexpr uint32_t kBatch = 32;
constexpr uint32_t kRawHeaderBytes = sizeof(iphdr) + sizeof(udphdr);

// splitmix64: the same damage for the same seed, on every machine.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
  uint32_t below(size_t n) { return static_cast<uint32_t>(next() % n); }  // n >= 1
  bool one_in(uint32_t n) { return below(n) == 0; }
  uint8_t byte() { return static_cast<uint8_t>(next()); }

 private:
  uint64_t state_;
};

enum Kind : uint8_t { kStun, kDtls, kRtp, kRtcp, kKinds };
constexpr std::array<std::string_view, kKinds> kKindNames{"stun", "dtls", "rtp", "rtcp"};

struct Sample {
  Kind kind = kStun;
  std::vector<uint8_t> bytes;
};

struct Options {
  Endpoint to;
  uint32_t rate = 50'000;
  uint32_t seconds = 10;
  uint64_t seed = 1;
  uint32_t sources = 16;
  bool netns = false;
  std::array<bool, kKinds> kinds{true, true, true, true};
  std::string ufrag = "AAAAAAAAAAAAAAAA";  // of a live session: STUN reaches the HMAC
  std::vector<uint32_t> ssrcs{0x11223344};
  std::vector<Endpoint> forged;
};

// --- samples ---------------------------------------------------------------------------------

template <typename Build>
void add(std::vector<Sample>& out, Kind kind, Build build) {
  std::array<uint8_t, kMaxBytes> buffer{};
  Writer w(buffer);
  build(w);
  if (w.bad() || w.size() == 0) std::abort();  // a sample that does not fit is our own mistake
  out.push_back({kind, {buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(w.size())}});
}

void add_stun(std::vector<Sample>& out, const Options& o) {
  for (const std::string& user : {o.ufrag + ":peer", std::string("AAAAAAAAAAAAAAAA:peer"),
                                  std::string("nobody"), std::string(500, 'x') + ":y"}) {
    for (bool nominate : {false, true}) {
      StunRequest r;
      r.username = user;
      r.priority = 0x7e0000ff;
      r.role = IceRole::controlling;
      r.tie_breaker = 42;
      r.use_candidate = nominate;
      std::array<uint8_t, kMaxBytes> b{};
      const uint32_t n = write_stun_request(b, r, "not the password at all");
      out.push_back({kStun, {b.begin(), b.begin() + n}});
    }
  }
  // Header, then attributes of every size that do not fit together.
  add(out, kStun, [](Writer& w) {
    w.be16(0x0001);
    w.be16(24);
    w.be32(kStunMagicCookie);
    w.zeros(12);
    w.be16(0x0006);
    w.be16(0xffff);
    w.zeros(20);
  });
  for (uint16_t type : std::array<uint16_t, 5>{0x0101, 0x0111, 0x0011, 0x0003, 0x0080})
    add(out, kStun, [type](Writer& w) {
      w.be16(type);
      w.be16(0);
      w.be32(kStunMagicCookie);
      w.zeros(12);
    });
}

// Record header of RFC 6347 §4.1 around a body.
void dtls_record(Writer& w, uint8_t type, uint16_t epoch, Bytes body) {
  w.u8(type);
  w.be16(0xfefd);
  w.be16(epoch);
  w.be16(0);
  w.be32(7);
  w.be16(static_cast<uint16_t>(body.size()));
  w.bytes(body);
}

void add_dtls(std::vector<Sample>& out, Random& random) {
  // A ClientHello in structure: version, random, no session, no cookie, two suites, a
  // null compression and the use_srtp extension.
  std::array<uint8_t, 128> hello{};
  Writer h(hello);
  h.u8(1);
  h.be24(55);
  h.be16(0);
  h.be24(0);
  h.be24(55);
  h.be16(0xfefd);
  for (int i = 0; i < 32; ++i) h.u8(random.byte());
  h.be16(0);  // no session, no cookie
  h.be16(4);
  h.be32(0xc02bc02f);
  h.be16(0x0100);
  h.be16(9);  // extensions: one, use_srtp with AEAD_AES_128_GCM and no MKI
  h.be16(14);
  h.be16(5);
  h.be16(2);
  h.be16(7);
  h.u8(0);
  add(out, kDtls, [&](Writer& w) { dtls_record(w, 22, 0, h.written()); });
  add(out, kDtls, [&](Writer& w) {  // a fragment that claims a megabyte
    std::array<uint8_t, 40> piece{1, 0x10, 0, 0, 0, 0, 0x0f, 0xff, 0, 0, 0, 28};
    dtls_record(w, 22, 0, piece);
  });
  std::vector<uint8_t> noise(600);
  for (uint8_t& b : noise) b = random.byte();
  for (uint8_t type : std::array<uint8_t, 6>{20, 21, 22, 23, 25, 63})
    for (uint16_t epoch : std::array<uint16_t, 2>{0, 1})
      add(out, kDtls, [&](Writer& w) {
        dtls_record(w, type, epoch, Bytes(noise).first(type == 21 ? 2 : 300));
      });
}

void add_rtp(std::vector<Sample>& out, const Options& o, Random& random) {
  for (uint32_t ssrc : o.ssrcs)
    for (uint8_t pt : std::array<uint8_t, 6>{96, 97, 100, 111, 127, 0})
      for (uint32_t payload : {0u, 20u, 160u, 1150u})
        add(out, kRtp, [&](Writer& w) {
          RtpFixedHeader f;
          f.pt = pt;
          f.marker = random.one_in(2);
          f.extension = payload != 20;
          f.padding = random.one_in(4);
          f.sequence = static_cast<uint16_t>(random.next());
          f.timestamp = RtpTime{static_cast<uint32_t>(random.next())};
          f.ssrc = Ssrc{ssrc};
          std::array<uint8_t, kRtpFixedHeaderBytes> header{};
          write_rtp_header(header, f);
          w.bytes(header);
          if (f.extension) {
            w.be16(random.one_in(2) ? kRtpOneByteProfile : kRtpTwoByteProfile);
            w.be16(3);
            for (int i = 0; i < 12; ++i) w.u8(random.byte());
          }
          for (uint32_t i = 0; i < payload; ++i) w.u8(random.byte());
        });
}

void add_rtcp(std::vector<Sample>& out, const Options& o) {
  const Ssrc ssrc{o.ssrcs.front()};
  std::vector<ReportBlock> blocks(31);
  for (ReportBlock& b : blocks) b.ssrc = ssrc;
  std::vector<uint16_t> sequences;
  for (uint32_t i = 0; i < 2000; i += 17) sequences.push_back(static_cast<uint16_t>(i));
  const std::vector<FirEntry> firs(40, FirEntry{ssrc, 1});
  std::vector<int64_t> arrivals;
  for (int64_t i = 0; i < 200; ++i) arrivals.push_back(i % 5 ? i * 7 : kTransportCcLost);
  const std::vector<Ssrc> sources(31, ssrc);
  // What an SRTCP packet carries behind the compound: E and index, then a tag.
  const auto trailer = [](Writer& w) {
    w.be32(0x80000001);
    w.zeros(10);
  };
  add(out, kRtcp, [&](Writer& w) { write_sender_report(w, {ssrc, {}, {}, 1, 1}, blocks), trailer(w); });
  add(out, kRtcp, [&](Writer& w) { write_receiver_report(w, ssrc, blocks), trailer(w); });
  add(out, kRtcp, [&](Writer& w) { write_nack(w, ssrc, ssrc, sequences), trailer(w); });
  add(out, kRtcp, [&](Writer& w) { write_pli(w, ssrc, ssrc), trailer(w); });
  add(out, kRtcp, [&](Writer& w) { write_fir(w, ssrc, firs), trailer(w); });
  add(out, kRtcp, [&](Writer& w) { write_remb(w, ssrc, ~0ull >> 8, sources), trailer(w); });
  add(out, kRtcp, [&](Writer& w) { write_bye(w, sources), trailer(w); });
  add(out, kRtcp, [&](Writer& w) { write_transport_cc(w, ssrc, ssrc, 1, arrivals, 0), trailer(w); });
}

// --- damage ----------------------------------------------------------------------------------

// Writes a damaged copy into out (room for kMaxBytes), gives its length; may be 0.
uint32_t damage(const Sample& sample, uint8_t* out, Random& random) {
  auto n = static_cast<uint32_t>(sample.bytes.size());
  std::memcpy(out, sample.bytes.data(), n);
  const uint32_t rounds = random.below(4);  // 0: whole, merely from the wrong place
  for (uint32_t i = 0; i < rounds && n > 0; ++i) {
    switch (random.below(7)) {
      case 0: n = random.below(n + 1); break;
      case 1: out[random.below(n)] ^= static_cast<uint8_t>(1u << random.below(8)); break;
      case 2: out[random.below(n)] = random.one_in(2) ? 0xff : random.byte(); break;
      case 3:  // any 16 bits may be a length
        if (n >= 2) store_be16(out + random.below(n - 1), random.one_in(2) ? 0xffff : 0);
        break;
      case 4: {  // bytes from nowhere
        const uint32_t more = std::min(1 + random.below(32), kMaxBytes - n);
        const uint32_t at = random.below(n);
        std::memmove(out + at + more, out + at, n - at);
        for (uint32_t b = 0; b < more; ++b) out[at + b] = random.byte();
        n += more;
        break;
      }
      case 5: {  // a part twice
        const uint32_t at = random.below(n);
        const uint32_t more = std::min(n - at, kMaxBytes - n);
        std::memmove(out + n, out + at, more);
        n += more;
        break;
      }
      default: {  // a part gone
        const uint32_t at = random.below(n);
        const uint32_t gone = std::min(1 + random.below(16), n - at);
        std::memmove(out + at, out + at + gone, n - at - gone);
        n -= gone;
        break;
      }
    }
  }
  return n;
}

// --- sending ---------------------------------------------------------------------------------

struct Address {
  sockaddr_storage storage{};
  socklen_t bytes = 0;
};

Address to_sockaddr(const Endpoint& e) {
  Address a;
  if (e.ip.is_v4()) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(e.port);
    in.sin_addr.s_addr = htonl(e.ip.v4_value());
    std::memcpy(&a.storage, &in, sizeof in);
    a.bytes = sizeof in;
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(e.port);
    std::memcpy(&in.sin6_addr, e.ip.bytes.data(), 16);
    std::memcpy(&a.storage, &in, sizeof in);
    a.bytes = sizeof in;
  }
  return a;
}

// IPv4 and UDP headers before the payload; the kernel fills in id and IP checksum, and a
// UDP checksum of 0 means none (RFC 768).
void write_raw_headers(uint8_t* out, const Endpoint& from, const Endpoint& to, uint32_t payload) {
  iphdr ip{};
  ip.version = 4;
  ip.ihl = 5;
  ip.ttl = 64;
  ip.protocol = IPPROTO_UDP;
  ip.tot_len = htons(static_cast<uint16_t>(kRawHeaderBytes + payload));
  ip.saddr = htonl(from.ip.v4_value());
  ip.daddr = htonl(to.ip.v4_value());
  udphdr udp{};
  udp.source = htons(from.port);
  udp.dest = htons(to.port);
  udp.len = htons(static_cast<uint16_t>(sizeof udp + payload));
  std::memcpy(out, &ip, sizeof ip);
  std::memcpy(out + sizeof ip, &udp, sizeof udp);
}

struct Source {
  int fd = -1;
  std::optional<Endpoint> forged;
};

std::optional<std::vector<Source>> open_sources(const Options& o, std::string& note) {
  std::vector<Source> out;
  for (uint32_t i = 0; i < o.sources; ++i) {
    const int fd = ::socket(o.to.ip.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return std::nullopt;
    if (o.to.ip.is_v4() && o.to.ip.is_loopback()) {  // 127.0.0.2 and on: other hosts, as it were
      const Endpoint from{IpAddress::v4(127, 0, 0, static_cast<uint8_t>(1 + i % 200)), 0};
      const Address a = to_sockaddr(from);
      if (::bind(fd, reinterpret_cast<const sockaddr*>(&a.storage), a.bytes) != 0) return std::nullopt;
    }
    out.push_back({fd, std::nullopt});
  }
  for (const Endpoint& e : o.forged) {
    if (!e.ip.is_v4() || !o.to.ip.is_v4()) continue;
    const int fd = ::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    if (fd < 0) {
      note = std::string("no raw socket: ") + std::strerror(errno);
      break;
    }
    out.push_back({fd, e});
  }
  return out;
}

int64_t now_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1'000'000'000 + t.tv_nsec;
}

struct Result {
  std::array<uint64_t, kKinds> sent{};
  uint64_t forged = 0;
  uint64_t failed = 0;
  int last_errno = 0;
  double seconds = 0;
};

Result flood(const Options& o, const std::vector<Sample>& samples, const std::vector<Source>& sources,
             Random& random) {
  Result result;
  std::vector<uint8_t> room(kBatch * (kRawHeaderBytes + kMaxBytes));
  std::array<mmsghdr, kBatch> messages{};
  std::array<iovec, kBatch> pieces{};
  std::array<Kind, kBatch> kinds{};
  const Address plain = to_sockaddr(o.to);
  Endpoint without_port = o.to;
  without_port.port = 0;  // a raw socket takes no port
  const Address raw = to_sockaddr(without_port);

  const int64_t begin = now_ns();
  const int64_t end = begin + int64_t{o.seconds} * 1'000'000'000;
  const uint64_t total = uint64_t{o.rate} * o.seconds;
  uint64_t done = 0;
  size_t turn = 0;
  for (int64_t now = begin; done < total && now < end + 2'000'000'000; now = now_ns()) {
    const auto due = static_cast<uint64_t>(static_cast<double>(now - begin) * 1e-9 * o.rate);
    if (due <= done) {
      const timespec pause{0, 200'000};
      ::nanosleep(&pause, nullptr);
      continue;
    }
    const auto n = static_cast<uint32_t>(std::min<uint64_t>({kBatch, due - done, total - done}));
    const Source& source = sources[turn++ % sources.size()];
    for (uint32_t i = 0; i < n; ++i) {
      const Sample& sample = samples[random.below(samples.size())];
      uint8_t* at = room.data() + size_t{i} * (kRawHeaderBytes + kMaxBytes);
      const uint32_t head = source.forged ? kRawHeaderBytes : 0;
      const uint32_t bytes = damage(sample, at + head, random);
      if (source.forged) write_raw_headers(at, *source.forged, o.to, bytes);
      pieces[i] = {at, head + bytes};
      kinds[i] = sample.kind;
      const Address& to = source.forged ? raw : plain;
      messages[i].msg_hdr = {};
      messages[i].msg_hdr.msg_name = const_cast<sockaddr_storage*>(&to.storage);
      messages[i].msg_hdr.msg_namelen = to.bytes;
      messages[i].msg_hdr.msg_iov = &pieces[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const int sent = ::sendmmsg(source.fd, messages.data(), n, 0);
    if (sent < 0) {
      result.last_errno = errno;
      ++result.failed;
      if (errno != EINTR && errno != ECONNREFUSED && errno != ENOBUFS && result.failed > 1000) break;
      continue;
    }
    done += static_cast<uint64_t>(sent);
    for (int i = 0; i < sent; ++i) ++result.sent[kinds[static_cast<size_t>(i)]];
    if (source.forged) result.forged += static_cast<uint64_t>(sent);
  }
  result.seconds = static_cast<double>(now_ns() - begin) * 1e-9;
  return result;
}

// --- command line ------------------------------------------------------------------------------

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> out(1);
  for (char c : text) {
    if (c == ',')
      out.emplace_back();
    else
      out.back() += c;
  }
  return out;
}

bool allowed(const IpAddress& ip, bool netns) {
  return ip.is_loopback() || (netns && ip.is_v4() && ip.v4_value() >> 24 == 10);
}

std::optional<uint64_t> number(const std::string& text, uint64_t min, uint64_t max) {
  char* end = nullptr;
  errno = 0;
  const unsigned long long v = std::strtoull(text.c_str(), &end, 0);
  if (text.empty() || *end != '\0' || errno != 0 || v < min || v > max) return std::nullopt;
  return v;
}

std::optional<Options> parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--netns") {
      o.netns = true;
      continue;
    }
    if (++i >= argc) return std::nullopt;
    const std::string text = argv[i];
    std::optional<uint64_t> n;
    if (name == "--to" || name == "--as") {
      const auto e = Endpoint::parse(text);
      if (!e || !e->valid()) return std::nullopt;
      if (name == "--to")
        o.to = *e;
      else
        o.forged.push_back(*e);
    } else if (name == "--rate" && (n = number(text, 1, kMaxRate))) {
      o.rate = static_cast<uint32_t>(*n);
    } else if (name == "--seconds" && (n = number(text, 1, kMaxSeconds))) {
      o.seconds = static_cast<uint32_t>(*n);
    } else if (name == "--seed" && (n = number(text, 0, ~0ull))) {
      o.seed = *n;
    } else if (name == "--sources" && (n = number(text, 1, 200))) {
      o.sources = static_cast<uint32_t>(*n);
    } else if (name == "--ufrag" && text.size() <= 256) {
      o.ufrag = text;
    } else if (name == "--ssrc") {
      o.ssrcs.clear();
      for (const std::string& s : split(text)) {
        if (!(n = number(s, 0, 0xffffffff))) return std::nullopt;
        o.ssrcs.push_back(static_cast<uint32_t>(*n));
      }
    } else if (name == "--kinds") {
      o.kinds = {};
      for (const std::string& s : split(text)) {
        const auto at = std::find(kKindNames.begin(), kKindNames.end(), s);
        if (at == kKindNames.end()) return std::nullopt;
        o.kinds[static_cast<size_t>(at - kKindNames.begin())] = true;
      }
    } else {
      return std::nullopt;
    }
  }
  if (!o.to.valid()) return std::nullopt;
  return o;
}

int run(int argc, char** argv) {
  const auto o = parse(argc, argv);
  if (!o) {
    std::fprintf(stderr,
                 "spillway-flood --to ADDRESS:PORT [--rate 1..200000] [--seconds 1..60] [--seed N]\n"
                 "  [--sources 1..200] [--kinds stun,dtls,rtp,rtcp] [--ufrag TEXT] [--ssrc N,N]\n"
                 "  [--as ADDRESS:PORT of a live peer]... [--netns: 10.0.0.0/8 is allowed]\n");
    return 64;
  }
  bool fine = allowed(o->to.ip, o->netns);
  for (const Endpoint& e : o->forged) fine = fine && allowed(e.ip, o->netns);
  if (!fine) {
    std::fprintf(stderr, "spillway-flood: only loopback (or 10.0.0.0/8 with --netns), not %s\n",
                 o->to.to_string().c_str());
    return 64;
  }
  Random random(o->seed);
  std::vector<Sample> samples;
  if (o->kinds[kStun]) add_stun(samples, *o);
  if (o->kinds[kDtls]) add_dtls(samples, random);
  if (o->kinds[kRtp]) add_rtp(samples, *o, random);
  if (o->kinds[kRtcp]) add_rtcp(samples, *o);
  if (samples.empty()) return 64;
  // Every kind gets the same share, however many samples it has.
  std::vector<Sample> even;
  for (uint8_t k = 0; k < kKinds; ++k) {
    std::vector<const Sample*> of_kind;
    for (const Sample& s : samples)
      if (s.kind == k) of_kind.push_back(&s);
    for (size_t i = 0; !of_kind.empty() && i < 240; ++i) even.push_back(*of_kind[i % of_kind.size()]);
  }

  std::string note;
  const auto sources = open_sources(*o, note);
  if (!sources) {
    std::fprintf(stderr, "spillway-flood: socket: %s\n", std::strerror(errno));
    return 1;
  }
  const Result r = flood(*o, even, *sources, random);
  for (const Source& s : *sources) ::close(s.fd);
  uint64_t total = 0;
  std::string by_kind;
  for (size_t k = 0; k < kKinds; ++k) {
    total += r.sent[k];
    by_kind += (k ? ", \"" : "\"") + std::string(kKindNames[k]) + "\": " + std::to_string(r.sent[k]);
  }
  std::printf("{\"sent\": %llu, \"seconds\": %.3f, \"rate\": %.0f, \"by_kind\": {%s}, \"forged\": %llu, "
              "\"failed\": %llu, \"last_errno\": %d, \"seed\": %llu, \"note\": \"%s\"}\n",
              static_cast<unsigned long long>(total), r.seconds,
              r.seconds > 0 ? static_cast<double>(total) / r.seconds : 0.0, by_kind.c_str(),
              static_cast<unsigned long long>(r.forged), static_cast<unsigned long long>(r.failed),
              r.last_errno, static_cast<unsigned long long>(o->seed), note.c_str());
  return total == uint64_t{o->rate} * o->seconds ? 0 : 1;
}

}  // namespace
}  // namespace spillway

int main(int argc, char** argv) { return spillway::run(argc, argv); }
