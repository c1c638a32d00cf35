#include "tests/peer/sources/pattern.h"

#include <opus/opus.h>
#include <vpx/vp8cx.h>
#include <vpx/vpx_encoder.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numbers>
#include <string>

#include "tests/peer/packetize.h"

namespace spillway::peer {
namespace {

struct Yuv {
  uint8_t y, u, v;
};
// 75 % bars in BT.601: white, yellow, cyan, green, magenta, red, blue, black.
constexpr Yuv kBars[] = {{180, 128, 128}, {162, 44, 142}, {131, 156, 44}, {112, 72, 58},
                         {84, 184, 198},  {65, 100, 212}, {35, 212, 114}, {16, 128, 128}};
constexpr Yuv kWhite{235, 128, 128}, kDark{30, 128, 128}, kAccent{145, 54, 34};

// Digits and ':' as 3 x 5 cells, one bit each, top row first.
constexpr uint16_t kGlyphs[] = {075557, 026227, 071747, 071717, 055711, 074717,
                                074757, 071111, 075757, 075717, 002020};

class Canvas {
 public:
  explicit Canvas(vpx_image_t* image) : image_(image) {}
  // Even coordinates; clipped to the picture.
  void box(int x, int y, int w, int h, Yuv c) {
    const int right = std::min(x + w, static_cast<int>(image_->d_w));
    const int bottom = std::min(y + h, static_cast<int>(image_->d_h));
    x = std::max(0, x);
    y = std::max(0, y);
    if (x >= right || y >= bottom) return;
    for (int row = y; row < bottom; ++row) fill(0, x, row, right - x, c.y);
    for (int row = y / 2; row < bottom / 2; ++row) {
      fill(1, x / 2, row, (right - x) / 2, c.u);
      fill(2, x / 2, row, (right - x) / 2, c.v);
    }
  }
  // cell: edge of one of a glyph's 3 x 5 cells, even.
  void text(int x, int y, int cell, const std::string& digits, Yuv c) {
    for (const char d : digits) {
      const int glyph = d == ':' ? 10 : d - '0';
      if (glyph < 0 || glyph > 10) continue;
      for (int row = 0; row < 5; ++row)
        for (int column = 0; column < 3; ++column)
          if (kGlyphs[glyph] >> (14 - row * 3 - column) & 1)
            box(x + column * cell, y + row * cell, cell, cell, c);
      x += cell * 4;
    }
  }

 private:
  void fill(int plane, int x, int y, int n, uint8_t v) {
    std::fill_n(image_->planes[plane] + y * image_->stride[plane] + x, n, v);
  }
  vpx_image_t* image_;
};

class PatternSource : public MediaSource {
 public:
  explicit PatternSource(const PatternOptions& o) : o_(o) {}
  ~PatternSource() override {
    if (encoder_ready_) vpx_codec_destroy(&encoder_);
    if (image_) vpx_img_free(image_);
    if (opus_) opus_encoder_destroy(opus_);
  }

