// Errors as application/problem+json (RFC 9457), one stable type per cause.
//
// The slugs are a promise: troubleshooting tables and clients key on them. The
// HTTP status belongs to the type, so a cause has one status everywhere.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "control/control_api.h"
#include "signaling/http/message.h"

namespace spillway {

enum class ProblemType : uint8_t {
  bad_request,         // 400 framing, JSON, anything without a name of its own
  bad_sdp,             // 400 the offer does not parse
  bad_fragment,        // 400 the PATCH body does not parse or has no credentials
  bad_stream_name,     // 400 not [A-Za-z0-9_-]{1,128}
  unauthorized,        // 401
  no_such_resource,    // 404 path
  no_such_session,     // 404 /w/{id}
  no_such_stream,      // 404 /api/streams/{name}
  method_not_allowed,  // 405 + Allow
  request_timeout,     // 408
  no_publisher,        // 409 + Retry-After (H37)
  already_published,   // 409
  stale_etag,          // 412
  body_too_large,      // 413
  unsupported_type,    // 415 + Accept-Post or Accept-Patch
  expectation_failed,  // 417
  wrong_host,          // 421
  unsupported_offer,   // 422 we understand it and cannot serve it (C7: never 400)
  unsupported_layer,   // 422
  etag_required,       // 428
  rate_limited,        // 429 + Retry-After
  header_too_large,    // 431
  internal_error,      // 500
  overloaded,          // 503 + Retry-After
  draining,            // 503 + Retry-After
};
inline constexpr uint8_t kProblemTypeCount = 25;

struct ProblemInfo {
  ProblemType type;
  uint16_t status;
  std::string_view slug;  // "urn:spillway:problem:" + slug is the type member
  std::string_view title;
};
const ProblemInfo& info_of(ProblemType type);

// {"type":"urn:spillway:problem:…","title":…,"status":…,"detail":…}. `detail` may
// quote text from outside: it is cut at 512 bytes and escaped. retry_after_s 0 =
// no Retry-After, except for 429 and 503, which always have one (at least 1).
HttpResponse problem(ProblemType type, std::string_view detail, uint32_t retry_after_s = 0);

HttpResponse problem_from(const ApiError& error);

}  // namespace spillway
