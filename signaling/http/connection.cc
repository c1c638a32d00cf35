#include "signaling/http/connection.h"

#include <array>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <exception>
#include <type_traits>

#include "signaling/http/request_reader.h"

namespace spillway {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

// Per connection and always there, so small: offers are 2 to 8 KiB.
constexpr size_t kReadBytes = 4096;
constexpr size_t kLingerBytesMax = 256 * 1024;
constexpr Nanos kLingerTime = seconds(2);

template <typename Stream>
class ConnectionOf final : public Connection {
 public:
  static constexpr bool kTls = !std::is_same_v<Stream, tcp::socket>;

  ConnectionOf(tcp::socket socket, const std::shared_ptr<asio::ssl::context>& tls,
               const IpAddress& from, ConnectionOwner& owner)
      : tls_(tls),
        stream_(make_stream(std::move(socket), tls)),
        timer_(stream_.get_executor()),
        owner_(owner),
        reader_(owner.limits()) {
    peer = from;
  }

  void start() override {
    set_deadline(owner_.limits().request_deadline, Phase::reading);
    if constexpr (kTls) {
      stream_.async_handshake(asio::ssl::stream_base::server,
                              [self = self()](error_code ec) { self->on_handshake(ec); });
    } else {
      handshake_done_ = true;
      read();
    }
  }

  void close() override {
    if (phase_ == Phase::closed) return;
    phase_ = Phase::closed;
    timer_.cancel();
    error_code ignored;
    socket().close(ignored);
    owner_.on_closed(*this);
  }

 private:
  enum class Phase : uint8_t { reading, writing, idle, lingering, closed };

  static Stream make_stream(tcp::socket socket, const std::shared_ptr<asio::ssl::context>& tls) {
    if constexpr (kTls)
      return Stream(std::move(socket), *tls);
    else
      return socket;
  }
  tcp::socket& socket() {
    if constexpr (kTls)
      return stream_.next_layer();
    else
      return stream_;
  }
  std::shared_ptr<ConnectionOf> self() {
    return std::static_pointer_cast<ConnectionOf>(shared_from_this());
  }

  void set_deadline(Nanos in, Phase phase) {
    phase_ = phase;
    timer_.expires_after(std::chrono::nanoseconds(in.ns));
    timer_.async_wait([self = self(), turn = ++deadline_turn_](error_code ec) {
      // The turn tells a wait that had already expired when it was replaced.
      if (!ec && turn == self->deadline_turn_) self->on_deadline();
    });
  }

  void on_deadline() {
    switch (phase_) {
      case Phase::reading:
        owner_.metrics().count_reject(HttpReject::request_deadline);
        // A read is pending and stays so: answer beside it, then close.
        if (handshake_done_ && reader_.started())
          refuse(408, "the request did not arrive in time");
        else
          close();
        return;
      case Phase::writing:
        owner_.metrics().count_reject(HttpReject::response_deadline);
        close();
        return;
      case Phase::idle:
      case Phase::lingering:
        close();
        return;
      case Phase::closed:
        return;
    }
  }

  void on_handshake(error_code ec) {
    if (phase_ == Phase::closed) return;
    if (ec) {
      owner_.metrics().count_reject(HttpReject::tls_handshake);
      close();
      return;
    }
    handshake_done_ = true;
    read();
  }

  void read() {
    read_pending_ = true;
    stream_.async_read_some(asio::buffer(buffer_), [self = self()](error_code ec, size_t n) {
      self->read_pending_ = false;
      self->on_read(ec, n);
    });
  }

  void on_read(error_code ec, size_t n) {
    if (phase_ == Phase::closed) return;
    if (phase_ != Phase::reading && phase_ != Phase::idle) return;  // a 408 is on its way
    if (ec) {
      close();
      return;
    }
    if (phase_ == Phase::idle) {
      owner_.on_busy(*this);
      set_deadline(owner_.limits().request_deadline, Phase::reading);
    }
    advance(reader_.feed({buffer_.data(), n}));
  }

  void advance(RequestReader::Status status) {
    switch (status) {
      case RequestReader::Status::need_more:
        if (reader_.take_expect_continue())
          send_continue();
        else
          read();
        return;
      case RequestReader::Status::complete:
        answer();
        return;
      case RequestReader::Status::failed: {
        const uint16_t code = reader_.error_status();
        owner_.metrics().count_reject(code == 413   ? HttpReject::body_too_large
                                      : code == 431 ? HttpReject::header_too_large
                                                    : HttpReject::bad_request);
        refuse(code, reader_.error_reason());
        return;
      }
    }
  }

