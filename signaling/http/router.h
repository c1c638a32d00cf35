// The public routes, as a function from request to response.
//
//   /whip/{stream}  /whip/endpoint    POST OPTIONS HEAD GET   publish (RFC 9725)
//   /whep/{stream}  /whep/endpoint    POST OPTIONS HEAD GET   watch (WHEP draft)
//   /w/{id}                           PATCH DELETE GET OPTIONS  a session
//   /w/{id}/layer                     POST OPTIONS            a viewer's layer
//   /api/streams  /api/streams/{name} GET HEAD OPTIONS        status_json.h
//   everything else                   GET HEAD OPTIONS        pages, if enabled
//
// Every response carries CORS headers; every error is application/problem+json
// (problem.h). State: rate limiters and the drain flag; everything else is asked
// of ControlApi. Single thread.
#pragma once

#include <memory>
#include <string_view>

#include "control/control_api.h"
#include "signaling/http/http_metrics.h"
#include "signaling/http/http_options.h"
#include "signaling/http/message.h"

namespace spillway {

class ApiRouter final : public HttpHandler {
 public:
  // `options`, `control` and `metrics` outlive the router.
  ApiRouter(const HttpOptions& options, ControlApi& control, HttpMetrics& metrics, HttpClock clock);
  ~ApiRouter() override;

  HttpResponse handle(const HttpRequest& request) override;
  HttpResponse refuse(uint16_t status, std::string_view reason) override;
  void begin_drain();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// /healthz: 200 while control runs. /readyz: 200, or 503 with reasons when the
// datapath is not alive or we drain. /metrics: Prometheus text.
class AdminRouter final : public HttpHandler {
 public:
  AdminRouter(const HttpOptions& options, ControlApi& control, const HttpMetrics& http);

  HttpResponse handle(const HttpRequest& request) override;
  HttpResponse refuse(uint16_t status, std::string_view reason) override;

 private:
  const HttpOptions& options_;
  ControlApi& control_;
  const HttpMetrics& http_;
};

}  // namespace spillway
