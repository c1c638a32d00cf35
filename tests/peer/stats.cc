#include "tests/peer/stats.h"

#include <algorithm>
#include <bit>
#include <boost/json.hpp>
#include <cstdio>

#include "tests/peer/marker.h"

namespace spillway::peer {
namespace {

namespace json = boost::json;

double milliseconds(Nanos n) { return static_cast<double>(n.ns / 1000) / 1000.0; }
json::value optional_ms(const std::optional<Nanos>& n) {
  return n ? json::value(milliseconds(*n)) : json::value(nullptr);
}
json::object latency_json(const Histogram& h) {
  return {{"packets", h.count()},
          {"p50_ms", milliseconds(h.quantile(0.5))},
          {"p95_ms", milliseconds(h.quantile(0.95))},
          {"p99_ms", milliseconds(h.quantile(0.99))},
          {"max_ms", milliseconds(h.max())}};
}
std::string hex(uint64_t v) {
  char text[20];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(v));
  return text;
}
// The last second is left out of the common range: repeats may still be under way.
constexpr uint32_t kTailFrames = 30;

}  // namespace

uint32_t Histogram::bucket(uint64_t us) {
  if (us < kSub) return static_cast<uint32_t>(us);
  const auto exponent = static_cast<uint32_t>(std::bit_width(us)) - 5;  // us >> exponent is 16..31
  return std::min(kBuckets - 1, (exponent + 1) * kSub + static_cast<uint32_t>((us >> exponent) - kSub));
}

uint64_t Histogram::upper_us(uint32_t b) {
  if (b < kSub) return b;
  const uint32_t exponent = b / kSub - 1;
  return (uint64_t{kSub + b % kSub + 1} << exponent) - 1;
}

void Histogram::add(Nanos v) {
  ++buckets_[bucket(static_cast<uint64_t>(std::max<int64_t>(0, v.us())))];
  ++count_;
  max_ = std::max(max_, v);
}

