// Distinct types for quantities that must not mix.
//
// All are plain values: no invariants beyond their width, free to copy, usable
// from any thread.
#pragma once

#include <compare>
#include <cstdint>

namespace spillway {

// A point on, or a distance along, the monotonic clock, in nanoseconds. The
// clock is whatever the driver of a sans-IO object says it is (CLOCK_MONOTONIC
// in production, virtual in the simulator). 0 is "never" where a header says so.
struct Nanos {
  int64_t ns = 0;

  friend constexpr auto operator<=>(Nanos, Nanos) = default;
  friend constexpr Nanos operator+(Nanos a, Nanos b) { return {a.ns + b.ns}; }
  friend constexpr Nanos operator-(Nanos a, Nanos b) { return {a.ns - b.ns}; }
  friend constexpr Nanos operator*(Nanos a, int64_t k) { return {a.ns * k}; }
  constexpr Nanos& operator+=(Nanos b) {
    ns += b.ns;
    return *this;
  }
  constexpr int64_t ms() const { return ns / 1'000'000; }
  constexpr int64_t us() const { return ns / 1'000; }
};

inline constexpr Nanos kNever{INT64_MAX};
constexpr Nanos seconds(int64_t s) { return {s * 1'000'000'000}; }
constexpr Nanos millis(int64_t ms) { return {ms * 1'000'000}; }
constexpr Nanos micros(int64_t us) { return {us * 1'000}; }

// RTP synchronisation source, host order (RFC 3550 §3). 0 = none.
enum class Ssrc : uint32_t {};
constexpr uint32_t value(Ssrc s) { return static_cast<uint32_t>(s); }

// RTP sequence number extended to 64 bits; the low 16 are what the wire has.
enum class ExtSeq : uint64_t {};
constexpr uint64_t value(ExtSeq s) { return static_cast<uint64_t>(s); }

// RTP timestamp, in clock-rate ticks, modulo 2^32; compare by difference only.
enum class RtpTime : uint32_t {};
constexpr uint32_t value(RtpTime t) { return static_cast<uint32_t>(t); }

// 64-bit NTP time (RFC 5905): seconds since 1900 in the high half.
enum class NtpTime : uint64_t {};
constexpr uint64_t value(NtpTime t) { return static_cast<uint64_t>(t); }

}  // namespace spillway
