// A small HTTP/1.1 client for WHIP and WHEP: POST an offer, DELETE the resource.
//
// One request per connection, blocking with a deadline; HttpPool runs the calls on its
// own threads and gives the results back on the media thread, so that media never waits.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "datapath/base/result.h"

namespace spillway::peer {

struct HttpUrl {
  bool tls = false;
  std::string host;    // without brackets
  std::string port;    // decimal
  std::string target;  // "/whip/demo", with query

  // http:// or https://, an IPv6 host in brackets.
  static Result<HttpUrl> parse(std::string_view text);
  // RFC 3986 §5 for what a Location can be: absolute, or a path on this host.
  Result<HttpUrl> resolve(std::string_view reference) const;
  std::string to_string() const;
};

struct HttpReply {
  unsigned status = 0;
  std::string location;
  std::string etag;
  std::string body;  // at most kMaxReplyBytes, else an error
};
inline constexpr size_t kMaxReplyBytes = 256 * 1024;

struct HttpCall {
  std::string method;  // POST, DELETE
  HttpUrl url;
  std::string token;         // of "Authorization: Bearer"; empty: none
  std::string content_type;  // empty: no body
  std::string body;
  int timeout_s = 10;
};

// Certificates are not verified: this client exists to test servers with self-signed ones.
Result<HttpReply> http_call(const HttpCall& call);

class HttpPool {
 public:
  using Done = std::function<void(Result<HttpReply>)>;
  // post: runs a closure on the media thread (EventLoop::post).
  HttpPool(uint32_t threads, std::function<void(std::function<void()>)> post);
  ~HttpPool();  // finishes the calls under way, drops the queued ones
  void call(HttpCall call, Done done);

 private:
  void work();

  std::function<void(std::function<void()>)> post_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::pair<HttpCall, Done>> queue_;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace spillway::peer
