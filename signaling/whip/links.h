// Link headers with ice-servers (RFC 9725 §4.6). Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "signaling/http/message.h"

namespace spillway {

// One header line per server: some clients split one line at every ',' and ';', so
// entries that hold either, or anything but printable ASCII, are left out.
// "stun:host:port" and "stuns:…" only: we hand out no TURN credentials yet, and a
// TURN server without them is of no use.
void add_ice_server_links(HttpResponse& response, const std::vector<std::string>& servers);
bool is_ice_server(std::string_view text);

}  // namespace spillway
