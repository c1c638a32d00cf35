// CRC-32 of ITU-T V.42 (reflected 0xEDB88320), as STUN's FINGERPRINT uses it
// (RFC 8489 §14.7). Tables are built by the compiler. Any thread.
#pragma once

#include <cstdint>

#include "datapath/base/bytes.h"

namespace spillway {

// previous: the result for the bytes before, to go on with; 0 at the start.
uint32_t crc32(Bytes data, uint32_t previous = 0);

}  // namespace spillway
