// What signaling/ may ask of control/: the only header of control/ it includes.
//
// Purpose: WHIP, WHEP and (later) room signalling turn text into these values and
// these values into text; control owns streams, sessions, DTLS and the datapath.
// Nothing here names shared memory, sockets or HTTP.
//
// Threads: everything runs on control's one io_context thread; calls return at
// once and never wait for the network or the datapath. Memory: values are
// copied; nothing is kept by reference beyond a call.
// Errors: ApiError, whose kind the caller maps to an HTTP status.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "datapath/base/endpoint.h"
#include "datapath/base/media.h"
#include "datapath/base/units.h"

namespace spillway {

// --- what a peer offered, after SDP parsing and codec negotiation -------------

// One payload type of an accepted m-line, in the peer's numbering. RTX payload
// types do not appear on their own: they are `rtx_pt` of their primary.
struct PayloadType {
  uint8_t pt = 0;                     // 0..127
  std::optional<uint8_t> rtx_pt;      // RFC 4588, apt=pt
  Codec codec = Codec::none;
  uint32_t clock_rate = 0;            // Hz
  uint8_t channels = 1;               // audio only
  std::string fmtp;                   // verbatim parameters, without "a=fmtp:PT "
  bool nack = false;                  // a=rtcp-fb: the peer understands ...
  bool pli = false;
  bool fir = false;
  bool transport_cc = false;
  bool remb = false;
};

struct HeaderExtension {
  uint8_t id = 0;  // 1..14 one-byte, 1..255 with extmap-allow-mixed (RFC 8285)
  ExtensionKind kind = ExtensionKind::none;
};

// a=ssrc / a=ssrc-group:FID of a publisher; simulcast by SSRC lists several.
struct SignalledSsrc {
  Ssrc primary{};
  Ssrc rtx{};  // 0 = none
};

// One m-line of the offer that we accept.
struct MediaPlan {
  uint32_t mline_index = 0;  // position in the offer
  MediaKind kind = MediaKind::audio;
  std::string mid;           // <= kMaxMidBytes
  std::vector<PayloadType> payload_types;  // accepted, in order of preference
  std::vector<HeaderExtension> extensions;
  std::vector<std::string> rids;           // simulcast send order, lowest index first in the offer
  std::vector<SignalledSsrc> ssrcs;        // publisher only
  std::string cname;                       // publisher only, may be empty
};

enum class DtlsRole : uint8_t { client, server };  // RFC 5763 active, passive

struct Fingerprint {
  std::string algorithm;        // "sha-256", "sha-384", "sha-512" (RFC 8122); others were dropped
  std::vector<uint8_t> digest;  // 32, 48 or 64 bytes
};

struct TransportPlan {
  std::string ice_ufrag;
  std::string ice_pwd;
  std::vector<Fingerprint> fingerprints;  // at least one
  DtlsRole local_role = DtlsRole::server; // ours, answered as a=setup
};

// --- answers --------------------------------------------------------------------

// What the SDP answer must say for one MediaPlan, same order.
struct MediaAnswer {
  Ssrc ssrc{};      // watch: what the viewer receives on; publish: 0
  Ssrc rtx_ssrc{};  // 0 = no retransmission stream
  std::string cname;
  std::string msid;        // "stream track" identifiers
};

struct TransportAnswer {
  std::string ice_ufrag;
  std::string ice_pwd;
  std::vector<Endpoint> candidates;  // host, UDP; best IPv4 first, then IPv6
  std::array<uint8_t, 32> fingerprint_sha256{};
  DtlsRole local_role = DtlsRole::server;
};

struct SessionAnswer {
  std::string session_id;  // 128 bits of randomness, base64url, 22 characters
  std::string etag;        // of the ICE session, without quotes
  TransportAnswer transport;
  std::vector<MediaAnswer> media;
};

struct IceRestartAnswer {
  std::string etag;
  TransportAnswer transport;
};

// --- streams ---------------------------------------------------------------------

// One codec a live publisher sends on one track: what a viewer's offer must match.
struct TrackCodec {
  Codec codec = Codec::none;
  std::string fmtp;  // the publisher's; H.264 profile and packetization-mode matter
};

struct TrackDescription {
  MediaKind kind = MediaKind::audio;
  std::vector<TrackCodec> codecs;     // first = the one most likely sent
  std::vector<std::string> rids;      // empty: not simulcast
};

struct StreamDescription {
  bool live = false;  // a publisher is attached (its session exists)
  std::vector<TrackDescription> tracks;
};

// One simulcast layer as an operator or player sees it.
struct LayerStatus {
  std::string rid;         // empty: the only layer
  bool active = false;     // packets in the last second
  uint32_t bitrate_bps = 0;
};

// --- requests --------------------------------------------------------------------

struct SessionRequest {
  std::string stream;      // [A-Za-z0-9_-]{1,128}, checked by the caller
  TransportPlan transport;
  std::vector<MediaPlan> media;  // 1..kMaxMedia
  IpAddress client_ip;     // of the HTTP connection; admission and logs
};

struct ApiError {
  enum class Kind : uint8_t {
    not_found,           // 404 unknown session or stream
    no_publisher,        // 409 + Retry-After (WHEP, H37)
    already_published,   // 409 publisher policy "reject"
    unsupported,         // 422 more tracks, layers ... than supported
    stale_etag,          // 412
    overloaded,          // 503 + Retry-After: admission, table full, datapath down
    rate_limited,        // 429 + Retry-After
    draining,            // 503 + Retry-After
    invalid,             // 400
  };
  Kind kind = Kind::invalid;
  std::string detail;            // for problem+json, one sentence
  uint32_t retry_after_s = 0;    // 0 = not stated
};

template <typename T>
using ApiResult = std::variant<T, ApiError>;

// --- numbers for people -------------------------------------------------------------

struct SessionStatus {
  std::string stream;
  bool publisher = false;
  std::string state;       // "new", "checking", "handshake", "connected", "closing"
  std::string remote;      // "192.0.2.1:5000", empty before the first check
  uint64_t age_ms = 0;
  uint64_t rx_packets = 0, rx_bytes = 0, tx_packets = 0, tx_bytes = 0;
};

struct StreamStatus {
  std::string name;
  bool live = false;
  uint32_t viewers = 0;
  uint64_t rx_packets = 0, rx_bytes = 0, tx_packets = 0, tx_bytes = 0;
  std::vector<TrackDescription> tracks;
  std::vector<LayerStatus> layers;  // of the video track
};

struct Health {
  bool control_ok = true;
  bool datapath_ok = false;      // heartbeat younger than 100 ms (1 s while starting)
  bool draining = false;
  std::string io_backend;        // "uring", "mmsg", per worker the same
  std::string io_note;           // why degraded; empty = nothing to say
  std::string srtp_backend;
  uint32_t workers = 0;
  uint64_t datapath_restarts = 0;
  uint64_t uptime_ms = 0;
};

class ControlApi {
 public:
  virtual ~ControlApi() = default;

