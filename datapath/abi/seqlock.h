// One value of type T in shared memory, overwritten by one writer, read as a
// consistent snapshot by any number of readers in either process.
//
// Shape: a version word (odd = being written) and the value as atomic 64-bit
// words. Payload words are stored with release and loaded with acquire, so no
// stand-alone fence is needed (sanitizers do not follow those).
// Errors: a read that meets a writer too often gives up (false): the caller counts
// and tries again later; a dead writer thereby never hangs a reader.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace spillway::abi {

template <typename T>
class Seqlock {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % 8 == 0);
  static_assert(std::has_unique_object_representations_v<T>, "T has hidden padding");
  static constexpr uint32_t kWords = sizeof(T) / 8;

 public:
  // Writer only. A version left odd by a writer that died is taken over.
  void write(const T& value) {
    std::array<uint64_t, kWords> local;
    std::memcpy(local.data(), &value, sizeof value);
    uint64_t version = version_.load(std::memory_order_relaxed) | 1;
    // The exchange orders the odd version before the words; pairs with the first
    // acquire load in read().
    version_.exchange(version, std::memory_order_acq_rel);
    for (uint32_t i = 0; i < kWords; ++i)
      words_[i].store(local[i], std::memory_order_release);  // pairs with acquire in read()
    version_.store(version + 1, std::memory_order_release);  // pairs with acquire in read()
  }

  // Any reader. False: no stable snapshot within `tries`; *out is unspecified.
  bool read(T* out, uint32_t tries = 64) const {
    std::array<uint64_t, kWords> local;
    for (uint32_t t = 0; t < tries; ++t) {
      uint64_t before = version_.load(std::memory_order_acquire);  // pairs with release in write()
      if (before & 1) continue;
      for (uint32_t i = 0; i < kWords; ++i)
        local[i] = words_[i].load(std::memory_order_acquire);  // pairs with release in write()
      if (version_.load(std::memory_order_relaxed) == before) {
        std::memcpy(static_cast<void*>(out), local.data(), sizeof *out);
        return true;
      }
    }
    return false;
  }

  // Changes with each write; 0 = never written.
  uint64_t version() const { return version_.load(std::memory_order_acquire); }

  // Writer only, for secrets: overwrites every word with zero under a new version.
  void wipe() {
    T zero;
    std::memset(&zero, 0, sizeof zero);
    write(zero);
  }

 private:
  std::atomic<uint64_t> version_;
  std::atomic<uint64_t> words_[kWords];
};

}  // namespace spillway::abi
