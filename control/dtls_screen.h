// What a DTLS datagram must look like before OpenSSL sees it (threats ).
//
// Reads record headers (RFC 6347 §4.1) and, while unencrypted, handshake fragment
// headers (§4.2.2); all integers big-endian:
//
//   record    type(1) version(2) epoch(2) sequence(6) length(2) fragment(length)
//   fragment  type(1) length(3) message_seq(2) offset(3) fragment_length(3) ...
//
// Pure; no allocation; the owner's thread.
#pragma once

#include <array>
#include <cstdint>

#include "datapath/base/bytes.h"

namespace spillway {

// A browser's flight is 1 to 5 records; 16 leaves room for odd stacks.
inline constexpr uint32_t kMaxRecordsPerDatagram = 16;
// A 4 KiB certificate in 256-byte fragments, sent four times.
inline constexpr uint32_t kMaxFragmentsPerMessage = 64;
// Everything a peer may send in one attempt, retransmissions included.
inline constexpr uint32_t kMaxHandshakeBytes = 64 * 1024;
// One message: a certificate chain is the largest, far below.
inline constexpr uint32_t kMaxHandshakeMessageBytes = 16 * 1024;

class DtlsScreen {
 public:
  enum class Verdict : uint8_t {
    pass,
    drop,   // this datagram only: malformed, or an alert in clear
    limit,  // the attempt is over
  };
  Verdict check(Bytes datagram);
  uint32_t bytes() const { return bytes_; }

 private:
  Verdict check_fragments(Bytes body);
  uint32_t bytes_ = 0;
  std::array<uint8_t, 16> fragments_{};  // by message_seq
};

// True when the datagram starts with the first message of a handshake: a fragment
// of a ClientHello with message_seq 0 in epoch 0.
bool is_client_hello(Bytes datagram);
// True when it holds handshake or ChangeCipherSpec records: a peer that repeats its
// last flight.
bool is_handshake(Bytes datagram);

}  // namespace spillway
