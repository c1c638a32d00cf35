// What answers and ICE-restart replies say alike about our side of ICE.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "datapath/base/endpoint.h"

namespace spillway {

// We take trickled candidates from anybody, so we always say so, whether or not the
// offer does (RFC 8839 §5.6: the options of the agent that writes them). This also
// keeps the restart reply, which no longer knows the offer, equal to the answer (H22).
inline constexpr std::string_view kIceOptions = "ice-options:trickle";

// "candidate:1 1 udp 2130706431 192.0.2.1 3478 typ host" for at most `max` of the
// endpoints, IPv4 before IPv6 (FFmpeg takes the first one), each family in the given
// order; priorities fall from 2130706431 (RFC 8445 §5.1.2.1). Ports 0 are skipped.
std::vector<std::string> host_candidates(const std::vector<Endpoint>& endpoints, uint32_t max);

}  // namespace spillway