void Histogram::merge(const Histogram& other) {
  for (uint32_t i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
}

Nanos Histogram::quantile(double q) const {
  if (count_ == 0) return {};
  const auto rank = static_cast<uint64_t>(q * static_cast<double>(count_ - 1));
  uint64_t seen = 0;
  for (uint32_t i = 0; i < kBuckets; ++i) {
    seen += buckets_[i];
    if (seen > rank) return std::min(max_, micros(static_cast<int64_t>(upper_us(i))));
  }
  return max_;
}

void FrameDigests::add(uint32_t frame, uint16_t packet, uint16_t packets, uint64_t hash) {
  // Some frames of room in front: the first ones can arrive out of order.
  if (!base_) base_ = frame - std::min(frame, 64u);
  if (frame < *base_ || frame - *base_ >= kFramesMax || packets == 0) return;
  const uint32_t at = frame - *base_;
  if (at >= frames_.size()) frames_.resize(at + 1);
  Frame& f = frames_[at];
  uint64_t mixed = hash ^ (uint64_t{packet} << 32 | frame);
  mixed *= 0x9e3779b97f4a7c15;
  f.sum += mixed ^ mixed >> 31;  // the order of arrival must not matter
  f.want = packets;
  if (++f.have != f.want) return;
  if (!first_ || frame < *first_) first_ = frame;
  last_ = std::max(last_, frame);
}

uint64_t FrameDigests::digest(uint32_t from, uint32_t to, uint64_t* missing) const {
  uint64_t out = 0;
  *missing = 0;
  for (uint64_t frame = from; frame <= to; ++frame) {
    const uint64_t at = base_ && frame >= *base_ ? frame - *base_ : UINT64_MAX;
    const bool whole = at < frames_.size() && frames_[at].want != 0 && frames_[at].have == frames_[at].want;
    *missing += !whole;
    const uint64_t sum = whole ? frames_[at].sum : 0;
    uint8_t bytes[8];
    store_be64(bytes, sum);
    out = hash_bytes(bytes, out + frame);
  }
  return out;
}

void RunReport::conclude(const Expectations& e) {
  missed.clear();
  digest_from = 0;
  digest_to = UINT32_MAX;
  bool all_marked = !viewers.empty();
  for (const ViewerFigures& v : viewers) {
    all_marked &= v.digests.any();
    digest_from = std::max(digest_from, v.digests.first());
    digest_to = std::min(digest_to, v.digests.last());
  }
  digest_to = digest_to > kTailFrames ? digest_to - kTailFrames : 0;
  if (e.digest_frames) std::tie(digest_from, digest_to) = *e.digest_frames;
  same_payloads = all_marked && digest_from <= digest_to;
  uint64_t lost = 0, audio_lost = 0, watching = 0, damaged = 0, missing = 0, reference = 0;
  for (size_t i = 0; i < viewers.size(); ++i) {
    const ViewerFigures& v = viewers[i];
    lost += v.lost;
    audio_lost += v.audio_lost;
    watching += v.frames > 0;
    damaged += v.damaged;
    if (e.gap_max_ms && v.longest_gap.ms() > *e.gap_max_ms)
      missed.push_back("viewer " + std::to_string(v.id) + " had a gap of " +
                       std::to_string(v.longest_gap.ms()) + " ms between frames, at most " +
                       std::to_string(*e.gap_max_ms) + " are allowed");
    if (!same_payloads) continue;
    const uint64_t digest = v.digests.digest(digest_from, digest_to, &missing);
    if (i == 0) reference = digest;
    same_payloads = missing == 0 && digest == reference;
  }
  same_payloads &= damaged == 0;
  if (e.loss_max && lost > *e.loss_max)
    missed.push_back(std::to_string(lost) + " packets were lost for good, at most " +
                     std::to_string(*e.loss_max) + " are allowed");
  if (e.audio_loss_max && audio_lost > *e.audio_loss_max)
    missed.push_back(std::to_string(audio_lost) + " audio packets were lost, at most " +
                     std::to_string(*e.audio_loss_max) + " are allowed");
  if (e.viewers && watching < *e.viewers)
    missed.push_back(std::to_string(watching) + " viewers got a frame, " +
                     std::to_string(*e.viewers) + " are expected");
  if (e.same_payloads && !same_payloads)
    missed.push_back("the viewers did not all get the same payloads, or not all of them");
}

std::string RunReport::json() const {
  json::array list;
  ViewerFigures sum;
  uint64_t watching = 0;
  Histogram first_packet, first_frame;
  for (const ViewerFigures& v : viewers) {
    uint64_t missing = 0;
    const uint64_t digest =
        v.digests.any() && digest_from <= digest_to ? v.digests.digest(digest_from, digest_to, &missing) : 0;
    list.push_back(json::object{
        {"id", v.id}, {"state", v.state}, {"error", v.error}, {"srtp", v.srtp},
        {"packets", v.packets}, {"bytes", v.bytes}, {"lost", v.lost}, {"gaps", v.gaps}, {"audio_lost", v.audio_lost}, {"audio_gaps", v.audio_gaps},
        {"pending", v.pending}, {"duplicates", v.duplicates}, {"replayed", v.replayed},
        {"bad_tag", v.bad_tag}, {"nacks", v.nacks}, {"nacked", v.nacked},
        {"rtx_received", v.rtx_received}, {"rtx_useless", v.rtx_useless}, {"repaired", v.repaired},
        {"padding", v.padding}, {"from_cache", v.from_cache}, {"plis", v.plis}, {"restarts", v.restarts}, {"unknown", v.unknown},
        {"damaged", v.damaged}, {"sender_reports", v.sender_reports},
        {"transport_cc_sent", v.transport_cc_sent}, {"frames", v.frames},
        {"frames_incomplete", v.frames_incomplete}, {"key_frames", v.key_frames},
        {"freezes", v.freezes}, {"frozen_ms", milliseconds(v.frozen)},
        {"longest_gap_ms", milliseconds(v.longest_gap)}, {"answered_ms", optional_ms(v.answered)},
        {"connected_ms", optional_ms(v.connected)}, {"first_packet_ms", optional_ms(v.first_packet)},
        {"first_frame_ms", optional_ms(v.first_frame)}, {"latency", latency_json(v.latency)},
        {"digest", v.digests.any() ? json::value(hex(digest)) : json::value(nullptr)},
        {"digest_frames_missing", missing}});
    watching += v.frames > 0;
    sum.packets += v.packets;
    sum.bytes += v.bytes;
    sum.lost += v.lost;
    sum.gaps += v.gaps;
    sum.audio_lost += v.audio_lost;
    sum.audio_gaps += v.audio_gaps;
    sum.duplicates += v.duplicates;
    sum.replayed += v.replayed;
    sum.bad_tag += v.bad_tag;
    sum.damaged += v.damaged;
    sum.nacked += v.nacked;
    sum.rtx_received += v.rtx_received;
    sum.plis += v.plis;
    sum.frames += v.frames;
    sum.freezes += v.freezes;
    sum.longest_gap = std::max(sum.longest_gap, v.longest_gap);
    sum.latency.merge(v.latency);
    if (v.first_packet) first_packet.add(*v.first_packet);
    if (v.first_frame) first_frame.add(*v.first_frame);
  }
  const json::object total{
      {"viewers", viewers.size()}, {"watching", watching}, {"seconds", seconds},
      {"cpu_seconds", cpu_seconds}, {"packets", sum.packets}, {"bytes", sum.bytes},
      {"lost", sum.lost}, {"gaps", sum.gaps}, {"audio_lost", sum.audio_lost},
      {"audio_gaps", sum.audio_gaps}, {"duplicates", sum.duplicates},
      {"replayed", sum.replayed}, {"bad_tag", sum.bad_tag}, {"damaged", sum.damaged},
      {"nacked", sum.nacked}, {"rtx_received", sum.rtx_received}, {"plis", sum.plis},
      {"frames", sum.frames}, {"freezes", sum.freezes},
      {"longest_gap_ms", milliseconds(sum.longest_gap)}, {"latency", latency_json(sum.latency)},
      {"first_packet_p50_ms", milliseconds(first_packet.quantile(0.5))},
      {"first_packet_max_ms", milliseconds(first_packet.max())},
      {"first_frame_p50_ms", milliseconds(first_frame.quantile(0.5))},
      {"first_frame_max_ms", milliseconds(first_frame.max())},
      {"same_payloads", same_payloads}, {"digest_from", digest_from}, {"digest_to", digest_to}};
  json::array unmet;
  for (const std::string& m : missed) unmet.emplace_back(m);
  return json::serialize(json::object{{"total", total}, {"missed", unmet}, {"viewers", list}}) + "\n";
}

std::string RunReport::summary() const {
  uint64_t packets = 0, lost = 0, audio_lost = 0, watching = 0, frames = 0, bytes = 0, repaired = 0, freezes = 0;
  Nanos gap{}, first{};
  Histogram latency;
  std::string out;
  uint32_t errors = 0;
  for (const ViewerFigures& v : viewers) {
    packets += v.packets;
    bytes += v.bytes;
    lost += v.lost;
    audio_lost += v.audio_lost;
    repaired += v.repaired;
    frames += v.frames;
    freezes += v.freezes;
    watching += v.frames > 0;
    gap = std::max(gap, v.longest_gap);
    if (v.first_frame) first = std::max(first, *v.first_frame);
    latency.merge(v.latency);
    if (!v.error.empty() && ++errors <= 5)
      out += "viewer " + std::to_string(v.id) + ": " + v.error + "\n";
  }
  char text[600];
  std::snprintf(text, sizeof text,
                "%llu of %zu viewers got video; %llu packets, %.1f MB; lost %llu (audio %llu), repaired %llu; "
                "%llu frames, %llu freezes, longest gap %lld ms; first frame after at most %lld ms; "
                "latency p50 %.2f p99 %.2f max %.2f ms; same payloads: %s; CPU %.2f s of %.1f s\n",
                static_cast<unsigned long long>(watching), viewers.size(),
                static_cast<unsigned long long>(packets), static_cast<double>(bytes) / 1e6,
                static_cast<unsigned long long>(lost),
                static_cast<unsigned long long>(audio_lost), static_cast<unsigned long long>(repaired),
                static_cast<unsigned long long>(frames), static_cast<unsigned long long>(freezes),
                static_cast<long long>(gap.ms()), static_cast<long long>(first.ms()),
                milliseconds(latency.quantile(0.5)), milliseconds(latency.quantile(0.99)),
                milliseconds(latency.max()), same_payloads ? "yes" : "no", cpu_seconds, seconds);
  out += text;
  for (const std::string& m : missed) out += "MISSED: " + m + "\n";
  return out;
}

}  // namespace spillway::peer
