// What the HTTP side counts, as plain numbers and as Prometheus text.
//
// Bounded labels only: route, status class and reason are closed lists, so a
// client cannot create series. Single thread: the io_context's.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "datapath/base/units.h"
#include "signaling/http/message.h"

namespace spillway {

// Why a connection or a request was turned away before it reached control.
enum class HttpReject : uint8_t {
  connection_limit,  // max_connections
  connection_limit_per_ip,
  accept_failed,  // EMFILE and its kin: accepting paused
  tls_handshake,
  request_deadline,   // 408, or closed when nothing was sent
  response_deadline,  // slow reader
  bad_request,        // framing: 400
  header_too_large,   // 431
  body_too_large,     // 413
  rate_limit_prefix,  // 429
  rate_limit_global,  // 503
  session_guess,      // 429
  unauthorized,       // 401
  draining,           // 503
  host_not_allowed,   // 421
};
inline constexpr uint8_t kHttpRejectCount = 15;
std::string_view name_of(HttpReject reject);

class HttpMetrics {
 public:
  void count_request(HttpRoute route, uint16_t status, Nanos duration);
  void count_reject(HttpReject reject) { ++rejects_[static_cast<uint8_t>(reject)]; }
  void connection_opened() { ++connections_total_, ++connections_open_; }
  void connection_closed() { --connections_open_; }

  uint64_t requests(HttpRoute route, uint16_t status) const;  // of that status class
  uint64_t rejects(HttpReject reject) const { return rejects_[static_cast<uint8_t>(reject)]; }
  uint64_t connections_open() const { return connections_open_; }
  uint64_t connections_total() const { return connections_total_; }

  // Text exposition format 0.0.4: spillway_http_requests_total{route,class},
  // spillway_http_rejects_total{reason}, spillway_http_connections{,_total},
  // spillway_http_request_duration_seconds (histogram: last byte in to response made).
  std::string text() const;

  // Upper bounds of the histogram in microseconds; +Inf is implied.
  static constexpr std::array<int64_t, 9> kBucketsUs{100,    250,    500,     1'000,    2'500,
                                                     10'000, 50'000, 250'000, 1'000'000};

 private:
  static constexpr uint8_t kStatusClasses = 5;  // 1xx..5xx
  std::array<std::array<uint64_t, kStatusClasses>, kHttpRouteCount> requests_{};
  std::array<uint64_t, kHttpRejectCount> rejects_{};
  std::array<uint64_t, kBucketsUs.size() + 1> duration_{};
  uint64_t duration_count_ = 0;
  int64_t duration_sum_ns_ = 0;
  uint64_t connections_open_ = 0;
  uint64_t connections_total_ = 0;
};

}  // namespace spillway
