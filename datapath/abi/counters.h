// What the datapath counts. Each worker owns one block, kept as plain locals and
// published here in housekeeping (relaxed stores); control sums the blocks.
//
// Law: received datagrams = consumed + forwarded sources + sum of drops. Each
// dropped packet increments exactly one Drop.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "datapath/base/limits.h"

namespace spillway::abi {

enum class Drop : uint32_t {
  empty,                // zero-length or oversized datagram
  not_ours,             // first byte of no protocol we speak (RFC 7983)
  stun_malformed,
  stun_unknown_ufrag,   // not made by us: bad tag
  stun_bad_integrity,
  stun_no_session,      // good credentials of a session that is gone
  dtls_unvalidated,     // DTLS from an address without a verified check
  dtls_queue_full,
  unknown_address,      // SRTP from an address without a verified check
  session_not_keyed,    // SRTP before the handshake finished
  rtp_malformed,
  rtp_authentication,   // bad tag
  rtp_replayed,
  rtp_unknown_stream,   // authenticated, but no m-line, layer or payload type fits
  rtp_stream_limit,     // more SSRCs than a session may have
  rtp_not_publisher,    // media from a viewer
  rtp_too_large,        // does not fit a ring slot
  rtp_bad_padding,
  rtp_no_ring,          // all track rings in use
  rtcp_malformed,
  rtcp_authentication,
  rtcp_replayed,
  handover_full,        // ring to the owning worker full
  handover_stale,       // handed over, but nobody owns the session any more
  count,
};
inline constexpr uint32_t kDropCount = static_cast<uint32_t>(Drop::count);
inline constexpr std::array<std::string_view, kDropCount> kDropNames{
    "empty", "not_ours", "stun_malformed", "stun_unknown_ufrag", "stun_bad_integrity",
    "stun_no_session", "dtls_unvalidated", "dtls_queue_full", "unknown_address",
    "session_not_keyed", "rtp_malformed", "rtp_authentication", "rtp_replayed",
    "rtp_unknown_stream", "rtp_stream_limit", "rtp_not_publisher", "rtp_too_large",
    "rtp_bad_padding", "rtp_no_ring", "rtcp_malformed", "rtcp_authentication", "rtcp_replayed",
    "handover_full", "handover_stale"};

enum class Count : uint32_t {
  rx_datagrams,        // from the network, before sorting
  rx_bytes,
  tx_datagrams,
  tx_bytes,
  tx_messages,         // sends; datagrams per message is the GSO gain
  tx_dropped,          // refused by the kernel
  consumed_stun,       // checks answered
  consumed_dtls,       // passed to control
  consumed_rtcp,       // authenticated SRTCP
  consumed_rtx,        // repaired or probing RTX packets without news
  forwarded_sources,   // RTP packets appended to a track ring
  forwarded_copies,    // protected copies sent to viewers, without RTX
  handovers,           // datagrams passed to another worker
  moves,               // sessions that changed worker
  nack_received,       // sequence numbers asked for by viewers
  nack_sent,           // sequence numbers we asked publishers for
  rtx_sent,
  rtx_bytes,
  rtx_refused_budget,
  rtx_not_found,
  pli_received,        // PLI and FIR from viewers
  pli_sent,
  key_frames,          // seen from publishers
  reader_lapped,       // a viewer fell out of the ring and resynchronised
  layer_switches,
  transport_cc_sent,
  reports_sent,        // SR and RR
  srtp_index_exhausted,
  seqlock_contended,
  bad_table_entries,
  ring_resyncs,
  turns,               // loop iterations
  turns_busy,          // with work
  busy_ns,             // time spent in turns with work
  forward_latency_ns,  // sum over forwarded_copies: the histogram's sum
  sessions_owned,      // gauge
  track_rings_used,    // gauge
  dtls_ring_fill,      // gauge, records
  command_ring_fill,   // gauge
  count,
};
inline constexpr uint32_t kCountCount = static_cast<uint32_t>(Count::count);
inline constexpr std::array<std::string_view, kCountCount> kCountNames{
    "rx_datagrams", "rx_bytes", "tx_datagrams", "tx_bytes", "tx_messages", "tx_dropped",
    "consumed_stun", "consumed_dtls", "consumed_rtcp", "consumed_rtx", "forwarded_sources",
    "forwarded_copies", "handovers", "moves", "nack_received", "nack_sent", "rtx_sent",
    "rtx_bytes", "rtx_refused_budget", "rtx_not_found", "pli_received", "pli_sent", "key_frames",
    "reader_lapped", "layer_switches", "transport_cc_sent", "reports_sent",
    "srtp_index_exhausted", "seqlock_contended", "bad_table_entries", "ring_resyncs", "turns",
    "turns_busy", "busy_ns", "forward_latency_ns", "sessions_owned", "track_rings_used", "dtls_ring_fill",
    "command_ring_fill"};

// Forward latency: from the burst in which a packet arrived to the hand-over of
// its copy to the back end. Bucket i holds [2^(i/2)-ish ns): see latency_bucket().
inline constexpr uint32_t kLatencyBuckets = 64;

// Log-linear with two steps per octave: bucket 2k covers [2^k, 1.5*2^k), 2k+1
// covers [1.5*2^k, 2^(k+1)). Upper bound in ns: latency_bucket_limit().
constexpr uint32_t latency_bucket(uint64_t ns) {
  if (ns < 2) return 0;
  uint32_t k = 63 - static_cast<uint32_t>(__builtin_clzll(ns));
  uint32_t b = 2 * k + ((ns >> (k - 1)) & 1);
  return b < kLatencyBuckets ? b : kLatencyBuckets - 1;
}
constexpr uint64_t latency_bucket_limit(uint32_t bucket) {
  uint32_t k = bucket / 2;
  return bucket % 2 ? uint64_t{2} << k : (uint64_t{3} << k) / 2;
}

struct alignas(kNoShare) WorkerCounters {
  std::atomic<uint64_t> drops[kDropCount];
  std::atomic<uint64_t> counts[kCountCount];
  std::atomic<uint64_t> latency[kLatencyBuckets];
  std::atomic<uint64_t> reserved_zero[(16 - (kDropCount + kCountCount + kLatencyBuckets) % 16) %
                                          16 + 16];
};
static_assert(sizeof(WorkerCounters) % kNoShare == 0);

}  // namespace spillway::abi
