#include "tests/peer/peer_sdp.h"

#include <algorithm>

#include "signaling/sdp/codec_match.h"
#include "signaling/sdp/sdp.h"
#include "signaling/sdp/text.h"
#include "tests/peer/random.h"

namespace spillway::peer {
namespace {

struct CodecOffer {
  Codec codec;
  uint8_t pt;
  uint8_t rtx_pt;
  const char* rtpmap;
  const char* fmtp;
};
// Payload types of the dynamic range, no two codecs alike.
constexpr CodecOffer kVideoCodecs[] = {
    {Codec::vp8, 96, 97, "VP8/90000", nullptr},
    {Codec::vp9, 98, 99, "VP9/90000", "profile-id=0"},
    {Codec::h264, 102, 103, "H264/90000",
     "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"},
    {Codec::h265, 108, 109, "H265/90000", "profile-id=1;tier-flag=0;level-id=93;tx-mode=SRST"},
    {Codec::av1, 45, 46, "AV1/90000", "profile=0;level-idx=5;tier=0"},
};
constexpr uint8_t kOpusPt = 111;
constexpr uint8_t kAbsSendTimeId = 2, kTransportCcId = 3, kMidId = 4, kRidId = 10, kRepairedRidId = 11;

class Text {
 public:
  template <typename... Parts>
  void line(const Parts&... parts) {
    (append(parts), ...);
    out_ += "\r\n";
  }
  std::string take() { return std::move(out_); }

