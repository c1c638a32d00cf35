#include "datapath/core/track_ring.h"

#include <new>

namespace spillway {

void TrackRing::reset() {
  // Positions go on growing, so a reader's old cursor can never look valid again.
  uint64_t head = head_.load(std::memory_order_relaxed);
  first_.store(head, std::memory_order_relaxed);
  key_frame_.store(0, std::memory_order_relaxed);
  sr_ntp_.store(0, std::memory_order_relaxed);
  serial_.store(serial_.load(std::memory_order_relaxed) + 1,
                std::memory_order_release);  // pairs with acquire in serial()
}

void TrackRing::publish() {
  uint64_t position = head_.load(std::memory_order_relaxed);
  const StoredPacket& p = slots_[position & (count_ - 1)];
  sequence_index_[p.ext_seq & (count_ - 1)].store(position + 1, std::memory_order_relaxed);
  if (p.key_frame_start) key_frame_.store(position + 1, std::memory_order_relaxed);
  bytes_.store(bytes_.load(std::memory_order_relaxed) + p.header_bytes + p.payload_bytes,
               std::memory_order_relaxed);
  head_.store(position + 1, std::memory_order_release);  // pairs with acquire in head()
}

uint64_t TrackRing::find(uint64_t ext_seq) const {
  uint64_t stored = sequence_index_[ext_seq & (count_ - 1)].load(std::memory_order_relaxed);
  if (stored == 0 || stored - 1 >= head() || !still_safe(stored - 1)) return kNone;
  return at(stored - 1).ext_seq == ext_seq ? stored - 1 : kNone;
}

uint64_t TrackRing::key_frame() const {
  uint64_t stored = key_frame_.load(std::memory_order_relaxed);
  if (stored == 0 || stored - 1 >= head() || !still_safe(stored - 1)) return kNone;
  return stored - 1;
}

struct RingPool::Entry {
  explicit Entry(StoredPacket* slots, std::atomic<uint64_t>* index, uint32_t count)
      : ring(slots, index, count) {}
  TrackRing ring;
  std::atomic<uint32_t> taken{0};
  std::atomic<int64_t> given_back_ns{INT64_MIN / 2};
};

namespace {

uint64_t entries_bytes(uint32_t rings, uint64_t entry_bytes) {
  return (rings * entry_bytes + 4095) & ~uint64_t{4095};
}

}  // namespace

uint64_t RingPool::bytes_for(uint32_t video_rings, uint32_t audio_rings) {
  constexpr uint64_t kPerPacket = sizeof(StoredPacket) + sizeof(std::atomic<uint64_t>);
  return entries_bytes(video_rings + audio_rings, sizeof(Entry)) +
         (uint64_t{video_rings} * kVideoRingPackets + uint64_t{audio_rings} * kAudioRingPackets) *
             kPerPacket;
}

RingPool::RingPool(uint32_t video_rings, uint32_t audio_rings)
    : video_(video_rings),
      total_(video_rings + audio_rings),
      memory_(bytes_for(video_rings, audio_rings)),
      entries_(static_cast<Entry*>(memory_.data())) {
  uint8_t* at = static_cast<uint8_t*>(memory_.data()) + entries_bytes(total_, sizeof(Entry));
  for (uint32_t i = 0; i < total_; ++i) {
    uint32_t count = i < video_ ? kVideoRingPackets : kAudioRingPackets;
    auto* index = reinterpret_cast<std::atomic<uint64_t>*>(at);
    at += count * sizeof(std::atomic<uint64_t>);
    auto* slots = reinterpret_cast<StoredPacket*>(at);
    at += count * sizeof(StoredPacket);
    new (&entries_[i]) Entry(slots, index, count);
  }
}

TrackRing* RingPool::take(uint32_t begin, uint32_t end, Nanos now) {
  for (uint32_t i = begin; i < end; ++i) {
    Entry& e = entries_[i];
    if (e.taken.load(std::memory_order_relaxed) != 0 ||
        now.ns - e.given_back_ns.load(std::memory_order_relaxed) < kRestNs)
      continue;
    uint32_t free = 0;
    // acquire pairs with the release in give_back(): the last writer's stores are seen.
    if (!e.taken.compare_exchange_strong(free, 1, std::memory_order_acquire)) continue;
    used_.fetch_add(1, std::memory_order_relaxed);
    e.ring.reset();
    return &e.ring;
  }
  return nullptr;
}

TrackRing* RingPool::acquire(MediaKind kind, Nanos now) {
  return kind == MediaKind::video ? take(0, video_, now) : take(video_, total_, now);
}

void RingPool::give_back(TrackRing* ring, Nanos now) {
  static_assert(std::is_standard_layout_v<TrackRing>);
  auto* entry = reinterpret_cast<Entry*>(ring);  // ring is Entry's first member
  entry->given_back_ns.store(now.ns, std::memory_order_relaxed);
  entry->taken.store(0, std::memory_order_release);  // pairs with take()
  used_.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace spillway
