// What a sans-IO object is given and gives back: received datagrams and a batch
// of datagrams to send. Shared by core/ and every io/ back end.
//
// No allocation after construction; one owner thread per TxBatch.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "datapath/base/assert.h"
#include "datapath/base/bytes.h"
#include "datapath/base/endpoint.h"
#include "datapath/base/limits.h"

namespace spillway {

// The two ends of a flow. `local` is the address the peer sent to; replies must
// leave from it (a multi-homed host, an alias), its port is the media port.
struct Path {
  Endpoint remote;
  Endpoint local;
  friend constexpr bool operator==(const Path&, const Path&) = default;
  constexpr bool valid() const { return remote.valid(); }
};
static_assert(sizeof(Path) == 40);

// One received datagram. `data` is the back end's memory, writable (decryption in
// place), valid until the back end's release().
struct RxPacket {
  Path path;
  uint8_t* data = nullptr;
  uint32_t bytes = 0;   // UDP payload; 0..kMaxDatagramBytes
  uint32_t handle = 0;  // back end's own: buffer or frame index
};

// Datagrams to send, in order, laid out so that consecutive datagrams to one
// path with equal length form one run: a UDP_SEGMENT message for sockets
// (limits kMaxGsoSegments, kMaxGsoBytes; only the last may be shorter).
//
//   reserve(path, bytes_max) -> memory to write into, nullptr = batch is full
//   commit(bytes)            -> the reserved datagram is part of the batch
//   (no commit)              -> the next reserve() takes the same memory
//
// The driver sends runs() and calls clear().
class TxBatch {
 public:
  struct Run {
    Path path;
    uint8_t* data = nullptr;
    uint32_t bytes = 0;          // of all segments
    uint32_t segment_bytes = 0;  // of each but the last
    uint32_t segments = 0;
  };
  static constexpr uint32_t kSlabBytes = 512 * 1024;
  static constexpr uint32_t kRunsMax = 512;

  TxBatch()
      : slab_(new uint8_t[kSlabBytes]), runs_(new Run[kRunsMax]) {}

  // bytes_max 1..kMaxDatagramBytes. The pointer is valid until commit, the next
  // reserve, or clear.
  uint8_t* reserve(const Path& path, uint32_t bytes_max) {
    SPILLWAY_DCHECK(bytes_max > 0 && bytes_max <= kMaxDatagramBytes);
    if (run_count_ >= kRunsMax || kSlabBytes - used_ < bytes_max) return nullptr;
    reserved_path_ = &path;
    reserved_bytes_ = bytes_max;
    return slab_.get() + used_;
  }

  // bytes: 1..bytes_max of the reserve before. `path` of that reserve must still live.
  void commit(uint32_t bytes) {
    SPILLWAY_DCHECK(reserved_path_ && bytes > 0 && bytes <= reserved_bytes_);
    uint8_t* at = slab_.get() + used_;
    used_ += bytes;
    ++datagrams_;
    if (run_count_ > 0) {
      Run& last = runs_[run_count_ - 1];
      bool open = last.bytes == last.segment_bytes * last.segments;  // no short segment yet
      if (open && bytes <= last.segment_bytes && last.segments < kMaxGsoSegments &&
          last.bytes + bytes <= kMaxGsoBytes && last.path == *reserved_path_) {
        last.bytes += bytes;
        ++last.segments;
        reserved_path_ = nullptr;
        return;
      }
    }
    runs_[run_count_++] = {*reserved_path_, at, bytes, bytes, 1};
    reserved_path_ = nullptr;
  }

  std::span<const Run> runs() const { return {runs_.get(), run_count_}; }
  uint32_t datagrams() const { return datagrams_; }
  uint32_t bytes() const { return used_; }
  bool empty() const { return run_count_ == 0; }
  // True while at least one full-size datagram and one run still fit.
  bool has_room() const {
    return run_count_ < kRunsMax && kSlabBytes - used_ >= kMaxDatagramBytes;
  }
  void clear() { run_count_ = used_ = datagrams_ = 0; }

 private:
  std::unique_ptr<uint8_t[]> slab_;
  std::unique_ptr<Run[]> runs_;
  uint32_t run_count_ = 0;
  uint32_t used_ = 0;
  uint32_t datagrams_ = 0;
  const Path* reserved_path_ = nullptr;
  uint32_t reserved_bytes_ = 0;
};

}  // namespace spillway
