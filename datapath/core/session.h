// Private state of one session in the datapath: what a worker needs per packet.
//
// One Session per table slot, in process-wide lazily backed memory; owned by exactly
// one worker at a time (abi::SessionState::owner_worker), handed over by pointer.
// What must survive the process lies in abi::SessionState / PublisherState instead,
// to which `state` and `publisher_state` point.
#pragma once

#include <array>
#include <cstdint>

#include "datapath/abi/session_config.h"
#include "datapath/abi/session_state.h"
#include "datapath/base/limits.h"
#include "datapath/base/media.h"
#include "datapath/base/packet.h"
#include "datapath/core/track_ring.h"
#include "datapath/proto/header_extensions.h"
#include "datapath/srtp/srtp_keys.h"

namespace spillway {

inline constexpr uint32_t kNoIndex = 0xffffffff;

// --- viewer: one m-line ---------------------------------------------------------------

// A stretch of constant offsets between a source ring and what the viewer gets:
//   egress index = first_index + (ext_seq - first_ext_seq), ext_seq >= first_ext_seq
struct Segment {
  const TrackRing* ring = nullptr;
  uint64_t serial = 0;
  uint64_t first_ext_seq = 0;
  uint64_t first_index = 0;
  uint32_t timestamp_offset = 0;
  uint16_t picture_id_offset = 0;
  uint8_t tl0_offset = 0;
};

struct Egress {
  uint32_t track = kNoIndex;
  uint32_t viewer_ref = kNoIndex;   // place in the worker's viewer list of the track
  const TrackRing* ring = nullptr;  // being read; nullptr = waiting for a start
  uint64_t serial = 0;
  uint64_t cursor = 0;              // next position to send
  Segment current, previous;        // previous: still answerable by NACK after a switch
  uint8_t layer = 0;                // of `ring`
  uint8_t wanted_layer = abi::kLayerAuto;
  uint8_t payload_source = 0xff;    // Codec the cached mapping below is for
  uint8_t pt = 0xff;                // 0xff: the viewer has no payload type for it
  uint8_t rtx_pt = abi::kNoPayloadType;
  Ssrc ssrc{}, rtx_ssrc{};
  std::array<uint8_t, kExtensionKindCount> extension_ids{};  // the viewer's; 0 = none
  bool two_byte_allowed = false;
  MediaKind kind = MediaKind::audio;
  uint8_t mid_bytes = 0;
  std::array<uint8_t, kMaxMidBytes> mid{};
  uint8_t cname_bytes = 0;
  std::array<uint8_t, kMaxCnameBytes> cname{};
  uint8_t payload_count = 0;
  std::array<abi::PayloadConfig, kMaxPayloadTypes> payloads{};
  bool fir_seen = false;
  uint8_t last_fir_seq = 0;
  int64_t last_arrival_ns = 0;      // of the newest packet sent
  int64_t pace_until_ns = 0;        // catching up on the start-up cache: not before
  // Token bucket of T9: refilled with rtx_percent of what is sent.
  int64_t rtx_budget_bytes = 0;
  // The last few retransmissions: repeats are kept apart.
  struct Recent {
    uint64_t index = 0;
    int64_t at_ns = 0;
  };
  std::array<Recent, 16> recent{};
};

// --- publisher: one RTP stream -----------------------------------------------------------

struct MissingPacket {
  uint64_t ext_seq = 0;
  int64_t next_ns = 0;   // when to ask (again)
  uint8_t tries = 0;     // 0 = free once ext_seq is 0
};

struct Ingress {
  static constexpr uint32_t kMissingMax = 64;
  TrackRing* ring = nullptr;
  bool started = false;
  uint64_t highest_ext_seq = 0;
  uint64_t first_ext_seq = 0;
  uint32_t missing_count = 0;
  std::array<MissingPacket, kMissingMax> missing{};
  uint32_t unanswered = 0;          // asked kNackTries times in vain, in a row
  // RFC 3550 A.3, A.8
  uint64_t received = 0;
  uint64_t received_prior = 0, expected_prior = 0;
  uint32_t jitter_q4 = 0;
  uint32_t last_transit = 0;
  uint64_t last_sr_ntp = 0;
  int64_t last_sr_ns = 0;
  int64_t key_frame_asked_ns = 0;
  uint8_t fir_seq = 0;
  uint64_t bytes_at_second = 0;     // ring bytes when the last second began
  int64_t measured_ns = 0;
  uint64_t bps = 0;
  uint8_t codec = 0;                // of the newest packet
};

struct PublisherMedia {
  uint32_t track = kNoIndex;
  MediaKind kind = MediaKind::audio;
  ExtensionIdMap extensions;
  uint8_t payload_count = 0;
  std::array<abi::PayloadConfig, kMaxPayloadTypes> payloads{};
  uint8_t mid_bytes = 0;
  std::array<uint8_t, kMaxMidBytes> mid{};
  uint8_t layer_count = 0;          // rids or signalled SSRCs; at least 1
  std::array<uint8_t, kMaxLayers> rid_bytes{};
  std::array<std::array<uint8_t, kMaxRidBytes>, kMaxLayers> rid{};
  std::array<Ingress, kMaxLayers> layers{};
  uint8_t last_pt = 0xff;
  uint8_t last_pt_index = 0;
};

// Transport-wide congestion control feedback to a publisher: arrival times of the
// last kSlots sequence numbers (threats A-20: fixed memory).
struct ArrivalLog {
  static constexpr uint32_t kSlots = 1024;
  bool started = false;
  uint64_t highest = 0;       // extended
  uint64_t next_to_report = 0;
  uint32_t media_ssrc = 0;
  uint8_t feedback_count = 0;
  int64_t last_sent_ns = 0;
  std::array<uint64_t, kSlots> sequence{};  // + 1; 0 = not received
  std::array<int64_t, kSlots> arrival_ns{};
};

// Only publishers touch these pages.
struct PublisherSide {
  std::array<PublisherMedia, kMaxMedia> media{};
  ArrivalLog arrivals;
};

// --- both -----------------------------------------------------------------------------------

struct KnownPath {
  Path path;
  int64_t checked_ns = 0;
};

struct Session {
  // hot, read per packet
  SrtpKeys tx_rtp;
  Path path;                        // copy of state->path; port 0 = none
  uint32_t slot = 0;
  uint32_t generation = 0;          // 0 = not attached
  uint32_t worker = 0;              // owner, as the owner sees it
  uint8_t role = 0;                 // abi::SessionRole
  uint8_t media_count = 0;
  bool keyed = false;
  bool connected = false;           // an SRTP or SRTCP packet authenticated
  bool expired = false;             // consent lost: nothing is sent
  SrtpProfile profile = SrtpProfile::none;
  uint8_t transport_cc_id = 0;
  std::array<Egress, kMaxMedia> egress{};

