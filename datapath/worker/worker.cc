#include "datapath/worker/worker.h"

#include <algorithm>
#include <cstring>
#include <time.h>
#include <unistd.h>

namespace spillway {

using abi::Count;
using abi::Drop;

namespace {
// Counters are read by people and once a second by control.
constexpr Nanos kPublishInterval = millis(50);
constexpr Nanos kIdleWait = millis(100);
}  // namespace

Nanos monotonic_now() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return {t.tv_sec * 1'000'000'000 + t.tv_nsec};
}

Worker::Worker(const WorkerParts& parts)
    : p_(parts),
      commands_(&p_.control->command_head[p_.index], &p_.control->commands[p_.index],
                &p_.datapath->command_tail[p_.index]),
      dtls_out_(&p_.control->dtls_out_head[p_.index], &p_.control->dtls_out[p_.index],
                &p_.datapath->dtls_out_tail[p_.index]),
      events_(&p_.datapath->event_head[p_.index], &p_.datapath->events[p_.index],
              &p_.control->event_tail[p_.index]),
      dtls_in_(&p_.datapath->dtls_in_head[p_.index], &p_.datapath->dtls_in[p_.index],
               &p_.control->dtls_in_tail[p_.index]) {
  // Counters go on from where the last process left them.
  EngineCounters& c = p_.engine->counters();
  const abi::WorkerCounters& old = p_.datapath->counters[p_.index];
  for (uint32_t i = 0; i < abi::kDropCount; ++i) c.drops[i] = old.drops[i].load();
  for (uint32_t i = 0; i < abi::kCountCount; ++i) c.counts[i] = old.counts[i].load();
  for (uint32_t i = 0; i < abi::kLatencyBuckets; ++i) c.latency[i] = old.latency[i].load();
  auto old_count = [&](Count which) { return c.counts[static_cast<uint32_t>(which)]; };
  tx_before_.tx_datagrams = old_count(Count::tx_datagrams);
  tx_before_.tx_bytes = old_count(Count::tx_bytes);
  tx_before_.tx_messages = old_count(Count::tx_messages);
  tx_before_.tx_dropped_full = old_count(Count::tx_dropped);
}

namespace {

// A consistent, validated copy of one table entry; false: leave it for now.
bool read_entry(const abi::SessionEntry& entry, abi::SessionConfig* out, EngineCounters& c) {
  if (entry.version() == 0) return false;  // never written
  if (!entry.read(out)) {
    ++c.counts[static_cast<uint32_t>(Count::seqlock_contended)];
    return false;
  }
  if (!abi::validate(*out)) {
    ++c.counts[static_cast<uint32_t>(Count::bad_table_entries)];
    return false;
  }
  return true;
}

bool read_keys(const abi::KeyEntry& entry, uint32_t generation, abi::KeyConfig* out) {
  return entry.version() != 0 && entry.read(out) && abi::validate(*out) &&
         out->generation == generation &&
         static_cast<SrtpProfile>(out->profile) != SrtpProfile::none;
}

}  // namespace

void Worker::recover(Nanos now) {
  commands_.skip_all();  // the table says it all
  uint32_t slots = std::min(p_.control->recovery.slots_used.load(std::memory_order_acquire),
                            kMaxSessions);
  for (uint32_t slot = 0; slot < slots; ++slot) {
    if (!read_entry(p_.control->sessions[slot], &config_, p_.engine->counters())) continue;
    bool keyed = config_.phase == static_cast<uint8_t>(abi::SessionPhase::keyed) &&
                 read_keys(p_.keys->keys[slot], config_.generation, &key_config_);
    p_.engine->recover(slot, config_, keyed ? &key_config_ : nullptr, now);
  }
  explicit_bzero(&key_config_, sizeof key_config_);
}

void Worker::look_at(uint32_t slot, Nanos now) {
  if (slot >= kMaxSessions) {
    ++p_.engine->counters().counts[static_cast<uint32_t>(Count::bad_table_entries)];
    return;
  }
  if (!read_entry(p_.control->sessions[slot], &config_, p_.engine->counters())) return;
  bool keyed = config_.phase == static_cast<uint8_t>(abi::SessionPhase::keyed) &&
               read_keys(p_.keys->keys[slot], config_.generation, &key_config_);
  p_.engine->apply(slot, config_, keyed ? &key_config_ : nullptr, now);
  if (keyed) explicit_bzero(&key_config_, sizeof key_config_);
}

void Worker::take_commands(Nanos now) {
  abi::Command command;
  for (uint32_t n = 0; n < kCommandsPerTurn && commands_.pop(&command); ++n) {
    switch (static_cast<abi::CommandType>(command.type)) {
      case abi::CommandType::session_changed: look_at(command.slot, now); break;
      case abi::CommandType::request_key_frame:
        if (command.slot < kMaxSessions)
          p_.engine->request_key_frame(command.slot, command.generation);
        break;
      default: break;
    }
  }
  if (commands_.fill() > 0) more_ = true;
}

void Worker::take_dtls() {
  for (uint32_t n = 0; n < kCommandsPerTurn && tx_.has_room() && dtls_out_.pop(&datagram_); ++n)
    p_.engine->send_dtls(datagram_, tx_);
  if (dtls_out_.fill() > 0) more_ = true;
}

void Worker::drain_outputs(Nanos now) {
  EngineOutputs& out = p_.engine->outputs();
  bool tell_control = false;
  for (uint32_t i = 0; i < out.event_count; ++i) tell_control |= events_.push(out.events[i]);
  for (uint32_t i = 0; i < out.dtls_count; ++i) {
    const DtlsOut& d = out.dtls[i];
    datagram_ = {};
    datagram_.slot = d.slot;
    datagram_.generation = d.generation;
    datagram_.path = d.path;
    datagram_.bytes = static_cast<uint32_t>(d.data.size());
    std::memcpy(datagram_.data, d.data.data(), d.data.size());
    if (dtls_in_.push(datagram_)) {
      tell_control = true;
    } else {
      // It was counted as consumed when it was taken; a drop is counted once.
      EngineCounters& c = p_.engine->counters();
      --c.counts[static_cast<uint32_t>(Count::consumed_dtls)];
      ++c.drops[static_cast<uint32_t>(Drop::dtls_queue_full)];
    }
  }
  p_.engine->take_reports([&](uint32_t slot, const abi::SessionReport& report) {
    p_.datapath->reports[slot].write(report);
  });
  uint32_t wake = out.wake_workers;
  uint32_t reload[EngineOutputs::kReloadMax];
  uint32_t reloads = out.reload_count;
  std::copy_n(out.reload.begin(), reloads, reload);
  out.clear();
  for (uint32_t i = 0; i < reloads; ++i) look_at(reload[i], now);
  if (p_.engine->outputs().reload_count > 0 || p_.engine->outputs().event_count > 0) more_ = true;
  wake |= p_.engine->outputs().wake_workers;
  p_.engine->outputs().wake_workers = 0;
  for (uint32_t w = 0; w < p_.workers; ++w)
    if (wake & 1u << w) p_.all_io[w]->wake();
  if (tell_control && p_.wake_control_fd >= 0) {
    uint64_t one = 1;
    [[maybe_unused]] ssize_t n = ::write(p_.wake_control_fd, &one, sizeof one);
  }
}

Nanos Worker::next_wait(Nanos now, Nanos wait_max) const {
  if (more_) return {0};
  Nanos until = p_.engine->deadline() - now;
  return std::clamp(until, Nanos{0}, wait_max);
}

void Worker::turn(Nanos wait_max) {
  Nanos before = monotonic_now();
  beat_ns_.store(before.ns, std::memory_order_relaxed);
  uint32_t n = p_.io->rx_burst(packets_, next_wait(before, wait_max));
  Nanos started = monotonic_now();  // the wait is not work
  Nanos now = started;
  more_ = n == kBurst;
  EngineCounters& counters = p_.engine->counters();
  uint64_t copies_before = counters.counts[static_cast<uint32_t>(Count::forwarded_copies)];
  if (n > 0) {
    p_.engine->receive({packets_, n}, now, tx_);
    drain_outputs(now);  // DTLS bytes lie in the packets: before they go back
    p_.io->release({packets_, n});
  }
  // DTLS first: a close_notify is written before the command that ends its session.
  take_dtls();
  take_commands(now);
  if (!tx_.empty()) p_.io->tx_burst(tx_);
  for (uint32_t runs = 0;; ++runs) {
    bool again = p_.engine->run(monotonic_now(), tx_);
    if (!tx_.empty()) p_.io->tx_burst(tx_);
    if (!again) break;
    if (runs == kRunsPerTurn) {
      more_ = true;
      break;
    }
  }
  now = monotonic_now();
  if (now >= p_.engine->deadline()) {
    p_.engine->tick(now, tx_);
    // A tick may mark tracks (a paced viewer's next portion).
    if (p_.engine->run(now, tx_)) more_ = true;
    if (!tx_.empty()) p_.io->tx_burst(tx_);
  }
  drain_outputs(now);
  bool busy = n > 0 || counters.counts[static_cast<uint32_t>(Count::forwarded_copies)] != copies_before;
  ++counters.counts[static_cast<uint32_t>(Count::turns)];
  if (busy) {
    ++counters.counts[static_cast<uint32_t>(Count::turns_busy)];
    counters.counts[static_cast<uint32_t>(Count::busy_ns)] +=
        static_cast<uint64_t>((monotonic_now() - started).ns);
  }
  if (now >= next_publish_) publish(now);
}

void Worker::publish(Nanos now) {
  next_publish_ = now + kPublishInterval;
  EngineCounters& c = p_.engine->counters();
  const PacketIoStats& io = p_.io->stats();
  auto set = [&](Count which, uint64_t v) { c.counts[static_cast<uint32_t>(which)] = v; };
  set(Count::tx_datagrams, io.tx_datagrams + tx_before_.tx_datagrams);
  set(Count::tx_bytes, io.tx_bytes + tx_before_.tx_bytes);
  set(Count::tx_messages, io.tx_messages + tx_before_.tx_messages);
  set(Count::tx_dropped, io.tx_dropped_full + io.tx_dropped_error + tx_before_.tx_dropped_full);
  set(Count::dtls_ring_fill, dtls_in_.fill());
  set(Count::command_ring_fill, commands_.fill());
  set(Count::ring_resyncs, commands_.resyncs() + dtls_out_.resyncs());
  abi::WorkerCounters& out = p_.datapath->counters[p_.index];
  for (uint32_t i = 0; i < abi::kDropCount; ++i)
    out.drops[i].store(c.drops[i], std::memory_order_relaxed);
  for (uint32_t i = 0; i < abi::kCountCount; ++i)
    out.counts[i].store(c.counts[i], std::memory_order_relaxed);
  for (uint32_t i = 0; i < abi::kLatencyBuckets; ++i)
    out.latency[i].store(c.latency[i], std::memory_order_relaxed);
}

void Worker::run() {
  while (!stop_.load(std::memory_order_relaxed)) turn(kIdleWait);
  publish(monotonic_now());
}

void Worker::stop() {
  stop_.store(true, std::memory_order_relaxed);
  p_.io->wake();
}

}  // namespace spillway
