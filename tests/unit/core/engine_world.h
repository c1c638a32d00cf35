// Engines of one process on a virtual clock, and scripted peers that speak STUN, SRTP
// and SRTCP with them. No sockets, no control: tests write table entries directly.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "datapath/base/sequence.h"
#include "datapath/core/engine.h"
#include "datapath/proto/demux.h"
#include "datapath/proto/transport_cc.h"
#include "datapath/proto/video/vp8.h"

namespace spillway {

inline constexpr uint32_t kPublisherSsrc = 0x1111;

class TestPeer;

class World {
 public:
  explicit World(uint32_t worker_count = 1, SrtpBackend srtp_backend = SrtpBackend::openssl)
      : workers(worker_count),
        backend(srtp_backend),
        states_memory(uint64_t{kMaxSessions} * sizeof(abi::SessionState)),
        publishers_memory(uint64_t{kMaxSessions} * sizeof(abi::PublisherState)) {
    for (size_t i = 0; i < secret.bytes.size(); ++i) secret.bytes[i] = static_cast<uint8_t>(i * 7);
    start();
  }

  // A new process on the same shared state: private memory is gone.
  void restart() {
    engines.clear();
    srtp.clear();
    shared.reset();
    start();
    for (auto& engine : engines)
      for (auto& [slot, entry] : table)
        engine->recover(slot, entry.config, entry.keyed ? &entry.keys : nullptr, now);
  }

  abi::SessionState* states() { return static_cast<abi::SessionState*>(states_memory.data()); }
  abi::PublisherState* publishers() {
    return static_cast<abi::PublisherState*>(publishers_memory.data());
  }

  void apply(uint32_t slot, uint32_t via_worker = 0) {
    auto& entry = table[slot];
    engines[via_worker]->apply(slot, entry.config, entry.keyed ? &entry.keys : nullptr, now);
    settle();
  }

  // A datagram arrives at `worker`.
  void deliver(uint32_t worker, const Path& path, std::vector<uint8_t> bytes) {
    RxPacket p{path, bytes.data(), static_cast<uint32_t>(bytes.size()), 0};
    engines[worker]->receive({&p, 1}, now, tx);
    collect(worker);
    settle();
  }

  // Runs all engines until nothing moves.
  void settle() {
    for (int round = 0; round < 50; ++round) {
      bool more = false;
      for (uint32_t w = 0; w < workers; ++w) {
        more |= engines[w]->run(now, tx);
        more |= collect(w);
      }
      if (!more && round > 3) return;
    }
  }

  void advance(Nanos by) {
    Nanos end = now + by;
    while (now < end) {
      now += millis(5);
      for (uint32_t w = 0; w < workers; ++w) {
        if (engines[w]->deadline() <= now) engines[w]->tick(now, tx);
        collect(w);
      }
      settle();
    }
  }

  uint64_t dropped(abi::Drop d) const {
    uint64_t n = 0;
    for (auto& e : engines) n += e->counters().drops[static_cast<uint32_t>(d)];
    return n;
  }
  uint64_t counted(abi::Count c) const {
    uint64_t n = 0;
    for (auto& e : engines) n += e->counters().counts[static_cast<uint32_t>(c)];
    return n;
  }
  std::vector<std::vector<uint8_t>> take(const Endpoint& remote) {
    return std::exchange(sent[remote.to_string()], {});
  }

  struct Entry {
    abi::SessionConfig config{};
    abi::KeyConfig keys{};
    bool keyed = false;
  };

  uint32_t workers;
  SrtpBackend backend;
  IceSecret secret;
  Nanos now = seconds(100);
  TxBatch tx;
  LazyMemory states_memory, publishers_memory;
  std::unique_ptr<SharedCore> shared;
  std::vector<std::unique_ptr<SrtpEngine>> srtp;
  std::vector<std::unique_ptr<Engine>> engines;
  std::map<uint32_t, Entry> table;
  std::vector<abi::Event> events;
  std::map<std::string, std::vector<std::vector<uint8_t>>> sent;

 private:
  void start() {
    shared = std::make_unique<SharedCore>(workers, 16, 16);
    for (uint32_t w = 0; w < workers; ++w) {
      srtp.push_back(std::move(*SrtpEngine::create(backend)));
      EngineOptions o;
      o.worker = w;
      o.ice_secret = secret;
      o.hash_key = {1, 2};
      o.seed = ++seed;
      engines.push_back(std::make_unique<Engine>(o, *shared, *srtp[w], states(), publishers()));
    }
  }

