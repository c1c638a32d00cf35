#include "signaling/http/server.h"

#include "signaling/http/listener.h"
#include "signaling/http/router.h"

namespace spillway {

// Order matters: the listener refers to everything above it and goes first.
struct HttpServer::Parts {
  Parts(boost::asio::io_context& io, HttpOptions o, ControlApi& control, HttpClock clock)
      : options(std::move(o)),
        router(options, control, metrics, clock),
        listener(io, options, router, metrics, clock) {}

  const HttpOptions options;
  HttpMetrics metrics;
  ApiRouter router;
  Listener listener;
};

HttpServer::HttpServer(boost::asio::io_context& io, HttpOptions options, ControlApi& control,
                       HttpClock clock)
    : parts_(std::make_unique<Parts>(io, std::move(options), control, std::move(clock))) {}
HttpServer::~HttpServer() = default;

Result<void> HttpServer::start() {
  return parts_->listener.start();
}
void HttpServer::begin_drain() {
  parts_->router.begin_drain();
}
void HttpServer::stop() {
  parts_->listener.stop();
}
uint16_t HttpServer::bound_port() const {
  return parts_->listener.bound_port();
}
const HttpMetrics& HttpServer::metrics() const {
  return parts_->metrics;
}

struct AdminServer::Parts {
  Parts(boost::asio::io_context& io, HttpOptions o, ControlApi& control, const HttpMetrics& http,
        HttpClock clock)
      : options(std::move(o)),
        router(options, control, http),
        listener(io, options, router, own_metrics, std::move(clock)) {}

  const HttpOptions options;
  // Scrapes would drown the public listener's numbers; the caps still need some.
  HttpMetrics own_metrics;
  AdminRouter router;
  Listener listener;
};

AdminServer::AdminServer(boost::asio::io_context& io, HttpOptions options, ControlApi& control,
                         const HttpMetrics& http, HttpClock clock)
    : parts_(std::make_unique<Parts>(io, std::move(options), control, http, std::move(clock))) {}
AdminServer::~AdminServer() = default;

Result<void> AdminServer::start() {
  return parts_->listener.start();
}
void AdminServer::stop() {
  parts_->listener.stop();
}
uint16_t AdminServer::bound_port() const {
  return parts_->listener.bound_port();
}

}  // namespace spillway
