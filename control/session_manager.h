// Streams, sessions, DTLS and the session table: the whole of ControlApi.
//
// Sans-IO: bytes, a clock and randomness are handed in; what goes out lies in the
// shared rings and table when a call returns, and workers are woken through
// DatapathLink. The driver (runtime.h, a test, the simulator) calls turn() when
// woken, again at once while it returns true, and at the latest each kTurnInterval.
//
//   POST --> half_open entry + doorbell --> validated event --> DTLS over the rings
//        --> keys, keyed entry + doorbell --> connected event --> ... --> end()
//   end(): close_notify, entry free, keys wiped, doorbell, slot rests until released
//
// Work per turn is bounded: kEventsPerTurn, kDtlsPerTurn, a slice of the table. Every
// timer is a field that the slice looks at, so timers are late by up to kSweepPeriod
// and cost nothing to set or cancel; DTLS retransmissions are looked at each turn.
//
// Restart: the constructor reads the table back. Keyed sessions go on with their URL,
// etag and stream; half-open ones are swept, because their handshake is lost.
//
// Threads: one. Errors: ApiError as control_api.h says.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "control/config.h"
#include "control/control_api.h"
#include "control/control_counters.h"
#include "control/datapath_link.h"
#include "control/dtls.h"
#include "control/session_builder.h"
#include "control/sessions.h"
#include "control/slots.h"
#include "control/streams.h"

namespace spillway {

inline constexpr Nanos kTurnInterval = millis(20);
inline constexpr Nanos kSweepPeriod = seconds(1);
inline constexpr uint32_t kEventsPerTurn = 1024;
// A handshake's expensive datagram costs about 0.3 ms: at most some 20 ms between
// two looks at HTTP and the heartbeat.
inline constexpr uint32_t kDtlsPerTurn = 64;
// Old credentials after an ICE restart (interop H24).
inline constexpr Nanos kOldIceLifetime = seconds(30);
// A peer whose publisher vanished, when wait_for_publisher_s is 0.
inline constexpr uint32_t kOrphanSeconds = 60;
// Two attempts of one session are at least this far apart.
inline constexpr Nanos kHandshakePause = millis(100);
// Last flights kept for repetition: about 300 bytes each.
inline constexpr uint32_t kLastFlightsMax = 4096;
inline constexpr Nanos kLastFlightLifetime = seconds(15);
inline constexpr uint32_t kLastFlightRepeats = 8;

struct ManagerOptions {
  Config::Sessions limits;
  // Host candidates in order of preference; loopback ones are used as candidates.h says.
  std::vector<Endpoint> candidates;
  std::string version = "unknown";  // for build_info
};

class SessionManager final : public ControlApi {
 public:
  using Clock = std::function<Nanos()>;                // monotonic
  using Random = std::function<void(MutableBytes)>;    // cryptographic; fills all of it

  // link, dtls: outlive the manager. Reads the table back (see above).
  SessionManager(DatapathLink& link, const DtlsContext& dtls, ManagerOptions options, Clock clock,
                 Random random);
  ~SessionManager() override;

  // True: more is waiting, call again soon.
  bool turn();

  void begin_drain() { draining_ = true; }
  bool draining() const { return draining_; }
  // Ends every session (DTLS close_notify included).
  void remove_all();
  uint32_t session_count() const { return session_count_; }
  uint32_t half_open_count() const { return half_open_; }
  const ControlCounters& counters() const { return counters_; }
  // Bytes of OpenSSL-free bookkeeping kept for repeated last flights.
  size_t last_flight_count() const { return last_flights_.size(); }

