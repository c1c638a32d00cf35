// The accepting half of a server: socket, connection caps, log lines. Used by
// server.cc only.
//
// Out of descriptors (EMFILE, ENFILE, ENOBUFS, ENOMEM) accepting stops for
// HttpLimits::accept_pause and the longest-idle connection is closed; connections
// that exist go on. At max_connections the longest-idle one makes room, without an
// idle one the newcomer is closed. Single thread.
#pragma once

#include <cstdint>
#include <memory>

#include "datapath/base/result.h"
#include "signaling/http/http_metrics.h"
#include "signaling/http/http_options.h"
#include "signaling/http/message.h"

namespace boost::asio {
class io_context;
}

namespace spillway {

class Listener {
 public:
  // `options`, `handler` and `metrics` live until stop() or destruction.
  Listener(boost::asio::io_context& io, const HttpOptions& options, HttpHandler& handler,
           HttpMetrics& metrics, HttpClock clock);
  ~Listener();  // stops

  Result<void> start();
  void stop();
  uint16_t bound_port() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace spillway