 private:
  void append(std::string_view s) { out_ += s; }
  void append(uint32_t n) { out_ += std::to_string(n); }
  std::string out_;
};

void write_transport(Text& t, const OfferOptions& o, const char* mid) {
  t.line("c=IN IP4 0.0.0.0");
  t.line("a=rtcp:9 IN IP4 0.0.0.0");
  t.line("a=ice-ufrag:", o.ice.ufrag);
  t.line("a=ice-pwd:", o.ice.password);
  t.line("a=ice-options:trickle");
  t.line("a=fingerprint:sha-256 ", o.fingerprint);
  t.line(o.passive ? "a=setup:passive" : "a=setup:actpass");
  t.line("a=mid:", mid);
  t.line(o.publish ? "a=sendonly" : "a=recvonly");
  t.line("a=rtcp-mux");
  t.line("a=rtcp-rsize");
  t.line("a=extmap:", kMidId, " ", kExtensionUris[static_cast<size_t>(ExtensionKind::mid)]);
  t.line("a=extmap:", kTransportCcId, " ", kExtensionUris[static_cast<size_t>(ExtensionKind::transport_cc)]);
  t.line("a=extmap:", kAbsSendTimeId, " ", kExtensionUris[static_cast<size_t>(ExtensionKind::abs_send_time)]);
}

void write_ssrcs(Text& t, const OfferOptions& o, const OfferSsrcs& s) {
  if (s.primary == 0) return;
  if (s.rtx != 0) t.line("a=ssrc-group:FID ", s.primary, " ", s.rtx);
  t.line("a=ssrc:", s.primary, " cname:", o.cname);
  if (s.rtx != 0) t.line("a=ssrc:", s.rtx, " cname:", o.cname);
}

void write_video(Text& t, const OfferOptions& o, const std::vector<const CodecOffer*>& codecs) {
  std::string formats;
  for (const CodecOffer* c : codecs) {
    formats += " " + std::to_string(c->pt);
    if (o.rtx) formats += " " + std::to_string(c->rtx_pt);
  }
  t.line("m=video 9 UDP/TLS/RTP/SAVPF", formats);
  write_transport(t, o, "1");
  if (!o.rids.empty()) {
    t.line("a=extmap:", kRidId, " ", kExtensionUris[static_cast<size_t>(ExtensionKind::rid)]);
    t.line("a=extmap:", kRepairedRidId, " ", kExtensionUris[static_cast<size_t>(ExtensionKind::repaired_rid)]);
  }
  for (const CodecOffer* c : codecs) {
    t.line("a=rtpmap:", c->pt, " ", c->rtpmap);
    if (c->fmtp) t.line("a=fmtp:", c->pt, " ", c->fmtp);
    for (const char* feedback : {"transport-cc", "ccm fir", "nack", "nack pli"})
      t.line("a=rtcp-fb:", c->pt, " ", feedback);
    if (!o.rtx) continue;
    t.line("a=rtpmap:", c->rtx_pt, " rtx/90000");
    t.line("a=fmtp:", c->rtx_pt, " apt=", c->pt);
  }
  if (!o.publish) return;
  t.line("a=msid:peer peer-video");
  if (o.rids.empty()) {
    write_ssrcs(t, o, o.video_ssrc);
    return;
  }
  std::string list;
  for (const std::string& rid : o.rids) {
    t.line("a=rid:", rid, " send");
    list += (list.empty() ? "" : ";") + rid;
  }
  t.line("a=simulcast:send ", list);
}

// "candidate:foundation component transport priority address port typ host ..."
std::optional<IceCandidate> read_candidate(std::string_view value) {
  if (!value.starts_with("candidate:")) return std::nullopt;
  next_word(value);
  const std::string_view component = next_word(value);
  const std::string_view transport = next_word(value);
  const auto priority = parse_number(next_word(value), UINT32_MAX);
  const auto ip = IpAddress::parse(next_word(value));
  const auto port = parse_number(next_word(value), UINT16_MAX);
  if (component != "1" || !equal_no_case(transport, "udp") || !priority || !ip || !port || *port == 0)
    return std::nullopt;
  IceCandidate c;
  c.address.ip = *ip;
  c.address.port = static_cast<uint16_t>(*port);
  c.priority = *priority;
  return c;
}

AnswerMedia read_media(const SdpMedia& m) {
  AnswerMedia out;
  out.kind = m.type == SdpMediaType::video ? MediaKind::video : MediaKind::audio;
  out.accepted = m.port != 0;
  out.mid = m.mid;
  for (const SdpFormat& f : m.formats) {
    AnswerPayload p;
    p.pt = f.pt;
    p.nack = f.feedback.nack;
    p.pli = f.feedback.pli;
    p.transport_cc = f.feedback.transport_cc;
    if (equal_no_case(f.encoding, "rtx")) {
      p.rtx = true;
      p.apt = static_cast<uint8_t>(parse_number(fmtp_value(f.fmtp, "apt"), 127).value_or(0));
    } else {
      p.codec = codec_of(f, out.kind);
    }
    out.payloads.push_back(p);
  }
  for (const SdpExtmap& e : m.extmaps)
    if (e.id <= 255) out.extensions.set(static_cast<uint8_t>(e.id), e.kind);
  for (const SdpSsrc& s : m.ssrcs) out.ssrcs.push_back(value(s.ssrc));
  for (const SdpRid& r : m.rids) out.rids.emplace_back(r.id);
  return out;
}

}  // namespace

std::string write_offer(const OfferOptions& o) {
  std::vector<const CodecOffer*> codecs;
  for (const CodecOffer& c : kVideoCodecs)
    if (o.publish && c.codec == o.video) codecs.push_back(&c);
  if (!o.publish)
    for (const Codec wanted : o.watch_video)
      for (const CodecOffer& c : kVideoCodecs)
        if (c.codec == wanted) codecs.push_back(&c);
  Text t;
  t.line("v=0");
  t.line("o=- ", std::to_string(random_u64() >> 1), " 1 IN IP4 127.0.0.1");
  t.line("s=-");
  t.line("t=0 0");
  t.line("a=group:BUNDLE", o.audio ? " 0" : "", codecs.empty() ? "" : " 1");
  t.line("a=extmap-allow-mixed");
  t.line("a=msid-semantic: WMS *");
  if (o.audio) {
    t.line("m=audio 9 UDP/TLS/RTP/SAVPF ", kOpusPt);
    write_transport(t, o, "0");
    t.line("a=rtpmap:", kOpusPt, " opus/48000/2");
    t.line("a=fmtp:", kOpusPt, " minptime=10;useinbandfec=1");
    t.line("a=rtcp-fb:", kOpusPt, " transport-cc");
    if (o.publish) {
      t.line("a=msid:peer peer-audio");
      write_ssrcs(t, o, o.audio_ssrc);
    }
  }
  if (!codecs.empty()) write_video(t, o, codecs);
  return t.take();
}

const AnswerMedia* Answer::find(MediaKind kind) const {
  for (const AnswerMedia& m : media)
    if (m.kind == kind && m.accepted) return &m;
  return nullptr;
}

Result<Answer> read_answer(std::string_view text) {
  auto sdp = parse_sdp(text);
  if (!sdp) return Error{"answer: " + sdp.error().text};
  Answer out;
  bool transport = false;
  for (const SdpMedia& m : sdp->media) {
    if (m.type != SdpMediaType::audio && m.type != SdpMediaType::video) continue;
    out.media.push_back(read_media(m));
    if (m.port == 0 || transport) continue;
    transport = true;
    out.ice = {std::string(sdp->ice_ufrag(m)), std::string(sdp->ice_pwd(m))};
    for (const SdpFingerprint& f : sdp->fingerprints(m))
      if (equal_no_case(f.algorithm, "sha-256")) out.fingerprint = f.digest;
    const auto setup = sdp->setup(m);
    if (!setup || (*setup != SdpSetup::active && *setup != SdpSetup::passive))
      return Error{"answer: a=setup is neither active nor passive"};
    out.dtls_client = *setup == SdpSetup::passive;
  }
  if (!transport) return Error{"answer: every m-line is refused"};
  if (out.ice.ufrag.empty() || out.ice.password.empty()) return Error{"answer: no ICE credentials"};
  if (out.fingerprint.empty()) return Error{"answer: no SHA-256 fingerprint"};
  SdpLines lines(text);
  while (const auto line = lines.next())
    if (line->type == 'a')
      if (const auto c = read_candidate(line->value)) out.candidates.push_back(*c);
  if (out.candidates.empty()) return Error{"answer: no UDP candidate"};
  return out;
}

}  // namespace spillway::peer
