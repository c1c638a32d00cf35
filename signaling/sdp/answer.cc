#include "signaling/sdp/answer.h"

#include <algorithm>
#include <string_view>

#include "signaling/sdp/codec_match.h"
#include "signaling/sdp/host_candidate.h"
#include "signaling/sdp/text.h"

namespace spillway {
namespace {

constexpr std::string_view kEnd = "\r\n";

// o= wants a number that is unique and says nothing (RFC 8866 §5.2). The session id
// is a capability and must not show; the ICE credentials are random and in the
// answer anyway, so their FNV-1a hash will do.
uint64_t origin_id(const TransportAnswer& t) {
  uint64_t h = 0xcbf29ce484222325;
  for (const std::string* s : {&t.ice_ufrag, &t.ice_pwd})
    for (const char c : *s) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return h >> 1;  // 63 bits: some clients read a signed number
}

std::string fingerprint_text(const std::array<uint8_t, 32>& digest) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const uint8_t b : digest) {
    if (!out.empty()) out += ':';
    out += kHex[b >> 4];
    out += kHex[b & 15];
  }
  return out;
}

// Both identifiers of a=msid, each cut to what RFC 8830 allows.
std::string msid_text(std::string_view msid) {
  const std::string_view stream = next_word(msid).substr(0, kMaxMsidTokenBytes);
  const std::string_view track = next_word(msid).substr(0, kMaxMsidTokenBytes);
  return track.empty() ? std::string(stream) : std::string(stream) + ' ' + std::string(track);
}

class AnswerWriter {
 public:
  AnswerWriter(const SessionDescription& offer, const OfferPlan& plan, const SessionAnswer& answer)
      : offer_(offer), plan_(plan), answer_(answer) {}

  std::string run();

 private:
  void session();
  void refused(const SdpMedia& m);
  void accepted(const SdpMedia& m, const MediaPlan& p, const MediaAnswer& a, bool tagged);
  void transport(bool tagged);
  void extensions(const SdpMedia& m, const MediaPlan& p);
  void payload_type(const SdpMedia& m, const PayloadType& p);
  void layers(const SdpMedia& m, const MediaPlan& p);
  void ssrcs(const MediaPlan& p, const MediaAnswer& a);

  void attribute(std::string_view text) {
    out_ += "a=";
    out_ += text;
    out_ += kEnd;
  }
  template <typename... Parts>
  void attribute(std::string_view first, const Parts&... parts) {
    out_ += "a=";
    out_ += first;
    (append(parts), ...);
    out_ += kEnd;
  }
  void append(std::string_view s) { out_ += s; }
  void append(const std::string& s) { out_ += s; }
  void append(const char* s) { out_ += s; }
  void append(uint32_t n) { out_ += std::to_string(n); }

  const SessionDescription& offer_;
  const OfferPlan& plan_;
  const SessionAnswer& answer_;
  std::string out_;
};

std::string AnswerWriter::run() {
  session();
  size_t next = 0;  // of plan_.media
  for (uint32_t i = 0; i < offer_.media.size(); ++i) {
    const bool serve = next < plan_.media.size() && plan_.media[next].mline_index == i;
    if (serve) {
      accepted(offer_.media[i], plan_.media[next], answer_.media[next], next == 0);
      ++next;
    } else {
      refused(offer_.media[i]);
    }
  }
  return std::move(out_);
}

void AnswerWriter::session() {
  out_ += "v=0\r\no=- " + std::to_string(origin_id(answer_.transport)) +
          " 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n";
  // Only a group that was offered, and only with the accepted (RFC 9143 §7.3.1). In
  // m-line order, because the first one named is the tagged one.
  std::string group;
  for (const MediaPlan& p : plan_.media)
    for (const auto& mids : offer_.bundle_groups)
      if (std::find(mids.begin(), mids.end(), p.mid) != mids.end()) {
        group += ' ' + p.mid;
        break;
      }
  if (!group.empty()) attribute("group:BUNDLE", group);
  if (offer_.transport.extmap_allow_mixed) attribute("extmap-allow-mixed");
  attribute("ice-lite");
  attribute(kIceOptions);
  attribute("msid-semantic: WMS *");
}

