#include "tests/peer/peer_session.h"

#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "datapath/io/udp_message.h"
#include "datapath/proto/demux.h"
#include "datapath/srtp/replay_window.h"
#include "tests/peer/clock.h"
#include "tests/peer/random.h"

namespace spillway::peer {
namespace {

constexpr size_t kMaxStreams = 64;  // SSRCs per session whose replay state is kept
constexpr size_t kMessages = 32;
constexpr size_t kGroMessages = 4;
constexpr size_t kGroBytes = 65536;
constexpr int kSocketBuffer = 2 * 1024 * 1024;
constexpr size_t kQueueBytes = 256 * 1024;

// Receive memory, shared by all sessions: there is one media thread.
struct ReceiveBuffers {
  std::vector<uint8_t> memory = std::vector<uint8_t>(kGroMessages * kGroBytes);
  std::array<mmsghdr, kMessages> messages{};
  std::array<iovec, kMessages> vectors{};
  std::array<SocketAddress, kMessages> names{};
  struct alignas(cmsghdr) Control {
    uint8_t bytes[CMSG_SPACE(sizeof(int))];
  };
  std::array<Control, kMessages> controls{};
};
ReceiveBuffers& buffers() {
  static ReceiveBuffers b;
  return b;
}

uint32_t gro_segment(const msghdr& m) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(const_cast<msghdr*>(&m), c)) {
    if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO) continue;
    int size = 0;
    std::memcpy(&size, CMSG_DATA(c), sizeof size);
    return size > 0 ? static_cast<uint32_t>(size) : 0;
  }
  return 0;
}

}  // namespace

PeerSession::PeerSession(PeerRuntime& runtime, Handler& handler)
    : runtime_(runtime),
      handler_(handler),
      credentials_{random_token(8), random_token(24)},
      ice_(credentials_, random_u64(), [this](const Endpoint& to, Bytes d) { queue(to, d); }) {}

PeerSession::~PeerSession() {
  if (socket_.valid()) runtime_.loop.remove(socket_.get());
  send_rtp_.wipe();
  send_rtcp_.wipe();
  receive_rtp_.wipe();
  receive_rtcp_.wipe();
}

Result<void> PeerSession::start(const Answer& answer, Nanos now) {
  std::vector<IceCandidate> candidates = answer.candidates;
  if (runtime_.via) candidates = {{*runtime_.via, 1}};
  const bool has_v4 = std::any_of(candidates.begin(), candidates.end(),
                                  [](const auto& c) { return c.address.ip.is_v4(); });
  const bool has_v6 = std::any_of(candidates.begin(), candidates.end(),
                                  [](const auto& c) { return !c.address.ip.is_v4(); });
  const bool v4 = has_v4 && !(runtime_.prefer_v6 && has_v6);
  std::erase_if(candidates, [&](const auto& c) { return c.address.ip.is_v4() != v4; });
  if (candidates.empty()) return Error{"the answer has no candidate"};

  socket_ = UniqueFd(socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket_.valid()) return errno_error("socket");
  setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUF, &kSocketBuffer, sizeof kSocketBuffer);
  setsockopt(socket_.get(), SOL_SOCKET, SO_SNDBUF, &kSocketBuffer, sizeof kSocketBuffer);
  const int on = 1;
  if (runtime_.gro && setsockopt(socket_.get(), SOL_UDP, UDP_GRO, &on, sizeof on) != 0)
    return errno_error("UDP_GRO");
  if (auto added = runtime_.loop.add(socket_.get(), this); !added) return added;

  dtls_client_ = answer.dtls_client;
  remote_fingerprint_ = answer.fingerprint;
  state_ = SessionState::connecting;
  ice_.start(answer.ice, std::move(candidates), now);
  flush();
  return {};
}

void PeerSession::fail(std::string why) {
  if (state_ == SessionState::failed) return;
  state_ = SessionState::failed;
  error_ = std::move(why);
}

void PeerSession::queue(const Endpoint& to, Bytes data) {
  if (out_.size() + data.size() > kQueueBytes) flush();
  queued_.push_back({to, static_cast<uint32_t>(out_.size()), static_cast<uint32_t>(data.size())});
  out_.insert(out_.end(), data.begin(), data.end());
}

