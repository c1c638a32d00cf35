// From what a peer offered to what the session table says, and back to words.
//
// Pure functions: no state, clock or randomness. The result of build_session() is
// complete except for what only the session manager knows: generation, home worker,
// tracks, and a viewer's SSRCs and cname.
//
// Errors: ApiError, one sentence naming the limit; nothing from outside is cut short
// silently except as stated.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "control/control_api.h"
#include "datapath/abi/control_record.h"
#include "datapath/abi/session_config.h"
#include "datapath/base/bytes.h"

namespace spillway {

struct SessionTimes {
  uint32_t connect_timeout_ms = 15'000;
  uint32_t consent_timeout_ms = 30'000;
  uint32_t rtx_percent = 25;
};

// phase half_open, role as given, tracks kNoTrack.
// A publisher's layers: its rids; without rids, its signalled SSRCs. With rids, SSRCs
// are left to be learnt: nothing says they are in the same order.
ApiResult<abi::SessionConfig> build_session(const SessionRequest& request, abi::SessionRole role,
                                            const SessionTimes& times);

// Checks and copies the peer's credentials into a table entry (also for ICE restarts).
std::optional<ApiError> check_credentials(std::string_view ufrag, std::string_view pwd);
void set_remote_ufrag(abi::SessionConfig& config, std::string_view ufrag);
void set_remote_pwd(abi::KeyConfig& keys, std::string_view pwd);

// The publisher's format parameters of one line. Too long together: "sprop-*" are left
// out (nobody matches on them); still too long: those that do not fit are empty.
abi::TrackRecord make_track_record(const MediaPlan& plan, uint32_t slot, uint32_t generation);
// What the line carries. A record of another publisher gives empty parameters.
TrackDescription describe_track(const abi::MediaConfig& media, const abi::TrackRecord& record);

std::string mid_of(const abi::MediaConfig& media);
std::string rid_of(const abi::MediaConfig& media, uint32_t layer);

// base64url without padding (RFC 4648 §5).
std::string base64url(Bytes bytes);
// 22 characters to 128 bits; nullopt for anything else.
std::optional<std::array<uint8_t, 16>> session_id_from(std::string_view text);

}  // namespace spillway
