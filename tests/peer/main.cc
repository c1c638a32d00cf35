// spillway-peer: publishes to WHIP, plays from WHEP, impairs UDP in between.
#include <CLI/CLI.hpp>

#include <cmath>
#include <cstdio>

#include "tests/peer/commands.h"
#include "tests/peer/proxy.h"
#include "tests/peer/random.h"
#include "tests/peer/sources/file.h"
#include "tests/peer/sources/pattern.h"
#include "tests/peer/sources/synthetic.h"

namespace {

using namespace spillway;
using namespace spillway::peer;

// "2M", "500k", "1500000".
uint64_t parse_bitrate(const std::string& text) {
  size_t used = 0;
  double v = 0;
  try {
    v = std::stod(text, &used);
  } catch (const std::exception&) {
    throw CLI::ValidationError("BITRATE", "not a number: " + text);
  }
  const std::string unit = text.substr(used);
  const double factor = unit.empty() ? 1 : unit == "k" || unit == "K" ? 1e3 : unit == "M" ? 1e6 : 0;
  if (factor == 0 || !(v * factor >= 10e3) || v * factor > 1e9)
    throw CLI::ValidationError("BITRATE", "10k to 1000M, not " + text);
  return static_cast<uint64_t>(v * factor);
}

Codec parse_codec(const std::string& text) {
  for (const Codec c : {Codec::vp8, Codec::vp9, Codec::h264, Codec::h265, Codec::av1}) {
    std::string name(name_of(c));
    for (char& x : name) x = static_cast<char>(std::tolower(x));
    if (name == text) return c;
  }
  throw CLI::ValidationError("--codecs", "vp8, vp9, h264, h265, av1; not " + text);
}

void add_common(CLI::App& app, CommonArguments& a) {
  app.add_option("url", a.url, "WHIP or WHEP endpoint, http:// or https://")->required();
  app.add_option("--token", a.token, "sent as Authorization: Bearer");
  app.add_option("--srtp", a.srtp, "profile offered: any, gcm, gcm256, cm")->capture_default_str();
  app.add_option("--via", a.via, "send to this ADDRESS:PORT instead of the candidates (the proxy)");
  app.add_flag("--dtls-passive", a.passive, "offer setup:passive: be the DTLS server");
  app.add_flag("--gro", a.gro, "receive with UDP_GRO: cheaper here, and cheaper for the sender's kernel");
  app.add_flag("--ipv6", a.prefer_v6, "use IPv6 candidates where there are any");
  app.add_option("--duration", a.duration_s, "seconds; 0: until interrupted")->capture_default_str();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"A WebRTC peer for tests of Spillway"};
  app.require_subcommand(1);

  CommonArguments publish;
  std::string synthetic, size = "1280x720";
  bool pattern = false, no_audio = false;
  uint32_t key_interval_s = 2, layers = 1, fps = 30, kbps = 1500;
  CLI::App* p = app.add_subcommand("publish", "publish to a WHIP endpoint");
  add_common(*p, publish);
  auto* sources = p->add_option_group("source");
  sources->add_option("--synthetic", synthetic, "marked packets that look like VP8, at this BITRATE (2M)");
  sources->add_flag("--pattern", pattern, "a moving test picture with sound (VP8, Opus)");
  FileOptions files;
  auto* ivf = sources->add_option("--ivf", files.ivf, "VP8, VP9 or AV1 in IVF, looped");
  sources->add_option("--h264", files.h264, "H.264 byte stream (Annex B), looped")->excludes(ivf);
  sources->add_option("--ogg", files.ogg, "Opus in Ogg, looped; alone or with a video file");
  sources->require_option(1, 2);
  p->add_option("--simulcast", layers, "layers of --synthetic, each a quarter of the one above")
      ->check(CLI::Range(1u, kMaxLayers));
  p->add_option("--keyint", key_interval_s, "seconds between key frames")->capture_default_str();
  p->add_option("--fps", fps)->check(CLI::Range(1u, 120u))->capture_default_str();
  p->add_option("--size", size, "of --pattern: WIDTHxHEIGHT")->capture_default_str();
  p->add_option("--kbps", kbps, "of --pattern")->check(CLI::Range(50u, 20000u))->capture_default_str();
  p->add_flag("--no-audio", no_audio);

