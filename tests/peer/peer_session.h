// One session's transport: a UDP socket, ICE, DTLS and SRTP, joined. What travels on it
// is the handler's business (Publisher, Viewer).
//
//   new -> connecting (ICE, then DTLS) -> connected -> closed | failed
//
// One thread (the loop's). The handler outlives the session.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "datapath/base/replay_state.h"
#include "datapath/io/unique_fd.h"
#include "datapath/proto/rtp.h"
#include "datapath/srtp/srtp_engine.h"
#include "tests/peer/dtls_peer.h"
#include "tests/peer/event_loop.h"
#include "tests/peer/ice_agent.h"
#include "tests/peer/peer_sdp.h"

namespace spillway::peer {

// Shared by all sessions of a process.
struct PeerRuntime {
  EventLoop& loop;
  const DtlsIdentity& identity;
  SrtpEngine& srtp;
  std::optional<Endpoint> via;  // replaces every candidate: the impairment proxy
  bool gro = false;             // UDP_GRO: fewer system calls, but the sender's kernel then
                                // skips work it would have with a real network
  bool prefer_v6 = false;
};

enum class SessionState : uint8_t { fresh, connecting, connected, closed, failed };

// What went wrong or was left out at the transport; nothing here is fatal.
struct TransportCounters {
  uint64_t datagrams_in = 0;
  uint64_t bytes_in = 0;     // UDP payload
  uint64_t datagrams_out = 0;
  uint64_t bytes_out = 0;
  uint64_t send_errors = 0;
  uint64_t foreign = 0;      // from an address that is not the selected pair's
  uint64_t before_keys = 0;  // media before the handshake ended
  uint64_t malformed = 0;
  uint64_t bad_tag = 0;
  uint64_t replayed = 0;     // one SRTP index twice
};

class PeerSession : public Pollable {
 public:
  class Handler {
   public:
    virtual ~Handler() = default;
    virtual void on_connected(Nanos now) = 0;
    // plain: the whole packet, decrypted. index: of SRTP, the extended sequence number.
    virtual void on_rtp(Bytes plain, const RtpHeader& header, uint64_t index, Nanos now) = 0;
    virtual void on_rtcp(Bytes plain, Nanos now) = 0;
  };

  PeerSession(PeerRuntime& runtime, Handler& handler);
  ~PeerSession() override;
  PeerSession(const PeerSession&) = delete;
  PeerSession& operator=(const PeerSession&) = delete;

  const IceCredentials& ice_credentials() const { return credentials_; }
  const std::string& local_fingerprint() const { return runtime_.identity.fingerprint(); }
  Result<void> start(const Answer& answer, Nanos now);
  void readable(Nanos now) override;
  void tick(Nanos now);

  // packet[0..header_bytes) is the finished header; payload is encrypted behind it.
  // index: 48-bit extended sequence, its low 16 bits in the header; never twice.
  bool send_rtp(Bytes header, Bytes payload, Ssrc ssrc, uint64_t index);
  bool send_rtcp(Bytes compound);  // at least 8 bytes
  // Hands what was queued to the kernel. tick() and readable() do it themselves.
  void flush();
  void close();  // close_notify

  SessionState state() const { return state_; }
  const std::string& error() const { return error_; }
  const TransportCounters& counters() const { return counters_; }
  SrtpProfile profile() const { return dtls_ ? dtls_->profile() : SrtpProfile::none; }
  Nanos round_trip() const { return ice_.round_trip(); }

 private:
  void datagram(const Endpoint& from, MutableBytes data, Nanos now);
  void media(MutableBytes data, bool rtcp, Nanos now);
  void progress(Nanos now);
  void queue(const Endpoint& to, Bytes data);
  void fail(std::string why);

  PeerRuntime& runtime_;
  Handler& handler_;
  IceCredentials credentials_;
  IceAgent ice_;
  std::unique_ptr<DtlsPeer> dtls_;
  bool dtls_client_ = true;
  std::string remote_fingerprint_;
  UniqueFd socket_;
  SessionState state_ = SessionState::fresh;
  std::string error_;
  TransportCounters counters_;

  SrtpKeys send_rtp_, send_rtcp_, receive_rtp_, receive_rtcp_;
  uint32_t next_rtcp_index_ = 1;
  std::map<uint32_t, ReplayState<kReplayWindow>> streams_;  // by SSRC, kMaxStreams
  ReplayState<kReplayWindow> rtcp_replay_;

  struct Queued {
    Endpoint to;
    uint32_t at;
    uint32_t bytes;
  };
  std::vector<uint8_t> out_;
  std::vector<Queued> queued_;
};

}  // namespace spillway::peer
