// Single-producer single-consumer ring between two threads of one process.
//
// Shape: N fixed-size records (power of two); 64-bit positions that never wrap.
// The producer owns `head_`, the consumer owns `tail_`; each keeps a private copy
// of the other's position and refreshes it only when the ring seems full or
// empty. Records are trivially copyable. Full: push returns false, nothing is
// written, the caller counts. Across processes use abi/ring.h instead.
#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>

#include "datapath/base/limits.h"

namespace spillway {

template <typename T, uint32_t N>
class SpscRing {
  static_assert((N & (N - 1)) == 0 && N > 0);
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  // Producer: the slot to fill, or nullptr when full. Publish with commit().
  T* reserve() {
    uint64_t head = head_.load(std::memory_order_relaxed);
    if (head - tail_seen_ >= N) {
      tail_seen_ = tail_.load(std::memory_order_acquire);  // pairs with release in pop()
      if (head - tail_seen_ >= N) return nullptr;
    }
    return &slots_[head & (N - 1)];
  }
  void commit() {
    head_.store(head_.load(std::memory_order_relaxed) + 1,
                std::memory_order_release);  // pairs with acquire in front()
  }
  bool push(const T& v) {
    T* slot = reserve();
    if (!slot) return false;
    *slot = v;
    commit();
    return true;
  }

  // Consumer: the oldest record, or nullptr when empty. Stays valid until pop().
  const T* front() {
    uint64_t tail = tail_.load(std::memory_order_relaxed);
    if (tail == head_seen_) {
      head_seen_ = head_.load(std::memory_order_acquire);  // pairs with release in commit()
      if (tail == head_seen_) return nullptr;
    }
    return &slots_[tail & (N - 1)];
  }
  void pop() {
    tail_.store(tail_.load(std::memory_order_relaxed) + 1,
                std::memory_order_release);  // pairs with acquire in reserve()
  }

  // Any thread; a snapshot.
  uint32_t size() const {
    return static_cast<uint32_t>(head_.load(std::memory_order_acquire) -
                                 tail_.load(std::memory_order_acquire));
  }
  static constexpr uint32_t capacity() { return N; }

 private:
  alignas(kNoShare) std::atomic<uint64_t> head_{0};
  uint64_t tail_seen_ = 0;  // producer's
  alignas(kNoShare) std::atomic<uint64_t> tail_{0};
  uint64_t head_seen_ = 0;  // consumer's
  alignas(kNoShare) T slots_[N];
};

}  // namespace spillway