  PlayArguments play;
  std::vector<std::string> codecs;
  bool play_no_audio = false, no_rtx = false;
  std::string digest_frames;
  CLI::App* v = app.add_subcommand("play", "play from a WHEP endpoint");
  add_common(*v, play.common);
  play.common.duration_s = 10;
  v->add_option("--viewers", play.viewers)->check(CLI::Range(1u, 20000u))->capture_default_str();
  v->add_option("--ramp", play.ramp, "viewers started per second")->check(CLI::Range(1u, 10000u))->capture_default_str();
  v->add_option("--codecs", codecs, "video codecs offered, in order of preference")->delimiter(',');
  v->add_flag("--no-audio", play_no_audio);
  v->add_flag("--no-rtx", no_rtx, "offer no retransmission");
  v->add_flag("--quiet", play.quiet, "no live line");
  v->add_option("--json", play.json, "write the report to this file, - for standard output");
  v->add_option("--expect-loss-max", play.expect.loss_max, "video packets lost for good, all viewers");
  v->add_option("--expect-audio-loss-max", play.expect.audio_loss_max, "audio has no retransmission");
  v->add_option("--expect-gap-max-ms", play.expect.gap_max_ms, "between complete frames, each viewer");
  v->add_option("--expect-viewers", play.expect.viewers, "that got a frame");
  v->add_flag("--expect-same-payloads", play.expect.same_payloads,
              "every viewer got every frame of the common range, with equal bytes");
  v->add_option("--digest-frames", digest_frames, "FROM:TO instead of the common range");

  ProxyArguments proxy;
  double delay_ms = 0, jitter_ms = 0;
  std::string direction = "both";
  Impairment impairment;
  CLI::App* x = app.add_subcommand("proxy", "impair UDP between peers and a server");
  x->add_option("--listen", proxy.listen, "ADDRESS:PORT")->required();
  x->add_option("--to", proxy.to, "the server's ADDRESS:PORT")->required();
  x->add_option("--loss", impairment.loss_percent, "percent")->check(CLI::Range(0.0, 100.0));
  x->add_option("--delay", delay_ms, "ms, each way")->check(CLI::Range(0.0, 10000.0));
  x->add_option("--jitter", jitter_ms, "ms on top, random")->check(CLI::Range(0.0, 10000.0));
  x->add_option("--direction", direction, "impair up (to the server), down or both")
      ->check(CLI::IsMember({"up", "down", "both"}));
  x->add_option("--seed", impairment.seed)->capture_default_str();
  x->add_option("--duration", proxy.duration_s, "seconds; 0: until interrupted");

  try {
    app.parse(argc, argv);
    if (*x) {
      impairment.delay = micros(std::lround(delay_ms * 1000));
      impairment.jitter = micros(std::lround(jitter_ms * 1000));
      if (direction != "down") proxy.up = impairment;
      if (direction != "up") proxy.down = impairment;
      proxy.down.seed = impairment.seed + 1;
      return proxy_command(proxy);
    }
    if (*v) {
      if (!codecs.empty()) play.viewer.codecs.clear();
      for (const std::string& c : codecs) play.viewer.codecs.push_back(parse_codec(c));
      play.viewer.audio = !play_no_audio;
      play.viewer.rtx = !no_rtx;
      if (!digest_frames.empty()) {
        unsigned from = 0, to = 0;
        if (std::sscanf(digest_frames.c_str(), "%u:%u", &from, &to) != 2 || to < from)
          throw CLI::ValidationError("--digest-frames", "FROM:TO");
        play.expect.digest_frames = {from, to};
      }
      return play_command(play);
    }
    const bool from_files = !files.ivf.empty() || !files.h264.empty() || !files.ogg.empty();
    if ((!synthetic.empty()) + pattern + from_files != 1)
      throw CLI::ValidationError("source", "one of --synthetic, --pattern, files");
    if (from_files) {
      files.fps = fps;
      auto source = make_file_source(files);
      if (!source) {
        std::fprintf(stderr, "spillway-peer: %s\n", source.error().text.c_str());
        return 1;
      }
      return publish_command(publish, *std::move(source));
    }
    if (pattern) {
      PatternOptions o;
      if (std::sscanf(size.c_str(), "%ux%u", &o.width, &o.height) != 2 || o.width < 160 ||
          o.width > 3840 || o.height < 144 || o.height > 2160 || o.width % 16 || o.height % 16)
        throw CLI::ValidationError("--size", "WIDTHxHEIGHT, multiples of 16");
      o.fps = fps;
      o.kbps = kbps;
      o.key_interval_s = p->count("--keyint") ? key_interval_s : o.key_interval_s;
      o.audio = !no_audio;
      auto source = make_pattern_source(o);
      if (!source) {
        std::fprintf(stderr, "spillway-peer: %s\n", source.error().text.c_str());
        return 1;
      }
      return publish_command(publish, *std::move(source));
    }
    SyntheticOptions o;
    o.bps = parse_bitrate(synthetic);
    o.fps = fps;
    o.key_interval_s = key_interval_s;
    o.layers = static_cast<uint8_t>(layers);
    o.audio = !no_audio;
    o.source_id = random_u32();
    return publish_command(publish, std::make_unique<SyntheticSource>(o));
  } catch (const CLI::Error& e) {
    return app.exit(e);
  }
}
