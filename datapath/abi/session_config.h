// The session table: what control wants the datapath to do. This table is the
// truth; a command in the ring only says "look at slot N".
//
// Written by control, read by the worker that owns the session (and by every
// worker of a restarted datapath). Each entry is a Seqlock: read() gives a
// consistent copy, which the worker validates (validate()) before use.
//
// A slot's life, by `state`:
//
//   free --create--> half_open --DTLS done--> keyed --remove--> free
//                        \--------timeout/remove---------------/
//
// `generation` increases each time a slot is taken; (slot, generation) names one
// session for ever. Control takes a slot again only after the datapath's state
// (session_state.h) shows released_generation == the last generation.
#pragma once

#include <cstdint>
#include <type_traits>

#include "datapath/abi/seqlock.h"
#include "datapath/base/limits.h"
#include "datapath/base/media.h"

namespace spillway::abi {

inline constexpr uint32_t kNoTrack = 0xffffffff;
inline constexpr uint8_t kNoPayloadType = 0xff;
inline constexpr uint8_t kLayerAuto = 0xff;

enum class SessionPhase : uint8_t { free = 0, half_open = 1, keyed = 2 };
enum class SessionRole : uint8_t { none = 0, publisher = 1, viewer = 2 };

enum PayloadFlags : uint8_t {
  kFeedbackNack = 1,
  kFeedbackPli = 2,
  kFeedbackFir = 4,
  kFeedbackTransportCc = 8,
  kFeedbackRemb = 16,
};

struct PayloadConfig {
  uint8_t pt;      // 0..127, the session's own numbering
  uint8_t codec;   // Codec
  uint8_t rtx_pt;  // 0..127 or kNoPayloadType
  uint8_t flags;   // PayloadFlags
};

struct ExtensionConfig {
  uint8_t id;    // 1..255
  uint8_t kind;  // ExtensionKind
};

struct MediaConfig {
  uint32_t track;             // < kMaxTracks or kNoTrack
  uint8_t kind;               // MediaKind
  uint8_t payload_count;      // <= kMaxPayloadTypes
  uint8_t extension_count;    // <= kMaxExtensions
  uint8_t layer_count;        // publisher: rids, or SSRCs signalled; 0..kMaxLayers
  uint8_t mid_bytes;          // <= kMaxMidBytes
  uint8_t cname_bytes;        // <= kMaxCnameBytes
  uint8_t selected_layer;     // viewer: index into the publisher's layers, or kLayerAuto
  uint8_t two_byte_allowed;   // 1: a=extmap-allow-mixed was negotiated
  uint8_t rid_bytes[kMaxLayers];
  uint8_t mid[kMaxMidBytes];
  uint8_t cname[kMaxCnameBytes];       // viewer: ours, for SDES
  uint8_t rid[kMaxLayers][kMaxRidBytes];
  uint32_t ssrc[kMaxLayers];           // publisher: signalled or 0; viewer: [0] is our egress SSRC
  uint32_t rtx_ssrc[kMaxLayers];       // likewise
  PayloadConfig payloads[kMaxPayloadTypes];
  ExtensionConfig extensions[kMaxExtensions];
};
static_assert(sizeof(MediaConfig) % 8 == 0);

struct SessionConfig {
  uint32_t generation;        // 0 only in a slot never used
  uint8_t phase;              // SessionPhase
  uint8_t role;               // SessionRole
  uint8_t media_count;        // <= kMaxMedia
  uint8_t ice_generation;     // counts ICE restarts, modulo 256
  uint8_t old_ice_valid;      // 1: ice_generation - 1 is still accepted (H24)
  uint8_t home_worker;        // where the session starts; the datapath may move it
  uint16_t rtx_percent;       // of the stream's rate, 0..100 (T9)
  uint32_t connect_timeout_ms;
  uint32_t consent_timeout_ms;
  uint8_t remote_ufrag_bytes; // <= kMaxUfragBytes
  uint8_t old_remote_ufrag_bytes;
  uint8_t reserved_zero[10];
  uint8_t remote_ufrag[kMaxUfragBytes];
  uint8_t old_remote_ufrag[kMaxUfragBytes];
  MediaConfig media[kMaxMedia];
};
static_assert(sizeof(SessionConfig) % 8 == 0);
static_assert(std::has_unique_object_representations_v<SessionConfig>);
static_assert(std::is_standard_layout_v<SessionConfig>);

using SessionEntry = Seqlock<SessionConfig>;

// Secrets of one session, in the keys region only (locked, not dumped). Valid
// when `generation` equals the entry's. Wiped by control when the session ends.
struct KeyConfig {
  uint32_t generation;
  uint16_t profile;  // SrtpProfile; none while half open
  uint16_t reserved_zero;
  uint8_t rx_key[32];  // master key of the peer's packets; 16 or 32 bytes used
  uint8_t rx_salt[16]; // 14 or 12 bytes used
  uint8_t tx_key[32];
  uint8_t tx_salt[16];
  uint8_t ice_pwd_bytes;  // <= kMaxIcePwdBytes: the peer's, for our own checks
  uint8_t reserved_zero2[7];
  uint8_t ice_pwd[kMaxIcePwdBytes];
};
static_assert(sizeof(KeyConfig) % 8 == 0);
static_assert(std::has_unique_object_representations_v<KeyConfig>);

using KeyEntry = Seqlock<KeyConfig>;

// True when every count, enum and index of a copied record is within its range.
// The datapath calls it on each copy before use; a bad record quarantines the
// session, nothing else.
bool validate(const SessionConfig& config);
bool validate(const KeyConfig& keys);

}  // namespace spillway::abi
