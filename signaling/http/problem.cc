#include "signaling/http/problem.h"

#include <algorithm>

#include "datapath/base/assert.h"
#include "signaling/http/json_text.h"

namespace spillway {

namespace {

constexpr size_t kDetailBytesMax = 512;

using T = ProblemType;
constexpr std::array<ProblemInfo, kProblemTypeCount> kProblems{{
    {T::bad_request, 400, "bad-request", "The request is malformed"},
    {T::bad_sdp, 400, "bad-sdp", "The SDP offer is malformed"},
    {T::bad_fragment, 400, "bad-fragment", "The trickle-ice-sdpfrag is malformed"},
    {T::bad_stream_name, 400, "bad-stream-name", "Not a stream name"},
    {T::unauthorized, 401, "unauthorized", "A valid bearer token is needed"},
    {T::no_such_resource, 404, "no-such-resource", "Nothing is here"},
    {T::no_such_session, 404, "no-such-session", "The session does not exist"},
    {T::no_such_stream, 404, "no-such-stream", "The stream does not exist"},
    {T::method_not_allowed, 405, "method-not-allowed", "The method is not allowed here"},
    {T::request_timeout, 408, "request-timeout", "The request took too long to arrive"},
    {T::no_publisher, 409, "no-publisher", "Nobody publishes this stream"},
    {T::already_published, 409, "already-published", "Somebody publishes this stream already"},
    {T::stale_etag, 412, "stale-etag", "The entity tag is not the current one"},
    {T::body_too_large, 413, "body-too-large", "The body is too large"},
    {T::unsupported_type, 415, "unsupported-type", "The content type is not accepted here"},
    {T::expectation_failed, 417, "expectation-failed", "The expectation cannot be met"},
    {T::wrong_host, 421, "wrong-host", "This host name is not served here"},
    {T::unsupported_offer, 422, "unsupported-offer", "The offer cannot be served"},
    {T::unsupported_layer, 422, "unsupported-layer", "The layer cannot be selected"},
    {T::etag_required, 428, "etag-required", "If-Match is required"},
    {T::rate_limited, 429, "rate-limited", "Too many requests"},
    {T::header_too_large, 431, "header-too-large", "The header fields are too large"},
    {T::internal_error, 500, "internal-error", "The server failed"},
    {T::overloaded, 503, "overloaded", "The server is at its limit"},
    {T::draining, 503, "draining", "The server is being shut down"},
}};

constexpr bool ordered() {
  for (uint8_t i = 0; i < kProblemTypeCount; ++i)
    if (static_cast<uint8_t>(kProblems[i].type) != i) return false;
  return true;
}
static_assert(ordered());

ProblemType type_of(ApiError::Kind kind) {
  switch (kind) {
    case ApiError::Kind::not_found:
      return T::no_such_session;
    case ApiError::Kind::no_publisher:
      return T::no_publisher;
    case ApiError::Kind::already_published:
      return T::already_published;
    case ApiError::Kind::unsupported:
      return T::unsupported_offer;
    case ApiError::Kind::stale_etag:
      return T::stale_etag;
    case ApiError::Kind::overloaded:
      return T::overloaded;
    case ApiError::Kind::rate_limited:
      return T::rate_limited;
    case ApiError::Kind::draining:
      return T::draining;
    case ApiError::Kind::invalid:
      return T::bad_request;
  }
  return T::internal_error;
}

}  // namespace

const ProblemInfo& info_of(ProblemType type) {
  SPILLWAY_ASSERT(static_cast<uint8_t>(type) < kProblemTypeCount);
  return kProblems[static_cast<uint8_t>(type)];
}

HttpResponse problem(ProblemType type, std::string_view detail, uint32_t retry_after_s) {
  const ProblemInfo& info = info_of(type);
  HttpResponse response;
  response.status = info.status;
  response.set("Content-Type", "application/problem+json");
  response.set("Cache-Control", "no-store");
  if (info.status == 429 || info.status == 503) retry_after_s = std::max(retry_after_s, 1u);
  if (retry_after_s != 0) response.set("Retry-After", std::to_string(retry_after_s));
  std::string& body = response.body;
  body.append("{\"type\":\"urn:spillway:problem:").append(info.slug).append("\",\"title\":");
  append_json_string(body, info.title);
  body.append(",\"status\":").append(std::to_string(info.status)).append(",\"detail\":");
  append_json_string(body, detail.substr(0, kDetailBytesMax));
  body.append("}\n");
  return response;
}

HttpResponse problem_from(const ApiError& error) {
  uint32_t retry_after_s = error.retry_after_s;
  // H37: the draft makes Retry-After part of this answer.
  if (error.kind == ApiError::Kind::no_publisher) retry_after_s = std::max(retry_after_s, 1u);
  return problem(type_of(error.kind), error.detail, retry_after_s);
}

}  // namespace spillway
