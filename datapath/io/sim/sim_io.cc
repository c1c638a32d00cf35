#include "datapath/io/sim/sim_io.h"

#include <algorithm>

namespace spillway {

SimIo::~SimIo() {
  for (uint32_t i = 0; i < lent_count_; ++i) port_->discard(lent_[i]);
}

uint32_t SimIo::rx_burst(std::span<RxPacket> out, Nanos) {
  SPILLWAY_ASSERT(out.size() <= kBurst && lent_count_ == 0);
  uint32_t n = 0;
  while (n < out.size()) {
    auto got = port_->receive();
    if (!got) break;
    if (got->bytes > kMaxDatagramBytes) {
      ++stats_.rx_truncated;
      port_->discard(got->handle);
      continue;
    }
    out[n++] = {got->path, got->data, got->bytes, got->handle};
    lent_[lent_count_++] = got->handle;
    ++stats_.rx_datagrams;
    stats_.rx_bytes += got->bytes;
  }
  return n;
}

void SimIo::release(std::span<const RxPacket> packets) {
  for (const RxPacket& p : packets) {
    auto* end = lent_ + lent_count_;
    auto* it = std::find(lent_, end, p.handle);
    SPILLWAY_ASSERT(it != end);
    *it = lent_[--lent_count_];
    port_->discard(p.handle);
  }
}

void SimIo::tx_burst(TxBatch& batch) {
  for (const auto& run : batch.runs()) {
    uint32_t taken = 0;
    for (uint32_t at = 0; at < run.bytes; at += run.segment_bytes) {
      if (refuse_tx_ > 0) {
        --refuse_tx_;
        ++stats_.tx_dropped_full;
        continue;
      }
      const uint32_t bytes = std::min(run.segment_bytes, run.bytes - at);
      port_->send(run.path, {run.data + at, bytes});
      stats_.tx_bytes += bytes;
      ++taken;
    }
    stats_.tx_datagrams += taken;
    stats_.tx_messages += taken > 0;
  }
  batch.clear();
}

}  // namespace spillway
