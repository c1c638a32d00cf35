#include "tests/peer/sources/synthetic.h"

#include <algorithm>
#include <utility>

#include "tests/peer/marker.h"
#include "tests/peer/packetize.h"

namespace spillway::peer {
namespace {

// A key frame is this many times a usual frame; what it costs is taken off the frames after.
constexpr int64_t kKeyFrameFactor = 4;

void fill(MutableBytes out, uint64_t seed) {
  uint64_t x = seed * 0x9e3779b97f4a7c15 + 1;
  for (size_t at = 0; at < out.size(); at += 8) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    std::memcpy(&out[at], &x, std::min<size_t>(8, out.size() - at));
  }
}

}  // namespace

SyntheticSource::SyntheticSource(const SyntheticOptions& options) : options_(options) {
  options_.layers = std::clamp<uint8_t>(options_.layers, 1, kMaxLayers);
  options_.fps = std::max(1u, options_.fps);
  options_.packet_bytes = std::clamp<uint32_t>(options_.packet_bytes, 100, 1300);
  key_wanted_.fill(true);
}

void SyntheticSource::start(Nanos now) { started_ = now; }

Nanos SyntheticSource::deadline() const {
  const Nanos video = started_ + Nanos{int64_t{frame_} * 1'000'000'000 / options_.fps};
  const Nanos audio = started_ + millis(20) * audio_packet_;
  return options_.audio ? std::min(video, audio) : video;
}

void SyntheticSource::request_key_frame(uint8_t layer) {
  if (layer < options_.layers) key_wanted_[layer] = true;
}

void SyntheticSource::produce(Nanos now, std::vector<MediaFrame>& out) {
  // After a stall of more than a second the missed time is skipped, not sent in a burst.
  const Nanos late = now - deadline();
  if (late > seconds(1)) started_ += late;
  while (options_.audio && started_ + millis(20) * audio_packet_ <= now) {
    MediaFrame f;
    f.kind = MediaKind::audio;
    f.rtp_time = audio_packet_ * 960;
    std::vector<uint8_t> payload(80);
    fill(payload, audio_packet_);
    payload[0] = 0x78;  // TOC: CELT, 20 ms, mono, one frame (RFC 6716 §3.1)
    f.payloads.push_back(std::move(payload));
    out.push_back(std::move(f));
    ++audio_packet_;
  }
  while (started_ + Nanos{int64_t{frame_} * 1'000'000'000 / options_.fps} <= now) {
    for (uint8_t layer = 0; layer < options_.layers; ++layer) out.push_back(video_frame(layer, now));
    ++frame_;
  }
}

MediaFrame SyntheticSource::video_frame(uint8_t layer, Nanos now) {
  const uint64_t bps = options_.bps >> (2 * (options_.layers - 1 - layer));
  const auto usual = static_cast<int64_t>(bps / 8 / options_.fps);
  if (frame_ - last_key_[layer] >= options_.key_interval_s * options_.fps) key_wanted_[layer] = true;
  MediaFrame f;
  f.layer = layer;
  f.key = std::exchange(key_wanted_[layer], false);
  f.rtp_time = static_cast<uint32_t>(uint64_t{frame_} * 90'000 / options_.fps);
  if (f.key) last_key_[layer] = frame_;
  credit_bytes_[layer] = std::clamp(credit_bytes_[layer] + usual, -20 * usual, 2 * usual);
  // Never below a quarter, so that the rate is reached over about twenty frames.
  const int64_t bytes = f.key ? usual * kKeyFrameFactor : std::max(usual / 4, credit_bytes_[layer]);
  credit_bytes_[layer] -= bytes;

  const uint32_t packets = static_cast<uint32_t>(
      std::clamp<int64_t>((bytes + options_.packet_bytes - 1) / options_.packet_bytes, 1, 4000));
  ++tl0_[layer];
  for (uint32_t p = 0; p < packets; ++p) {
    const uint32_t descriptor = kVp8DescriptorBytes;
    const uint32_t header = p > 0 ? 0 : f.key ? kVp8KeyHeaderBytes : kVp8InterHeaderBytes;
    const uint32_t at = descriptor + header;
    // Even sizes but for the last packet, as an encoder's frames are.
    const int64_t left = bytes - int64_t{p} * options_.packet_bytes;
    const auto size = static_cast<uint32_t>(
        std::clamp<int64_t>(left, at + kMarkerBytes + 8, options_.packet_bytes));
    std::vector<uint8_t> payload(size);
    write_vp8_descriptor(payload, p == 0, {static_cast<uint16_t>(frame_ & 0x7fff), tl0_[layer]});
    if (p == 0) {
      // Frame tag: P bit inverted key, version 0, show_frame, size of the first partition.
      const uint32_t first_partition = 1000;
      const uint32_t tag = (f.key ? 0u : 1u) | 1u << 4 | first_partition << 5;
      payload[descriptor] = static_cast<uint8_t>(tag);
      payload[descriptor + 1] = static_cast<uint8_t>(tag >> 8);
      payload[descriptor + 2] = static_cast<uint8_t>(tag >> 16);
      if (f.key) {
        const uint8_t start[] = {0x9d, 0x01, 0x2a, 0x00, 0x05, 0xd0, 0x02};  // 1280 x 720
        std::memcpy(&payload[descriptor + 3], start, sizeof start);
      }
    }
    fill(MutableBytes(payload).subspan(at + kMarkerBytes),
         uint64_t{options_.source_id} << 48 | uint64_t{layer} << 44 | uint64_t{frame_} << 12 | p);
    Marker m;
    m.source = options_.source_id;
    m.frame = frame_;
    m.packet = static_cast<uint16_t>(p);
    m.packets = static_cast<uint16_t>(packets);
    m.sent = now;
    m.layer = layer;
    m.key = f.key;
    write_marker(payload, at, m);
    f.payloads.push_back(std::move(payload));
  }
  return f;
}

}  // namespace spillway::peer
