// DTLS 1.2 handshakes that end in SRTP keys (RFC 6347, RFC 5764), both roles.
//
// Purpose: datagrams and a time in; datagrams, keys and the next deadline out. No
// socket; the memory BIO keeps datagram borders (interop R4). One DtlsContext per
// process, one DtlsHandshake per attempt, thrown away when it ended: a media
// session keeps no OpenSSL object.
//
//   idle --start() or first ClientHello--> running --Finished both ways--> done
//                                             \--limit, alert, deadline--> failed
//
// Rules (threats.md): the peer's certificate digest is compared with the SDP
// fingerprints inside certificate verification, so that a wrong one gets an alert
// and never sees Finished, and once more before keys are exported; screen and
// limits before OpenSSL sees a byte are in dtls_screen.h. Alerts sent in
// clear are neither believed nor, before the certificate stage, sent: whoever can
// forge the peer's address could end its handshake with one.
//
// Time: the owner passes monotonic time and asks deadline(). OpenSSL's own
// retransmission timer reads the system's real-time clock; DTLS_set_timer_cb sets only
// durations. A driver with virtual time therefore sees retransmissions by real time;
// the 20 s limit follows the time passed in.
//
// Threads: the owner's. Errors: HandshakeFailure, for counters; nothing is logged.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "control/control_api.h"
#include "control/dtls_screen.h"
#include "datapath/abi/control_record.h"
#include "datapath/base/bytes.h"
#include "datapath/base/media.h"
#include "datapath/base/result.h"
#include "datapath/base/units.h"

struct ssl_st;
struct ssl_ctx_st;
struct x509_store_ctx_st;

namespace spillway {

// Largest datagram we send; fits every path that carries WebRTC (RFC 8261 uses 1200).
inline constexpr uint32_t kDtlsMtuBytes = 1200;
// From the first byte of an attempt to its end.
inline constexpr Nanos kDtlsDeadline = seconds(20);
// First retransmission. RFC 6347 §4.2.4.1 says 1 s; WebRTC peers sit at < 250 ms and a
// lost flight should not cost a second of black. Too low: duplicates on slow paths.
inline constexpr uint32_t kDtlsFirstTimeoutUs = 250'000;
inline constexpr uint32_t kDtlsMaxTimeoutUs = 2'000'000;
// A peer's certificate message.
inline constexpr uint32_t kMaxCertificateBytes = 4096;

enum class HandshakeFailure : uint8_t {
  none,
  protocol,      // OpenSSL refused: malformed, wrong version, no common cipher
  peer_alert,    // the peer refused, in an encrypted alert
  no_certificate,
  bad_certificate,  // key type or size, chain, too large
  fingerprint,      // digest matches none of the SDP's
  no_profile,       // no common use_srtp profile
  limit,            // dtls_screen.h
  deadline,
};
inline constexpr uint8_t kHandshakeFailureCount = 9;
std::string_view name_of(HandshakeFailure f);

// Master keys by direction (RFC 5764 §4.2, RFC 7714 §12). Wiped when destroyed.
struct SrtpKeys {
  SrtpProfile profile = SrtpProfile::none;
  std::array<uint8_t, 32> rx_key{};   // 16 or 32 bytes used
  std::array<uint8_t, 16> rx_salt{};  // 14 or 12 bytes used
  std::array<uint8_t, 32> tx_key{};
  std::array<uint8_t, 16> tx_salt{};
  SrtpKeys() = default;
  SrtpKeys(const SrtpKeys&) = delete;
  SrtpKeys& operator=(const SrtpKeys&) = delete;
  ~SrtpKeys();
};

// Our certificate and the settings all handshakes share.
class DtlsContext {
 public:
  // pem: a certificate, then its private key (abi/process.h, descriptor 9).
  static Result<std::unique_ptr<DtlsContext>> create(std::string_view pem);
  ~DtlsContext();
  DtlsContext(const DtlsContext&) = delete;
  DtlsContext& operator=(const DtlsContext&) = delete;

  // SHA-256 of the certificate's DER, for a=fingerprint.
  const std::array<uint8_t, 32>& fingerprint_sha256() const { return fingerprint_; }
  ssl_ctx_st* ssl_context() const { return context_; }

 private:
  DtlsContext() = default;
  ssl_ctx_st* context_ = nullptr;
  std::array<uint8_t, 32> fingerprint_{};
};

// Datagrams one after the other in one buffer: what a flight is made of.
class DatagramList {
 public:
  void add(Bytes datagram) {
    bytes_.insert(bytes_.end(), datagram.begin(), datagram.end());
    ends_.push_back(static_cast<uint32_t>(bytes_.size()));
  }
  void clear() { bytes_.clear(), ends_.clear(); }
  bool empty() const { return ends_.empty(); }
  size_t count() const { return ends_.size(); }
  size_t bytes() const { return bytes_.size(); }
  Bytes operator[](size_t i) const {
    size_t begin = i == 0 ? 0 : ends_[i - 1];
    return Bytes(bytes_).subspan(begin, ends_[i] - begin);
  }

 private:
  std::vector<uint8_t> bytes_;
  std::vector<uint32_t> ends_;
};

class DtlsHandshake {
 public:
  enum class State : uint8_t { running, done, failed };

  // fingerprints: those of the peer's SDP, at least one; `context` and `fingerprints`
  // outlive the handshake. Server: waits for a ClientHello. Client: call start().
  DtlsHandshake(const DtlsContext& context, DtlsRole role,
                std::span<const Fingerprint> fingerprints, Nanos now);
  ~DtlsHandshake();
  DtlsHandshake(const DtlsHandshake&) = delete;
  DtlsHandshake& operator=(const DtlsHandshake&) = delete;

  // Client only: writes the first flight.
  State start(Nanos now);
  // One datagram from the peer's validated path.
  State receive(Bytes datagram, Nanos now);
  // When deadline() has passed: retransmits or gives up.
  State tick(Nanos now);
  Nanos deadline(Nanos now) const;

  State state() const { return state_; }
  HandshakeFailure failure() const { return failure_; }
  Nanos started() const { return started_; }

  // What to send, in order; the owner sends it all and calls clear() after each of the
  // calls above.
  DatagramList& output();

  // Valid in state done.
  const SrtpKeys& keys() const { return keys_; }
  // Server: the last flight (ChangeCipherSpec, Finished), to be sent again when the
  // peer repeats its own; empty as client.
  const DatagramList& last_flight() const { return last_flight_; }
  using VerifyCallback = int (*)(x509_store_ctx_st*, void*);
  static VerifyCallback verify_callback();
  // The encrypted close_notify, the last datagram of this association; may be empty.
  Bytes close_notify() const { return {close_notify_.data(), close_notify_bytes_}; }

 private:
  struct Io;  // what OpenSSL's callbacks see
  State advance();
  State finish(size_t last_flight_from);
  State fail(HandshakeFailure why);

  DtlsRole role_;
  State state_ = State::running;
  HandshakeFailure failure_ = HandshakeFailure::none;
  Nanos started_;
  ssl_st* ssl_ = nullptr;
  std::unique_ptr<Io> io_;
  DtlsScreen screen_;
  SrtpKeys keys_;
  DatagramList last_flight_;
  std::array<uint8_t, abi::kMaxCloseNotifyBytes> close_notify_{};
  size_t close_notify_bytes_ = 0;
};

}  // namespace spillway
