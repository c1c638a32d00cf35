#include "tests/peer/http_client.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>

#include <chrono>

namespace spillway::peer {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;

// Makes one asynchronous Beast operation look like a call; only those know deadlines.
class Runner {
 public:
  asio::io_context context{1};

  template <typename Start>
  error_code run(Start&& start) {
    error_code result = asio::error::would_block;
    start([&](error_code ec, auto&&...) { result = ec; });
    context.restart();
    context.run();
    return result;
  }
};

template <typename Stream>
Result<HttpReply> exchange(Runner& runner, Stream& stream, const HttpCall& call) {
  http::request<http::string_body> request;
  request.method_string(call.method);
  request.target(call.url.target);
  request.version(11);
  const bool v6 = call.url.host.find(':') != std::string::npos;
  request.set(http::field::host, (v6 ? "[" + call.url.host + "]" : call.url.host) + ":" + call.url.port);
  request.set(http::field::user_agent, "spillway-peer");
  request.set(http::field::connection, "close");
  if (!call.token.empty()) request.set(http::field::authorization, "Bearer " + call.token);
  if (!call.content_type.empty()) request.set(http::field::content_type, call.content_type);
  request.body() = call.body;
  request.prepare_payload();
  if (const auto ec = runner.run([&](auto done) { http::async_write(stream, request, done); }))
    return Error{"send to " + call.url.to_string() + ": " + ec.message()};
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(kMaxReplyBytes);
  if (const auto ec = runner.run([&](auto done) { http::async_read(stream, buffer, parser, done); }))
    return Error{"read from " + call.url.to_string() + ": " + ec.message()};
  const auto& response = parser.get();
  HttpReply reply;
  reply.status = response.result_int();
  reply.location = std::string(response[http::field::location]);
  reply.etag = std::string(response[http::field::etag]);
  reply.body = response.body();
  return reply;
}

}  // namespace

Result<HttpUrl> HttpUrl::parse(std::string_view text) {
  HttpUrl url;
  std::string_view rest = text;
  if (rest.starts_with("https://")) {
    url.tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return Error{"a URL begins with http:// or https://: " + std::string(text)};
  }
  const size_t slash = rest.find_first_of("/?#");
  std::string_view authority = rest.substr(0, slash);
  if (slash != std::string_view::npos) url.target = rest.substr(slash, rest.find('#') - slash);
  if (url.target.empty() || url.target[0] != '/') url.target = "/" + url.target;
  std::string_view port;
  if (authority.starts_with("[")) {
    const size_t end = authority.find(']');
    if (end == std::string_view::npos) return Error{"no ] in " + std::string(text)};
    url.host = authority.substr(1, end - 1);
    port = authority.substr(end + 1);
  } else {
    const size_t colon = authority.find(':');
    url.host = authority.substr(0, colon);
    if (colon != std::string_view::npos) port = authority.substr(colon);
  }
  if (port.starts_with(":")) port.remove_prefix(1);
  url.port = port.empty() ? (url.tls ? "443" : "80") : std::string(port);
  if (url.host.empty() || url.port.find_first_not_of("0123456789") != std::string::npos ||
      url.target.find_first_of(" \r\n") != std::string::npos)
    return Error{"not a URL: " + std::string(text)};
  return url;
}

Result<HttpUrl> HttpUrl::resolve(std::string_view reference) const {
  if (reference.find("://") != std::string_view::npos) return parse(reference);
  if (reference.empty()) return Error{"empty Location"};
  HttpUrl url = *this;
  if (reference.starts_with("//")) return parse((tls ? "https:" : "http:") + std::string(reference));
  if (reference[0] == '/') {
    url.target = reference;
  } else {
    const std::string path = target.substr(0, target.find('?'));
    url.target = path.substr(0, path.rfind('/') + 1) + std::string(reference);
  }
  if (url.target.find_first_of(" \r\n") != std::string::npos) return Error{"bad Location"};
  return url;
}

std::string HttpUrl::to_string() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (tls ? "https://" : "http://") + (v6 ? "[" + host + "]" : host) + ":" + port + target;
}

Result<HttpReply> http_call(const HttpCall& call) {
  Runner runner;
  error_code ec;
  asio::ip::tcp::resolver resolver(runner.context);
  const auto addresses = resolver.resolve(call.url.host, call.url.port, ec);
  if (ec) return Error{"resolve " + call.url.host + ": " + ec.message()};
  const auto timeout = std::chrono::seconds(call.timeout_s);
  const auto connect = [&](beast::tcp_stream& tcp) {
    tcp.expires_after(timeout);
    return runner.run([&](auto done) { tcp.async_connect(addresses, done); });
  };
  if (!call.url.tls) {
    beast::tcp_stream stream(runner.context);
    if ((ec = connect(stream))) return Error{"connect to " + call.url.to_string() + ": " + ec.message()};
    stream.expires_after(timeout);
    return exchange(runner, stream, call);
  }
  asio::ssl::context tls(asio::ssl::context::tls_client);
  tls.set_verify_mode(asio::ssl::verify_none, ec);
  beast::ssl_stream<beast::tcp_stream> stream(runner.context, tls);
  SSL_set_tlsext_host_name(stream.native_handle(), call.url.host.c_str());
  if ((ec = connect(beast::get_lowest_layer(stream))))
    return Error{"connect to " + call.url.to_string() + ": " + ec.message()};
  ec = runner.run([&](auto done) { stream.async_handshake(asio::ssl::stream_base::client, done); });
  if (ec) return Error{"TLS with " + call.url.to_string() + ": " + ec.message()};
  beast::get_lowest_layer(stream).expires_after(timeout);
  return exchange(runner, stream, call);
}

HttpPool::HttpPool(uint32_t threads, std::function<void(std::function<void()>)> post)
    : post_(std::move(post)) {
  for (uint32_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

HttpPool::~HttpPool() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& t : threads_) t.join();
}

void HttpPool::call(HttpCall call, Done done) {
  {
    const std::lock_guard lock(mutex_);
    queue_.emplace_back(std::move(call), std::move(done));
  }
  wake_.notify_one();
}

void HttpPool::work() {
  for (;;) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return stop_ || !queue_.empty(); });
    if (stop_) return;
    auto [call, done] = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    Result<HttpReply> result = http_call(call);
    post_([done = std::move(done), result = std::move(result)]() mutable { done(std::move(result)); });
  }
}

}  // namespace spillway::peer
