// A WHIP publisher (RFC 9725): offers one source, sends it, repeats what is missed.
//
//   idle -> posting -> connecting -> sending -> closing -> done | failed
//
// One thread. RTX (RFC 4588) answers NACKs from a history of kHistoryPackets per stream;
// PLI and FIR ask the source for a key frame; sender reports go out each second.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/peer/http_client.h"
#include "tests/peer/peer_session.h"
#include "tests/peer/sources/source.h"

namespace spillway::peer {

// About two seconds at 8 Mb/s. Lower: late NACKs go unanswered.
inline constexpr uint32_t kHistoryPackets = 2048;

struct PublisherOptions {
  HttpUrl url;
  std::string token;
  bool passive = false;
  bool rtx = true;
};

struct PublisherCounters {
  uint64_t packets = 0;
  uint64_t payload_bytes = 0;
  uint64_t frames = 0;
  uint64_t key_frames = 0;
  uint64_t nacked = 0;     // sequence numbers asked for
  uint64_t repeated = 0;   // sent again as RTX
  uint64_t forgotten = 0;  // asked for, not in the history any more
  uint64_t plis = 0;       // with FIRs
  uint64_t transport_cc_lost = 0;
  uint64_t transport_cc_received = 0;
  uint64_t receiver_reports = 0;
};

class Publisher : public PeerSession::Handler {
 public:
  Publisher(PeerRuntime& runtime, HttpPool& http, PublisherOptions options,
            std::unique_ptr<MediaSource> source);

  void start();
  void tick(Nanos now);
  // Sends what is due; gives when the next is.
  Nanos produce(Nanos now);
  // Says goodbye: BYE, close_notify, DELETE. `done` is called when DELETE was answered.
  void stop(std::function<void()> done);

  bool failed() const { return !error_.empty() || session_.state() == SessionState::failed; }
  std::string error() const { return error_.empty() ? session_.error() : error_; }
  bool sending() const { return sending_; }
  // The server ended the session (close_notify).
  bool closed_by_server() const { return !stopping_ && session_.state() == SessionState::closed; }
  const PublisherCounters& counters() const { return counters_; }
  const PeerSession& session() const { return session_; }

  void on_connected(Nanos now) override;
  void on_rtp(Bytes plain, const RtpHeader& header, uint64_t index, Nanos now) override;
  void on_rtcp(Bytes plain, Nanos now) override;

 private:
  struct Sent {
    uint64_t sequence = 0;
    uint32_t rtp_time = 0;
    bool marker = false;
    std::vector<uint8_t> payload;  // empty: none
  };
  struct Stream {
    MediaKind kind = MediaKind::video;
    uint8_t layer = 0;
    std::string mid;
    std::string rid;  // empty: no simulcast
    uint8_t pt = 0;
    uint8_t rtx_pt = 0;  // 0: no RTX
    uint32_t ssrc = 0;
    uint32_t rtx_ssrc = 0;
    uint64_t next = 0;
    uint64_t rtx_next = 0;
    uint32_t time_offset = 0;
    uint32_t last_time = 0;
    Nanos last_sent{};
    uint32_t packets = 0;
    uint32_t octets = 0;
    std::vector<Sent> history;
  };

  void on_answer(Result<HttpReply> reply);
  Result<void> accept(const HttpReply& reply);
  void send_packet(Stream& s, const Sent& packet, bool repeat, Nanos now);
  void send_reports(Nanos now);
  void repeat(uint32_t ssrc, Bytes fci, Nanos now);
  Stream* find(MediaKind kind, uint8_t layer);

  HttpPool& http_;
  PublisherOptions options_;
  std::unique_ptr<MediaSource> source_;
  PeerSession session_;
  std::vector<Stream> streams_;
  std::vector<MediaFrame> frames_;
  ExtensionIdMap extensions_[2];  // by MediaKind
  std::string cname_;
  std::string resource_;
  std::string error_;
  uint16_t transport_cc_ = 0;
  Nanos next_report_{};
  bool sending_ = false;
  bool stopping_ = false;
  PublisherCounters counters_;
};

}  // namespace spillway::peer