  // cold
  SrtpKeys tx_rtcp, rx_rtp, rx_rtcp;
  abi::SessionState* state = nullptr;
  abi::PublisherState* publisher_state = nullptr;
  PublisherSide* publisher = nullptr;
  uint32_t owned_index = kNoIndex;  // place in the owner's dense list
  uint32_t publisher_index = kNoIndex;  // likewise among its publishers
  uint32_t foreign_datagrams = 0;   // arrived on another worker in a row
  int64_t adopted_ns = 0;
  int64_t last_path_switch_ns = 0;
  int64_t last_event_ns = 0;        // events of a session have rising times across workers
  int64_t last_second_ns = 0;
  uint32_t connect_timeout_ms = 0;
  uint32_t consent_timeout_ms = 0;
  uint16_t rtx_percent = 0;
  uint8_t ice_generation = 0;
  bool old_ice_valid = false;
  uint8_t remote_ufrag_bytes = 0, old_remote_ufrag_bytes = 0;
  std::array<uint8_t, kMaxUfragBytes> remote_ufrag{}, old_remote_ufrag{};
  std::array<KnownPath, kMaxPaths> paths{};
  uint64_t rx_packets = 0, rx_bytes = 0, tx_packets = 0, tx_bytes = 0;
};

}  // namespace spillway
