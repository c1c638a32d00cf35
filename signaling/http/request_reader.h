// Bytes of one connection in, requests out: HTTP/1.1 framing without a socket.
//
// Boost.Beast parses; in front of it stand the rules that close the gaps two
// parsers could read differently (RFC 9112 §6, §11.2; A-24): one Content-Length of
// digits or one "Transfer-Encoding: chunked", never both; no line folding, no bare
// CR or LF, no control characters; exactly one Host for 1.1; no trailers; chunk
// framing bounded. Anything else is 400 and the end of the connection, because
// nobody knows where the next request would begin.
//
//   need_more --feed--> need_more | complete | failed
//   complete  --next--> need_more | complete | failed   (bytes already buffered)
//
// Single thread. Views of request() live until next() or feed().
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "signaling/http/http_options.h"
#include "signaling/http/message.h"

namespace spillway {

class RequestReader {
 public:
  enum class Status : uint8_t { need_more, complete, failed };

  explicit RequestReader(const HttpLimits& limits);
  ~RequestReader();
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  // Appends bytes and parses. In complete or failed the bytes are only kept, up to
  // one request's worth: stop reading the socket instead.
  Status feed(std::string_view bytes);
  // Forgets the finished request and starts on what is buffered behind it.
  Status next();

  Status status() const;
  // Bytes of the current request have arrived (its deadline runs).
  bool started() const;
  // The client waits for "100 Continue" before it sends the body. True once.
  bool take_expect_continue();

  // Only when complete. `peer` is left for the connection to fill.
  HttpRequest request() const;
  bool keep_alive() const;  // HTTP/1.1 without close, HTTP/1.0 with keep-alive
  // Only when failed.
  uint16_t error_status() const;  // 400, 413, 417 or 431
  std::string_view error_reason() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace spillway
