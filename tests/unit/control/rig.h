// A session manager over real regions, in one process, against a scripted datapath
// that reads the table and the rings as a worker would. Time is virtual.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "control/session_manager.h"
#include "datapath/proto/ice_credentials.h"
#include "tests/unit/control/dtls_peer.h"

namespace spillway::test {

// The other end of the rings. Releases freed slots by itself unless told not to.
class FakeDatapath {
 public:
  FakeDatapath(const abi::RegionFds& fds, uint32_t workers) : workers_(workers) {
    region_ = std::move(*abi::map_datapath(fds.datapath));
    control_ = std::move(*abi::map_control_read(fds.control));
    std::string note;
    keys_ = std::move(*abi::map_keys_read(fds.keys, &note));
    for (uint32_t w = 0; w < workers; ++w) {
      commands_.emplace_back(&control_->command_head[w], &control_->commands[w],
                             &region_->command_tail[w]);
      dtls_out_.emplace_back(&control_->dtls_out_head[w], &control_->dtls_out[w],
                             &region_->dtls_out_tail[w]);
      events_.emplace_back(&region_->event_head[w], &region_->events[w], &control_->event_tail[w]);
      dtls_in_.emplace_back(&region_->dtls_in_head[w], &region_->dtls_in[w],
                            &control_->dtls_in_tail[w]);
    }
  }

  void heartbeat(Nanos now) {
    region_->status.heartbeat_ns.store(now.ns);
    region_->status.state.store(static_cast<uint32_t>(abi::ProcessState::run));
  }
  // Takes every command; each names a slot, whose entry is read and validated.
  void work() {
    for (uint32_t w = 0; w < workers_; ++w)
      for (abi::Command c; commands_[w].pop(&c);) {
        ++commands_taken;
        ASSERT_LT(c.slot, kMaxSessions);
        seen.insert(c.slot);
        abi::SessionConfig config;
        ASSERT_TRUE(control_->sessions[c.slot].read(&config));
        ASSERT_TRUE(abi::validate(config));
        last[c.slot] = config;
        if (config.phase == static_cast<uint8_t>(abi::SessionPhase::free) && release)
          region_->states[c.slot].released_generation.store(config.generation);
      }
  }
  void event(abi::EventType type, uint32_t slot, uint32_t generation, const Path& path, Nanos now,
             uint32_t ice_generation = 0, uint32_t worker = 0) {
    events_[worker].push({static_cast<uint32_t>(type), slot, generation, ice_generation, path,
                          now.ns});
  }
  bool push_event(const abi::Event& e, uint32_t worker) { return events_[worker].push(e); }
  bool push_dtls(const abi::DtlsDatagram& d, uint32_t worker) { return dtls_in_[worker].push(d); }
  bool dtls(uint32_t slot, uint32_t generation, const Path& path, Bytes data,
            uint32_t worker = 0) {
    abi::DtlsDatagram d{};
    d.slot = slot;
    d.generation = generation;
    d.path = path;
    d.bytes = static_cast<uint32_t>(data.size());
    std::copy(data.begin(), data.end(), d.data);
    return dtls_in_[worker].push(d);
  }
  std::vector<abi::DtlsDatagram> take_dtls() {
    std::vector<abi::DtlsDatagram> out;
    for (auto& ring : dtls_out_)
      for (abi::DtlsDatagram d; ring.pop(&d);) out.push_back(d);
    return out;
  }
  abi::SessionConfig entry(uint32_t slot) const {
    abi::SessionConfig c{};
    if (control_->sessions[slot].version() != 0) {
      EXPECT_TRUE(control_->sessions[slot].read(&c));
    }
    return c;
  }
  abi::KeyConfig keys(uint32_t slot) const {
    abi::KeyConfig k{};
    EXPECT_TRUE(keys_->keys[slot].read(&k));
    return k;
  }
  bool keys_contain(Bytes needle) const {
    return contains(keys_.get(), sizeof(abi::KeysRegion), needle);
  }
  bool control_contains(Bytes needle) const {
    return contains(control_.get(), sizeof(abi::ControlRegion), needle);
  }
  abi::DatapathRegion& region() { return *region_; }
  uint32_t workers() const { return workers_; }