void AnswerWriter::refused(const SdpMedia& m) {
  out_ += "m=";
  out_ += m.type_text;
  out_ += " 0 ";
  out_ += m.protocol;
  out_ += ' ';
  out_ += m.first_format;
  out_ += "\r\nc=IN IP4 0.0.0.0\r\n";
  if (!m.mid.empty()) attribute("mid:", m.mid);
  attribute("inactive");
  // Strict readers want a rtpmap for every payload type they see.
  if (!m.formats.empty() && !m.formats.front().encoding.empty()) {
    const SdpFormat& f = m.formats.front();
    attribute("rtpmap:", f.pt, " ", f.encoding, "/", f.clock_rate,
              f.channels > 1 ? "/" + std::to_string(f.channels) : std::string());
  }
}

void AnswerWriter::accepted(const SdpMedia& m, const MediaPlan& p, const MediaAnswer& a,
                            bool tagged) {
  out_ += p.kind == MediaKind::audio ? "m=audio" : "m=video";
  out_ += " 9 UDP/TLS/RTP/SAVPF";
  for (const PayloadType& t : p.payload_types) {
    out_ += ' ' + std::to_string(t.pt);
    if (t.rtx_pt) out_ += ' ' + std::to_string(*t.rtx_pt);
  }
  out_ += "\r\nc=IN IP4 0.0.0.0\r\n";
  if (!p.mid.empty()) attribute("mid:", p.mid);
  attribute(plan_.publish ? "recvonly" : "sendonly");
  transport(tagged);
  attribute("rtcp-mux");
  attribute("rtcp-mux-only");
  if (m.rtcp_rsize) attribute("rtcp-rsize");
  if (m.transport.extmap_allow_mixed) attribute("extmap-allow-mixed");
  extensions(m, p);
  for (const PayloadType& t : p.payload_types) payload_type(m, t);
  if (plan_.publish) {
    layers(m, p);
  } else {
    ssrcs(p, a);
  }
}

void AnswerWriter::transport(bool tagged) {
  const TransportAnswer& t = answer_.transport;
  attribute("ice-ufrag:", t.ice_ufrag);
  attribute("ice-pwd:", t.ice_pwd);
  attribute("fingerprint:sha-256 ", fingerprint_text(t.fingerprint_sha256));
  attribute("setup:", t.local_role == DtlsRole::server ? "passive" : "active");
  if (!tagged) return;
  for (const std::string& c : host_candidates(t.candidates, kMaxAnswerCandidates)) attribute(c);
  attribute("end-of-candidates");
}

void AnswerWriter::extensions(const SdpMedia& m, const MediaPlan& p) {
  for (const HeaderExtension& e : p.extensions) {
    const auto offered = std::find_if(m.extmaps.begin(), m.extmaps.end(), [&](const SdpExtmap& x) {
      return x.id == e.id && x.kind == e.kind;
    });
    // A one-way extension is answered with the other end's view (RFC 8285 §6).
    const bool one_way = offered != m.extmaps.end() && offered->direction != SdpDirection::sendrecv;
    attribute("extmap:", e.id,
              !one_way        ? ""
              : plan_.publish ? "/recvonly"
                              : "/sendonly",
              " ", kExtensionUris[static_cast<size_t>(e.kind)]);
  }
}

void AnswerWriter::payload_type(const SdpMedia& m, const PayloadType& p) {
  // The name as the offer spells it: some clients compare with case.
  std::string_view name = name_of(p.codec);
  for (const SdpFormat& f : m.formats)
    if (f.pt == p.pt) name = f.encoding;
  attribute("rtpmap:", p.pt, " ", name, "/", p.clock_rate,
            p.channels > 1 ? "/" + std::to_string(p.channels) : std::string());
  if (!p.fmtp.empty()) attribute("fmtp:", p.pt, " ", p.fmtp);
  // REMB only where transport-cc is not: one estimate is enough.
  if (p.transport_cc) attribute("rtcp-fb:", p.pt, " transport-cc");
  if (p.remb && !p.transport_cc) attribute("rtcp-fb:", p.pt, " goog-remb");
  if (p.fir) attribute("rtcp-fb:", p.pt, " ccm fir");
  if (p.nack) attribute("rtcp-fb:", p.pt, " nack");
  if (p.pli) attribute("rtcp-fb:", p.pt, " nack pli");
  if (p.rtx_pt) {
    attribute("rtpmap:", *p.rtx_pt, " rtx/", p.clock_rate);
    attribute("fmtp:", *p.rtx_pt, " apt=", p.pt);
  }
}

