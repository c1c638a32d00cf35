// The forwarding engine of one worker: sans-IO. Datagrams, commands and a time go
// in; datagrams, events and the next deadline come out. The uring loop, the mmsg
// loop and the simulator are drivers of this same object.
//
//   driver, each turn:
//     receive(packets, now, tx)     datagrams from the network
//     apply(slot, ...)              table entries that changed
//     send_dtls(...)                control's handshake datagrams
//     run(now, tx) until it returns false or tx is full, sending tx in between
//     tick(now, tx)                 when deadline() has passed
//     then drain outputs(): events, DTLS datagrams, workers to wake
//
// Threads: one owner; engines talk through SharedCore only. No allocation, clock,
// socket, randomness or log inside. Time is monotonic nanoseconds of the driver.
// Errors: a bad datagram increments exactly one abi::Drop; nothing else happens.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "datapath/abi/counters.h"
#include "datapath/abi/messages.h"
#include "datapath/abi/session_config.h"
#include "datapath/abi/session_state.h"
#include "datapath/base/packet.h"
#include "datapath/base/units.h"
#include "datapath/core/address_table.h"
#include "datapath/core/session.h"
#include "datapath/core/shared_core.h"
#include "datapath/core/viewer_lists.h"
#include "datapath/proto/ice_credentials.h"
#include "datapath/proto/rtcp.h"
#include "datapath/proto/rtp.h"
#include "datapath/proto/stun.h"
#include "datapath/srtp/srtp_engine.h"

namespace spillway {

struct EngineOptions {
  uint32_t worker = 0;
  IceSecret ice_secret{};
  HashKey hash_key{};
  uint64_t seed = 0;  // initial sequence numbers and STUN transaction ids
};

struct EngineCounters {
  std::array<uint64_t, abi::kDropCount> drops{};
  std::array<uint64_t, abi::kCountCount> counts{};
  std::array<uint64_t, abi::kLatencyBuckets> latency{};
};

// A DTLS datagram for control. `data` lies in the received packet: copy it before
// the packets of this receive() are released.
struct DtlsOut {
  uint32_t slot = 0;
  uint32_t generation = 0;
  Path path;
  Bytes data;
};

struct EngineOutputs {
  static constexpr uint32_t kEventsMax = 256;
  std::array<abi::Event, kEventsMax> events;
  uint32_t event_count = 0;
  std::array<DtlsOut, kBurst> dtls;
  uint32_t dtls_count = 0;
  // Slots whose table entry must be read again and apply()-ed here: a command went
  // to another worker, or the session was just adopted.
  static constexpr uint32_t kReloadMax = 512;
  std::array<uint32_t, kReloadMax> reload;
  uint32_t reload_count = 0;
  uint32_t wake_workers = 0;  // bit per worker
  void clear() { event_count = dtls_count = reload_count = wake_workers = 0; }
};

class Engine {
 public:
  // shared, srtp: outlive the engine. states, publishers: arrays of kMaxSessions in
  // the datapath region (or plain memory in tests).
  Engine(const EngineOptions& options, SharedCore& shared, SrtpEngine& srtp,
         abi::SessionState* states, abi::PublisherState* publishers);

  // Takes note of a changed table entry, whichever worker heard of it: the owner (or,
  // for a session nobody owned yet, its home worker) acts, another passes the news on.
  // keys: nullptr while half open. Both were validated by the caller.
  void apply(uint32_t slot, const abi::SessionConfig& config, const abi::KeyConfig* keys,
             Nanos now);

  // Start-up of a new process on old memory: adopts the session when this worker
  // owns it, and in any case learns its address. Before the first receive().
  void recover(uint32_t slot, const abi::SessionConfig& config, const abi::KeyConfig* keys,
               Nanos now);

  void receive(std::span<RxPacket> packets, Nanos now, TxBatch& tx);
  void send_dtls(const abi::DtlsDatagram& datagram, TxBatch& tx);
  void request_key_frame(uint32_t slot, uint32_t generation);

  // Messages from other workers, then fan-out of what is new. True: there is more,
  // send the batch and call again.
  bool run(Nanos now, TxBatch& tx);

  // Timers. Call when deadline() <= now.
  void tick(Nanos now, TxBatch& tx);
  Nanos deadline() const;