  // Streams exist from the first publisher or waiting viewer to the last one.
  virtual StreamDescription describe_stream(std::string_view stream) const = 0;

  // A new publisher or viewer session. On success the datapath already answers
  // this session's STUN checks (passwords are derived, RFC 8445).
  virtual ApiResult<SessionAnswer> publish(const SessionRequest& request) = 0;
  virtual ApiResult<SessionAnswer> watch(const SessionRequest& request) = 0;

  // Current ICE session of a signalling session; nullopt = unknown id.
  struct IceState {
    std::string etag;
    std::string remote_ufrag;
    std::string remote_pwd;
    bool publisher = false;
    std::string stream;
    std::vector<std::string> mids;
  };
  virtual std::optional<IceState> ice_state(std::string_view session_id) const = 0;
  // RFC 9725 §4.3.3. The old credentials stay valid until a check with the new
  // ones succeeded or 30 s have passed (H24).
  virtual ApiResult<IceRestartAnswer> restart_ice(std::string_view session_id,
                                                  std::string_view remote_ufrag,
                                                  std::string_view remote_pwd) = 0;
  // Ends a session at once (RFC 7675 §5.2). False = unknown id.
  virtual bool remove(std::string_view session_id) = 0;

  // Viewer's wish for its video m-line; empty rid = the default (highest active).
  virtual std::optional<ApiError> select_layer(std::string_view session_id,
                                               std::string_view mid, std::string_view rid) = 0;
  virtual std::vector<LayerStatus> layers(std::string_view stream) const = 0;

  virtual std::vector<StreamStatus> streams() const = 0;
  virtual std::vector<SessionStatus> sessions(std::string_view stream) const = 0;
  virtual Health health() const = 0;
  // Prometheus text exposition format 0.0.4 of everything control and datapath count.
  virtual std::string metrics_text() const = 0;
};

}  // namespace spillway
