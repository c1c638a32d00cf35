// One HTTP request and one response, free of sockets and of any HTTP library.
//
// A request is a set of views into the connection's buffers: valid only during
// the call it is passed to. Header names compare without case (RFC 9110 §5.1).
// A response owns its text; the server adds Date, Content-Length, Connection and
// X-Request-Id when it writes it. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "datapath/base/endpoint.h"

namespace spillway {

// `other` is every method we do not speak; it is answered with 405.
enum class HttpMethod : uint8_t { get, head, post, patch, del, options, other };

struct HttpRequest {
  HttpMethod method = HttpMethod::get;
  std::string_view target;  // as sent: path and query, or "*" for OPTIONS
  std::vector<std::pair<std::string_view, std::string_view>> headers;
  std::string_view body;  // <= HttpLimits::body_bytes_max
  IpAddress peer;         // of the TCP connection, not of X-Forwarded-For

  // First header of that name, without surrounding blanks.
  std::optional<std::string_view> header(std::string_view name) const;
  // The path alone: up to '?' or '#', still percent-encoded.
  std::string_view path() const;
};

// What a request was for, as a bounded label of metrics.
enum class HttpRoute : uint8_t {
  whip,
  whep,
  session,
  layer,
  api,
  page,
  admin,
  unknown,
  refused  // refused: never routed
};
inline constexpr uint8_t kHttpRouteCount = 9;
std::string_view name_of(HttpRoute route);

struct HttpResponse {
  uint16_t status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  HttpRoute route = HttpRoute::unknown;
  bool close = false;  // end the connection after this response
  // A HEAD response has the headers of a body it does not send: the number goes
  // into Content-Length. 204 never carries one (RFC 9110 §8.6).
  std::optional<uint64_t> head_content_length;

  void set(std::string_view name, std::string_view value);  // replaces
  void add(std::string_view name, std::string_view value);  // one more line
  std::optional<std::string_view> header(std::string_view name) const;
};

// Answers requests; called on the io_context thread, never re-entered.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  virtual HttpResponse handle(const HttpRequest& request) = 0;
  // For what never became a request: bad framing, limits, deadlines.
  virtual HttpResponse refuse(uint16_t status, std::string_view reason) = 0;
};

// ASCII only: header values and names are.
bool equals_ignoring_case(std::string_view a, std::string_view b);
std::string_view trim_blanks(std::string_view text);  // SP and HTAB
// "application/sdp; charset=utf-8" is of type "application/sdp".
bool is_media_type(std::string_view content_type, std::string_view wanted);

// RFC 9110 §15 reason phrase; "Unknown" for numbers we never send.
std::string_view reason_phrase(uint16_t status);

// Status line, headers and body as sent. `date` is an IMF-fixdate, `request_id`
// our own token. Headers whose name or value would break the framing (CR, LF,
// NUL) are left out: responses quote text from outside.
std::string serialize(const HttpResponse& response, bool keep_alive, std::string_view date,
                      std::string_view request_id);

}  // namespace spillway
