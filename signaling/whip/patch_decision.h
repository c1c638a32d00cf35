// What a PATCH of a session means (RFC 9725 §4.3, interop §1.5): one pure function.
//
//   type?  sdpfrag -> go on; anything else -> 415
//   no ufrag or no pwd in the body                                   -> 400
//   ufrag/pwd == current -> trickle: If-Match absent: strict ? 428 : ok;
//                           * ok; == etag ok; else 412               -> 204
//   ufrag/pwd differ     -> restart: If-Match absent or * ok; == current etag ok;
//                           else 412                                 -> 200 + ETag
#pragma once

#include <cstdint>
#include <string_view>

namespace spillway {

enum class PatchAction : uint8_t {
  trickle,                // 204
  restart,                // 200 + new ETag
  bad_fragment,           // 400
  stale,                  // 412
  unsupported_type,       // 415
  precondition_required,  // 428
};

// What If-Match says about the current tag.
enum class EtagMatch : uint8_t { absent, any, current, other };

// `value` of If-Match: *, "*" (the RFC's own example quotes it), "tag", a bare tag
// (some clients drop the quotes), or a list of those. Weak tags (W/"...") never
// match: If-Match compares strongly (RFC 9110 §13.1.1). current_etag is unquoted.
EtagMatch match_etag(bool present, std::string_view value, std::string_view current_etag);

struct PatchInput {
  bool is_fragment = false;  // Content-Type is application/trickle-ice-sdpfrag
  bool parsed = false;       // the body is a well-formed fragment
  std::string_view ufrag;    // of the body; empty = absent
  std::string_view pwd;
  std::string_view current_ufrag;  // the remote side of the current ICE session
  std::string_view current_pwd;
  EtagMatch if_match = EtagMatch::absent;
  bool strict = false;  // HttpOptions::strict_etag
};
PatchAction decide_patch(const PatchInput& in);

}  // namespace spillway