  EngineOutputs& outputs() { return outputs_; }
  const EngineCounters& counters() const { return counters_; }
  EngineCounters& counters() { return counters_; }
  uint32_t owned() const { return owned_count_; }

  // For control: a report of an owned session is due at least each second.
  // f(slot, const abi::SessionReport&) is called for those due at `now`.
  template <typename F>
  void take_reports(F f) {
    for (uint32_t i = 0; i < report_count_; ++i) f(reports_[i].slot, reports_[i].report);
    report_count_ = 0;
  }

 private:
  friend class EngineTest;

  struct PendingReport {
    uint32_t slot;
    abi::SessionReport report;
  };

  // --- engine.cc: life of sessions -------------------------------------------------
  void attach(uint32_t slot, const abi::SessionConfig& config, const abi::KeyConfig* keys,
              Nanos now, bool recovered);
  void configure(Session& s, const abi::SessionConfig& config);
  void install_keys(Session& s, const abi::KeyConfig& keys, bool recovered);
  void configure_publisher(Session& s, const abi::SessionConfig& config, Nanos now);
  void configure_viewer(Session& s, const abi::SessionConfig& config);
  void detach(Session& s, Nanos now, bool released);
  void own(Session& s);
  void disown(Session& s);
  void move_to(Session& s, uint32_t worker, Nanos now);
  bool is_mine(uint32_t slot, uint32_t generation) const;
  bool is_stale(const AddressTable::Value& v) const;
  void emit(abi::EventType type, Session& s, Nanos now, uint32_t ice_generation = 0);

  // --- engine_messages.cc ----------------------------------------------------------------
  bool drain_inboxes(Nanos now, TxBatch& tx);
  void take_message(const WorkerMessage& m, uint32_t from, Nanos now, TxBatch& tx);
  void reload(uint32_t slot);
  void pass_on(uint32_t slot, uint32_t worker);
  // A verified check of a session another worker owns.
  struct Validated {
    uint32_t slot, generation;
    Path path;
    uint8_t ice_generation;
    bool nominated;
    Bytes remote_ufrag;   // at most kMaxUfragBytes
    uint32_t via_worker;  // where it arrived
    uint8_t hops;
  };
  void tell_owner(const Validated& v, Nanos now);
  bool adoption_pending(const WorkerMessage& m) const;
  void hand_over(const RxPacket& p, const AddressTable::Value& to, Nanos now, uint8_t hops);

  // --- engine_ice.cc --------------------------------------------------------------------
  void receive_stun(const RxPacket& p, Nanos now, TxBatch& tx);
  // False: the credentials are not (any longer) those of the session.
  bool validated(Session& s, const Path& path, uint8_t ice_generation, bool nominated,
                 Bytes remote_ufrag, uint32_t via_worker, Nanos now);
  void authenticated_from(Session& s, const Path& path, Nanos now);
  void switch_path(Session& s, const Path& path, Nanos now);

  // --- engine_ingress.cc ----------------------------------------------------------------
  void receive_dtls(const RxPacket& p, const AddressTable::Value& who);
  void receive_owned(Session& s, const RxPacket& p, Nanos now, TxBatch& tx);
  void receive_rtp(Session& s, const RxPacket& p, Nanos now);
  void store(PublisherMedia& media, uint32_t layer, const abi::PayloadConfig& payload,
             const RtpHeader& header, Bytes packet, uint64_t ext_seq, Nanos now);
  void receive_rtx(Session& s, uint32_t media_index, uint32_t layer,
                   const abi::PayloadConfig& payload, const RtpHeader& header,
                   MutableBytes packet, Nanos now);
  void note_arrival(Ingress& in, const abi::PayloadConfig& payload, uint64_t ext_seq,
                    uint32_t timestamp, Nanos now);
  void finish_burst();

  // --- engine_rtcp.cc -----------------------------------------------------------------------
  void receive_rtcp(Session& s, const RxPacket& p, Nanos now, TxBatch& tx);
  void note_sender_report(Session& s, const SenderReport& sr, Nanos now);
  void answer_nack(Session& s, const RtcpFeedback& nack, Nanos now, TxBatch& tx);
  void key_frame_asked(Session& s, const RtcpFeedback& feedback);
  void want_key_frame(Track& track, uint32_t layer);
  bool send_rtcp(Session& s, MutableBytes plain, uint32_t bytes, TxBatch& tx);

