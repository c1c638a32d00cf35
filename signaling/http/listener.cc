#include "signaling/http/listener.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <map>
#include <random>
#include <unordered_map>
#include <vector>

#include "signaling/http/client_address.h"
#include "signaling/http/connection.h"
#include "signaling/http/json_text.h"
#include "signaling/http/rate_limit.h"
#include "signaling/http/tls_context.h"

namespace spillway {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr int kBacklog = 1024;
// Log lines of requests: enough to follow a busy server, too few to fill a disk.
constexpr RateRule kLogRule{100, 200};

IpAddress from_asio(const asio::ip::address& address) {
  IpAddress ip;
  if (address.is_v4()) {
    ip = IpAddress::v4(address.to_v4().to_uint());
  } else {
    const auto bytes = address.to_v6().to_bytes();
    std::copy(bytes.begin(), bytes.end(), ip.bytes.begin());
  }
  return ip;
}

asio::ip::address to_asio(const IpAddress& ip) {
  if (ip.is_v4()) return asio::ip::address_v4(ip.v4_value());
  asio::ip::address_v6::bytes_type bytes;
  std::copy(ip.bytes.begin(), ip.bytes.end(), bytes.begin());
  return asio::ip::address_v6(bytes);
}

// What counts as one client for the connection cap: an IPv6 host has a /64.
std::array<uint8_t, 16> cap_key(const IpAddress& ip) {
  auto key = ip.bytes;
  if (!ip.is_v4()) std::fill(key.begin() + 8, key.end(), uint8_t{0});
  return key;
}

std::string_view method_text(HttpMethod method) {
  switch (method) {
    case HttpMethod::get:
      return "GET";
    case HttpMethod::head:
      return "HEAD";
    case HttpMethod::post:
      return "POST";
    case HttpMethod::patch:
      return "PATCH";
    case HttpMethod::del:
      return "DELETE";
    case HttpMethod::options:
      return "OPTIONS";
    case HttpMethod::other:
      break;
  }
  return "other";
}

// Session URLs are capabilities: a log must not hold whole ones. Queries may carry
// anything and are not ours, so they are left out.
std::string path_for_log(std::string_view path) {
  constexpr std::string_view kSession = "/w/";
  constexpr size_t kShown = 6;
  if (path.starts_with(kSession) && path.size() > kSession.size() + kShown)
    return escape_for_log(path.substr(0, kSession.size() + kShown)) + "...";
  return escape_for_log(path);
}

}  // namespace

class Listener::Impl final : public ConnectionOwner, public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& io, const HttpOptions& options, HttpHandler& handler, HttpMetrics& metrics,
       HttpClock clock)
      : options_(options),
        limits_(options.limits),
        handler_(handler),
        metrics_(metrics),
        clock_(std::move(clock)),
        acceptor_(io),
        pause_(io),
        boot_(std::random_device{}()) {
    for (const std::string& text : options.trusted_proxies)
      if (const auto prefix = IpPrefix::parse(text)) proxies_.push_back(*prefix);
  }

  Result<void> start();
  void stop();
  uint16_t bound_port() const;

  const HttpLimits& limits() const override { return limits_; }
  HttpHandler& handler() override { return handler_; }
  HttpMetrics& metrics() override { return metrics_; }
  std::string next_request_id() override;
  std::string_view date() override;
  void log_request(const HttpRequest& request, const HttpResponse& response,
                   std::string_view request_id) override;
  void log_refusal(const IpAddress& peer, uint16_t status, std::string_view reason,
                   std::string_view request_id) override;
  void on_idle(Connection& connection) override;
  void on_busy(Connection& connection) override;
  void on_closed(Connection& connection) override;

 private:
  void accept();
  void on_accept(error_code ec, tcp::socket socket);
  void admit(tcp::socket socket);
  bool close_longest_idle();
  bool may_log();

  const HttpOptions& options_;
  const HttpLimits limits_;
  HttpHandler& handler_;
  HttpMetrics& metrics_;
  HttpClock clock_;
  std::vector<IpPrefix> proxies_;
  std::shared_ptr<asio::ssl::context> tls_;
  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  std::unordered_map<Connection*, std::shared_ptr<Connection>> connections_;
  std::map<std::array<uint8_t, 16>, uint32_t> per_client_;
  std::list<Connection*> idle_;  // longest idle first
  TokenBucket log_bucket_;
  uint64_t log_suppressed_ = 0;
  uint32_t boot_;
  uint32_t request_count_ = 0;
  std::time_t date_second_ = -1;
  std::string date_;
  bool stopped_ = false;
};