void PeerSession::flush() {
  std::array<mmsghdr, 64> messages{};
  std::array<iovec, 64> vectors{};
  std::array<SocketAddress, 64> names{};
  size_t done = 0;
  while (done < queued_.size()) {
    const size_t n = std::min(queued_.size() - done, messages.size());
    for (size_t i = 0; i < n; ++i) {
      const Queued& q = queued_[done + i];
      vectors[i] = {out_.data() + q.at, q.bytes};
      messages[i] = {};
      messages[i].msg_hdr.msg_name = &names[i];
      messages[i].msg_hdr.msg_namelen = to_sockaddr(q.to, names[i]);
      messages[i].msg_hdr.msg_iov = &vectors[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const int sent = sendmmsg(socket_.get(), messages.data(), static_cast<unsigned>(n), 0);
    if (sent <= 0) {
      // The one at the front is lost like a packet in a network; the rest may go.
      ++counters_.send_errors;
      ++done;
      continue;
    }
    for (size_t i = 0; i < static_cast<size_t>(sent); ++i) counters_.bytes_out += queued_[done + i].bytes;
    counters_.datagrams_out += static_cast<uint64_t>(sent);
    done += static_cast<size_t>(sent);
  }
  queued_.clear();
  out_.clear();
}

void PeerSession::readable(Nanos now) {
  ReceiveBuffers& b = buffers();
  const size_t count = runtime_.gro ? kGroMessages : kMessages;
  const size_t room = runtime_.gro ? kGroBytes : 2048;
  for (size_t i = 0; i < count; ++i) {
    b.vectors[i] = {b.memory.data() + i * room, room};
    msghdr& m = b.messages[i].msg_hdr;
    m = {};
    m.msg_name = &b.names[i];
    m.msg_namelen = sizeof b.names[i];
    m.msg_iov = &b.vectors[i];
    m.msg_iovlen = 1;
    if (runtime_.gro) {
      m.msg_control = b.controls[i].bytes;
      m.msg_controllen = sizeof b.controls[i].bytes;
    }
  }
  const int n = recvmmsg(socket_.get(), b.messages.data(), static_cast<unsigned>(count), MSG_DONTWAIT,
                         nullptr);
  for (int i = 0; i < n; ++i) {
    mmsghdr& message = b.messages[static_cast<size_t>(i)];
    Endpoint from;
    if (!from_sockaddr(message.msg_hdr.msg_name, message.msg_hdr.msg_namelen, from)) continue;
    uint8_t* data = b.vectors[static_cast<size_t>(i)].iov_base
                        ? static_cast<uint8_t*>(b.vectors[static_cast<size_t>(i)].iov_base)
                        : nullptr;
    uint32_t segment = runtime_.gro ? gro_segment(message.msg_hdr) : 0;
    if (segment == 0) segment = message.msg_len;
    for (uint32_t at = 0; at < message.msg_len; at += segment)
      datagram(from, {data + at, std::min(segment, message.msg_len - at)}, now);
  }
  progress(now);
  flush();
}

void PeerSession::datagram(const Endpoint& from, MutableBytes data, Nanos now) {
  ++counters_.datagrams_in;
  counters_.bytes_in += data.size();
  const PacketClass kind = classify(data);
  if (kind == PacketClass::stun) {
    ice_.receive(from, data, now);
    return;
  }
  if (ice_.state() != IceState::connected || from != ice_.selected()) {
    ++counters_.foreign;
    return;
  }
  switch (kind) {
    case PacketClass::dtls:
      if (dtls_) dtls_->receive(data);
      break;
    case PacketClass::rtp:
    case PacketClass::rtcp:
      media(data, kind == PacketClass::rtcp, now);
      break;
    default:
      ++counters_.malformed;
  }
}

void PeerSession::media(MutableBytes data, bool rtcp, Nanos now) {
  // The handshake may have ended with a datagram of this very burst.
  if (state_ == SessionState::connecting) progress(now);
  if (state_ != SessionState::connected) {
    ++counters_.before_keys;
    return;
  }
  if (rtcp) {
    const auto plain = runtime_.srtp.unprotect_rtcp(receive_rtcp_, data);
    if (!plain) {
      ++counters_.bad_tag;
    } else if (check(rtcp_replay_, plain->index) != ReplayVerdict::fresh) {
      ++counters_.replayed;
    } else {
      accept(rtcp_replay_, plain->index);
      handler_.on_rtcp(data.first(plain->plain_bytes), now);
    }
    return;
  }
  const auto header = parse_rtp_header(data);
  if (!header) {
    ++counters_.malformed;
    return;
  }
  const uint32_t ssrc = value(header->ssrc);
  auto stream = streams_.find(ssrc);
  ReplayState<kReplayWindow> none;
  ReplayState<kReplayWindow>& replay = stream == streams_.end() ? none : stream->second;
  const uint64_t index = estimate_index(replay, header->sequence);
  if (check(replay, index) != ReplayVerdict::fresh) {
    ++counters_.replayed;
    return;
  }
  const auto payload = runtime_.srtp.unprotect_rtp(receive_rtp_, header->ssrc, index,
                                                   header->header_bytes, data,
                                                   data.data() + header->header_bytes);
  if (!payload) {
    ++counters_.bad_tag;
    return;
  }
  if (stream == streams_.end()) {
    if (streams_.size() >= kMaxStreams) return;
    stream = streams_.emplace(ssrc, none).first;
  }
  accept(stream->second, index);
  handler_.on_rtp(data.first(header->header_bytes + *payload), *header, index, now);
}

void PeerSession::progress(Nanos now) {
  if (state_ != SessionState::connecting && state_ != SessionState::connected) return;
  if (ice_.state() == IceState::failed)
    return fail(state_ == SessionState::connected ? "consent expired: no STUN answer for 30 s"
                                                  : "no candidate answered");
  if (ice_.state() == IceState::connected && !dtls_) {
    dtls_ = std::make_unique<DtlsPeer>(runtime_.identity, dtls_client_, remote_fingerprint_,
                                       [this](Bytes d) { queue(ice_.selected(), d); });
    dtls_->start();
  }
  if (!dtls_) return;
  if (dtls_->state() == DtlsState::failed) return fail(dtls_->error());
  if (dtls_->state() == DtlsState::closed) {
    state_ = SessionState::closed;
    return;
  }
  if (state_ != SessionState::connecting || dtls_->state() != DtlsState::connected) return;
  SrtpEngine& srtp = runtime_.srtp;
  if (!srtp.expand(dtls_->send_key(), SrtpStreamKind::rtp, send_rtp_) ||
      !srtp.expand(dtls_->send_key(), SrtpStreamKind::rtcp, send_rtcp_) ||
      !srtp.expand(dtls_->receive_key(), SrtpStreamKind::rtp, receive_rtp_) ||
      !srtp.expand(dtls_->receive_key(), SrtpStreamKind::rtcp, receive_rtcp_))
    return fail("SRTP keys were refused");
  state_ = SessionState::connected;
  handler_.on_connected(now);
}

void PeerSession::tick(Nanos now) {
  if (state_ != SessionState::connecting && state_ != SessionState::connected) return;
  ice_.tick(now);
  if (dtls_) dtls_->tick();
  progress(now);
  flush();
}

bool PeerSession::send_rtp(Bytes header, Bytes payload, Ssrc ssrc, uint64_t index) {
  if (state_ != SessionState::connected) return false;
  uint8_t out[kMaxDatagramBytes];
  RtpProtectJob job;
  if (header.size() + payload.size() + kMaxSrtpTrailerBytes > sizeof out) return false;
  std::memcpy(out, header.data(), header.size());
  job.keys = &send_rtp_;
  job.out = out;
  job.payload = payload.data();
  job.index = index;
  job.ssrc = ssrc;
  job.header_bytes = static_cast<uint32_t>(header.size());
  job.payload_bytes = static_cast<uint32_t>(payload.size());
  if (runtime_.srtp.protect_rtp({&job, 1}) != 1) return false;
  queue(ice_.selected(), {out, job.out_bytes});
  return true;
}

bool PeerSession::send_rtcp(Bytes compound) {
  uint8_t out[kMaxDatagramBytes];
  if (state_ != SessionState::connected || compound.size() < 8 ||
      compound.size() + kMaxSrtcpTrailerBytes > sizeof out)
    return false;
  std::memcpy(out, compound.data(), compound.size());
  const uint32_t bytes =
      runtime_.srtp.protect_rtcp(send_rtcp_, out, static_cast<uint32_t>(compound.size()),
                                 next_rtcp_index_++, Ssrc{load_be32(out + 4)});
  if (bytes == 0) return false;
  queue(ice_.selected(), {out, bytes});
  return true;
}

void PeerSession::close() {
  if (dtls_) dtls_->close();
  if (socket_.valid()) flush();
  if (state_ != SessionState::failed) state_ = SessionState::closed;
}

}  // namespace spillway::peer
