// application/trickle-ice-sdpfrag bodies of PATCH requests (RFC 8840, RFC 9725 §4.3).
//
// Reading is tolerant of what players send: credentials before or after the m-lines,
// m-lines without a port or of the wrong kind, all mids listed. Candidates are
// counted, never used (ICE-lite; threats A-41). The text limits are those of sdp.h.
// Any thread; views borrow from the text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "control/control_api.h"
#include "datapath/base/result.h"

namespace spillway {

struct SdpFragment {
  std::string_view ice_ufrag;  // empty: absent
  std::string_view ice_pwd;
  std::vector<std::string_view> mids;  // as listed, at most kMaxSdpMediaLines
  uint32_t candidates = 0;
  bool end_of_candidates = false;
};

// Error::text begins "line N: ". Two different ufrags or passwords in one fragment
// are an error: a session has one ICE transport. Credentials that RFC 8839 does not
// allow, or longer than kMaxUfragBytes and kMaxIcePwdBytes, are an error.
Result<SdpFragment> parse_sdp_fragment(std::string_view text);

// Body of the 200 to an ICE restart: new credentials and exactly one candidate, the
// best (C10: a player joins several into one broken line), with the same a=ice-lite
// and a=ice-options as the answer had (H22). mids: of the session, in m-line order;
// empty: no BUNDLE group and no a=mid.
std::string write_restart_fragment(const TransportAnswer& transport,
                                   const std::vector<std::string>& mids);

}  // namespace spillway