Result<void> Listener::Impl::start() {
  const auto listen = Endpoint::parse(options_.listen);
  if (!listen) return Error{"listen \"" + options_.listen + "\" is not a numeric address:port", 0};
  const bool tls = !options_.tls_certificate.empty();
  if (!tls && !listen->ip.is_loopback() && !options_.insecure_http) {
    return Error{"listen " + options_.listen +
                     ": plain HTTP off loopback needs a TLS certificate and key, or "
                     "insecure_http=true where something in front speaks TLS",
                 0};
  }
  if (tls) {
    auto context = load_tls_context(options_.tls_certificate, options_.tls_key);
    if (!context) return context.error();
    tls_ = *std::move(context);
  }
  const tcp::endpoint at(to_asio(listen->ip), listen->port);
  const auto failed = [&](const char* call, const error_code& ec) {
    return Error{std::string(call) + " " + options_.listen + ": " + ec.message(), ec.value()};
  };
  error_code ec;
  acceptor_.open(at.protocol(), ec);
  if (ec) return failed("socket", ec);
  acceptor_.set_option(tcp::acceptor::reuse_address(true), ec);
  // "[::]" serves IPv4 as well; a numeric IPv6 address serves itself.
  if (at.protocol() == tcp::v6()) acceptor_.set_option(asio::ip::v6_only(false), ec);
  acceptor_.bind(at, ec);
  if (ec) return failed("bind", ec);
  acceptor_.listen(kBacklog, ec);
  if (ec) return failed("listen", ec);
  accept();
  return {};
}

uint16_t Listener::Impl::bound_port() const {
  error_code ec;
  const auto at = acceptor_.local_endpoint(ec);
  return ec ? uint16_t{0} : at.port();
}

void Listener::Impl::stop() {
  stopped_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  pause_.cancel();
  while (!connections_.empty()) connections_.begin()->second->close();
}

void Listener::Impl::accept() {
  acceptor_.async_accept([self = shared_from_this()](error_code ec, tcp::socket socket) {
    if (!self->stopped_) self->on_accept(ec, std::move(socket));
  });
}

void Listener::Impl::on_accept(error_code ec, tcp::socket socket) {
  if (!ec) {
    admit(std::move(socket));
    accept();
    return;
  }
  const bool exhausted = ec == boost::system::errc::too_many_files_open ||
                         ec == boost::system::errc::too_many_files_open_in_system ||
                         ec == boost::system::errc::no_buffer_space ||
                         ec == boost::system::errc::not_enough_memory;
  if (!exhausted) {  // ECONNABORTED and the like: one client's affair
    accept();
    return;
  }
  metrics_.count_reject(HttpReject::accept_failed);
  close_longest_idle();
  if (may_log())
    spdlog::warn("http accept paused for {} ms: {}", limits_.accept_pause.ms(), ec.message());
  pause_.expires_after(std::chrono::nanoseconds(limits_.accept_pause.ns));
  pause_.async_wait([self = shared_from_this()](error_code) {
    if (!self->stopped_) self->accept();
  });
}

