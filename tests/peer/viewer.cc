#include "tests/peer/viewer.h"

#include <algorithm>

#include "datapath/base/sequence.h"
#include "datapath/proto/header_extensions.h"
#include "datapath/proto/rtcp.h"
#include "datapath/proto/transport_cc.h"
#include "datapath/proto/video/key_frame.h"
#include "tests/peer/clock.h"
#include "tests/peer/marker.h"
#include "tests/peer/random.h"

namespace spillway::peer {
namespace {

// The first report waits a little: a server has to start without it.
constexpr Nanos kFirstReport = millis(250);
constexpr Nanos kReportInterval = seconds(1);
constexpr Nanos kTransportCcInterval = millis(100);
constexpr Nanos kPliInterval = seconds(1);
constexpr size_t kNacksAtOnce = 128;
constexpr size_t kArrivalsMax = 3000;

const char* name_of(SrtpProfile p) {
  switch (p) {
    case SrtpProfile::aead_aes_128_gcm: return "gcm";
    case SrtpProfile::aead_aes_256_gcm: return "gcm256";
    case SrtpProfile::aes128_cm_hmac_sha1_80: return "cm";
    default: return "none";
  }
}

}  // namespace

Viewer::Viewer(PeerRuntime& runtime, HttpPool& http, const ViewerOptions& options, uint32_t id)
    : http_(http), options_(options), session_(runtime, *this), ssrc_(random_ssrc()) {
  own_.id = id;
  media(MediaKind::audio).stream = ReceiveStream(48'000);
}

void Viewer::start(Nanos now) {
  posted_ = now;
  OfferOptions o;
  o.watch_video = options_.codecs;
  o.audio = options_.audio;
  o.rtx = options_.rtx;
  o.cname = random_token(16);
  o.fingerprint = session_.local_fingerprint();
  o.ice = session_.ice_credentials();
  o.passive = options_.passive;
  HttpCall call;
  call.method = "POST";
  call.url = options_.url;
  call.token = options_.token;
  call.content_type = "application/sdp";
  call.body = write_offer(o);
  http_.call(std::move(call), [this](Result<HttpReply> reply) { on_answer(std::move(reply)); });
}

void Viewer::on_answer(Result<HttpReply> reply) {
  answered_ = clock_now();
  if (!reply) {
    error_ = reply.error().text;
  } else if (reply->status != 201) {
    error_ = "POST " + options_.url.to_string() + ": " + std::to_string(reply->status) + " " +
             reply->body.substr(0, 500);
  } else if (auto ok = accept(*reply); !ok) {
    error_ = ok.error().text;
  }
}

Result<void> Viewer::accept(const HttpReply& reply) {
  auto resource = options_.url.resolve(reply.location);
  if (!resource) return resource.error();
  resource_ = resource->to_string();
  auto answer = read_answer(reply.body);
  if (!answer) return answer.error();
  for (const AnswerMedia& m : answer->media) {
    Media& ours = media(m.kind);
    if (!m.accepted || ours.accepted) continue;
    ours.accepted = true;
    ours.extensions = m.extensions;
    for (const AnswerPayload& p : m.payloads) {
      if (p.pt > 127) continue;
      payloads_[p.pt] = p;
      kinds_[p.pt] = m.kind;
      transport_cc_ |= p.transport_cc;
      ours.nack |= p.nack;
    }
    if (!m.ssrcs.empty()) ours.ssrc = m.ssrcs.front();
  }
  return session_.start(*answer, clock_now());
}

void Viewer::on_connected(Nanos now) {
  connected_ = now;
  next_report_ = now + kFirstReport;
  next_feedback_ = now + kTransportCcInterval;
  next_pli_ = now + kPliInterval;
}

void Viewer::on_rtp(Bytes plain, const RtpHeader& h, uint64_t index, Nanos now) {
  const auto payload_bytes = rtp_payload_bytes(h, plain);
  const AnswerPayload& p = payloads_[h.pt];
  if (!payload_bytes || (!p.rtx && p.codec == Codec::none)) {
    ++own_.unknown;
    return;
  }
  if (!first_packet_) first_packet_ = now;
  Media& m = media(kinds_[h.pt]);
  Bytes payload = plain.subspan(h.header_bytes, *payload_bytes);
  if (const uint8_t id = transport_cc_ ? m.extensions.id(ExtensionKind::transport_cc) : 0)
    for_each_extension(h, plain, [&](uint8_t element, Bytes v) {
      if (element != id) return;
      if (const auto wire = read_transport_cc(v)) note_arrival(*wire, now);
    });
  if (p.rtx) {
    if (payload.size() <= 2) {
      ++own_.padding;  // bandwidth probe
      return;
    }
    ++own_.rtx_received;
    const uint64_t original = m.stream.extend(load_be16(payload.data()));
    primary(m, payloads_[p.apt].codec, h, payload.subspan(2), original, true, now);
    return;
  }
  if (m.ssrc == 0) m.ssrc = value(h.ssrc);
  if (value(h.ssrc) != m.ssrc) {
    ++own_.unknown;
    return;
  }
  primary(m, p.codec, h, payload, index, false, now);
}

void Viewer::primary(Media& m, Codec codec, const RtpHeader& h, Bytes payload, uint64_t sequence,
                     bool repaired, Nanos now) {
  if (m.stream.receive(sequence, value(h.timestamp), repaired, now) ==
      ReceiveStream::Verdict::duplicate) {
    own_.rtx_useless += repaired;
    return;
  }
  ++own_.packets;
  own_.bytes += payload.size();
  if (kind_of(codec) == MediaKind::audio || payload.empty()) return;
  FrameTracker::Packet p;
  p.sequence = sequence;
  p.rtp_time = value(h.timestamp);
  p.first = starts_frame(codec, payload).value_or(false);
  p.last = h.marker;
  p.key = starts_key_frame(codec, payload);
  frames_.receive(p, now);
  if (codec != Codec::vp8) return;
  const auto marked = find_marker(payload);
  if (!marked) return;
  if (!marked->intact) {
    ++own_.damaged;
    return;
  }
  // What a server kept for new viewers was sent before this one was there.
  if (connected_ && marked->marker.sent >= *connected_) {
    own_.latency.add(now - marked->marker.sent);
  } else {
    ++own_.from_cache;
  }
  own_.digests.add(marked->marker.frame, marked->marker.packet, marked->marker.packets,
                   hash_bytes(marked->content));
}

void Viewer::on_rtcp(Bytes plain, Nanos now) {
  RtcpWalker walker(plain);
  while (const auto p = walker.next()) {
    const auto sr = parse_sender_report(*p);
    if (!sr) continue;
    ++own_.sender_reports;
    for (Media& m : media_)
      if (m.ssrc == value(sr->ssrc))
        m.stream.on_sender_report(static_cast<uint32_t>(value(sr->ntp) >> 16), now);
  }
}

void Viewer::note_arrival(uint16_t wire, Nanos now) {
  if (!cc_started_) {
    cc_started_ = true;
    cc_base_ = wire + 65'536u;
  }
  const uint64_t at = extend_sequence(cc_base_ + arrivals_.size(), wire);
  if (at < cc_base_ || at - cc_base_ >= kArrivalsMax) return;  // reported already, or nonsense
  if (at - cc_base_ >= arrivals_.size()) arrivals_.resize(at - cc_base_ + 1, kTransportCcLost);
  arrivals_[at - cc_base_] = now.ns / kTransportCcTickNs;
}

void Viewer::tick(Nanos now) {
  session_.tick(now);
  if (session_.state() != SessionState::connected) return;
  for (Media& m : media_) m.stream.expire(now);
  send_nacks(now);
  if (now >= next_feedback_) {
    next_feedback_ = now + kTransportCcInterval;
    send_transport_cc();
  }
  if (now >= next_report_) {
    next_report_ = now + kReportInterval;
    send_receiver_report(now);
  }
  send_pli(now);
  session_.flush();
}

void Viewer::send_nacks(Nanos now) {
  for (Media& m : media_) {
    if (!m.nack || m.ssrc == 0) continue;
    const std::vector<uint16_t> wanted = m.stream.take_nacks(now, kNacksAtOnce);
    if (wanted.empty()) continue;
    uint8_t out[1000];
    Writer w(out);
    if (!write_nack(w, Ssrc{ssrc_}, Ssrc{m.ssrc}, wanted) || !session_.send_rtcp(w.written())) continue;
    ++own_.nacks;
    own_.nacked += wanted.size();
  }
}

void Viewer::send_transport_cc() {
  while (!arrivals_.empty()) {
    uint8_t out[1200];
    Writer w(out);
    const uint32_t media_ssrc = media(MediaKind::video).ssrc ? media(MediaKind::video).ssrc
                                                             : media(MediaKind::audio).ssrc;
    const uint32_t covered = write_transport_cc(w, Ssrc{ssrc_}, Ssrc{media_ssrc},
                                                static_cast<uint16_t>(cc_base_), arrivals_, cc_count_);
    if (covered == 0) break;
    ++cc_count_;
    if (session_.send_rtcp(w.written())) ++own_.transport_cc_sent;
    cc_base_ += covered;
    arrivals_.erase(arrivals_.begin(), arrivals_.begin() + covered);
  }
}

void Viewer::send_receiver_report(Nanos now) {
  std::vector<ReportBlock> blocks;
  for (Media& m : media_)
    if (m.stream.started()) blocks.push_back(m.stream.report(Ssrc{m.ssrc}, now));
  static constexpr uint8_t kCname[] = {'p', 'e', 'e', 'r'};
  uint8_t out[300];
  Writer w(out);
  if (write_receiver_report(w, Ssrc{ssrc_}, blocks) && write_sdes(w, Ssrc{ssrc_}, kCname))
    session_.send_rtcp(w.written());
}

// At the start when no key frame came, and when video was lost for good.
void Viewer::send_pli(Nanos now) {
  const Media& m = media(MediaKind::video);
  if (!m.accepted || m.ssrc == 0 || now < next_pli_) return;
  if (frames_.key_frames() > 0 && m.stream.lost() <= lost_at_pli_) return;
  lost_at_pli_ = m.stream.lost();
  next_pli_ = now + kPliInterval;
  uint8_t out[16];
  Writer w(out);
  if (write_pli(w, Ssrc{ssrc_}, Ssrc{m.ssrc}) && session_.send_rtcp(w.written())) ++own_.plis;
}

void Viewer::finish(Nanos now) {
  for (Media& m : media_) m.stream.expire(now);
  frames_.finish(now);
}

ViewerFigures Viewer::figures() const {
  ViewerFigures f = own_;
  for (const Media& m : media_) {
    const bool audio = &m == &media(MediaKind::audio);
    (audio ? f.audio_lost : f.lost) += m.stream.lost();
    (audio ? f.audio_gaps : f.gaps) += m.stream.gaps();
    f.pending += m.stream.pending();
    f.duplicates += m.stream.duplicates();
    f.repaired += m.stream.repaired();
    f.restarts += m.stream.restarts();
  }
  f.duplicates -= f.rtx_useless;
  f.replayed = session_.counters().replayed;
  f.bad_tag = session_.counters().bad_tag;
  f.srtp = name_of(session_.profile());
  f.error = error_.empty() ? session_.error() : error_;
  switch (session_.state()) {
    case SessionState::fresh: f.state = error_.empty() ? "posting" : "failed"; break;
    case SessionState::connecting: f.state = "connecting"; break;
    case SessionState::connected: f.state = "playing"; break;
    case SessionState::closed: f.state = "closed"; break;
    case SessionState::failed: f.state = "failed"; break;
  }
  f.frames = frames_.complete();
  f.frames_incomplete = frames_.incomplete();
  f.key_frames = frames_.key_frames();
  f.freezes = frames_.freezes();
  f.frozen = frames_.frozen();
  f.longest_gap = frames_.longest_gap();
  const auto since_post = [&](const std::optional<Nanos>& t) {
    return t ? std::optional(*t - posted_) : std::nullopt;
  };
  f.answered = since_post(answered_);
  f.connected = since_post(connected_);
  f.first_packet = since_post(first_packet_);
  f.first_frame = since_post(frames_.first_complete());
  return f;
}

void Viewer::stop(std::function<void()> done) {
  session_.close();
  if (resource_.empty()) return done();
  auto url = HttpUrl::parse(resource_);
  if (!url) return done();
  HttpCall call;
  call.method = "DELETE";
  call.url = *std::move(url);
  call.token = options_.token;
  call.timeout_s = 3;
  http_.call(std::move(call), [done = std::move(done)](const Result<HttpReply>&) { done(); });
}

}  // namespace spillway::peer
