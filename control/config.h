// The effective configuration, after defaults, file, environment and flags.
//
// The launcher builds it (control/launcher/config_loader.h) and hands it to
// spillway-control and spillway-datapath as JSON in a sealed memfd. Plain values;
// immutable after start. Every field is documented for operators by
// `spillway config explain`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace spillway {

struct Config {
  struct Http {
    std::string listen = "127.0.0.1:8080";  // numeric address:port; public API and pages
    std::string admin_listen = "127.0.0.1:9090";  // /healthz /readyz /metrics; never public
    std::string tls_certificate;            // PEM chain; empty = plain HTTP
    std::string tls_key;                    // PEM
    bool insecure_http = false;             // allow plain HTTP on a non-loopback address (H34)
    std::vector<std::string> cors_origins = {"*"};
    bool pages = true;                      // /publish /watch / status
    bool strict_etag = false;               // 428 for PATCH without If-Match (C1)
    bool half_accept = false;               // WHIP: accept an offer with some m-lines refused (H9)
    uint32_t max_connections = 8000;
    uint32_t max_connections_per_ip = 100;
    std::vector<std::string> trusted_proxies;  // addresses whose X-Forwarded-For is believed
    std::vector<std::string> ice_servers;   // "stun:host:port" lines for Link headers (H29)
  } http;

  struct Auth {
    // Static bearer tokens. Empty lists: no token needed for that action.
    std::vector<std::string> publish_tokens;
    std::vector<std::string> watch_tokens;
    bool accept_raw_token = false;     // Authorization without "Bearer " (C5)
    bool token_names_stream = true;    // /whip/endpoint, /whep/endpoint: token = stream name
    bool delete_needs_token = false;   // session URL is a capability (C3)
  } auth;

  struct Media {
    uint16_t port = 3478;                   // UDP, IPv4 and IPv6
    std::vector<std::string> bind;          // numeric addresses; empty = all local
    std::vector<std::string> advertise;     // ICE candidates; empty = all local addresses
    uint32_t workers = 0;                   // 1..16; 0 = one per core
    std::vector<uint32_t> cpus;             // pin worker i to cpus[i]; empty = 0,1,2...
    bool pin = true;
    std::string io = "auto";                // auto | uring | mmsg
    std::string srtp = "auto";              // auto | ipsec-mb | openssl
    uint32_t video_rings = 512;             // simulcast layers that may be live at once
    uint32_t audio_rings = 1024;
  } media;

  struct Sessions {
    uint32_t max = 8192;                    // of kMaxSessions
    uint32_t max_half_open = 4096;          // posted, not yet connected
    uint32_t posts_per_second = 500;        // global token bucket (H35)
    uint32_t posts_per_second_per_ip = 50;
    uint32_t connect_timeout_s = 15;        // POST to first check / handshake done
    uint32_t consent_timeout_s = 30;        // RFC 7675
    std::string publisher_policy = "takeover";  // takeover | reject
    uint32_t wait_for_publisher_s = 60;     // 0 = 409 without a publisher (H37)
    uint32_t rtx_percent = 25;              // retransmission budget per viewer, T9
  } sessions;

  struct Log {
    std::string level = "info";             // trace debug info warn error
    bool json = false;
  } log;

  uint32_t drain_timeout_s = 10;            // SIGTERM: wait this long for sessions to end
};

}  // namespace spillway