  // Still under the request's deadline.
  void send_continue() {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    asio::async_write(stream_, asio::buffer(kContinue), [self = self()](error_code ec, size_t) {
      if (self->phase_ != Phase::reading) return;
      if (ec)
        self->close();
      else
        self->read();
    });
  }

  void answer() {
    HttpRequest request = reader_.request();
    request.peer = peer;
    const std::string id = owner_.next_request_id();
    HttpResponse response;
    // Whatever goes wrong in there is one client's 500, not everybody's end.
    try {
      response = owner_.handler().handle(request);
    } catch (const std::exception& e) {
      response = owner_.handler().refuse(500, "the request could not be handled");
      owner_.log_refusal(peer, 500, e.what(), id);
    }
    owner_.log_request(request, response, id);
    const bool keep = reader_.keep_alive() && !response.close &&
                      ++requests_ < owner_.limits().requests_per_connection_max;
    write(response, keep, id);
  }

  void refuse(uint16_t status, std::string_view reason) {
    const std::string id = owner_.next_request_id();
    owner_.log_refusal(peer, status, reason, id);
    write(owner_.handler().refuse(status, reason), false, id);
  }

  void write(const HttpResponse& response, bool keep, std::string_view id) {
    out_ = serialize(response, keep, owner_.date(), id);
    set_deadline(owner_.limits().response_deadline, Phase::writing);
    asio::async_write(stream_, asio::buffer(out_),
                      [self = self(), keep](error_code ec, size_t) { self->on_written(ec, keep); });
  }

  void on_written(error_code ec, bool keep) {
    if (phase_ == Phase::closed) return;
    out_.clear();
    if (ec) {
      close();
      return;
    }
    if (!keep) {
      linger();
      return;
    }
    const auto status = reader_.next();
    if (reader_.started() || status != RequestReader::Status::need_more) {
      set_deadline(owner_.limits().request_deadline, Phase::reading);
    } else {
      set_deadline(owner_.limits().idle_timeout, Phase::idle);
      owner_.on_idle(*this);
    }
    advance(status);
  }

  void linger() {
    if (read_pending_) {
      close();
      return;
    }
    set_deadline(kLingerTime, Phase::lingering);
    if constexpr (kTls) {
      // Sends close_notify and waits for the peer's; fails at once when the peer is
      // still sending its request, which is what drain() is for.
      stream_.async_shutdown([self = self()](error_code) { self->begin_drain(); });
    } else {
      begin_drain();
    }
  }

  void begin_drain() {
    if (phase_ != Phase::lingering) return;
    error_code ignored;
    socket().shutdown(tcp::socket::shutdown_send, ignored);
    drain();
  }

  // Below TLS: what comes now is thrown away, not understood.
  void drain() {
    socket().async_read_some(asio::buffer(buffer_), [self = self()](error_code ec, size_t n) {
      if (self->phase_ != Phase::lingering) return;
      self->lingered_ += n;
      if (ec || self->lingered_ > kLingerBytesMax)
        self->close();
      else
        self->drain();
    });
  }

  std::shared_ptr<asio::ssl::context> tls_;  // outlives stream_
  Stream stream_;
  asio::steady_timer timer_;
  ConnectionOwner& owner_;
  RequestReader reader_;
  std::array<char, kReadBytes> buffer_;
  std::string out_;
  size_t lingered_ = 0;
  uint64_t deadline_turn_ = 0;
  uint32_t requests_ = 0;
  Phase phase_ = Phase::reading;
  bool handshake_done_ = false;
  bool read_pending_ = false;
};

}  // namespace

std::shared_ptr<Connection> make_connection(tcp::socket socket,
                                            std::shared_ptr<asio::ssl::context> tls,
                                            const IpAddress& peer, ConnectionOwner& owner) {
  if (tls) {
    return std::make_shared<ConnectionOf<asio::ssl::stream<tcp::socket>>>(std::move(socket), tls,
                                                                          peer, owner);
  }
  return std::make_shared<ConnectionOf<tcp::socket>>(std::move(socket), tls, peer, owner);
}

}  // namespace spillway