  // --- ControlApi -------------------------------------------------------------------
  StreamDescription describe_stream(std::string_view stream) const override;
  ApiResult<SessionAnswer> publish(const SessionRequest& request) override;
  ApiResult<SessionAnswer> watch(const SessionRequest& request) override;
  std::optional<IceState> ice_state(std::string_view session_id) const override;
  ApiResult<IceRestartAnswer> restart_ice(std::string_view session_id,
                                          std::string_view remote_ufrag,
                                          std::string_view remote_pwd) override;
  bool remove(std::string_view session_id) override;
  std::optional<ApiError> select_layer(std::string_view session_id, std::string_view mid,
                                       std::string_view rid) override;
  std::vector<LayerStatus> layers(std::string_view stream) const override;
  std::vector<StreamStatus> streams() const override;
  std::vector<SessionStatus> sessions(std::string_view stream) const override;
  Health health() const override;
  std::string metrics_text() const override;

 private:
  // Ids are 128 random bits, drawn here: nobody outside can place one, and the keyed
  // hash hides which bucket a guess falls into, so that the time of a look-up tells
  // nothing about stored ids. No constant-time comparison is needed.
  struct IdHash {
    HashKey key;
    size_t operator()(const SessionId& id) const {
      return static_cast<size_t>(hash_endpoint(Endpoint{IpAddress{id}, 0, 0}, key));
    }
  };
  struct LastFlight {
    uint32_t generation = 0;
    DatagramList flight;
    Nanos sent{};        // newest repetition
    uint32_t repeats = 0;
    Nanos kept_since{};
  };

  // --- session_manager.cc: life ---------------------------------------------------------
  std::optional<ApiError> admit(bool replaces);
  ApiResult<SessionAnswer> open(const SessionRequest& request, abi::SessionRole role);
  bool assign_tracks(Stream& stream, abi::SessionRole role, abi::SessionConfig& config,
                     TrackList& tracks);
  Session& add_session(std::unique_ptr<Session> session);
  void end(Session& session, EndReason reason);
  void write_free(SlotName name, abi::SessionConfig config);
  Session* find(std::string_view session_id) const;
  Session* at(uint32_t slot, uint32_t generation) const;
  std::string etag_of(const abi::ControlRecord& record, uint8_t ice_generation) const;
  TransportAnswer transport_answer(const Session& session) const;
  void describe(Stream& stream, const abi::SessionConfig& config);
  uint32_t random_u32();
  uint8_t pick_home() const;

  // --- session_turn.cc: what happens by itself ---------------------------------------------
  void take_event(const abi::Event& event, uint32_t worker);
  void sweep();
  void check(Session& session);
  void retire_old_ice(Session& session);
  bool datapath_alive() const;

  // --- session_handshake.cc -------------------------------------------------------------------
  void take_dtls(const abi::DtlsDatagram& datagram, uint32_t worker);
  void start_handshake(Session& session);
  void after_handshake_step(Session& session);
  void handshake_done(Session& session);
  void drop_handshake(Session& session);
  void tick_handshakes();
  void send_flight(Session& session, const DatagramList& flight);
  void repeat_last_flight(Session& session);
  void send_close_notify(const Session& session);

  // --- session_recovery.cc -----------------------------------------------------------------------
  void recover();
  bool recover_keyed(uint32_t slot, const abi::SessionConfig& config);

  DatapathLink& link_;
  const DtlsContext& dtls_;
  ManagerOptions options_;
  Clock clock_;
  Random random_;
  Nanos now_{};
  Nanos started_{};
  bool draining_ = false;

  SlotPool slots_;
  TrackPool tracks_;
  StreamTable streams_;
  std::vector<std::unique_ptr<Session>> by_slot_;
  std::unordered_map<SessionId, uint32_t, IdHash> by_id_;
  uint32_t session_count_ = 0;
  uint32_t half_open_ = 0;
  std::array<uint32_t, kMaxWorkers> home_count_{};

  std::vector<uint32_t> handshaking_;  // slots
  std::unordered_map<uint32_t, LastFlight> last_flights_;
  std::deque<std::pair<uint32_t, Nanos>> last_flight_order_;

  uint32_t sweep_cursor_ = 0;
  Nanos last_sweep_{};
  Nanos datapath_alive_since_ = kNever;
  ControlCounters counters_;
};

}  // namespace spillway