  bool release = true;
  uint64_t commands_taken = 0;
  std::set<uint32_t> seen;                        // slots of commands since cleared
  std::map<uint32_t, abi::SessionConfig> last;    // entry as of the newest command

 private:
  static bool contains(const void* memory, size_t bytes, Bytes needle) {
    std::string_view hay(static_cast<const char*>(memory), bytes);
    return hay.find(std::string_view(reinterpret_cast<const char*>(needle.data()),
                                     needle.size())) != std::string_view::npos;
  }
  uint32_t workers_;
  abi::MappedRegion<abi::DatapathRegion> region_;
  abi::MappedRegion<const abi::ControlRegion> control_;
  abi::MappedRegion<const abi::KeysRegion> keys_;
  std::vector<abi::CommandConsumer> commands_;
  std::vector<abi::DtlsConsumer> dtls_out_;
  std::vector<abi::EventProducer> events_;
  std::vector<abi::DtlsProducer> dtls_in_;
};

inline const Identity& our_identity() {
  static Identity identity;
  return identity;
}
inline const Identity& peer_identity() {
  static Identity identity;
  return identity;
}

class Rig {
 public:
  explicit Rig(uint32_t workers = 2) {
    abi::BootConfig boot{};
    boot.workers = workers;
    boot.media_port = 3478;
    for (size_t i = 0; i < sizeof boot.ice_secret; ++i)
      boot.ice_secret[i] = static_cast<uint8_t>(i * 7 + 1);
    std::copy_n(boot.ice_secret, 32, secret.bytes.data());
    fds = *abi::create_regions(boot);
    datapath = std::make_unique<FakeDatapath>(fds, workers);
    dtls = std::move(*DtlsContext::create(our_identity().pem()));
    datapath->heartbeat(now);
    start();
  }
  ~Rig() {
    manager.reset();
    link.reset();
    datapath.reset();
    for (int fd : {fds.boot, fds.control, fds.keys, fds.datapath}) ::close(fd);
  }

  // A new control process on the same memory.
  void start() {
    manager.reset();
    link = std::make_unique<DatapathLink>(std::move(*map_control_regions(fds)),
                                          [this](uint32_t w) { woken.insert(w); });
    ManagerOptions o;
    o.limits = limits;
    o.candidates = {*Endpoint::parse("127.0.0.1:3478"), *Endpoint::parse("192.0.2.1:3478")};
    o.version = "test";
    manager = std::make_unique<SessionManager>(
        *link, *dtls, o, [this] { return now; },
        [this](MutableBytes out) {
          for (auto& b : out) b = static_cast<uint8_t>(rng());
        });
  }

  void turn() {
    datapath->heartbeat(now);
    datapath->work();
    while (manager->turn()) {
    }
    datapath->work();
  }
  // Lets time pass in steps of 20 ms or, for long times, 200 ms.
  void pass(Nanos time) {
    Nanos step = time > seconds(2) ? millis(200) : millis(20);
    for (Nanos end = now + time; now < end;) {
      now += step;
      turn();
    }
  }

  SessionRequest request(const std::string& stream, DtlsRole role = DtlsRole::server) const {
    SessionRequest r;
    r.stream = stream;
    r.transport.ice_ufrag = "abcd";
    r.transport.ice_pwd = "0123456789012345678901";
    r.transport.fingerprints = {peer_identity().fingerprint()};
    r.transport.local_role = role;
    r.client_ip = *IpAddress::parse("192.0.2.77");
    MediaPlan audio;
    audio.kind = MediaKind::audio;
    audio.mid = "0";
    audio.payload_types.resize(1);
    audio.payload_types[0].pt = 111;
    audio.payload_types[0].codec = Codec::opus;
    audio.payload_types[0].fmtp = "minptime=10;useinbandfec=1";
    MediaPlan video;
    video.mline_index = 1;
    video.kind = MediaKind::video;
    video.mid = "1";
    video.payload_types.resize(1);
    video.payload_types[0].pt = 96;
    video.payload_types[0].rtx_pt = 97;
    video.payload_types[0].codec = Codec::h264;
    video.payload_types[0].fmtp = "packetization-mode=1;profile-level-id=42e01f";
    video.payload_types[0].nack = video.payload_types[0].pli = true;
    video.extensions = {{1, ExtensionKind::mid}, {3, ExtensionKind::transport_cc}};
    r.media = {audio, video};
    return r;
  }
  SessionRequest simulcast(const std::string& stream) const {
    SessionRequest r = request(stream);
    r.media[1].rids = {"q", "h", "f"};
    return r;
  }