  bool collect(uint32_t w) {
    bool any = false;
    for (const TxBatch::Run& run : tx.runs())
      for (uint32_t at = 0; at < run.bytes; at += run.segment_bytes) {
        uint32_t n = std::min(run.segment_bytes, run.bytes - at);
        sent[run.path.remote.to_string()].emplace_back(run.data + at, run.data + at + n);
        any = true;
      }
    tx.clear();
    EngineOutputs& out = engines[w]->outputs();
    for (uint32_t i = 0; i < out.event_count; ++i) events.push_back(out.events[i]);
    std::vector<uint32_t> reload(out.reload.begin(), out.reload.begin() + out.reload_count);
    any |= out.event_count + out.reload_count > 0;
    out.clear();
    engines[w]->take_reports([](uint32_t, const abi::SessionReport&) {});
    for (uint32_t slot : reload) {
      auto& entry = table[slot];
      engines[w]->apply(slot, entry.config, entry.keyed ? &entry.keys : nullptr, now);
    }
    return any;
  }

  uint64_t seed = 0;
};

inline Endpoint endpoint(uint8_t last, uint16_t port) {
  return {IpAddress::v4(192, 0, 2, last), port};
}

// A session's other end. Publisher: one video line (VP8 pt 96, rtx 97), optionally with
// layers; viewer: the same with pt 120/121.
class TestPeer {
 public:
  TestPeer(World& in_world, uint32_t in_slot, abi::SessionRole role, uint32_t track = 5,
           uint32_t layers = 1)
      : world(in_world), slot(in_slot), srtp(std::move(*SrtpEngine::create(SrtpBackend::openssl))) {
    path = {endpoint(static_cast<uint8_t>(slot % 100 + 1), static_cast<uint16_t>(4000 + slot)),
            endpoint(200, 3478)};
    World::Entry& e = world.table[slot];
    abi::SessionConfig& c = e.config;
    c.generation = slot + 100;
    c.phase = static_cast<uint8_t>(abi::SessionPhase::half_open);
    c.role = static_cast<uint8_t>(role);
    c.media_count = 1;
    c.home_worker = 0;
    c.rtx_percent = 25;
    c.connect_timeout_ms = 15000;
    c.consent_timeout_ms = 30000;
    c.remote_ufrag_bytes = 4;
    std::memcpy(c.remote_ufrag, "peer", 4);
    abi::MediaConfig& m = c.media[0];
    m.track = track;
    m.kind = static_cast<uint8_t>(MediaKind::video);
    m.mid_bytes = 1;
    m.mid[0] = role == abi::SessionRole::viewer ? 'v' : '0';
    m.payload_count = 1;
    bool publisher = role == abi::SessionRole::publisher;
    m.payloads[0] = {static_cast<uint8_t>(publisher ? 96 : 120), static_cast<uint8_t>(Codec::vp8),
                     static_cast<uint8_t>(publisher ? 97 : 121), abi::kFeedbackNack | abi::kFeedbackPli};
    m.extension_count = 4;
    m.extensions[0] = {4, static_cast<uint8_t>(ExtensionKind::mid)};
    m.extensions[1] = {5, static_cast<uint8_t>(ExtensionKind::transport_cc)};
    m.extensions[2] = {10, static_cast<uint8_t>(ExtensionKind::rid)};
    m.extensions[3] = {static_cast<uint8_t>(publisher ? 7 : 9),
                       static_cast<uint8_t>(ExtensionKind::video_orientation)};
    m.selected_layer = abi::kLayerAuto;
    if (publisher && layers > 1) {
      m.layer_count = static_cast<uint8_t>(layers);
      for (uint32_t l = 0; l < layers; ++l) {
        m.rid_bytes[l] = 1;
        m.rid[l][0] = static_cast<uint8_t>('a' + l);
      }
    }
    if (!publisher) {
      m.ssrc[0] = 0x5000 + slot;
      m.rtx_ssrc[0] = 0x6000 + slot;
      m.cname_bytes = 2;
      std::memcpy(m.cname, "cn", 2);
    }
    EXPECT_TRUE(abi::validate(c));
    world.apply(slot);
  }

  abi::SessionConfig& config() { return world.table[slot].config; }
  uint32_t ssrc() { return config().media[0].ssrc[0]; }

