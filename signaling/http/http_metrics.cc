#include "signaling/http/http_metrics.h"

#include <cstdio>

namespace spillway {

namespace {

void append_help(std::string& out, std::string_view name, std::string_view type,
                 std::string_view help) {
  out.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ");
  out.append(name).append(" ").append(type).append("\n");
}

uint8_t class_index(uint16_t status) {
  return static_cast<uint8_t>(status < 100 || status > 599 ? 4 : status / 100 - 1);
}

// Nine significant digits, as Prometheus clients write seconds.
std::string decimal(double value) {
  char text[32];
  const int n = std::snprintf(text, sizeof text, "%.9g", value);
  return {text, static_cast<size_t>(n)};
}

}  // namespace

std::string_view name_of(HttpReject reject) {
  constexpr std::array<std::string_view, kHttpRejectCount> names{
      "connection_limit",  "connection_limit_per_ip",
      "accept_failed",     "tls_handshake",
      "request_deadline",  "response_deadline",
      "bad_request",       "header_too_large",
      "body_too_large",    "rate_limit_prefix",
      "rate_limit_global", "session_guess",
      "unauthorized",      "draining",
      "host_not_allowed"};
  return names[static_cast<uint8_t>(reject)];
}

void HttpMetrics::count_request(HttpRoute route, uint16_t status, Nanos duration) {
  ++requests_[static_cast<uint8_t>(route)][class_index(status)];
  size_t bucket = 0;
  while (bucket < kBucketsUs.size() && duration > micros(kBucketsUs[bucket])) ++bucket;
  ++duration_[bucket];
  ++duration_count_;
  duration_sum_ns_ += duration.ns;
}

uint64_t HttpMetrics::requests(HttpRoute route, uint16_t status) const {
  return requests_[static_cast<uint8_t>(route)][class_index(status)];
}

std::string HttpMetrics::text() const {
  std::string out;
  out.reserve(8192);
  append_help(out, "spillway_http_requests_total", "counter",
              "HTTP requests answered, by route and status class.");
  for (uint8_t route = 0; route < kHttpRouteCount; ++route) {
    for (uint8_t c = 1; c < kStatusClasses; ++c) {
      out.append("spillway_http_requests_total{route=\"");
      out.append(name_of(static_cast<HttpRoute>(route)));
      out.append("\",class=\"").append(std::to_string(c + 1)).append("xx\"} ");
      out.append(std::to_string(requests_[route][c])).append("\n");
    }
  }
  append_help(out, "spillway_http_rejects_total", "counter",
              "Connections and requests turned away before they reached a session.");
  for (uint8_t reject = 0; reject < kHttpRejectCount; ++reject) {
    out.append("spillway_http_rejects_total{reason=\"");
    out.append(name_of(static_cast<HttpReject>(reject)));
    out.append("\"} ").append(std::to_string(rejects_[reject])).append("\n");
  }
  append_help(out, "spillway_http_connections", "gauge", "Open HTTP connections.");
  out.append("spillway_http_connections ").append(std::to_string(connections_open_)).append("\n");
  append_help(out, "spillway_http_connections_total", "counter", "HTTP connections accepted.");
  out.append("spillway_http_connections_total ").append(std::to_string(connections_total_));
  out.append("\n");
  append_help(out, "spillway_http_request_duration_seconds", "histogram",
              "From the last byte of a request to its response being made.");
  uint64_t cumulative = 0;
  for (size_t i = 0; i < duration_.size(); ++i) {
    cumulative += duration_[i];
    out.append("spillway_http_request_duration_seconds_bucket{le=\"");
    out.append(i < kBucketsUs.size() ? decimal(static_cast<double>(kBucketsUs[i]) / 1e6) : "+Inf");
    out.append("\"} ").append(std::to_string(cumulative)).append("\n");
  }
  out.append("spillway_http_request_duration_seconds_sum ");
  out.append(decimal(static_cast<double>(duration_sum_ns_) / 1e9)).append("\n");
  out.append("spillway_http_request_duration_seconds_count ");
  out.append(std::to_string(duration_count_)).append("\n");
  return out;
}

}  // namespace spillway
