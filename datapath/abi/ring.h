// Single-producer single-consumer ring between two processes.
//
// Shape: `capacity` (power of two) fixed-size records and the producer's position
// lie in the producer's region, the consumer's position in the consumer's region
// (each side maps the other's region read-only). 64-bit positions count records
// since the region was created and never wrap.
//
//   producer: push(record) -> false = full, nothing written, caller counts
//   consumer: pop(&record) -> copies once into local memory, then releases the slot
//
// The other side is hostile: a position that is impossible (further than
// `capacity` ahead, or behind) makes the consumer resynchronise to the
// producer's position and count it; the producer treats an impossible consumer
// position as "full". Records are copied word-wise as atomics so that a producer
// that breaks the rules tears data, never memory safety.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "datapath/base/limits.h"

namespace spillway::abi {

struct alignas(kNoShare) RingPosition {
  std::atomic<uint64_t> value;
  uint64_t reserved_zero[15];
};
static_assert(sizeof(RingPosition) == kNoShare);

template <typename T, uint32_t Capacity>
struct RingRecords {
  static_assert((Capacity & (Capacity - 1)) == 0);
  static_assert(sizeof(T) % 8 == 0 && std::is_trivially_copyable_v<T>);
  static constexpr uint32_t kWords = sizeof(T) / 8;
  std::atomic<uint64_t> words[Capacity][kWords];
};

template <typename T, uint32_t Capacity>
class RingProducer {
 public:
  RingProducer() = default;
  // head and records: own region, writable. tail: the consumer's region, read-only.
  // Continues at the stored position: a restarted producer carries on.
  RingProducer(RingPosition* head, RingRecords<T, Capacity>* records, const RingPosition* tail)
      : head_(head), records_(records), tail_(tail) {}

  bool push(const T& record) {
    uint64_t head = head_->value.load(std::memory_order_relaxed);
    uint64_t tail = tail_->value.load(std::memory_order_acquire);  // pairs with release in pop()
    if (head - tail >= Capacity) return false;  // also true for tail > head
    uint64_t local[sizeof(T) / 8];
    std::memcpy(local, &record, sizeof record);
    auto& slot = records_->words[head & (Capacity - 1)];
    for (uint32_t i = 0; i < sizeof(T) / 8; ++i) slot[i].store(local[i], std::memory_order_relaxed);
    head_->value.store(head + 1, std::memory_order_release);  // pairs with acquire in pop()
    return true;
  }
  uint32_t fill() const {
    uint64_t n = head_->value.load(std::memory_order_relaxed) -
                 tail_->value.load(std::memory_order_acquire);
    return n > Capacity ? Capacity : static_cast<uint32_t>(n);
  }

 private:
  RingPosition* head_ = nullptr;
  RingRecords<T, Capacity>* records_ = nullptr;
  const RingPosition* tail_ = nullptr;
};

template <typename T, uint32_t Capacity>
class RingConsumer {
 public:
  RingConsumer() = default;
  // tail: own region, writable. head and records: the producer's region, read-only.
  RingConsumer(const RingPosition* head, const RingRecords<T, Capacity>* records,
               RingPosition* tail)
      : head_(head), records_(records), tail_(tail) {}

  // False: empty (or resynchronised, see resyncs()).
  bool pop(T* out) {
    uint64_t tail = tail_->value.load(std::memory_order_relaxed);
    uint64_t head = head_->value.load(std::memory_order_acquire);  // pairs with release in push()
    if (head == tail) return false;
    if (head - tail > Capacity) {
      ++resyncs_;
      tail_->value.store(head, std::memory_order_release);
      return false;
    }
    uint64_t local[sizeof(T) / 8];
    const auto& slot = records_->words[tail & (Capacity - 1)];
    for (uint32_t i = 0; i < sizeof(T) / 8; ++i) local[i] = slot[i].load(std::memory_order_relaxed);
    std::memcpy(static_cast<void*>(out), local, sizeof *out);
    tail_->value.store(tail + 1, std::memory_order_release);  // pairs with acquire in push()
    return true;
  }
  // Forgets everything queued: a new consumer re-reads the table instead.
  void skip_all() {
    tail_->value.store(head_->value.load(std::memory_order_acquire), std::memory_order_release);
  }
  uint32_t fill() const {
    uint64_t n = head_->value.load(std::memory_order_acquire) -
                 tail_->value.load(std::memory_order_relaxed);
    return n > Capacity ? Capacity : static_cast<uint32_t>(n);
  }
  uint64_t resyncs() const { return resyncs_; }

 private:
  const RingPosition* head_ = nullptr;
  const RingRecords<T, Capacity>* records_ = nullptr;
  RingPosition* tail_ = nullptr;
  uint64_t resyncs_ = 0;
};

}  // namespace spillway::abi
