// The DTLS certificate of this run: ECDSA P-256, self-signed (RFC 8827 §6.5). Peers
// know it by the fingerprint in the SDP, never by its names or dates.
//
// Made by the launcher so that a restarted control has the same fingerprint: old
// answers stay valid. The validity is generous because nobody looks at it and a
// launcher may run for months; a new start means a new key.
#pragma once

#include <cstdint>

#include "datapath/base/result.h"
#include "datapath/io/unique_fd.h"

namespace spillway {

inline constexpr int64_t kIdentityDays = 365;

// Sealed memfd: PEM certificate, then PEM key (PKCS #8). Our copies are wiped.
Result<UniqueFd> make_dtls_identity();

}  // namespace spillway