  std::vector<uint8_t> stun(bool nominate = true, std::string_view remote = "peer",
                            bool wrong_password = false, uint8_t ice_generation = 0) {
    LocalUfrag ufrag = make_local_ufrag(world.secret, slot, config().generation, ice_generation);
    std::string username = std::string(ufrag.view()) + ":" + std::string(remote);
    IcePassword password = derive_ice_password(world.secret, ufrag.view());
    if (wrong_password) password.text[3] ^= 1;
    StunRequest r;
    r.transaction_id[0] = ++transaction;
    r.username = username;
    r.priority = 1;
    r.role = IceRole::controlling;
    r.use_candidate = nominate;
    std::vector<uint8_t> out(300);
    out.resize(write_stun_request(out, r, password.view()));
    return out;
  }
  void check(uint32_t worker = 0) { world.deliver(worker, path, stun()); }

  // As if DTLS had finished: keys into the table, entry keyed.
  void key(SrtpProfile profile = SrtpProfile::aead_aes_128_gcm) {
    World::Entry& e = world.table[slot];
    e.keyed = true;
    e.config.phase = static_cast<uint8_t>(abi::SessionPhase::keyed);
    e.keys.generation = e.config.generation;
    e.keys.profile = static_cast<uint16_t>(profile);
    for (uint32_t i = 0; i < 32; ++i) {
      e.keys.rx_key[i] = static_cast<uint8_t>(i + slot);
      e.keys.tx_key[i] = static_cast<uint8_t>(i * 3 + slot + 1);
    }
    for (uint32_t i = 0; i < 14; ++i) {
      e.keys.rx_salt[i] = static_cast<uint8_t>(i + 50);
      e.keys.tx_salt[i] = static_cast<uint8_t>(i + 90);
    }
    SrtpMasterKey ours, theirs;
    ours.profile = theirs.profile = profile;
    std::memcpy(ours.key, e.keys.rx_key, 32);
    std::memcpy(ours.salt, e.keys.rx_salt, 14);
    std::memcpy(theirs.key, e.keys.tx_key, 32);
    std::memcpy(theirs.salt, e.keys.tx_salt, 14);
    ASSERT_TRUE(srtp->expand(ours, SrtpStreamKind::rtp, send_rtp));
    ASSERT_TRUE(srtp->expand(ours, SrtpStreamKind::rtcp, send_rtcp));
    ASSERT_TRUE(srtp->expand(theirs, SrtpStreamKind::rtp, receive_rtp));
    ASSERT_TRUE(srtp->expand(theirs, SrtpStreamKind::rtcp, receive_rtcp));
    world.apply(slot);
  }
  void connect(uint32_t worker = 0) {
    check(worker);
    key();
    if (config().role == static_cast<uint8_t>(abi::SessionRole::viewer)) {
      uint8_t rr[64];
      Writer w(rr);
      write_receiver_report(w, Ssrc{1}, {});
      rtcp(w.written(), worker);
    }
    world.take(path.remote);
  }

  // --- publisher ------------------------------------------------------------------------
  struct Packet {
    uint64_t index = 0;  // extended sequence
    uint32_t timestamp = 0;
    uint32_t ssrc = kPublisherSsrc;
    uint8_t pt = 96;
    bool marker = true;
    std::string rid;
    int transport_cc = -1;
    std::vector<uint8_t> payload;
  };
  // VP8 payload: descriptor with a 15-bit picture id and TL0, then a frame header.
  static std::vector<uint8_t> vp8(bool key, uint16_t picture_id, uint8_t tl0, uint8_t fill,
                                  size_t bytes = 60) {
    std::vector<uint8_t> v{0x90, 0xe0, static_cast<uint8_t>(0x80 | picture_id >> 8),
                           static_cast<uint8_t>(picture_id), tl0, 0x20,
                           static_cast<uint8_t>(key ? 0x10 : 0x11)};
    v.resize(bytes, fill);
    return v;
  }
  std::vector<uint8_t> protect(const Packet& p) {
    std::vector<uint8_t> out(1500);
    ExtensionWriter x({out.data() + 12, 200}, false);
    std::string mid = "0";
    x.add(4, {reinterpret_cast<const uint8_t*>(mid.data()), 1});
    if (!p.rid.empty())
      x.add(10, {reinterpret_cast<const uint8_t*>(p.rid.data()), p.rid.size()});
    x.add_u8(7, 3);
    if (p.transport_cc >= 0) x.add_be16(5, static_cast<uint16_t>(p.transport_cc));
    uint32_t block = x.finish();
    RtpFixedHeader h;
    h.pt = p.pt;
    h.marker = p.marker;
    h.extension = true;
    h.sequence = static_cast<uint16_t>(p.index);
    h.timestamp = RtpTime{p.timestamp};
    h.ssrc = Ssrc{p.ssrc};
    write_rtp_header(out, h);
    RtpProtectJob job;
    job.keys = &send_rtp;
    job.out = out.data();
    job.header_bytes = 12 + block;
    job.payload = p.payload.data();
    job.payload_bytes = static_cast<uint32_t>(p.payload.size());
    job.index = p.index;
    job.ssrc = h.ssrc;
    EXPECT_EQ(srtp->protect_rtp({&job, 1}), 1u);
    out.resize(job.out_bytes);
    return out;
  }
  void send(const Packet& p, uint32_t worker = 0) { world.deliver(worker, path, protect(p)); }

