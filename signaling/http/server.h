// The two HTTP listeners: the public one (WHIP, WHEP, status API, pages) and the
// admin one (/healthz, /readyz, /metrics).
//
//   asio::io_context io;
//   HttpServer http(io, options, control, clock);
//   AdminServer admin(io, admin_options, control, http.metrics(), clock);
//   if (auto ok = http.start(); !ok) die(ok.error().text);
//   if (auto ok = admin.start(); !ok) die(ok.error().text);
//   io.run();                      // one thread; everything happens on it
//   SIGTERM -> http.begin_drain(); sessions gone -> http.stop(), admin.stop()
//
// HTTP/1.1 with keep-alive, TLS 1.2+ when a certificate is given, one request in
// flight per connection. Limits: http_options.h. Log lines (spdlog's default
// logger) carry the request id that the response has in X-Request-Id; text from
// outside is escaped and lines are rate-limited.
//
// Threads: construct, call and destroy on the io_context's thread (or while it
// does not run). ControlApi and the io_context outlive the server; a server may
// be destroyed while its connections still have handlers queued.
#pragma once

#include <cstdint>
#include <memory>

#include "datapath/base/result.h"
#include "signaling/http/http_metrics.h"
#include "signaling/http/http_options.h"

namespace boost::asio {
class io_context;
}

namespace spillway {

class ControlApi;

class HttpServer {
 public:
  HttpServer(boost::asio::io_context& io, HttpOptions options, ControlApi& control,
             HttpClock clock);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Loads the certificate, binds and listens. Refuses plain HTTP on an address
  // that is not loopback unless insecure_http (H34).
  Result<void> start();
  // POSTs get 503 + Retry-After from now on; PATCH, DELETE and GET still work.
  void begin_drain();
  // Closes the listener and every connection. Idempotent.
  void stop();
  uint16_t bound_port() const;  // 0 before start()
  const HttpMetrics& metrics() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

// Of HttpOptions it reads listen, insecure_http, tls_*, max_connections*, limits
// and allowed_hosts. Never give it a public address: it asks for no token.
class AdminServer {
 public:
  // `http` is rendered into /metrics after ControlApi::metrics_text().
  AdminServer(boost::asio::io_context& io, HttpOptions options, ControlApi& control,
              const HttpMetrics& http, HttpClock clock);
  ~AdminServer();
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  Result<void> start();
  void stop();
  uint16_t bound_port() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace spillway
