// Which of our addresses a peer is told (ICE-lite host candidates).
//
// Order: IPv4, then IPv6, each as configured: FFmpeg takes the first "udp ... host" it
// sees (interop §0.6). A client on this machine gets loopback first; anybody else gets
// loopback only when there is nothing else. Link-local addresses go last: a browser
// cannot use them without a zone.
//
// Pure; any thread.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "datapath/base/endpoint.h"

namespace spillway {

// Numeric addresses to endpoints on `port`; text that is none is skipped.
std::vector<Endpoint> candidate_endpoints(std::span<const std::string> addresses, uint16_t port);

std::vector<Endpoint> order_candidates(std::span<const Endpoint> all, const IpAddress& client);

}  // namespace spillway