void Listener::Impl::admit(tcp::socket socket) {
  error_code ec;
  const auto remote = socket.remote_endpoint(ec);
  if (ec) return;  // gone already
  const IpAddress peer = from_asio(remote.address());
  if (connections_.size() >= options_.max_connections && !close_longest_idle()) {
    metrics_.count_reject(HttpReject::connection_limit);
    return;  // closes the socket
  }
  const auto held = per_client_.find(cap_key(peer));
  if (held != per_client_.end() && held->second >= options_.max_connections_per_ip &&
      !is_trusted(proxies_, peer)) {
    metrics_.count_reject(HttpReject::connection_limit_per_ip);
    return;
  }
  ++per_client_[cap_key(peer)];
  socket.set_option(tcp::no_delay(true), ec);
  auto connection = make_connection(std::move(socket), tls_, peer, *this);
  connections_.emplace(connection.get(), connection);
  metrics_.connection_opened();
  connection->start();
}

bool Listener::Impl::close_longest_idle() {
  if (idle_.empty()) return false;
  idle_.front()->close();
  return true;
}

void Listener::Impl::on_idle(Connection& connection) {
  connection.idle_position = idle_.insert(idle_.end(), &connection);
  connection.idle = true;
}

void Listener::Impl::on_busy(Connection& connection) {
  if (!connection.idle) return;
  idle_.erase(connection.idle_position);
  connection.idle = false;
}

void Listener::Impl::on_closed(Connection& connection) {
  on_busy(connection);
  metrics_.connection_closed();
  const auto count = per_client_.find(cap_key(connection.peer));
  if (count != per_client_.end() && --count->second == 0) per_client_.erase(count);
  connections_.erase(&connection);
}

std::string Listener::Impl::next_request_id() {
  char text[17];
  std::snprintf(text, sizeof text, "%08x%08x", boot_, ++request_count_);
  return text;
}

std::string_view Listener::Impl::date() {
  const std::time_t now = std::time(nullptr);
  if (now != date_second_) {
    // Not strftime: its names follow the locale, HTTP's are English (RFC 9110 §5.6.7).
    static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::tm t{};
    gmtime_r(&now, &t);
    char text[64];
    std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", kDays[t.tm_wday],
                  t.tm_mday, kMonths[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
    date_ = text;
    date_second_ = now;
  }
  return date_;
}

bool Listener::Impl::may_log() {
  if (log_bucket_.take(kLogRule, clock_()) != 0) {
    ++log_suppressed_;
    return false;
  }
  if (log_suppressed_ != 0) {
    spdlog::warn("http log lines suppressed: {}", log_suppressed_);
    log_suppressed_ = 0;
  }
  return true;
}

void Listener::Impl::log_request(const HttpRequest& request, const HttpResponse& response,
                                 std::string_view request_id) {
  const bool changes = request.method == HttpMethod::post || request.method == HttpMethod::patch ||
                       request.method == HttpMethod::del;
  const auto level = changes ? spdlog::level::info : spdlog::level::debug;
  if (!spdlog::should_log(level) || !may_log()) return;
  spdlog::log(
      level, "http request id={} peer={} method={} path={} status={} bytes_in={} bytes_out={}",
      request_id, request.peer.to_string(), method_text(request.method),
      path_for_log(request.path()), response.status, request.body.size(), response.body.size());
}

void Listener::Impl::log_refusal(const IpAddress& peer, uint16_t status, std::string_view reason,
                                 std::string_view request_id) {
  if (!spdlog::should_log(spdlog::level::info) || !may_log()) return;
  spdlog::info("http refused id={} peer={} status={} reason=\"{}\"", request_id, peer.to_string(),
               status, escape_for_log(reason));
}

Listener::Listener(asio::io_context& io, const HttpOptions& options, HttpHandler& handler,
                   HttpMetrics& metrics, HttpClock clock)
    : impl_(std::make_shared<Impl>(io, options, handler, metrics, std::move(clock))) {}
Listener::~Listener() {
  stop();
}

Result<void> Listener::start() {
  return impl_->start();
}
void Listener::stop() {
  impl_->stop();
}
uint16_t Listener::bound_port() const {
  return impl_->bound_port();
}

}  // namespace spillway
