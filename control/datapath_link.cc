#include "control/datapath_link.h"

#include <algorithm>
#include <cstring>

#include "datapath/base/assert.h"

namespace spillway {
namespace {

// Text that another process may be changing: copied once, cut at the first zero.
template <size_t N>
std::string copy_text(const char (&text)[N]) {
  char local[N];
  for (size_t i = 0; i < N; ++i) local[i] = *const_cast<const volatile char*>(&text[i]);
  std::string out(local, strnlen(local, N));
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  return out;
}

}  // namespace

Result<ControlRegions> map_control_regions(const abi::RegionFds& fds) {
  ControlRegions out;
  auto boot = abi::map_boot(fds.boot);
  if (!boot) return boot.error();
  auto control = abi::map_control(fds.control);
  if (!control) return control.error();
  auto keys = abi::map_keys(fds.keys, &out.lock_note);
  if (!keys) return keys.error();
  auto datapath = abi::map_datapath_read(fds.datapath);
  if (!datapath) return datapath.error();
  out.boot = std::move(*boot);
  out.control = std::move(*control);
  out.keys = std::move(*keys);
  out.datapath = std::move(*datapath);
  if (out.boot->config.workers == 0 || out.boot->config.workers > kMaxWorkers)
    return Error{"boot region names " + std::to_string(out.boot->config.workers) + " workers"};
  return out;
}

DatapathLink::DatapathLink(ControlRegions regions, Wake wake)
    : regions_(std::move(regions)),
      boot_(regions_.boot->config),
      workers_(boot_.workers),
      wake_(std::move(wake)),
      waiting_mask_(kMaxSessions, 0),
      generation_(kMaxSessions, 0) {
  SPILLWAY_ASSERT(workers_ >= 1 && workers_ <= kMaxWorkers);
  abi::ControlRegion& c = *regions_.control;
  const abi::DatapathRegion& d = *regions_.datapath;
  for (uint32_t w = 0; w < workers_; ++w) {
    commands_.emplace_back(&c.command_head[w], &c.commands[w], &d.command_tail[w]);
    dtls_out_.emplace_back(&c.dtls_out_head[w], &c.dtls_out[w], &d.dtls_out_tail[w]);
    events_.emplace_back(&d.event_head[w], &d.events[w], &c.event_tail[w]);
    dtls_in_.emplace_back(&d.dtls_in_head[w], &d.dtls_in[w], &c.dtls_in_tail[w]);
  }
}

void DatapathLink::announce(abi::ProcessState state, uint32_t pid, Nanos now) {
  abi::ProcessStatus& s = regions_.control->status;
  if (state == abi::ProcessState::boot) s.starts.fetch_add(1, std::memory_order_relaxed);
  s.pid.store(pid, std::memory_order_relaxed);
  heartbeat(now);
  s.state.store(static_cast<uint32_t>(state), std::memory_order_release);
}

void DatapathLink::heartbeat(Nanos now) {
  regions_.control->status.heartbeat_ns.store(now.ns, std::memory_order_release);
}

uint32_t DatapathLink::starts() const {
  return regions_.control->status.starts.load(std::memory_order_relaxed);
}

// --- table -----------------------------------------------------------------------------

bool DatapathLink::read_session(uint32_t slot, abi::SessionConfig* out) const {
  return session_was_written(slot) && regions_.control->sessions[slot].read(out);
}
void DatapathLink::write_session(uint32_t slot, const abi::SessionConfig& config) {
  regions_.control->sessions[slot].write(config);
}
bool DatapathLink::session_was_written(uint32_t slot) const {
  return regions_.control->sessions[slot].version() != 0;
}
bool DatapathLink::read_keys(uint32_t slot, abi::KeyConfig* out) const {
  return regions_.keys->keys[slot].read(out);
}
void DatapathLink::write_keys(uint32_t slot, const abi::KeyConfig& keys) {
  regions_.keys->keys[slot].write(keys);
}
void DatapathLink::wipe_keys(uint32_t slot) { regions_.keys->keys[slot].wipe(); }
bool DatapathLink::read_record(uint32_t slot, abi::ControlRecord* out) const {
  return regions_.control->records[slot].read(out);
}
void DatapathLink::write_record(uint32_t slot, const abi::ControlRecord& record) {
  regions_.control->records[slot].write(record);
}
void DatapathLink::wipe_record(uint32_t slot) { regions_.control->records[slot].wipe(); }
bool DatapathLink::read_track(uint32_t track, abi::TrackRecord* out) const {
  return regions_.control->tracks[track].read(out);
}
void DatapathLink::write_track(uint32_t track, const abi::TrackRecord& record) {
  regions_.control->tracks[track].write(record);
}
uint32_t DatapathLink::slots_used() const {
  return std::min(regions_.control->recovery.slots_used.load(std::memory_order_relaxed),
                  kMaxSessions);
}
void DatapathLink::set_slots_used(uint32_t slots) {
  // pairs with the acquire of a datapath that recovers: it looks at no slot beyond
  regions_.control->recovery.slots_used.store(slots, std::memory_order_release);
}

// --- answers ---------------------------------------------------------------------------

uint32_t DatapathLink::released_generation(uint32_t slot) const {
  // pairs with the worker's release store when it let the session go
  return regions_.datapath->states[slot].released_generation.load(std::memory_order_acquire);
}
bool DatapathLink::read_report(uint32_t slot, abi::SessionReport* out) const {
  return regions_.datapath->reports[slot].read(out);
}

DatapathStatus DatapathLink::datapath_status() const {
  const abi::ProcessStatus& s = regions_.datapath->status;
  DatapathStatus out;
  // acquire: pairs with the release of `state` after the texts were written
  uint32_t state = s.state.load(std::memory_order_acquire);
  out.state = state <= static_cast<uint32_t>(abi::ProcessState::fail)
                  ? static_cast<abi::ProcessState>(state)
                  : abi::ProcessState::fail;
  out.heartbeat = {s.heartbeat_ns.load(std::memory_order_relaxed)};
  out.starts = s.starts.load(std::memory_order_relaxed);
  out.io_backend = copy_text(s.io_backend);
  out.srtp_backend = copy_text(s.srtp_backend);
  out.note = copy_text(s.note);
  return out;
}

CounterTotals DatapathLink::counters() const {
  CounterTotals out;
  for (uint32_t w = 0; w < workers_; ++w) {
    const abi::WorkerCounters& c = regions_.datapath->counters[w];
    for (uint32_t i = 0; i < abi::kDropCount; ++i)
      out.drops[i] += c.drops[i].load(std::memory_order_relaxed);
    for (uint32_t i = 0; i < abi::kCountCount; ++i)
      out.counts[i] += c.counts[i].load(std::memory_order_relaxed);
    for (uint32_t i = 0; i < abi::kLatencyBuckets; ++i)
      out.latency[i] += c.latency[i].load(std::memory_order_relaxed);
  }
  return out;
}

RingFill DatapathLink::fill(uint32_t worker) const {
  return {commands_[worker].fill(), dtls_out_[worker].fill(), events_[worker].fill(),
          dtls_in_[worker].fill()};
}

// --- doorbells ---------------------------------------------------------------------------

bool DatapathLink::push_doorbell(uint32_t slot, uint32_t worker) {
  abi::Command command{static_cast<uint32_t>(abi::CommandType::session_changed), slot,
                       generation_[slot], 0};
  if (!commands_[worker].push(command)) return false;
  wake_mask_ |= 1u << worker;
  return true;
}

void DatapathLink::ring(uint32_t slot, uint32_t generation, uint32_t home_worker) {
  generation_[slot] = generation;
  uint32_t owner =
      regions_.datapath->states[slot].owner_worker.load(std::memory_order_acquire) % workers_;
  uint32_t home = home_worker % workers_;
  for (uint32_t worker : {home, owner}) {
    auto bit = static_cast<uint16_t>(1u << worker);
    if (waiting_mask_[slot] & bit) continue;
    waiting_mask_[slot] |= bit;
    waiting_.push_back({slot, worker});
    if (home == owner) break;
  }
}

void DatapathLink::flush() {
  uint32_t full = 0;  // bit per worker whose ring took no more
  for (size_t n = waiting_.size(); n > 0; --n) {
    Waiting w = waiting_.front();
    waiting_.pop_front();
    uint32_t bit = 1u << w.worker;
    if (!(full & bit) && push_doorbell(w.slot, w.worker)) {
      waiting_mask_[w.slot] &= static_cast<uint16_t>(~bit);
      continue;
    }
    full |= bit;
    waiting_.push_back(w);
  }
  uint32_t mask = wake_mask_ | full;  // a full ring's worker must look, whatever happened
  wake_mask_ = 0;
  for (uint32_t w = 0; mask != 0; ++w, mask >>= 1)
    if (mask & 1) wake_(w);
}

bool DatapathLink::send_dtls(uint32_t worker, uint32_t slot, uint32_t generation,
                             const Path& path, Bytes datagram) {
  if (datagram.empty() || datagram.size() > kMaxDatagramBytes || !path.valid()) return false;
  worker %= workers_;
  abi::DtlsDatagram d{};
  d.slot = slot;
  d.generation = generation;
  d.path = path;
  d.bytes = static_cast<uint32_t>(datagram.size());
  std::memcpy(d.data, datagram.data(), datagram.size());
  if (!dtls_out_[worker].push(d)) return false;
  wake_mask_ |= 1u << worker;
  return true;
}

// --- input -----------------------------------------------------------------------------------

namespace {

// Bad records skipped in one call: bounds the call while a broken producer writes on.
constexpr uint32_t kSkipMax = 64;

// The next record of any ring that `good` accepts, one ring after the other.
template <typename Rings, typename Record, typename Good>
bool next_of(Rings& rings, uint32_t* turn, Record* out, uint32_t* worker, uint64_t* bad,
             Good good) {
  auto count = static_cast<uint32_t>(rings.size());
  uint32_t skipped = 0;
  for (uint32_t empty = 0; empty < count && skipped < kSkipMax;) {
    *worker = *turn;
    *turn = (*turn + 1) % count;
    if (!rings[*worker].pop(out)) {
      ++empty;
      continue;
    }
    if (good(*out)) return true;
    ++*bad;
    ++skipped;
  }
  return false;
}

}  // namespace

bool DatapathLink::next_event(abi::Event* out, uint32_t* worker) {
  return next_of(events_, &event_worker_, out, worker, &bad_records_,
                 [](const abi::Event& e) { return e.slot < kMaxSessions; });
}

bool DatapathLink::next_dtls(abi::DtlsDatagram* out, uint32_t* worker) {
  return next_of(dtls_in_, &dtls_worker_, out, worker, &bad_records_,
                 [](const abi::DtlsDatagram& d) {
                   return d.slot < kMaxSessions && d.bytes >= 1 &&
                          d.bytes <= kMaxDatagramBytes && d.path.valid();
                 });
}

uint64_t DatapathLink::resyncs() const {
  uint64_t n = 0;
  for (const auto& r : events_) n += r.resyncs();
  for (const auto& r : dtls_in_) n += r.resyncs();
  return n;
}

}  // namespace spillway
