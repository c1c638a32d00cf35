// What control must remember of a session and of a track beyond what the datapath
// needs, so that a restarted control still serves old session URLs (DELETE, PATCH)
// and still knows what a publisher sends (DESIGN §5, threats T2).
//
// Written and read by control only (a restarted datapath reads RecoveryMark too). It
// lies in shared memory because that outlives the process.
// A record whose generation differs from the session entry's is an old one.
#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>

#include "datapath/abi/seqlock.h"
#include "datapath/base/limits.h"

namespace spillway::abi {

// The encrypted close_notify alert, encoded when the handshake ended (the DTLS
// object is freed then). AES-128-GCM: 13 + 8 + 2 + 16 = 39 bytes; CBC-SHA1: 61.
inline constexpr uint32_t kMaxCloseNotifyBytes = 64;

struct ControlRecord {
  uint32_t generation;         // of the session entry this belongs to; 0 = none
  uint32_t etag_nonce;         // random per ICE generation: etag "<ice_gen>-<8 hex>"
  int64_t created_ns;          // CLOCK_MONOTONIC
  uint8_t client_ip[16];       // IpAddress bytes, of the HTTP connection
  uint8_t session_id[16];      // 128 random bits; base64url is 22 characters
  uint8_t stream_bytes;        // 1..kMaxStreamNameBytes
  uint8_t close_notify_bytes;  // <= kMaxCloseNotifyBytes; 0 = none
  uint8_t reserved_zero[6];
  uint8_t stream[kMaxStreamNameBytes];
  uint8_t close_notify[kMaxCloseNotifyBytes];
};
static_assert(sizeof(ControlRecord) == 248);
static_assert(std::has_unique_object_representations_v<ControlRecord>);
static_assert(std::is_standard_layout_v<ControlRecord>);
static_assert(kMaxStreamNameBytes <= 255);

using ControlRecordEntry = Seqlock<ControlRecord>;

// Format parameters of what a publisher sends on one track, by payload index of
// its MediaConfig: the rest of its description is there.
struct TrackRecord {
  uint32_t publisher_slot;
  uint32_t publisher_generation;  // 0 = nobody's
  uint16_t fmtp_bytes[kMaxPayloadTypes];  // their sum <= sizeof text
  uint8_t text[1024];                     // the parameters, one after the other
};
static_assert(sizeof(TrackRecord) == 1080);
static_assert(std::has_unique_object_representations_v<TrackRecord>);
static_assert(std::is_standard_layout_v<TrackRecord>);

using TrackRecordEntry = Seqlock<TrackRecord>;

// How far a restarted process has to look; slots are taken lowest first.
struct alignas(kNoShare) RecoveryMark {
  std::atomic<uint32_t> slots_used;  // slots at and above were never taken
  uint32_t reserved_zero[31];
};
static_assert(sizeof(RecoveryMark) == kNoShare);

}  // namespace spillway::abi
