// HMAC-SHA1 (RFC 2104) from precomputed pad states, one message at a time.
//
// For key set-up and for single packets; the batch path of ipsec-mb hashes several
// messages at once instead. No allocation; any thread.
#pragma once

#include <cstdint>

#include "datapath/base/bytes.h"
#include "datapath/srtp/srtp_keys.h"

namespace spillway {

// SHA-1 chaining values after one block of key xor 0x36 and key xor 0x5c.
void hmac_sha1_pads(const uint8_t (&key)[kHmacSha1Bytes], uint32_t (&inner)[5],
                    uint32_t (&outer)[5]);

// HMAC of a || b with the pads of `keys`.
void hmac_sha1(const SrtpKeys& keys, Bytes a, Bytes b, uint8_t (&mac)[kHmacSha1Bytes]);

}  // namespace spillway
