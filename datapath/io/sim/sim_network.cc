#include "datapath/io/sim/sim_network.h"

#include <algorithm>
#include <cstring>
#include <functional>

namespace spillway {

namespace {

uint64_t mix(uint64_t x) {  // the finaliser of splitmix64
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

uint64_t hash_address(const IpAddress& ip) {
  return mix(load_be64(ip.bytes.data()) + mix(load_be64(ip.bytes.data() + 8)));
}

Nanos transmit_time(uint32_t bytes, uint64_t bits_per_second) {
  return {static_cast<int64_t>(uint64_t{bytes} * 8 * 1'000'000'000 / bits_per_second)};
}

}  // namespace

std::optional<SimPort::Received> SimPort::receive() {
  if (queue_count_ == 0) return std::nullopt;
  const uint32_t handle = queue_[queue_head_];
  queue_head_ = (queue_head_ + 1) % static_cast<uint32_t>(queue_.size());
  --queue_count_;
  auto& packet = network_->packets_[handle];
  return Received{packet.path, packet.data, packet.bytes, handle};
}

void SimPort::discard(uint32_t handle) {
  network_->free_packet(handle);
}

void SimPort::send(const Path& path, Bytes payload) {
  const auto& ip = path.local.ip;
  const bool ours = std::find(addresses_.begin(), addresses_.end(), ip) != addresses_.end();
  network_->send({ours ? ip : addresses_.front(), number_, 0}, path.remote, payload);
}

SimNetwork::SimNetwork(uint64_t seed, uint32_t packets_max)
    : random_state_(seed),
      packets_max_(packets_max),
      packets_(new Packet[packets_max]),
      links_(size_t{kPairsMax} * 2) {
  free_.reserve(packets_max);
  for (uint32_t i = packets_max; i > 0; --i) free_.push_back(i - 1);
  heap_.reserve(packets_max);
}

SimNetwork::~SimNetwork() = default;

uint64_t SimNetwork::random() {
  return mix(random_state_ += 0x9e3779b97f4a7c15);
}

// Draws nothing for 0, so that switching a fault off leaves the rest of a run alone.
bool SimNetwork::chance(uint32_t ppm) {
  return ppm > 0 && random() % 1'000'000 < ppm;
}

void SimNetwork::free_packet(uint32_t packet) {
  SPILLWAY_ASSERT(packet < packets_max_ && free_.size() < packets_max_);
  free_.push_back(packet);
}

SimNetwork::LinkState& SimNetwork::link_state(const IpAddress& from, const IpAddress& to) {
  uint64_t slot = mix(hash_address(from) + 1) ^ hash_address(to);
  for (;; ++slot) {
    LinkState& s = links_[slot % links_.size()];
    if (s.used && s.from == from && s.to == to) return s;
    if (s.used) continue;
    ++links_used_;
    SPILLWAY_ASSERT(links_used_ <= kPairsMax);
    s.used = true;
    s.from = from;
    s.to = to;
    return s;
  }
}

void SimNetwork::set_link(const IpAddress& from, const IpAddress& to, const SimLink& link) {
  LinkState& s = link_state(from, to);
  s.own = true;
  s.link = link;
}

SimPort* SimNetwork::open_port(std::vector<IpAddress> addresses, uint16_t number,
                               uint32_t queue_max) {
  SPILLWAY_ASSERT(!addresses.empty() && number != 0 && queue_max > 0);
  auto port = std::make_unique<SimPort>();
  port->network_ = this;
  port->addresses_ = std::move(addresses);
  port->number_ = number;
  port->queue_.resize(queue_max);
  ports_.push_back(std::move(port));
  return ports_.back().get();
}

void SimNetwork::close_port(SimPort* port) {
  while (auto got = port->receive()) {
    port->discard(got->handle);
    ++stats_.no_port;
    --stats_.delivered;
  }
  auto it =
      std::find_if(ports_.begin(), ports_.end(), [port](const auto& p) { return p.get() == port; });
  SPILLWAY_ASSERT(it != ports_.end());
  ports_.erase(it);
}

void SimNetwork::send(const Endpoint& from, const Endpoint& to, Bytes payload) {
  ++stats_.sent;
  LinkState& state = link_state(from.ip, to.ip);
  const SimLink& link = state.own ? state.link : default_link_;
  if (link.down || chance(link.loss_ppm)) {
    ++stats_.lost;
    return;
  }
  const bool twice = chance(link.duplicate_ppm);
  launch(state, link, from, to, payload);
  if (twice) {
    ++stats_.duplicated;
    launch(state, link, from, to, payload);
  }
}

void SimNetwork::launch(LinkState& state, const SimLink& link, const Endpoint& from,
                        const Endpoint& to, Bytes payload) {
  const auto bytes = static_cast<uint32_t>(payload.size());
  Nanos departs = now_;
  if (link.bits_per_second > 0) {
    const Nanos begins = std::max(state.busy_until, now_);
    if (begins - now_ > transmit_time(link.queue_bytes, link.bits_per_second)) {
      ++stats_.link_queue_full;
      return;
    }
    departs = begins + transmit_time(bytes, link.bits_per_second);
    state.busy_until = departs;
  }
  if (free_.empty()) {
    ++stats_.pool_full;
    return;
  }
  const uint32_t idx = free_.back();
  free_.pop_back();
  Packet& packet = packets_[idx];
  packet.path = {from, to};
  packet.bytes = bytes;
  const uint32_t kept = std::min(bytes, kMaxDatagramBytes);
  if (kept > 0) std::memcpy(packet.data, payload.data(), kept);
  if (kept > 0 && chance(link.corrupt_ppm)) {
    ++stats_.corrupted;
    const auto bit = static_cast<uint32_t>(random() % (uint64_t{kept} * 8));
    packet.data[bit / 8] = static_cast<uint8_t>(packet.data[bit / 8] ^ (1u << bit % 8));
  }

  Nanos arrives = departs + link.delay;
  if (link.jitter.ns > 0)
    arrives.ns += static_cast<int64_t>(random() % (static_cast<uint64_t>(link.jitter.ns) + 1));
  arrives = std::max(arrives, state.last_arrival);
  if (chance(link.reorder_ppm)) {
    ++stats_.reordered;
    arrives += link.reorder_delay;  // last_arrival stays: later ones overtake
  } else {
    state.last_arrival = arrives;
  }
  heap_.push_back({arrives, order_++, idx});
  std::push_heap(heap_.begin(), heap_.end(), std::greater<>{});
}

void SimNetwork::deliver(uint32_t idx) {
  Packet& packet = packets_[idx];
  const Endpoint& to = packet.path.local;
  const auto matches = [&](const SimPort& p) {
    return p.number_ == to.port &&
           std::find(p.addresses_.begin(), p.addresses_.end(), to.ip) != p.addresses_.end();
  };
  uint64_t sharing = 0;
  for (const auto& p : ports_) sharing += matches(*p);
  if (sharing == 0) {
    ++stats_.no_port;
    free_packet(idx);
    return;
  }
  const Endpoint& from = packet.path.remote;
  uint64_t chosen = mix(hash_address(from.ip) + from.port) % sharing;
  for (const auto& p : ports_) {
    if (!matches(*p) || chosen-- > 0) continue;
    const auto capacity = static_cast<uint32_t>(p->queue_.size());
    if (p->queue_count_ == capacity) {
      ++stats_.queue_full;
      free_packet(idx);
    } else {
      p->queue_[(p->queue_head_ + p->queue_count_++) % capacity] = idx;
      ++stats_.delivered;
    }
    return;
  }
}

Nanos SimNetwork::next_event() const {
  return heap_.empty() ? kNever : heap_.front().at;
}

void SimNetwork::advance_to(Nanos t) {
  SPILLWAY_ASSERT(t >= now_);
  while (!heap_.empty() && heap_.front().at <= t) {
    const Event e = heap_.front();
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>{});
    heap_.pop_back();
    now_ = std::max(now_, e.at);
    deliver(e.packet);
  }
  now_ = t;
}

}  // namespace spillway
