// Every limit of Spillway, with its reason, in one place.
//
// Limits are compile-time: shared-memory layouts and fixed arrays are sized by
// them. What an operator may lower at run time is in control/config.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace spillway {

// --- machine ---------------------------------------------------------------
// std::hardware_destructive_interference_size changes with tuning flags; these
// are ABI, so they are fixed.
inline constexpr uint32_t kCacheLine = 64;
// Adjacent-line prefetch pulls pairs: data of two cores never share 128 bytes.
inline constexpr uint32_t kNoShare = 128;

// --- processes -------------------------------------------------------------
inline constexpr uint32_t kMaxWorkers = 16;
// Slots of the session table. Pages that were never used cost no memory.
inline constexpr uint32_t kMaxSessions = 16384;
// Track slots: one per (stream, m-line kind). A track is what a publisher writes
// and viewers read; it outlives both.
inline constexpr uint32_t kMaxTracks = 8192;

// --- packets ---------------------------------------------------------------
// Largest UDP payload we take from or give to the network. 1500 - IPv4 - UDP.
inline constexpr uint32_t kMaxDatagramBytes = 1472;
// Largest plaintext RTP packet kept in a track ring; the rest is room for the
// grown header (extensions re-written) and the authentication tag.
inline constexpr uint32_t kMaxRtpBytes = 1440;
// The largest trailer of any profile: GCM tag 16; SRTCP adds E|index 4.
inline constexpr uint32_t kMaxSrtpTrailerBytes = 16;
inline constexpr uint32_t kMaxSrtcpTrailerBytes = 16 + 4;
// Packets handled per turn before indices are published (STYLE: hot path).
inline constexpr uint32_t kBurst = 64;
// UDP_MAX_SEGMENTS of Linux before 6.9; more makes sendmsg fail with EINVAL.
inline constexpr uint32_t kMaxGsoSegments = 64;
// A UDP_SEGMENT message is still one IP datagram for the kernel's length checks.
inline constexpr uint32_t kMaxGsoBytes = 65000;

// --- one session -----------------------------------------------------------
// m-lines of one offer that carry media (A-22 allows 32 lines to be *parsed*).
inline constexpr uint32_t kMaxMedia = 4;
// Simulcast layers of one m-line (RFC 8853 sets no bound; browsers send 3).
inline constexpr uint32_t kMaxLayers = 4;
// Payload types mapped per m-line: each video codec in several profiles + audio.
inline constexpr uint32_t kMaxPayloadTypes = 24;
// Header extension ids mapped per m-line.
inline constexpr uint32_t kMaxExtensions = 16;
inline constexpr uint32_t kMaxRidBytes = 16;   // RFC 8852 allows 255; nobody sends > 8
inline constexpr uint32_t kMaxMidBytes = 16;   // likewise
inline constexpr uint32_t kMaxCnameBytes = 24;
inline constexpr uint32_t kMaxUfragBytes = 32;  // remote; RFC 8839 allows 256, WebRTC uses 4..16
inline constexpr uint32_t kMaxIcePwdBytes = 48; // remote; RFC 8839 allows 256, WebRTC uses 22..32
// Remote addresses that may be validated for one session at once.
inline constexpr uint32_t kMaxPaths = 4;

// --- SRTP ------------------------------------------------------------------
// Inbound replay window in packets. >= 2048 because OBS and FFmpeg resend late on
// the same SSRC (interop R5); a power of two.
inline constexpr uint32_t kReplayWindow = 2048;
inline constexpr uint32_t kSrtcpReplayWindow = 128;

// --- track rings -----------------------------------------------------------
// Packets kept per video layer: start-up cache and retransmission store.
// 2048 packets are 10 s at 2 Mb/s, 2 s at 10 Mb/s. Too low: joins wait for a key
// frame; too high: the ring falls out of L3.
inline constexpr uint32_t kVideoRingPackets = 2048;
inline constexpr uint32_t kAudioRingPackets = 256;  // 5 s of 20 ms packets

// --- text ------------------------------------------------------------------
inline constexpr uint32_t kMaxStreamNameBytes = 128;  // [A-Za-z0-9_-]{1,128}, A-34
inline constexpr uint32_t kMaxSdpBytes = 64 * 1024;
inline constexpr uint32_t kMaxSdpAnswerBytes = 8192;  // FFmpeg MAX_SDP_SIZE

static_assert(kMaxRtpBytes + kMaxSrtpTrailerBytes <= kMaxDatagramBytes);
static_assert((kReplayWindow & (kReplayWindow - 1)) == 0);
static_assert((kVideoRingPackets & (kVideoRingPackets - 1)) == 0);
static_assert((kAudioRingPackets & (kAudioRingPackets - 1)) == 0);
static_assert(kMaxGsoSegments >= kBurst);
static_assert(kNoShare % kCacheLine == 0);

}  // namespace spillway
