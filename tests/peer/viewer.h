// A WHEP viewer: receives, repairs, reports, and keeps the figures.
//
//   posting -> connecting -> playing -> closed | failed
//
// One thread. Sends what browsers send: NACK, PLI, receiver reports, transport-cc.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/peer/frame_tracker.h"
#include "tests/peer/http_client.h"
#include "tests/peer/peer_session.h"
#include "tests/peer/receive_stream.h"
#include "tests/peer/stats.h"

namespace spillway::peer {

struct ViewerOptions {
  HttpUrl url;
  std::string token;
  bool passive = false;
  bool audio = true;
  bool rtx = true;
  std::vector<Codec> codecs{Codec::vp8, Codec::vp9, Codec::h264, Codec::av1, Codec::h265};
};

class Viewer : public PeerSession::Handler {
 public:
  Viewer(PeerRuntime& runtime, HttpPool& http, const ViewerOptions& options, uint32_t id);

  void start(Nanos now);
  void tick(Nanos now);
  // Counts to an end; then figures() is final.
  void finish(Nanos now);
  // close_notify and DELETE; `done` is called when that was answered.
  void stop(std::function<void()> done);

  bool failed() const { return !error_.empty() || session_.state() == SessionState::failed; }
  bool playing() const { return frames_.complete() > 0 && session_.state() == SessionState::connected; }
  ViewerFigures figures() const;

  void on_connected(Nanos now) override;
  void on_rtp(Bytes plain, const RtpHeader& header, uint64_t index, Nanos now) override;
  void on_rtcp(Bytes plain, Nanos now) override;

 private:
  struct Media {
    bool accepted = false;
    uint32_t ssrc = 0;  // of the primary stream; 0: not seen yet
    ExtensionIdMap extensions;
    ReceiveStream stream;
    bool nack = false;
  };

  void on_answer(Result<HttpReply> reply);
  Result<void> accept(const HttpReply& reply);
  void primary(Media& m, Codec codec, const RtpHeader& h, Bytes payload, uint64_t sequence,
               bool repaired, Nanos now);
  void note_arrival(uint16_t wire, Nanos now);
  void send_nacks(Nanos now);
  void send_transport_cc();
  void send_receiver_report(Nanos now);
  void send_pli(Nanos now);
  Media& media(MediaKind kind) { return media_[static_cast<size_t>(kind)]; }
  const Media& media(MediaKind kind) const { return media_[static_cast<size_t>(kind)]; }

  HttpPool& http_;
  const ViewerOptions& options_;
  PeerSession session_;
  uint32_t ssrc_;  // ours, of reports
  std::array<Media, 2> media_;  // by MediaKind
  std::array<AnswerPayload, 128> payloads_{};
  std::array<MediaKind, 128> kinds_{};
  FrameTracker frames_;
  std::string resource_;
  std::string error_;
  Nanos posted_{};
  std::optional<Nanos> answered_, connected_, first_packet_;
  Nanos next_report_{}, next_feedback_{}, next_pli_{};
  uint64_t lost_at_pli_ = 0;
  bool transport_cc_ = false;
  std::vector<int64_t> arrivals_;  // ticks, from cc_base_
  uint64_t cc_base_ = 0;
  bool cc_started_ = false;
  uint8_t cc_count_ = 0;
  ViewerFigures own_;  // the counters that are kept here
};

}  // namespace spillway::peer
