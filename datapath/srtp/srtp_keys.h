// SRTP key material: the master key as DTLS exports it, and the expanded state a
// worker keeps for one direction of RTP or RTCP.
//
// Memory belongs to the caller: the worker holds dense arrays of SrtpKeys in
// private, locked memory left out of core dumps, and walks them in order.
// Trivially copyable and destructible; wipe() before the memory is reused. One
// writer thread (expand), any number of readers after that. Never print these.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "datapath/base/limits.h"
#include "datapath/base/media.h"
#include "datapath/srtp/srtp_profile.h"

namespace spillway {

inline constexpr uint32_t kSrtpKeyBytesMax = 32;
inline constexpr uint32_t kSrtpSaltBytesMax = 14;
inline constexpr uint32_t kHmacSha1Bytes = 20;

// Master key and salt of one direction (RFC 5764 §4.2). Only the first
// srtp_key_bytes() / srtp_salt_bytes() bytes count.
struct SrtpMasterKey {
  SrtpProfile profile = SrtpProfile::none;
  uint8_t key[kSrtpKeyBytesMax] = {};
  uint8_t salt[kSrtpSaltBytesMax] = {};

  void wipe() { explicit_bzero(this, sizeof *this); }
};

// Session keys after the derivation of RFC 3711 §4.3, before a back end has
// expanded them. Lives on the stack of expand(); public for the RFC vectors.
struct SrtpSessionKey {
  SrtpProfile profile = SrtpProfile::none;
  uint8_t key[kSrtpKeyBytesMax] = {};
  uint8_t salt[kSrtpSaltBytesMax] = {};
  uint8_t auth[kHmacSha1Bytes] = {};  // HMAC-SHA1 key; unused with GCM

  void wipe() { explicit_bzero(this, sizeof *this); }
};

// Expanded state of one direction of one of {RTP, RTCP}. Written by
// SrtpEngine::expand and usable only with the kind of engine that wrote it. All
// zero (or wiped) is "no key": every operation with it is refused.
struct alignas(kCacheLine) SrtpKeys {
  // Round keys and GHASH powers of ipsec-mb (1008 bytes with AVX-512), or AES
  // round keys, or the raw key for OpenSSL. The first 16 bytes are the first 16
  // of the session key in all of them.
  static constexpr uint32_t kCipherBytes = 1024;

  SrtpProfile profile = SrtpProfile::none;
  SrtpStreamKind kind = SrtpStreamKind::rtp;
  uint8_t engine = 0;  // SrtpEngine::Kind that wrote it; 0 = none
  uint32_t zero = 0;
  // The session salt, padded so that it can be xored into an initialisation
  // vector as a whole: 14 bytes + 2 zero (CM) or 12 bytes + 4 zero (GCM).
  uint8_t salt[16];
  // SHA-1 chaining values after the inner and outer HMAC pad, host order; CM only.
  uint32_t hmac_inner[5];
  uint32_t hmac_outer[5];
  alignas(kCacheLine) uint8_t cipher[kCipherBytes];

  void wipe() { explicit_bzero(this, sizeof *this); }
  bool empty() const { return profile == SrtpProfile::none; }
};

inline constexpr uint32_t kSrtpKeysBytes = kCacheLine + SrtpKeys::kCipherBytes;
static_assert(sizeof(SrtpKeys) == kSrtpKeysBytes && alignof(SrtpKeys) == kCacheLine);
static_assert(kSrtpKeysBytes <= 1300, "four of them, the route and the rest are 8 KiB per viewer");
static_assert(std::is_trivially_copyable_v<SrtpKeys> && std::is_trivially_destructible_v<SrtpKeys>);

}  // namespace spillway
