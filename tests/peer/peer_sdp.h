// Offers this peer makes, and what it needs from an answer. Uses the server's SDP
// parser, nothing of its negotiation.
#pragma once

#include <string>
#include <vector>

#include "datapath/base/media.h"
#include "datapath/base/result.h"
#include "datapath/proto/header_extensions.h"
#include "tests/peer/ice_agent.h"

namespace spillway::peer {

struct OfferSsrcs {
  uint32_t primary = 0;
  uint32_t rtx = 0;  // 0: none
};

struct OfferOptions {
  bool publish = false;
  Codec video = Codec::none;  // publish: the one codec; none: no video
  bool audio = true;
  std::vector<Codec> watch_video;  // play: in order of preference
  std::vector<std::string> rids;   // publish: simulcast layers, lowest first; empty: none
  OfferSsrcs audio_ssrc, video_ssrc;  // publish; video only without rids
  std::string cname;
  std::string fingerprint;
  IceCredentials ice;
  bool passive = false;  // setup:passive instead of actpass
  bool rtx = true;
};

std::string write_offer(const OfferOptions& options);

struct AnswerPayload {
  uint8_t pt = 0;
  Codec codec = Codec::none;
  bool rtx = false;       // then `pt` repeats `apt`
  uint8_t apt = 0;
  bool nack = false;
  bool pli = false;
  bool transport_cc = false;
};

struct AnswerMedia {
  MediaKind kind = MediaKind::audio;
  bool accepted = false;
  std::string mid;
  std::vector<AnswerPayload> payloads;
  ExtensionIdMap extensions;
  std::vector<uint32_t> ssrcs;      // announced
  std::vector<std::string> rids;    // accepted layers
};

struct Answer {
  IceCredentials ice;
  std::vector<IceCandidate> candidates;  // UDP, component 1
  std::string fingerprint;               // SHA-256
  bool dtls_client = true;               // our role
  std::vector<AnswerMedia> media;

  const AnswerMedia* find(MediaKind kind) const;
};

Result<Answer> read_answer(std::string_view text);

}  // namespace spillway::peer