  void rtcp(Bytes plain, uint32_t worker = 0) {
    std::vector<uint8_t> out(plain.begin(), plain.end());
    out.resize(plain.size() + 64);
    uint32_t n = srtp->protect_rtcp(send_rtcp, out, static_cast<uint32_t>(plain.size()),
                                    next_rtcp_index++, Ssrc{load_be32(out.data() + 4)});
    out.resize(n);
    world.deliver(worker, path, out);
  }

  // --- receiving ------------------------------------------------------------------------
  struct Received {
    RtpHeader header;
    std::vector<uint8_t> packet;   // plaintext
    std::vector<uint8_t> payload;
    uint64_t index = 0;
  };
  // Decrypts everything sent to this peer so far. Fails the test on a bad tag, and on an
  // index that was used before.
  void receive() {
    for (auto& bytes : world.take(path.remote)) {
      PacketClass kind = classify(bytes);
      if (kind == PacketClass::stun) {
        ++stun_answers;
      } else if (kind == PacketClass::rtcp) {
        auto plain = srtp->unprotect_rtcp(receive_rtcp, bytes);
        ASSERT_TRUE(plain);
        bytes.resize(plain->plain_bytes);
        EXPECT_TRUE(rtcp_indices.insert({plain->index, true}).second) << "SRTCP index reused";
        reports.push_back(bytes);
      } else {
        auto header = parse_rtp_header(bytes);
        ASSERT_TRUE(header);
        uint32_t id = value(header->ssrc);
        uint64_t reference = highest.contains(id) ? highest[id] : header->sequence;
        uint64_t index = extend_sequence(reference, header->sequence);
        Received r;
        auto n = srtp->unprotect_rtp(receive_rtp, header->ssrc, index, header->header_bytes, bytes,
                                     bytes.data() + header->header_bytes);
        ASSERT_TRUE(n) << "ssrc " << id << " index " << index;
        highest[id] = std::max(reference, index);
        EXPECT_TRUE(indices.insert({{id, index}, true}).second) << "index reused: " << index;
        bytes.resize(header->header_bytes + *n);
        r.header = *header;
        r.payload.assign(bytes.begin() + header->header_bytes, bytes.end());
        r.packet = bytes;
        r.index = index;
        (id == config().media[0].rtx_ssrc[0] ? rtx : media).push_back(r);
      }
    }
  }
  // RTCP packets of one kind received so far.
  uint32_t count_rtcp(RtcpType type, int format = -1) {
    uint32_t n = 0;
    for (auto& compound : reports) {
      RtcpWalker walker(compound);
      while (auto p = walker.next())
        n += p->is(type) && (format < 0 || p->count == format);
    }
    return n;
  }

  World& world;
  uint32_t slot;
  Path path;
  std::unique_ptr<SrtpEngine> srtp;
  SrtpKeys send_rtp, send_rtcp, receive_rtp, receive_rtcp;
  uint32_t next_rtcp_index = 1;
  uint8_t transaction = 0;
  uint32_t stun_answers = 0;
  std::vector<Received> media, rtx;
  std::vector<std::vector<uint8_t>> reports;
  std::map<uint32_t, uint64_t> highest;
  std::map<std::pair<uint32_t, uint64_t>, bool> indices;
  std::map<uint32_t, bool> rtcp_indices;
};

}  // namespace spillway
