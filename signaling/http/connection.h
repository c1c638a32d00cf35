// One HTTP connection: bytes to RequestReader, requests to HttpHandler, responses
// back, with a deadline on each phase. Used by listener.cc only.
//
//          accept            last byte            handed to the kernel
//   [handshake -> reading] ----------> [writing] ---------------> keep-alive? -> idle
//    request deadline (408)             response deadline            |  first byte
//                                                                    v
//                                              close <- lingering   reading
//
// Nothing is read while a response is written, so one client has one request in
// flight and bounded buffers. Lingering: after an answer that ends the connection
// the rest of the request is read and thrown away for a moment, otherwise the
// kernel's reset could overtake our answer (413 to a client still sending).
//
// Single thread. Handlers hold the connection alive; after close() it touches
// neither its owner nor the handler.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <list>
#include <memory>
#include <string>

#include "signaling/http/http_metrics.h"
#include "signaling/http/http_options.h"
#include "signaling/http/message.h"

namespace spillway {

class Connection;

// What a connection needs of its listener.
class ConnectionOwner {
 public:
  virtual const HttpLimits& limits() const = 0;
  virtual HttpHandler& handler() = 0;
  virtual HttpMetrics& metrics() = 0;
  virtual std::string next_request_id() = 0;
  virtual std::string_view date() = 0;  // IMF-fixdate of now
  virtual void log_request(const HttpRequest& request, const HttpResponse& response,
                           std::string_view request_id) = 0;
  virtual void log_refusal(const IpAddress& peer, uint16_t status, std::string_view reason,
                           std::string_view request_id) = 0;
  // Idle connections are the first to go when something new needs the place.
  virtual void on_idle(Connection& connection) = 0;
  virtual void on_busy(Connection& connection) = 0;
  virtual void on_closed(Connection& connection) = 0;  // once; may drop the last owner

 protected:
  ~ConnectionOwner() = default;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  virtual ~Connection() = default;
  virtual void start() = 0;
  virtual void close() = 0;  // at once; idempotent

  IpAddress peer;
  // The owner's: where it stands in the idle list.
  std::list<Connection*>::iterator idle_position;
  bool idle = false;
};

// tls == nullptr: plain HTTP.
std::shared_ptr<Connection> make_connection(boost::asio::ip::tcp::socket socket,
                                            std::shared_ptr<boost::asio::ssl::context> tls,
                                            const IpAddress& peer, ConnectionOwner& owner);

}  // namespace spillway