  Result<void> open() {
    vpx_codec_enc_cfg_t c{};
    if (vpx_codec_enc_config_default(vpx_codec_vp8_cx(), &c, 0) != VPX_CODEC_OK)
      return Error{"libvpx gave no VP8 configuration"};
    c.g_w = o_.width;
    c.g_h = o_.height;
    c.g_timebase = {1, static_cast<int>(o_.fps)};
    c.g_threads = 1;
    c.g_error_resilient = VPX_ERROR_RESILIENT_DEFAULT;
    c.g_lag_in_frames = 0;
    c.rc_end_usage = VPX_CBR;
    c.rc_target_bitrate = o_.kbps;
    c.rc_min_quantizer = 4;
    c.rc_max_quantizer = 56;
    c.rc_undershoot_pct = 100;
    c.rc_overshoot_pct = 15;
    c.rc_buf_initial_sz = 500;
    c.rc_buf_optimal_sz = 600;
    c.rc_buf_sz = 1000;
    c.kf_mode = VPX_KF_DISABLED;  // key frames are ours to ask for
    if (vpx_codec_enc_init(&encoder_, vpx_codec_vp8_cx(), &c, 0) != VPX_CODEC_OK)
      return Error{"libvpx: " + std::string(vpx_codec_error(&encoder_))};
    encoder_ready_ = true;
    vpx_codec_control(&encoder_, VP8E_SET_CPUUSED, -12);
    vpx_codec_control(&encoder_, VP8E_SET_STATIC_THRESHOLD, 100u);
    // A key frame of at most three usual frames: bursts are what viewers lose.
    vpx_codec_control(&encoder_, VP8E_SET_MAX_INTRA_BITRATE_PCT, 600u);
    image_ = vpx_img_alloc(nullptr, VPX_IMG_FMT_I420, o_.width, o_.height, 32);
    if (!image_) return Error{"no memory for the picture"};
    if (!o_.audio) return {};
    int error = 0;
    opus_ = opus_encoder_create(48'000, 1, OPUS_APPLICATION_AUDIO, &error);
    if (!opus_) return Error{std::string("libopus: ") + opus_strerror(error)};
    opus_encoder_ctl(opus_, OPUS_SET_BITRATE(32'000));
    opus_encoder_ctl(opus_, OPUS_SET_COMPLEXITY(3));
    return {};
  }

  Codec video() const override { return Codec::vp8; }
  bool audio() const override { return o_.audio; }
  void start(Nanos now) override { started_ = now; }
  void request_key_frame(uint8_t) override { key_wanted_ = true; }
  Nanos deadline() const override {
    return o_.audio ? std::min(video_due(), audio_due()) : video_due();
  }

  void produce(Nanos now, std::vector<MediaFrame>& out) override {
    const Nanos late = now - deadline();
    if (late > seconds(1)) started_ += late;
    while (o_.audio && audio_due() <= now) encode_audio(out);
    if (video_due() > now) return;
    // Too slow a machine leaves pictures out; the clock in the picture stays right.
    while (video_due() + Nanos{1'000'000'000 / o_.fps} <= now) ++frame_;
    encode_video(out);
  }

 private:
  Nanos video_due() const { return started_ + Nanos{int64_t{frame_} * 1'000'000'000 / o_.fps}; }
  Nanos audio_due() const { return started_ + millis(20) * audio_packet_; }

  void draw() {
    Canvas canvas(image_);
    const int w = static_cast<int>(o_.width), h = static_cast<int>(o_.height);
    if (!background_drawn_) {
      background_drawn_ = true;
      const int bar = w / 8;
      for (int i = 0; i < 8; ++i) canvas.box(i * bar, 0, bar, h * 2 / 3 / 2 * 2, kBars[i]);
      canvas.box(0, h * 2 / 3 / 2 * 2, w, h, kDark);
    }
    // The old box gives the bars back.
    const int size = h / 12 * 2;
    for (int i = 0; i < 8 && box_x_ >= 0; ++i) {
      const int left = std::max(box_x_, i * (w / 8)), right = std::min(box_x_ + size, (i + 1) * (w / 8));
      if (left < right) canvas.box(left, box_y_, right - left, size, kBars[i]);
    }
    const auto bounce = [&](uint32_t step, int range) {
      const int at = static_cast<int>(frame_ * step % static_cast<uint32_t>(2 * range));
      return (at < range ? at : 2 * range - at) / 2 * 2;
    };
    box_x_ = bounce(6, w - size);
    box_y_ = bounce(4, h * 2 / 3 - size);
    canvas.box(box_x_, box_y_, size, size, kWhite);
    canvas.box(box_x_ + size / 8 * 2, box_y_ + size / 8 * 2, size / 2, size / 2, kAccent);

    const int cell = h / 144 * 2;
    const int top = h * 3 / 4 / 2 * 2;
    const uint32_t s = frame_ / o_.fps;
    char clock[20];
    std::snprintf(clock, sizeof clock, "%02u:%02u:%02u:%02u", s / 3600 % 100, s / 60 % 60, s % 60,
                  frame_ % o_.fps);
    canvas.box(w / 16, top, cell * 4 * 11, cell * 5, kDark);
    canvas.text(w / 16, top, cell, clock, kWhite);
    const std::string count = std::to_string(frame_);
    const int right = w - w / 16 - cell * 4 * 8;
    canvas.box(right, top, cell * 4 * 8, cell * 5, kDark);
    canvas.text(right + cell * 4 * std::max(0, 8 - static_cast<int>(count.size())), top, cell, count, kWhite);
    // A lamp that is lit while the beep sounds.
    canvas.box(w / 16, top + cell * 7, cell * 4, cell * 4, frame_ % o_.fps * 10 < o_.fps ? kAccent : kDark);
  }

  void encode_video(std::vector<MediaFrame>& out) {
    draw();
    const bool key = std::exchange(key_wanted_, false) ||
                     frame_ - last_key_ >= o_.key_interval_s * o_.fps;
    if (key) last_key_ = frame_;
    if (vpx_codec_encode(&encoder_, image_, frame_, 1, key ? VPX_EFLAG_FORCE_KF : 0, VPX_DL_REALTIME) !=
        VPX_CODEC_OK) {
      ++frame_;
      return;
    }
    vpx_codec_iter_t at = nullptr;
    while (const vpx_codec_cx_pkt_t* p = vpx_codec_get_cx_data(&encoder_, &at)) {
      if (p->kind != VPX_CODEC_CX_FRAME_PKT) continue;
      MediaFrame f;
      f.key = (p->data.frame.flags & VPX_FRAME_IS_KEY) != 0;
      f.rtp_time = static_cast<uint32_t>(uint64_t{frame_} * 90'000 / o_.fps);
      f.payloads = packetize_vp8({static_cast<const uint8_t*>(p->data.frame.buf), p->data.frame.sz},
                                 {picture_++, tl0_++});
      out.push_back(std::move(f));
    }
    ++frame_;
  }

  void encode_audio(std::vector<MediaFrame>& out) {
    int16_t pcm[960];
    for (int i = 0; i < 960; ++i) {
      const uint64_t sample = uint64_t{audio_packet_} * 960 + static_cast<uint64_t>(i);
      const double t = static_cast<double>(sample % 48'000) / 48'000;
      const double tone = 600 * std::sin(2 * std::numbers::pi * 220 * t);
      // 100 ms at the full second, faded so that it does not click.
      const double envelope = t < 0.1 ? std::sin(std::numbers::pi * t / 0.1) : 0;
      pcm[i] = static_cast<int16_t>(tone + 6000 * envelope * std::sin(2 * std::numbers::pi * 880 * t));
    }
    std::vector<uint8_t> payload(1000);
    const int bytes = opus_encode(opus_, pcm, 960, payload.data(), static_cast<int>(payload.size()));
    MediaFrame f;
    f.kind = MediaKind::audio;
    f.rtp_time = audio_packet_ * 960;
    ++audio_packet_;
    if (bytes <= 0) return;
    payload.resize(static_cast<size_t>(bytes));
    f.payloads.push_back(std::move(payload));
    out.push_back(std::move(f));
  }

  PatternOptions o_;
  vpx_codec_ctx_t encoder_{};
  bool encoder_ready_ = false;
  vpx_image_t* image_ = nullptr;
  OpusEncoder* opus_ = nullptr;
  Nanos started_{};
  uint32_t frame_ = 0;
  uint32_t last_key_ = 0;
  uint32_t audio_packet_ = 0;
  bool key_wanted_ = true;
  bool background_drawn_ = false;
  int box_x_ = -1, box_y_ = 0;
  uint16_t picture_ = 0;
  uint8_t tl0_ = 0;
};

}  // namespace

Result<std::unique_ptr<MediaSource>> make_pattern_source(const PatternOptions& options) {
  auto source = std::make_unique<PatternSource>(options);
  if (auto ok = source->open(); !ok) return ok.error();
  return std::unique_ptr<MediaSource>(std::move(source));
}

}  // namespace spillway::peer
