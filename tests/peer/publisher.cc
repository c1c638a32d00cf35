#include "tests/peer/publisher.h"

#include <algorithm>

#include "datapath/base/sequence.h"
#include "datapath/proto/header_extensions.h"
#include "datapath/proto/rtcp.h"
#include "datapath/proto/transport_cc.h"
#include "tests/peer/clock.h"
#include "tests/peer/random.h"

namespace spillway::peer {
namespace {

Bytes text_bytes(const std::string& s) {
  return {reinterpret_cast<const uint8_t*>(s.data()), s.size()};
}

}  // namespace

Publisher::Publisher(PeerRuntime& runtime, HttpPool& http, PublisherOptions options,
                     std::unique_ptr<MediaSource> source)
    : http_(http),
      options_(std::move(options)),
      source_(std::move(source)),
      session_(runtime, *this),
      cname_(random_token(16)) {
  const auto add = [&](MediaKind kind, uint8_t layer) {
    Stream s;
    s.kind = kind;
    s.layer = layer;
    s.ssrc = random_ssrc();
    if (kind == MediaKind::video && options_.rtx) s.rtx_ssrc = random_ssrc();
    // Low enough that the receiver's first guess of the roll-over counter is right (RFC 3711 §3.3.1).
    s.next = random_u32() & 0x3fff;
    s.rtx_next = random_u32() & 0x3fff;
    s.time_offset = random_u32();
    if (kind == MediaKind::video && source_->layers() > 1) s.rid = std::string(1, static_cast<char>('a' + layer));
    if (kind == MediaKind::video) s.history.resize(kHistoryPackets);
    streams_.push_back(std::move(s));
  };
  if (source_->audio()) add(MediaKind::audio, 0);
  if (source_->video() != Codec::none)
    for (uint8_t layer = 0; layer < source_->layers(); ++layer) add(MediaKind::video, layer);
}

void Publisher::start() {
  OfferOptions o;
  o.publish = true;
  o.video = source_->video();
  o.audio = source_->audio();
  for (const Stream& s : streams_) {
    if (!s.rid.empty()) {
      o.rids.push_back(s.rid);
    } else {
      (s.kind == MediaKind::audio ? o.audio_ssrc : o.video_ssrc) = {s.ssrc, s.rtx_ssrc};
    }
  }
  o.rtx = options_.rtx;
  o.cname = cname_;
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

void Publisher::on_answer(Result<HttpReply> reply) {
  if (!reply) {
    error_ = reply.error().text;
  } else if (reply->status != 201) {
    error_ = "POST " + options_.url.to_string() + ": " + std::to_string(reply->status) + " " +
             reply->body.substr(0, 500);
  } else if (auto ok = accept(*reply); !ok) {
    error_ = ok.error().text;
  }
}

Result<void> Publisher::accept(const HttpReply& reply) {
  auto resource = options_.url.resolve(reply.location);
  if (!resource) return resource.error();
  resource_ = resource->to_string();
  auto answer = read_answer(reply.body);
  if (!answer) return answer.error();
  for (Stream& s : streams_) {
    const AnswerMedia* m = answer->find(s.kind);
    if (!m) return Error{s.kind == MediaKind::audio ? "audio was refused" : "video was refused"};
    const Codec codec = s.kind == MediaKind::audio ? Codec::opus : source_->video();
    for (const AnswerPayload& p : m->payloads)
      if (!p.rtx && p.codec == codec) s.pt = p.pt;
    if (s.pt == 0) return Error{"the codec was not accepted"};
    for (const AnswerPayload& p : m->payloads)
      if (p.rtx && p.apt == s.pt && s.rtx_ssrc != 0) s.rtx_pt = p.pt;
    s.mid = m->mid;
    extensions_[static_cast<size_t>(s.kind)] = m->extensions;
    if (!s.rid.empty() && std::find(m->rids.begin(), m->rids.end(), s.rid) == m->rids.end())
      return Error{"layer " + s.rid + " was not accepted"};
  }
  return session_.start(*answer, clock_now());
}

void Publisher::on_connected(Nanos now) {
  sending_ = true;
  source_->start(now);
  next_report_ = now + millis(200);
}

void Publisher::on_rtp(Bytes, const RtpHeader&, uint64_t, Nanos) {}  // nobody sends us media

void Publisher::tick(Nanos now) {
  session_.tick(now);
  if (sending_ && now >= next_report_ && session_.state() == SessionState::connected) {
    next_report_ = now + seconds(1);
    send_reports(now);
    session_.flush();
  }
}

Publisher::Stream* Publisher::find(MediaKind kind, uint8_t layer) {
  for (Stream& s : streams_)
    if (s.kind == kind && s.layer == layer) return &s;
  return nullptr;
}

Nanos Publisher::produce(Nanos now) {
  if (!sending_ || stopping_ || session_.state() != SessionState::connected) return now + kLoopTick;
  frames_.clear();
  if (source_->deadline() <= now) source_->produce(now, frames_);
  now = clock_now();
  for (MediaFrame& f : frames_) {
    Stream* s = find(f.kind, f.layer);
    if (!s) continue;
    s->last_time = f.rtp_time + s->time_offset;
    s->last_sent = now;
    if (f.kind == MediaKind::video) {
      ++counters_.frames;
      counters_.key_frames += f.key;
    }
    for (size_t i = 0; i < f.payloads.size(); ++i) {
      Sent packet;
      packet.sequence = s->next++;
      packet.rtp_time = s->last_time;
      packet.marker = f.kind == MediaKind::video && i + 1 == f.payloads.size();
      packet.payload = std::move(f.payloads[i]);
      send_packet(*s, packet, false, now);
      ++s->packets;
      s->octets += static_cast<uint32_t>(packet.payload.size());
      ++counters_.packets;
      counters_.payload_bytes += packet.payload.size();
      if (!s->history.empty()) s->history[packet.sequence % kHistoryPackets] = std::move(packet);
    }
  }
  session_.flush();
  return source_->deadline();
}

void Publisher::send_packet(Stream& s, const Sent& packet, bool repeat, Nanos now) {
  const ExtensionIdMap& ids = extensions_[static_cast<size_t>(s.kind)];
  uint8_t header[200];
  ExtensionWriter x(MutableBytes(header).subspan(kRtpFixedHeaderBytes), false);
  if (const uint8_t id = ids.id(ExtensionKind::mid)) x.add(id, text_bytes(s.mid));
  const ExtensionKind rid = repeat ? ExtensionKind::repaired_rid : ExtensionKind::rid;
  if (!s.rid.empty() && ids.id(rid)) x.add(ids.id(rid), text_bytes(s.rid));
  if (const uint8_t id = ids.id(ExtensionKind::abs_send_time)) x.add_be24(id, abs_send_time(now));
  if (const uint8_t id = ids.id(ExtensionKind::transport_cc)) x.add_be16(id, transport_cc_++);
  const uint32_t block = x.finish();
  const uint64_t index = repeat ? s.rtx_next++ : packet.sequence;
  RtpFixedHeader h;
  h.pt = repeat ? s.rtx_pt : s.pt;
  h.marker = packet.marker;
  h.extension = block > 0;
  h.sequence = static_cast<uint16_t>(index);
  h.timestamp = RtpTime{packet.rtp_time};
  h.ssrc = Ssrc{repeat ? s.rtx_ssrc : s.ssrc};
  write_rtp_header(header, h);
  const Bytes finished(header, kRtpFixedHeaderBytes + block);
  if (!repeat) {
    session_.send_rtp(finished, packet.payload, h.ssrc, index);
    return;
  }
  std::vector<uint8_t> payload(2 + packet.payload.size());  // original sequence number first
  store_be16(payload.data(), static_cast<uint16_t>(packet.sequence));
  std::copy(packet.payload.begin(), packet.payload.end(), payload.begin() + 2);
  session_.send_rtp(finished, payload, h.ssrc, index);
}

void Publisher::send_reports(Nanos now) {
  for (const Stream& s : streams_) {
    if (s.packets == 0) continue;
    const int64_t clock = s.kind == MediaKind::audio ? 48'000 : 90'000;
    SenderReport sr;
    sr.ssrc = Ssrc{s.ssrc};
    sr.ntp = ntp_now();
    sr.rtp = RtpTime{s.last_time +
                     static_cast<uint32_t>((now - s.last_sent).us() * clock / 1'000'000)};
    sr.packets = s.packets;
    sr.octets = s.octets;
    uint8_t out[300];
    Writer w(out);
    write_sender_report(w, sr, {});
    write_sdes(w, sr.ssrc, text_bytes(cname_));
    if (!w.bad()) session_.send_rtcp(w.written());
  }
}

void Publisher::on_rtcp(Bytes plain, Nanos now) {
  RtcpWalker walker(plain);
  while (const auto p = walker.next()) {
    counters_.receiver_reports += p->is(RtcpType::receiver_report);
    const auto feedback = parse_feedback(*p);
    if (!feedback) continue;
    if (p->is(RtcpType::transport_feedback, kRtcpNack)) {
      repeat(value(feedback->media), feedback->fci, now);
    } else if (p->is(RtcpType::transport_feedback, kRtcpTransportCc)) {
      if (const auto cc = parse_transport_cc(feedback->fci))
        for_each_transport_cc(*cc, [&](uint16_t, int64_t ticks) {
          ++(ticks == kTransportCcLost ? counters_.transport_cc_lost
                                       : counters_.transport_cc_received);
        });
    } else if (p->is(RtcpType::payload_feedback, kRtcpPli) ||
               p->is(RtcpType::payload_feedback, kRtcpFir)) {
      const auto ask = [&](uint32_t ssrc) {
        for (const Stream& s : streams_)
          if (s.ssrc == ssrc && s.kind == MediaKind::video) {
            ++counters_.plis;
            source_->request_key_frame(s.layer);
          }
      };
      if (p->count == kRtcpPli) {
        ask(value(feedback->media));
      } else {
        for_each_fir(feedback->fci, [&](const FirEntry& e) { ask(value(e.ssrc)); });
      }
    }
  }
}

void Publisher::repeat(uint32_t ssrc, Bytes fci, Nanos now) {
  for (Stream& s : streams_) {
    if (s.ssrc != ssrc || s.history.empty()) continue;
    for_each_nack(fci, [&](uint16_t wanted) {
      ++counters_.nacked;
      const uint64_t sequence = extend_sequence(s.next, wanted);
      const Sent& sent = s.history[sequence % kHistoryPackets];
      if (sent.payload.empty() || sent.sequence != sequence || s.rtx_pt == 0) {
        ++counters_.forgotten;
        return;
      }
      send_packet(s, sent, true, now);
      ++counters_.repeated;
    });
  }
  session_.flush();
}

void Publisher::stop(std::function<void()> done) {
  stopping_ = true;
  if (session_.state() == SessionState::connected) {
    std::vector<Ssrc> ssrcs;
    for (const Stream& s : streams_) ssrcs.push_back(Ssrc{s.ssrc});
    uint8_t out[100];
    Writer w(out);
    if (write_bye(w, ssrcs)) session_.send_rtcp(w.written());
    session_.flush();
  }
  session_.close();
  if (resource_.empty()) return done();
  HttpCall call;
  call.method = "DELETE";
  auto url = HttpUrl::parse(resource_);
  if (!url) return done();
  call.url = *std::move(url);
  call.token = options_.token;
  call.timeout_s = 3;
  http_.call(std::move(call), [done = std::move(done)](const Result<HttpReply>&) { done(); });
}

}  // namespace spillway::peer
