#include "tests/peer/sources/file.h"

#include <algorithm>

#include "tests/peer/packetize.h"
#include "tests/peer/sources/readers.h"

namespace spillway::peer {
namespace {

// A PLI storm must not keep the file at its first frame.
constexpr Nanos kRewindInterval = seconds(1);

class FileSource : public MediaSource {
 public:
  Result<void> open(const FileOptions& o) {
    if (!o.ivf.empty()) {
      auto bytes = read_file(o.ivf);
      if (!bytes) return bytes.error();
      video_bytes_ = *std::move(bytes);
      auto ivf = read_ivf(video_bytes_);
      if (!ivf) return Error{o.ivf + ": " + ivf.error().text};
      codec_ = ivf->codec;
      const uint64_t origin = ivf->frames.front().time;
      int64_t last = -1;
      for (const IvfFile::Frame& f : ivf->frames) {
        // Times must rise; a file that says otherwise is played frame after frame.
        const uint64_t ticks = f.time >= origin ? std::min<uint64_t>(f.time - origin, 1'000'000'000) : 0;
        const auto tick_ns = static_cast<int64_t>(
            std::min<uint64_t>(uint64_t{1'000'000'000} * ivf->scale / ivf->rate, 1'000'000'000));
        int64_t ns = static_cast<int64_t>(ticks) * tick_ns;
        if (ns <= last) ns = last + std::max<int64_t>(tick_ns, 1'000'000);
        last = ns;
        video_.push_back({{ns}, {f.data}, false});
      }
    } else if (!o.h264.empty()) {
      auto bytes = read_file(o.h264);
      if (!bytes) return bytes.error();
      video_bytes_ = *std::move(bytes);
      auto units = read_annex_b(video_bytes_);
      if (!units) return Error{o.h264 + ": " + units.error().text};
      codec_ = Codec::h264;
      for (H264AccessUnit& u : *units)
        video_.push_back({Nanos{static_cast<int64_t>(video_.size()) * 1'000'000'000 / o.fps},
                          std::move(u.nals), u.key});
    }
    if (!video_.empty()) {
      const auto n = static_cast<int64_t>(video_.size());
      const Nanos usual = n > 1 ? Nanos{video_.back().at.ns / (n - 1)} : millis(33);
      video_length_ = video_.back().at + std::max(usual, millis(1));
    }
    if (!o.ogg.empty()) {
      auto bytes = read_file(o.ogg);
      if (!bytes) return bytes.error();
      auto packets = read_ogg_opus(*bytes);
      if (!packets) return Error{o.ogg + ": " + packets.error().text};
      audio_ = *std::move(packets);
    }
    if (video_.empty() && audio_.empty()) return Error{"no file to play"};
    return {};
  }

  Codec video() const override { return codec_; }
  bool audio() const override { return !audio_.empty(); }
  void start(Nanos now) override { video_origin_ = audio_origin_ = started_ = now; }
  Nanos deadline() const override { return std::min(video_due(), audio_due()); }

  void request_key_frame(uint8_t) override { rewind_wanted_ = true; }

  void produce(Nanos now, std::vector<MediaFrame>& out) override {
    if (rewind_wanted_ && now - rewound_ >= kRewindInterval && !video_.empty()) {
      rewind_wanted_ = false;
      rewound_ = now;
      // From here on the first frame is due now; timestamps go on.
      video_origin_ = std::max(video_origin_, now);
      frame_ = 0;
    }
    while (audio_due() <= now) {
      const OpusPacket& p = audio_[packet_ % audio_.size()];
      MediaFrame f;
      f.kind = MediaKind::audio;
      f.rtp_time = static_cast<uint32_t>(samples_);
      f.payloads.push_back(p.data);
      out.push_back(std::move(f));
      samples_ += p.samples;
      ++packet_;
    }
    while (video_due() <= now) {
      out.push_back(next_frame());
    }
  }

 private:
  struct Frame {
    Nanos at{};
    std::vector<Bytes> parts;
    bool key = false;
  };

  Nanos video_due() const { return video_.empty() ? kNever : video_origin_ + video_[frame_].at; }
  Nanos audio_due() const {
    return audio_.empty() ? kNever
                          : audio_origin_ + Nanos{static_cast<int64_t>(samples_) * 1'000'000 / 48};
  }

  MediaFrame next_frame() {
    const Frame& frame = video_[frame_];
    MediaFrame f;
    f.rtp_time = static_cast<uint32_t>((video_due() - started_).us() * 9 / 100);
    const PictureNumbers n{static_cast<uint16_t>(picture_ & 0x7fff), static_cast<uint8_t>(picture_)};
    ++picture_;
    const Bytes data = frame.parts.front();
    switch (codec_) {
      case Codec::vp8:
        f.key = vp8_frame_is_key(data);
        f.payloads = packetize_vp8(data, n);
        break;
      case Codec::vp9:
        f.key = vp9_frame_is_key(data);
        f.payloads = packetize_vp9(data, n);
        break;
      case Codec::av1:
        f.key = av1_unit_is_key(data);
        f.payloads = packetize_av1(data);
        break;
      default:
        f.key = frame.key;
        f.payloads = packetize_h264(frame.parts);
    }
    if (++frame_ == video_.size()) {
      frame_ = 0;
      video_origin_ += video_length_;
    }
    return f;
  }

  std::vector<uint8_t> video_bytes_;
  Codec codec_ = Codec::none;
  std::vector<Frame> video_;
  Nanos video_length_{};
  std::vector<OpusPacket> audio_;
  Nanos started_{}, video_origin_{}, audio_origin_{}, rewound_{};
  bool rewind_wanted_ = false;
  size_t frame_ = 0;
  size_t packet_ = 0;
  uint64_t samples_ = 0;
  uint32_t picture_ = 0;
};

}  // namespace

Result<std::unique_ptr<MediaSource>> make_file_source(const FileOptions& options) {
  auto source = std::make_unique<FileSource>();
  if (auto ok = source->open(options); !ok) return ok.error();
  return std::unique_ptr<MediaSource>(std::move(source));
}

}  // namespace spillway::peer