// a=rid and a=simulcast of what we receive: the offer's streams and alternatives with
// the accepted rids; a restriction may be kept or narrowed, never dropped (RFC 8851 §6.3).
void AnswerWriter::layers(const SdpMedia& m, const MediaPlan& p) {
  const auto is_accepted = [&](std::string_view id) {
    return std::find(p.rids.begin(), p.rids.end(), id) != p.rids.end();
  };
  for (const std::string& id : p.rids) {
    const auto offered = std::find_if(m.rids.begin(), m.rids.end(),
                                      [&](const SdpRid& r) { return r.send && r.id == id; });
    std::string restrictions;
    std::string_view rest = offered == m.rids.end() ? std::string_view{} : offered->restrictions;
    while (!rest.empty()) {
      std::string_view parameter = trim(cut_at(rest, ';'));
      if (parameter.empty()) continue;
      restrictions += restrictions.empty() ? ' ' : ';';
      if (!parameter.starts_with("pt=")) {
        restrictions += parameter;
        continue;
      }
      parameter.remove_prefix(3);
      std::string pts;
      while (!parameter.empty()) {
        const auto pt = parse_number(trim(cut_at(parameter, ',')), 127);
        for (const PayloadType& t : p.payload_types)
          if (pt == t.pt) pts += (pts.empty() ? "" : ",") + std::to_string(t.pt);
      }
      restrictions += "pt=" + pts;
    }
    attribute("rid:", id, " recv", restrictions);
  }
  std::string streams;
  for (const SdpSimulcastStream& stream : m.simulcast_send) {
    std::string alternatives;
    for (const std::string_view id : stream.alternatives)
      if (is_accepted(id)) (alternatives += alternatives.empty() ? "" : ",") += id;
    if (!alternatives.empty()) streams += (streams.empty() ? "" : ";") + alternatives;
  }
  if (!streams.empty()) attribute("simulcast:recv ", streams);
}

void AnswerWriter::ssrcs(const MediaPlan& p, const MediaAnswer& a) {
  const std::string msid = msid_text(a.msid);
  if (!msid.empty()) attribute("msid:", msid);
  if (a.ssrc == Ssrc{}) return;
  const bool rtx = a.rtx_ssrc != Ssrc{} &&
                   std::any_of(p.payload_types.begin(), p.payload_types.end(),
                               [](const PayloadType& t) { return t.rtx_pt.has_value(); });
  if (rtx) attribute("ssrc-group:FID ", value(a.ssrc), " ", value(a.rtx_ssrc));
  for (const Ssrc ssrc : {a.ssrc, a.rtx_ssrc}) {
    if (ssrc == a.rtx_ssrc && !rtx) continue;
    attribute("ssrc:", value(ssrc), " cname:", std::string_view(a.cname).substr(0, kMaxCnameBytes));
    if (!msid.empty()) attribute("ssrc:", value(ssrc), " msid:", msid);
  }
}

}  // namespace

Result<std::string> write_answer(const SessionDescription& offer, const OfferPlan& plan,
                                 const SessionAnswer& answer) {
  if (plan.media.empty() || plan.media.size() != answer.media.size())
    return Error{"the answer has " + std::to_string(answer.media.size()) + " m-lines, the plan " +
                 std::to_string(plan.media.size())};
  if (plan.media.size() + plan.refused.size() != offer.media.size())
    return Error{"the plan is not of this offer"};
  std::string text = AnswerWriter(offer, plan, answer).run();
  if (text.size() > kMaxSdpAnswerBytes)
    return Error{"the answer has " + std::to_string(text.size()) + " bytes, at most " +
                 std::to_string(kMaxSdpAnswerBytes) + " are allowed"};
  return text;
}

}  // namespace spillway
