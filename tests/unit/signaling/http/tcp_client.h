// A blocking HTTP client on a plain or TLS socket that can also misbehave.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace spillway::test {

class TcpClient {
 public:
  // Every blocking call ends after ten seconds: a test fails, it never hangs.
  explicit TcpClient(uint16_t port, bool v6 = false, int receive_buffer = 0) {
    fd_ = ::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval limit{10, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (receive_buffer != 0)
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in a4{};
    a4.sin_family = AF_INET;
    a4.sin_port = htons(port);
    a4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr_in6 a6{};
    a6.sin6_family = AF_INET6;
    a6.sin6_port = htons(port);
    a6.sin6_addr = in6addr_loopback;
    connected_ = v6 ? ::connect(fd_, reinterpret_cast<sockaddr*>(&a6), sizeof a6) == 0
                    : ::connect(fd_, reinterpret_cast<sockaddr*>(&a4), sizeof a4) == 0;
  }
  ~TcpClient() { close(); }
  TcpClient(const TcpClient&) = delete;
  TcpClient& operator=(const TcpClient&) = delete;

  void close() {
    if (ssl_ != nullptr) SSL_free(ssl_);
    if (context_ != nullptr) SSL_CTX_free(context_);
    if (fd_ >= 0) ::close(fd_);
    ssl_ = nullptr;
    context_ = nullptr;
    fd_ = -1;
  }
  bool connected() const { return connected_; }

  // Any certificate will do. max_version 0: the library's newest.
  bool start_tls(int max_version = 0) {
    context_ = SSL_CTX_new(TLS_client_method());
    if (max_version != 0) {
      SSL_CTX_set_security_level(context_, 0);
      SSL_CTX_set_min_proto_version(context_, TLS1_VERSION);
      SSL_CTX_set_max_proto_version(context_, max_version);
    }
    static constexpr unsigned char kAlpn[] = "\x02h2\x08http/1.1";
    SSL_CTX_set_alpn_protos(context_, kAlpn, sizeof kAlpn - 1);
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, fd_);
    return SSL_connect(ssl_) == 1;
  }
  std::string tls_version() const { return SSL_get_version(ssl_); }
  std::string alpn() const {
    const unsigned char* name = nullptr;
    unsigned n = 0;
    SSL_get0_alpn_selected(ssl_, &name, &n);
    return {reinterpret_cast<const char*>(name), n};
  }

  // False when the server has closed.
  bool send(std::string_view text) {
    while (!text.empty()) {
      const auto n = ssl_ != nullptr ? SSL_write(ssl_, text.data(), static_cast<int>(text.size()))
                                     : ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      text.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }

  struct Response {
    int status = 0;
    std::string head;
    std::string body;
    std::string header(std::string_view name) const {
      const std::string mark = "\r\n" + std::string(name) + ": ";
      const auto at = head.find(mark);
      if (at == std::string::npos) return {};
      const auto from = at + mark.size();
      return head.substr(from, head.find("\r\n", from) - from);
    }
  };
  // nullopt: closed (or ten seconds) before a whole response.
  std::optional<Response> read_response() {
    size_t end = 0;
    while ((end = in_.find("\r\n\r\n")) == std::string::npos)
      if (!receive()) return std::nullopt;
    Response r;
    r.head = in_.substr(0, end + 2);
    in_.erase(0, end + 4);
    r.status = std::atoi(r.head.c_str() + 9);
    const auto length = static_cast<size_t>(std::atoll(r.header("Content-Length").c_str()));
    while (in_.size() < length)
      if (!receive()) return std::nullopt;
    r.body = in_.substr(0, length);
    in_.erase(0, length);
    return r;
  }
  std::optional<Response> request(std::string_view text) {
    send(text);
    return read_response();
  }
  // True when the server ends the connection within ten seconds.
  bool closed_by_server() {
    while (true) {
      char buffer[4096];
      const auto n = ssl_ != nullptr ? SSL_read(ssl_, buffer, sizeof buffer)
                                     : ::recv(fd_, buffer, sizeof buffer, 0);
      if (n == 0) return true;
      if (n < 0) return ssl_ != nullptr || (errno != EAGAIN && errno != EWOULDBLOCK);
    }
  }

 private:
  bool receive() {
    char buffer[4096];
    const auto n = ssl_ != nullptr ? SSL_read(ssl_, buffer, sizeof buffer)
                                   : ::recv(fd_, buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    in_.append(buffer, static_cast<size_t>(n));
    return true;
  }

  int fd_ = -1;
  bool connected_ = false;
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
  std::string in_;
};

}  // namespace spillway::test
