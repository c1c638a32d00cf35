// Zero-filled memory reserved once at start-up and backed only where touched.
//
// For tables sized by limits.h: address space is cheap, pages are not. Kept out of
// core dumps (plaintext media and keys live here). Aborts when the address space
// cannot be had: a start-up refusal. Owner: whoever holds the object.
#pragma once

#include <cstdint>

namespace spillway {

class LazyMemory {
 public:
  explicit LazyMemory(uint64_t bytes);
  ~LazyMemory();
  LazyMemory(const LazyMemory&) = delete;
  LazyMemory& operator=(const LazyMemory&) = delete;

  // Page-aligned.
  void* data() const { return data_; }
  uint64_t bytes() const { return bytes_; }

 private:
  void* data_;
  uint64_t bytes_;
};

}  // namespace spillway
