// Session state that must survive the datapath: SRTP indices, rewrite offsets,
// peer addresses. The worker works on these bytes directly; there is no copy to
// flush, so a crash between any two stores loses nothing already sent.
//
// Written by the worker that owns the session (owner_worker; exactly one at any
// time); read by the next owner (after a move or a restart of the datapath).
// Control reads only SessionReport, a seqlocked snapshot.
//
// Never encrypt two payloads under one (key, SSRC, index): an index is stored as
// used BEFORE the packet is handed to the back end. Recovery continues at
// stored + 1 (+ kIndexSkipOnRecovery), and marks replay windows all-seen
// (threats §4).
#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>

#include "datapath/abi/seqlock.h"
#include "datapath/base/limits.h"
#include "datapath/base/packet.h"
#include "datapath/base/replay_state.h"

namespace spillway::abi {

// Skipped at recovery: a killed process keeps its retired stores, so 1 would do;
// the rest is margin, invisible to a receiver (a loss of that many packets).
inline constexpr uint32_t kIndexSkipOnRecovery = 1;

// What a viewer receives on one m-line.
struct EgressState {
  uint64_t next_index;       // next SRTP index (ROC<<16|SEQ) of ssrc; all below are used
  uint64_t next_rtx_index;   // likewise of the RTX SSRC
  uint32_t timestamp_offset; // egress RTP timestamp - source timestamp
  uint32_t last_timestamp;   // egress, of the newest packet sent
  int64_t last_send_ns;      // when, monotonic
  uint32_t packet_count;     // for sender reports (RFC 3550 §6.4.1), modulo 2^32
  uint32_t octet_count;
  uint16_t picture_id_offset;  // VP8: egress - source, 15 bit
  uint16_t last_picture_id;    // egress
  uint8_t tl0_offset;          // VP8 TL0PICIDX: egress - source
  uint8_t last_tl0;
  uint8_t started;             // 1 once anything was sent
  uint8_t reserved_zero;
};
static_assert(sizeof(EgressState) == 48);

// SRTCP indices count per sender SSRC (RFC 3711 §3.2.3): a publisher's audio and video
// reports each have their own. The oldest entry gives way to a new SSRC.
inline constexpr uint32_t kRtcpSources = 8;
struct RtcpSource {
  uint32_t ssrc;
  uint32_t in_use;     // 0 = free
  int64_t heard_ns;    // newest authenticated packet
  ReplayState<kSrtcpReplayWindow> replay;
};

struct SessionState {
  std::atomic<uint32_t> live_generation;      // the session attached here; 0 = nobody's
  std::atomic<uint32_t> owner_worker;         // while live; changed by the owner only
  std::atomic<uint32_t> released_generation;  // control may reuse the slot after this one
  uint8_t keyed;            // 1: SRTP indices below belong to the current keys
  uint8_t ice_generation;   // newest one a check succeeded with
  uint16_t transport_cc_seq;  // next transport-wide sequence we send
  Path path;                // where media goes; port 0 = none validated
  int64_t created_ns;       // first adoption, monotonic
  int64_t last_authenticated_ns;  // consent: any authenticated packet (interop R3)
  uint32_t next_srtcp_index;      // 31 bit, ours
  uint32_t reserved_zero;
  RtcpSource rtcp_sources[kRtcpSources];
  EgressState egress[kMaxMedia];
};

// One received RTP stream of a publisher (a layer, or its RTX).
struct IngressStream {
  uint32_t ssrc;  // 0 = not yet learnt
  uint32_t reserved_zero;
  ReplayState<kReplayWindow> replay;
};

// Only touched for publishers: pages of viewers' slots are never allocated.
struct PublisherState {
  IngressStream primary[kMaxMedia][kMaxLayers];
  IngressStream rtx[kMaxMedia][kMaxLayers];
};

// For control and people; overwritten at most once a second and on a change of phase.
enum class ReportPhase : uint32_t { none = 0, checking = 1, validated = 2, connected = 3 };
struct SessionReport {
  uint32_t generation;
  uint32_t phase;  // ReportPhase
  Path path;
  int64_t last_authenticated_ns;
  uint64_t rx_packets, rx_bytes;  // RTP, payload type and header included, before decryption
  uint64_t tx_packets, tx_bytes;
  uint64_t layer_bps[kMaxLayers];  // publisher: video layers, last second
};
static_assert(std::has_unique_object_representations_v<SessionReport>);
using SessionReportEntry = Seqlock<SessionReport>;

static_assert(std::is_standard_layout_v<SessionState>);
static_assert(std::is_standard_layout_v<PublisherState>);
static_assert(std::has_unique_object_representations_v<EgressState>);
static_assert(std::has_unique_object_representations_v<PublisherState>);

}  // namespace spillway::abi
