#include "tests/peer/receive_stream.h"

#include <algorithm>
#include <cstdlib>

#include "datapath/base/sequence.h"

namespace spillway::peer {

uint64_t ReceiveStream::extend(uint16_t wire) const {
  return started_ ? extend_sequence(highest_, wire) : wire;
}

ReceiveStream::Verdict ReceiveStream::receive(uint64_t sequence, uint32_t rtp_time, bool repaired,
                                              Nanos now) {
  if (!started_) {
    started_ = true;
    first_ = highest_ = sequence;
    window_.reset();
    window_[sequence % kWindow] = true;
    ++received_;
    return Verdict::fresh;
  }
  if (sequence > highest_) {
    if (sequence - highest_ > kSequenceJump) {
      // Whatever was missing stays lost; counting starts anew.
      lost_ += missing_.size();
      missing_.clear();
      window_.reset();
      first_ = sequence;
      ++restarts_;
    } else {
      for (uint64_t s = highest_ + 1; s < sequence; ++s) {
        window_[s % kWindow] = false;
        missing_.emplace(s, Missing{now, now + kReorderPatience, 0});
        ++gaps_;
      }
    }
    highest_ = sequence;
    window_[sequence % kWindow] = true;
  } else {
    if (highest_ - sequence >= kWindow || sequence < first_ || seen(sequence)) {
      ++duplicates_;
      return Verdict::duplicate;
    }
    window_[sequence % kWindow] = true;
    if (missing_.erase(sequence) == 0) {
      --lost_;
      ++late_;
    }
    repaired_ += repaired;
  }
  ++received_;
  // RFC 3550 A.8; a repeat's arrival says nothing about the network.
  if (!repaired) {
    const int64_t arrival = now.us() * clock_rate_ / 1'000'000;
    const int64_t transit = static_cast<int32_t>(static_cast<uint32_t>(arrival) - rtp_time);
    if (has_transit_) {
      const int64_t d = std::abs(static_cast<int64_t>(static_cast<int32_t>(transit - transit_)));
      jitter_16_ += d - ((jitter_16_ + 8) >> 4);
    }
    transit_ = transit;
    has_transit_ = true;
  }
  return Verdict::fresh;
}

std::vector<uint16_t> ReceiveStream::take_nacks(Nanos now, size_t max) {
  std::vector<uint16_t> out;
  for (auto& [sequence, m] : missing_) {
    if (out.size() >= max) break;
    if (now < m.next || m.tries >= kNackTries) continue;
    out.push_back(static_cast<uint16_t>(sequence));
    ++m.tries;
    m.next = now + kNackInterval;
  }
  return out;
}

void ReceiveStream::expire(Nanos now) {
  for (auto it = missing_.begin(); it != missing_.end();) {
    if (now - it->second.since <= kLossPatience) {
      ++it;
      continue;
    }
    ++lost_;
    it = missing_.erase(it);
  }
}

ReportBlock ReceiveStream::report(Ssrc ssrc, Nanos now) {
  ReportBlock b;
  b.ssrc = ssrc;
  if (!started_) return b;
  const uint64_t expected = received_ + lost_ + missing_.size();
  b.cumulative_lost = static_cast<int32_t>(std::min<uint64_t>(lost_ + missing_.size(), 0x7fffff));
  const uint64_t interval_expected = expected - std::min(expected, reported_expected_);
  const uint64_t interval_received = received_ - std::min(received_, reported_received_);
  reported_expected_ = expected;
  reported_received_ = received_;
  if (interval_expected > interval_received)
    b.fraction_lost = static_cast<uint8_t>(
        std::min<uint64_t>(255, ((interval_expected - interval_received) << 8) / interval_expected));
  b.highest_sequence = static_cast<uint32_t>(highest_);
  b.jitter = static_cast<uint32_t>(jitter_16_ >> 4);
  if (last_sr_ != 0) {
    b.last_sr = last_sr_;
    b.delay_since_sr = static_cast<uint32_t>((now - last_sr_at_).us() * 65'536 / 1'000'000);
  }
  return b;
}

}  // namespace spillway::peer