  struct Open {
    SessionAnswer answer;
    uint32_t slot = 0;
    uint32_t generation = 0;
    Path path;
    std::unique_ptr<DtlsPeer> peer;
  };
  Open accept(ApiResult<SessionAnswer> result) {
    Open o;
    if (auto* error = std::get_if<ApiError>(&result)) {
      ADD_FAILURE() << "refused: " << error->detail;
      return o;
    }
    o.answer = std::get<SessionAnswer>(result);
    auto fields = parse_local_ufrag(secret, o.answer.transport.ice_ufrag);
    EXPECT_TRUE(fields.has_value());
    if (fields) {
      o.slot = fields->slot;
      o.generation = fields->generation;
    }
    o.path.remote = {IpAddress::v4(198, 51, 100, 1), static_cast<uint16_t>(5000 + o.slot), 0};
    o.path.local = *Endpoint::parse("192.0.2.1:3478");
    return o;
  }
  Open publish(const std::string& stream) { return accept(manager->publish(request(stream))); }
  Open watch(const std::string& stream) { return accept(manager->watch(request(stream))); }

  void validate(const Open& o, uint32_t ice_generation = 0) {
    datapath->event(abi::EventType::validated, o.slot, o.generation, o.path, now, ice_generation);
    turn();
  }
  // Moves DTLS datagrams both ways until nothing moves.
  void pump(Open& o) {
    for (int i = 0; i < 50; ++i) {
      bool moved = false;
      for (auto& d : o.peer->packed()) {
        moved = true;
        ASSERT_TRUE(datapath->dtls(o.slot, o.generation, o.path, d, o.slot % datapath->workers()));
      }
      turn();
      for (auto& d : datapath->take_dtls()) {
        if (d.slot != o.slot) continue;  // the close_notify of another
        moved = true;
        ASSERT_EQ(d.generation, o.generation);
        ASSERT_EQ(d.path, o.path) << "DTLS only goes back where it came from";
        o.peer->receive({d.data, d.bytes});
      }
      if (!moved) return;
    }
    FAIL() << "handshake does not come to rest";
  }
  void handshake(Open& o, const Identity* identity = &peer_identity(), bool peer_is_client = true) {
    PeerOptions p;
    p.client = peer_is_client;
    p.identity = identity;
    o.peer = std::make_unique<DtlsPeer>(p);
    o.peer->step();
    pump(o);
  }
  // POSTed to connected.
  void connect(Open& o) {
    validate(o);
    handshake(o);
    ASSERT_TRUE(o.peer->done());
    datapath->event(abi::EventType::connected, o.slot, o.generation, o.path, now);
    turn();
    report(o);
  }
  // The datapath's once-a-second snapshot.
  void report(const Open& o, uint64_t packets = 10) {
    abi::SessionReport r{};
    r.generation = o.generation;
    r.phase = static_cast<uint32_t>(abi::ReportPhase::connected);
    r.path = o.path;
    r.last_authenticated_ns = now.ns;
    r.rx_packets = r.tx_packets = packets;
    r.rx_bytes = r.tx_bytes = packets * 1000;
    r.layer_bps[0] = 150'000;
    datapath->region().reports[o.slot].write(r);
  }
  abi::SessionPhase phase(const Open& o) const {
    return static_cast<abi::SessionPhase>(datapath->entry(o.slot).phase);
  }

  Config::Sessions limits;
  Nanos now = seconds(1000);
  std::mt19937_64 rng{42};
  IceSecret secret;
  abi::RegionFds fds;
  std::unique_ptr<FakeDatapath> datapath;
  std::unique_ptr<DtlsContext> dtls;
  std::unique_ptr<DatapathLink> link;
  std::unique_ptr<SessionManager> manager;
  std::set<uint32_t> woken;
};

inline ApiError::Kind error_kind(const ApiResult<SessionAnswer>& r) {
  const auto* e = std::get_if<ApiError>(&r);
  EXPECT_NE(e, nullptr) << "expected a refusal";
  return e ? e->kind : ApiError::Kind::invalid;
}

}  // namespace spillway::test