  // --- engine_fanout.cc ---------------------------------------------------------------------
  bool serve_track(uint32_t track, Nanos now, TxBatch& tx);
  bool serve_viewer(Session& s, uint32_t media, Nanos now, TxBatch& tx);
  void pace_at(Nanos at);
  bool start_reading(Session& s, uint32_t media, uint32_t layer, const TrackRing* ring, Nanos now);
  void begin_segment(Session& s, uint32_t media, const TrackRing* ring, uint64_t position);
  bool forward(Session& s, uint32_t media, const StoredPacket& packet, TxBatch& tx);
  bool retransmit(Session& s, uint32_t media, const Segment& segment, const StoredPacket& packet,
                  uint64_t index, TxBatch& tx);
  bool map_payload(Egress& e, Codec codec);
  uint32_t write_header(Session& s, const Egress& e, const StoredPacket& packet, uint8_t pt,
                        Ssrc ssrc, uint16_t sequence, uint32_t timestamp, uint8_t* out);
  void push_job(Session& s, uint8_t* out, uint32_t header_bytes, const uint8_t* payload,
                uint32_t payload_bytes, uint64_t index, Ssrc ssrc);
  void flush_protect();

  // --- engine_reports.cc -----------------------------------------------------------------------
  void tick_publisher(Session& s, Nanos now, TxBatch& tx);
  void send_nacks(Session& s, uint32_t media, uint32_t layer, Nanos now, TxBatch& tx);
  void send_key_frame_requests(Session& s, uint32_t media, Nanos now, TxBatch& tx);
  void note_transport_cc(ArrivalLog& log, uint16_t sequence, uint32_t ssrc, Nanos now);
  void send_transport_cc(Session& s, Nanos now, TxBatch& tx);
  void send_receiver_reports(Session& s, Nanos now, TxBatch& tx);
  void measure_layers(Session& s, Nanos now);
  void send_sender_reports(Session& s, Nanos now, TxBatch& tx);
  void each_second(Session& s, Nanos now, TxBatch& tx);
  void report(Session& s, Nanos now);

  uint64_t random();  // splitmix64 of the seed: not for secrets
  void drop(abi::Drop d) { ++counters_.drops[static_cast<uint32_t>(d)]; }
  void count(abi::Count c, uint64_t n = 1) { counters_.counts[static_cast<uint32_t>(c)] += n; }

  EngineOptions options_;
  IceKeys ice_keys_;
  SharedCore& shared_;
  SrtpEngine& srtp_;
  abi::SessionState* states_;
  abi::PublisherState* publishers_;
  uint64_t random_state_;
  AddressTable addresses_;
  ViewerLists viewers_;
  EngineCounters counters_;
  EngineOutputs outputs_;

  // Sessions this worker owns, dense, in no order.
  std::unique_ptr<uint32_t[]> owned_;
  uint32_t owned_count_ = 0;
  uint32_t second_cursor_ = 0;  // where the once-a-second walk stands
  std::unique_ptr<uint32_t[]> publishers_owned_;
  uint32_t publisher_count_ = 0;
  Nanos next_pace_ = kNever;    // some viewer waits for its next portion

  // Tracks written in this burst: their readers are told once, at its end.
  std::array<uint32_t, kBurst> written_tracks_{};
  uint32_t written_count_ = 0;

  // Fan-out state of one run(): jobs share the batch's memory until flushed.
  std::array<RtpProtectJob, kBurst> jobs_{};
  uint32_t job_count_ = 0;
  // Payloads that differ from the stored ones (VP8 numbers, RTX), one per job.
  std::array<std::array<uint8_t, kMaxRtpBytes + 2>, kBurst> scratch_{};
  Nanos run_now_{0};
  uint32_t resume_track_ = kNoIndex;  // the walk a full batch interrupted ...
  uint32_t resume_skip_ = 0;          // ... and how many viewers it had served

  std::array<PendingReport, 256> reports_;
  uint32_t report_count_ = 0;
  Nanos next_tick_{0};
  Nanos last_tick_{0};
};

}  // namespace spillway
