// The status API's documents, as the status page reads them. Pure functions.
//
// GET /api/streams            {"streams":[STREAM...],"health":HEALTH}
// GET /api/streams/{name}     STREAM plus "sessions":[SESSION...]
//   STREAM   {"name","live","viewers","rx_packets","rx_bytes","tx_packets","tx_bytes",
//             "tracks":[{"kind":"audio"|"video","codecs":[{"name","fmtp"}],"rids":[..]}],
//             "layers":[{"rid","active","bitrate_bps"}]}
//   SESSION  {"publisher","state","remote","age_ms","rx_packets","rx_bytes",
//             "tx_packets","tx_bytes"}
//   HEALTH   {"control_ok","datapath_ok","draining","uptime_ms"} and, for the same
//             readers as "remote", {"io_backend","io_note","srtp_backend","workers",
//             "datapath_restarts"}
// Packets and bytes count from the start; a page takes differences for rates.
// Session ids never appear: they are capabilities. "remote" is empty unless the
// reader proved who they are or sits on this machine.
#pragma once

#include <string>
#include <vector>

#include "control/control_api.h"

namespace spillway {

std::string streams_json(const std::vector<StreamStatus>& streams, const Health& health,
                         bool show_machine);
std::string stream_json(const StreamStatus& stream, const std::vector<SessionStatus>& sessions,
                        bool show_remotes);
// {"status":"ready"|"unavailable","reasons":[...],"degraded":[...], numbers of Health}
std::string health_json(const Health& health, const std::vector<std::string>& reasons,
                        const std::vector<std::string>& degraded);

}  // namespace spillway
