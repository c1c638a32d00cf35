// What an operator may choose about the HTTP listeners, and the limits that only
// tests change.
//
// control/main.cc fills this from its Config (signaling/ does not include it);
// field for field the names are those of `http.*`, `auth.*` and `sessions.*`
// there. Plain values, copied into the server, immutable after start.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "datapath/base/units.h"

namespace spillway {

// Monotonic time for rate limits and durations; CLOCK_MONOTONIC in production, a
// plain variable in tests. Called on the io_context thread only.
using HttpClock = std::function<Nanos()>;

// Per-connection limits (threats ). Wall-clock, enforced by timers.
struct HttpLimits {
  // From accept or the first byte of a request to its last byte, TLS handshake
  // included. Not per read: a client that drips one byte a second hits it too.
  Nanos request_deadline = seconds(10);
  // To hand the whole response to the kernel; a reader that stops is closed.
  Nanos response_deadline = seconds(10);
  Nanos idle_timeout = seconds(30);               // between requests of one connection
  Nanos accept_pause = millis(100);               // after EMFILE and its kin
  uint32_t header_bytes_max = 8 * 1024;           // more: 431
  uint32_t body_bytes_max = 64 * 1024;            // more: 413; interop §1.3
  uint32_t requests_per_connection_max = 10'000;  // then Connection: close
};

struct HttpOptions {
  std::string listen = "127.0.0.1:8080";  // numeric address:port; port 0 = any free one
  std::string tls_certificate;            // PEM chain file; empty = plain HTTP
  std::string tls_key;                    // PEM file
  bool insecure_http = false;             // allow plain HTTP off loopback (H34)
  uint32_t max_connections = 8000;        // more are closed at once
  uint32_t max_connections_per_ip = 100;  // per IPv4 address or IPv6 /64; not for trusted_proxies
  // Addresses or prefixes ("10.0.0.0/8") whose X-Forwarded-For is believed.
  std::vector<std::string> trusted_proxies;
  // Host header values served ("sfu.example", no port); empty = any. Anything
  // else gets 421: stops DNS rebinding against a development server.
  std::vector<std::string> allowed_hosts;
  std::vector<std::string> cors_origins = {"*"};  // exact origins, or "*"
  bool pages = true;
  HttpLimits limits;

  // --- WHIP, WHEP --------------------------------------------------------------
  bool strict_etag = false;              // 428 for trickle without If-Match (C1)
  bool half_accept = false;              // WHIP: accept an offer with some m-lines refused (H9)
  std::vector<std::string> ice_servers;  // "stun:host:port", one Link header each (H29)

  // --- who may ------------------------------------------------------------------
  // Static bearer tokens. Empty: the action needs none.
  std::vector<std::string> publish_tokens;
  std::vector<std::string> watch_tokens;
  bool accept_raw_token = false;    // Authorization without "Bearer " (C5)
  bool token_names_stream = true;   // /whip/endpoint, /whep/endpoint: see auth.h
  bool delete_needs_token = false;  // false: the session URL is a capability (C3)

  // --- how often (token buckets; burst = 2 s worth, at least 5; 0 = no limit) -----
  uint32_t posts_per_second = 500;        // all clients together: 503
  uint32_t posts_per_second_per_ip = 50;  // per IPv4 /24 or IPv6 /56: 429
  // PATCH, DELETE and layer choice, per prefix. A trickling client sends < 10.
  uint32_t changes_per_second_per_ip = 500;
  // Requests for unknown session ids, per prefix.
  uint32_t guesses_per_second_per_ip = 5;
};

}  // namespace spillway
