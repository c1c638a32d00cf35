// The plaintext ring of one RTP stream (one simulcast layer, or an audio line):
// hand-over between workers, retransmission store and start-up cache in one. A
// packet is kept once per stream, never once per viewer.
//
// Shape: N slots (kVideoRingPackets or kAudioRingPackets), addressed by position
// (arrival order, 64 bit, from 0) and by extended sequence number.
// Threads: one writer (the worker that owns the publisher); any number of readers on
// any worker. The writer never waits. A reader may look at positions in
// [oldest_safe(), head()); a margin of an eighth of the ring lies between that and
// the writer, so a slot is not overwritten while a reader that just checked uses it
// (256 packets: 58 ms at 50 Mb/s, longer than a turn or a preemption).
// Memory: the ring owns its slots; nothing is allocated after construction.
//
//        oldest_safe()                              head()
//   ------|---- readers may be anywhere here ---------|-- margin --|
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "datapath/base/bytes.h"
#include "datapath/base/lazy_memory.h"
#include "datapath/base/limits.h"
#include "datapath/base/media.h"
#include "datapath/base/units.h"

namespace spillway {

// A header extension element found in a stored packet; offset from the start of data.
struct StoredExtension {
  ExtensionKind kind;
  uint8_t bytes;
  uint16_t offset;
};

struct StoredPacket {
  uint64_t ext_seq;      // publisher's extended sequence number
  int64_t arrival_ns;    // start of the burst it came in
  uint32_t timestamp;    // publisher's
  uint16_t header_bytes; // of the publisher's RTP header; the payload follows
  uint16_t payload_bytes;  // without padding
  uint8_t source_pt;
  Codec codec;
  uint8_t marker;
  uint8_t key_frame_start;  // 1: first packet of a key frame
  uint8_t frame_start;      // 1: the codec says a frame begins here
  uint8_t extension_count;
  std::array<StoredExtension, 8> extensions;
  uint8_t data[kMaxRtpBytes];

  Bytes payload() const { return {data + header_bytes, payload_bytes}; }
};

class TrackRing {
 public:
  static constexpr uint64_t kNone = UINT64_MAX;

  // slots, sequence_index: `count` (power of two) elements each, owned by the caller
  // (RingPool), zero-filled, alive as long as the ring.
  TrackRing(StoredPacket* slots, std::atomic<uint64_t>* sequence_index, uint32_t count)
      : slots_(slots), sequence_index_(sequence_index), count_(count) {}

  // --- writer -------------------------------------------------------------------
  // Forgets everything and starts a new serial: readers notice and resynchronise.
  void reset();
  // The slot the next packet goes into; fill it, then publish().
  StoredPacket& next() { return slots_[head_.load(std::memory_order_relaxed) & (count_ - 1)]; }
  void publish();

  // --- readers --------------------------------------------------------------------
  uint64_t head() const { return head_.load(std::memory_order_acquire); }  // pairs with publish()
  uint64_t oldest_safe() const {
    uint64_t h = head();
    uint64_t keep = count_ - count_ / 8;
    uint64_t first = first_.load(std::memory_order_relaxed);
    return h > first + keep ? h - keep : first;
  }
  bool still_safe(uint64_t position) const { return position >= oldest_safe(); }
  const StoredPacket& at(uint64_t position) const { return slots_[position & (count_ - 1)]; }
  // Position of a sequence number, kNone when it never came or is gone.
  uint64_t find(uint64_t ext_seq) const;
  // Position of the first packet of the newest key frame, kNone when gone or none.
  uint64_t key_frame() const;
  // Changes when the ring is given to another stream.
  uint64_t serial() const { return serial_.load(std::memory_order_acquire); }
  uint32_t count() const { return count_; }
  // Bytes of payload appended since start, to measure rates and cache sizes.
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

  // --- publisher's clock, written by the writer on each sender report --------------
  // A sender report maps NTP to RTP time (RFC 3550 §6.4.1); readers build their own
  // from it. Two words read separately: a reader that mixes two reports errs by
  // less than the drift between them.
  void set_sender_report(uint64_t ntp, uint32_t rtp, int64_t arrival_ns) {
    sr_rtp_.store(rtp, std::memory_order_relaxed);
    sr_arrival_ns_.store(arrival_ns, std::memory_order_relaxed);
    sr_ntp_.store(ntp, std::memory_order_release);  // pairs with acquire in sender_report()
  }
  struct SenderReport {
    uint64_t ntp = 0;  // 0 = none yet
    uint32_t rtp = 0;
    int64_t arrival_ns = 0;
  };
  SenderReport sender_report() const {
    SenderReport r;
    r.ntp = sr_ntp_.load(std::memory_order_acquire);  // pairs with set_sender_report()
    r.rtp = sr_rtp_.load(std::memory_order_relaxed);
    r.arrival_ns = sr_arrival_ns_.load(std::memory_order_relaxed);
    return r;
  }

 private:
  StoredPacket* slots_;
  std::atomic<uint64_t>* sequence_index_;  // [ext_seq % count] = position + 1; 0 = none
  uint32_t count_;
  alignas(kNoShare) std::atomic<uint64_t> head_{0};
  std::atomic<uint64_t> first_{0};      // position where this serial began
  std::atomic<uint64_t> serial_{0};
  std::atomic<uint64_t> key_frame_{0};  // position + 1
  std::atomic<uint64_t> bytes_{0};
  std::atomic<uint64_t> sr_ntp_{0};
  std::atomic<uint32_t> sr_rtp_{0};
  std::atomic<int64_t> sr_arrival_ns_{0};
};

// All rings of the process, fixed at start; memory is touched when first used.
// acquire()/give_back(): any worker. A ring given back rests for kRestNs so that no
// reader of another worker still walks it when its next owner writes.
class RingPool {
 public:
  static constexpr int64_t kRestNs = 1'000'000'000;
  RingPool(uint32_t video_rings, uint32_t audio_rings);
  RingPool(const RingPool&) = delete;
  RingPool& operator=(const RingPool&) = delete;

  // nullptr: all in use.
  TrackRing* acquire(MediaKind kind, Nanos now);
  void give_back(TrackRing* ring, Nanos now);
  uint32_t used() const { return used_.load(std::memory_order_relaxed); }

 private:
  struct Entry;
  TrackRing* take(uint32_t begin, uint32_t end, Nanos now);
  static uint64_t bytes_for(uint32_t video_rings, uint32_t audio_rings);
  uint32_t video_;
  uint32_t total_;
  LazyMemory memory_;
  Entry* entries_;
  std::atomic<uint32_t> used_{0};
};

}  // namespace spillway
