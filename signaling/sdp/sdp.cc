#include "signaling/sdp/sdp.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <string>

#include "signaling/sdp/text.h"

namespace spillway {
namespace {

// A media section with the index that keeps attribute look-up constant-time.
struct Section {
  SdpMedia media;
  std::array<int8_t, 128> format_of_pt{};  // index in media.formats, -1: not listed
  std::bitset<128> has_rtpmap;
  SdpFeedback wildcard;

  SdpFormat* format(uint8_t pt) {
    const int8_t i = format_of_pt[pt];
    return i < 0 ? nullptr : &media.formats[static_cast<size_t>(i)];
  }
};
static_assert(kMaxSdpFormats <= INT8_MAX);

constexpr bool is_visible(char c) {
  return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7f;
}
bool is_token(std::string_view s) {
  return !s.empty() && s.size() <= kMaxSdpTokenBytes && std::all_of(s.begin(), s.end(), is_visible);
}
// rid-id (RFC 8851 §10): letters, digits, '-' and '_'.
bool is_rid(std::string_view s) {
  return !s.empty() && s.size() <= kMaxSdpTokenBytes && std::all_of(s.begin(), s.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

std::optional<SdpDirection> direction_of(std::string_view s) {
  if (s == "sendrecv") return SdpDirection::sendrecv;
  if (s == "sendonly") return SdpDirection::sendonly;
  if (s == "recvonly") return SdpDirection::recvonly;
  if (s == "inactive") return SdpDirection::inactive;
  return std::nullopt;
}

std::optional<SdpSetup> setup_of(std::string_view s) {
  if (s == "actpass") return SdpSetup::actpass;
  if (s == "active") return SdpSetup::active;
  if (s == "passive") return SdpSetup::passive;
  if (s == "holdconn") return SdpSetup::holdconn;
  return std::nullopt;
}

void merge(SdpFeedback& into, const SdpFeedback& more) {
  into.nack |= more.nack;
  into.pli |= more.pli;
  into.fir |= more.fir;
  into.transport_cc |= more.transport_cc;
  into.remb |= more.remb;
}

SdpFeedback feedback_of(std::string_view words) {
  SdpFeedback f;
  const std::string_view kind = next_word(words);
  const std::string_view parameter = next_word(words);
  if (kind == "nack" && parameter.empty()) f.nack = true;
  if (kind == "nack" && parameter == "pli") f.pli = true;
  if (kind == "ccm" && parameter == "fir") f.fir = true;
  if (kind == "transport-cc") f.transport_cc = true;
  if (kind == "goog-remb") f.remb = true;
  return f;
}

class Parser {
 public:
  Result<SessionDescription> run(std::string_view text);

 private:
  std::optional<Error> media_line(const SdpLine& line);
  std::optional<Error> attribute(const SdpLine& line);
  std::optional<Error> session_attribute(uint32_t line, std::string_view name,
                                         std::string_view value);
  std::optional<Error> media_attribute(uint32_t line, std::string_view name,
                                       std::string_view value);
  // True: the attribute was one of SdpTransport; `error` may then be set.
  bool transport_attribute(SdpTransport& t, uint32_t line, std::string_view name,
                           std::string_view value, std::optional<Error>& error);
  std::optional<Error> rtpmap(uint32_t line, std::string_view value);
  void fmtp(std::string_view value);
  void rtcp_fb(std::string_view value);
  std::optional<Error> extmap(uint32_t line, std::string_view value);
  std::optional<Error> rid(uint32_t line, std::string_view value);
  std::optional<Error> simulcast(uint32_t line, std::string_view value);
  std::optional<Error> ssrc(uint32_t line, std::string_view value);
  std::optional<Error> ssrc_group(uint32_t line, std::string_view value);

  Section& section() { return sections_.back(); }

  SessionDescription out_;
  std::vector<Section> sections_;
};

Result<SessionDescription> Parser::run(std::string_view text) {
  if (text.size() > kMaxSdpBytes)
    return sdp_error(1, "the text is longer than " + std::to_string(kMaxSdpBytes) + " bytes");
  SdpLines lines(text);
  bool first = true;
  while (const auto line = lines.next()) {
    if (first && !(line->type == 'v' && line->value == "0"))
      return sdp_error(line->number, "an SDP begins with v=0");
    first = false;
    std::optional<Error> error;
    if (line->type == 'm') error = media_line(*line);
    if (line->type == 'a') error = attribute(*line);
    if (error) return *error;
  }
  if (lines.error()) return *lines.error();
  if (first) return sdp_error(1, "the SDP is empty");
  for (Section& s : sections_) {
    for (SdpFormat& f : s.media.formats) merge(f.feedback, s.wildcard);
    out_.media.push_back(std::move(s.media));
  }
  return std::move(out_);
}

// m=<media> <port>[/<count>] <proto> <fmt> ...
std::optional<Error> Parser::media_line(const SdpLine& line) {
  if (sections_.size() == kMaxSdpMediaLines)
    return sdp_error(line.number,
                     "more m-lines than the " + std::to_string(kMaxSdpMediaLines) + " allowed");
  std::string_view rest = line.value;
  Section s;
  s.format_of_pt.fill(-1);
  SdpMedia& m = s.media;
  m.line = line.number;
  m.type_text = next_word(rest);
  std::string_view port = next_word(rest);
  m.protocol = next_word(rest);
  std::string_view formats = rest;
  m.first_format = next_word(rest);
  const auto number = parse_number(cut_at(port, '/'), UINT16_MAX);
  if (!is_token(m.type_text) || !number || !is_token(m.protocol) || !is_token(m.first_format))
    return sdp_error(line.number, "an m-line needs media, port, protocol and a format");
  m.port = static_cast<uint16_t>(*number);
  if (m.type_text == "audio") m.type = SdpMediaType::audio;
  if (m.type_text == "video") m.type = SdpMediaType::video;
  if (m.type_text == "application") m.type = SdpMediaType::application;

  if (m.type == SdpMediaType::audio || m.type == SdpMediaType::video) {
    for (std::string_view word = next_word(formats); !word.empty(); word = next_word(formats)) {
      const auto pt = parse_number(word, 127);
      if (!pt) return sdp_error(line.number, "a payload type is a number from 0 to 127");
      if (s.format_of_pt[*pt] >= 0) continue;
      if (m.formats.size() == kMaxSdpFormats)
        return sdp_error(line.number, "more payload types than the " +
                                          std::to_string(kMaxSdpFormats) + " allowed");
      s.format_of_pt[*pt] = static_cast<int8_t>(m.formats.size());
      SdpFormat f;
      f.pt = static_cast<uint8_t>(*pt);
      if (f.pt == 0 || f.pt == 8) {
        f.encoding = f.pt == 0 ? "PCMU" : "PCMA";
        f.clock_rate = 8000;
      }
      m.formats.push_back(f);
    }
  }
  sections_.push_back(std::move(s));
  return std::nullopt;
}

std::optional<Error> Parser::attribute(const SdpLine& line) {
  std::string_view value = line.value;
  const std::string_view name = cut_at(value, ':');
  std::optional<Error> error;
  SdpTransport& t = sections_.empty() ? out_.transport : section().media.transport;
  if (transport_attribute(t, line.number, name, value, error)) return error;
  return sections_.empty() ? session_attribute(line.number, name, value)
                           : media_attribute(line.number, name, value);
}

bool Parser::transport_attribute(SdpTransport& t, uint32_t line, std::string_view name,
                                 std::string_view value, std::optional<Error>& error) {
  if (name == "ice-ufrag") {
    t.ice_ufrag = value;
  } else if (name == "ice-pwd") {
    t.ice_pwd = value;
  } else if (name == "fingerprint") {
    SdpFingerprint f;
    f.algorithm = next_word(value);
    f.digest = next_word(value);
    if (f.algorithm.empty() || f.digest.empty())
      error = sdp_error(line, "a fingerprint needs an algorithm and a digest");
    else if (t.fingerprints.size() < kMaxSdpFingerprints)
      t.fingerprints.push_back(f);
  } else if (name == "setup") {
    const auto setup = setup_of(value);
    if (!setup) error = sdp_error(line, "a=setup is actpass, active, passive or holdconn");
    t.setup = setup;
  } else if (name == "extmap-allow-mixed") {
    t.extmap_allow_mixed = true;
  } else if (const auto direction = direction_of(name)) {
    t.direction = direction;
  } else {
    return false;
  }
  return true;
}

std::optional<Error> Parser::session_attribute(uint32_t line, std::string_view name,
                                               std::string_view value) {
  if (name == "ice-lite") {
    out_.ice_lite = true;
  } else if (name == "crypto") {
    out_.crypto = true;
  } else if (name == "group" && next_word(value) == "BUNDLE") {
    std::vector<std::string_view> mids;
    for (auto mid = next_word(value); !mid.empty(); mid = next_word(value)) {
      // Groups may name absent mids (C9), so more than m-lines, but not endlessly.
      if (mids.size() == 2 * kMaxSdpMediaLines)
        return sdp_error(line, "a BUNDLE group names too many m-lines");
      mids.push_back(mid);
    }
    if (out_.bundle_groups.size() < kMaxSdpMediaLines)
      out_.bundle_groups.push_back(std::move(mids));
  }
  return std::nullopt;
}

std::optional<Error> Parser::media_attribute(uint32_t line, std::string_view name,
                                             std::string_view value) {
  SdpMedia& m = section().media;
  if (name == "rtpmap") return rtpmap(line, value);
  if (name == "extmap") return extmap(line, value);
  if (name == "rid") return rid(line, value);
  if (name == "simulcast") return simulcast(line, value);
  if (name == "ssrc") return ssrc(line, value);
  if (name == "ssrc-group") return ssrc_group(line, value);
  if (name == "fmtp") {
    fmtp(value);
  } else if (name == "rtcp-fb") {
    rtcp_fb(value);
  } else if (name == "mid") {
    if (!is_token(value)) return sdp_error(line, "a=mid needs one token");
    m.mid = value;
  } else if (name == "rtcp-mux") {
    m.rtcp_mux = true;
  } else if (name == "rtcp-rsize") {
    m.rtcp_rsize = true;
  } else if (name == "bundle-only") {
    m.bundle_only = true;
  } else if (name == "crypto") {
    m.crypto = true;
  } else if (name == "candidate") {
    m.candidates = std::min(m.candidates + 1, kMaxSdpCandidates);
  }
  return std::nullopt;
}

// a=rtpmap:<pt> <encoding>/<clock>[/<channels>]
std::optional<Error> Parser::rtpmap(uint32_t line, std::string_view value) {
  const auto pt = parse_number(next_word(value), 127);
  std::string_view map = next_word(value);
  const std::string_view encoding = cut_at(map, '/');
  const auto clock = parse_number(cut_at(map, '/'), 1'000'000);
  const auto channels = map.empty() ? std::optional<uint32_t>(1) : parse_number(map, 255);
  if (!pt || !is_token(encoding) || !clock || !channels)
    return sdp_error(line, "a=rtpmap needs payload type, encoding and clock rate");
  SdpFormat* f = section().format(static_cast<uint8_t>(*pt));
  if (f == nullptr || section().has_rtpmap[*pt]) return std::nullopt;
  section().has_rtpmap.set(*pt);
  f->encoding = encoding;
  f->clock_rate = *clock;
  f->channels = static_cast<uint8_t>(*channels);
  return std::nullopt;
}

void Parser::fmtp(std::string_view value) {
  const auto pt = parse_number(next_word(value), 127);
  SdpFormat* f = pt ? section().format(static_cast<uint8_t>(*pt)) : nullptr;
  if (f != nullptr && f->fmtp.empty()) f->fmtp = trim(value);
}

void Parser::rtcp_fb(std::string_view value) {
  const std::string_view target = next_word(value);
  if (target == "*") {
    merge(section().wildcard, feedback_of(value));
    return;
  }
  const auto pt = parse_number(target, 127);
  SdpFormat* f = pt ? section().format(static_cast<uint8_t>(*pt)) : nullptr;
  if (f != nullptr) merge(f->feedback, feedback_of(value));
}

// a=extmap:<id>[/<direction>] <uri>
std::optional<Error> Parser::extmap(uint32_t line, std::string_view value) {
  std::string_view direction_text = next_word(value);
  const auto id = parse_number(cut_at(direction_text, '/'), UINT16_MAX);
  const std::string_view uri = next_word(value);
  const auto direction =
      direction_text.empty() ? SdpDirection::sendrecv : direction_of(direction_text);
  if (!id || *id == 0 || !direction || uri.empty())
    return sdp_error(line, "a=extmap needs an id and a URI");
  const auto kind = extension_from_uri(uri);
  auto& maps = section().media.extmaps;
  if (kind && maps.size() < kMaxSdpExtmaps)
    maps.push_back({static_cast<uint16_t>(*id), *kind, *direction});
  return std::nullopt;
}

// a=rid:<id> send|recv [pt=...;key=value;...]
std::optional<Error> Parser::rid(uint32_t line, std::string_view value) {
  SdpRid r;
  r.id = next_word(value);
  const std::string_view direction = next_word(value);
  r.send = direction == "send";
  r.restrictions = trim(value);
  if (!is_rid(r.id) || (direction != "send" && direction != "recv"))
    return sdp_error(line, "a=rid needs an identifier and send or recv");
  auto& rids = section().media.rids;
  if (rids.size() == kMaxSdpRids) return sdp_error(line, "too many a=rid lines");
  rids.push_back(r);
  return std::nullopt;
}

// a=simulcast:send 1;2,3;~4 recv ... in either order (RFC 8853 §5.1).
std::optional<Error> Parser::simulcast(uint32_t line, std::string_view value) {
  for (auto word = next_word(value); !word.empty(); word = next_word(value)) {
    std::string_view list = next_word(value);
    if ((word != "send" && word != "recv") || list.empty())
      return sdp_error(line, "a=simulcast needs send or recv and a list of rids");
    if (word != "send") continue;
    auto& streams = section().media.simulcast_send;
    if (!streams.empty()) return sdp_error(line, "two simulcast send lists in one m-line");
    uint32_t count = 0;
    while (!list.empty()) {
      std::string_view alternatives = cut_at(list, ';');
      SdpSimulcastStream stream;
      while (!alternatives.empty()) {
        std::string_view id = cut_at(alternatives, ',');
        if (!id.empty() && id.front() == '~') id.remove_prefix(1);
        if (!is_rid(id)) return sdp_error(line, "a=simulcast names a rid that is none");
        if (++count > kMaxSdpRids) return sdp_error(line, "a=simulcast names too many rids");
        stream.alternatives.push_back(id);
      }
      if (!stream.alternatives.empty()) streams.push_back(std::move(stream));
    }
  }
  return std::nullopt;
}

// a=ssrc:<id> <attribute>[:<value>]; only cname is kept.
std::optional<Error> Parser::ssrc(uint32_t line, std::string_view value) {
  const auto id = parse_number(next_word(value), UINT32_MAX);
  if (!id) return sdp_error(line, "a=ssrc needs a 32-bit number");
  auto& ssrcs = section().media.ssrcs;
  auto it = std::find_if(ssrcs.begin(), ssrcs.end(),
                         [&](const SdpSsrc& s) { return s.ssrc == Ssrc{*id}; });
  if (it == ssrcs.end()) {
    if (ssrcs.size() == kMaxSdpSsrcs) return std::nullopt;
    ssrcs.push_back({Ssrc{*id}, {}});
    it = ssrcs.end() - 1;
  }
  std::string_view attribute = trim(value);
  if (cut_at(attribute, ':') == "cname") it->cname = attribute;
  return std::nullopt;
}

std::optional<Error> Parser::ssrc_group(uint32_t line, std::string_view value) {
  SdpSsrcGroup group;
  group.semantics = next_word(value);
  for (auto word = next_word(value); !word.empty(); word = next_word(value)) {
    const auto id = parse_number(word, UINT32_MAX);
    if (!id) return sdp_error(line, "a=ssrc-group needs 32-bit numbers");
    if (group.ssrcs.size() < kMaxSdpSsrcs) group.ssrcs.push_back(Ssrc{*id});
  }
  auto& groups = section().media.ssrc_groups;
  if (groups.size() < kMaxSdpSsrcGroups) groups.push_back(std::move(group));
  return std::nullopt;
}

}  // namespace

std::string_view SessionDescription::ice_ufrag(const SdpMedia& m) const {
  return m.transport.ice_ufrag.empty() ? transport.ice_ufrag : m.transport.ice_ufrag;
}

std::string_view SessionDescription::ice_pwd(const SdpMedia& m) const {
  return m.transport.ice_pwd.empty() ? transport.ice_pwd : m.transport.ice_pwd;
}

const std::vector<SdpFingerprint>& SessionDescription::fingerprints(const SdpMedia& m) const {
  return m.transport.fingerprints.empty() ? transport.fingerprints : m.transport.fingerprints;
}

std::optional<SdpSetup> SessionDescription::setup(const SdpMedia& m) const {
  return m.transport.setup ? m.transport.setup : transport.setup;
}

SdpDirection SessionDescription::direction(const SdpMedia& m) const {
  if (m.transport.direction) return *m.transport.direction;
  return transport.direction.value_or(SdpDirection::sendrecv);
}

bool SessionDescription::extmap_allow_mixed(const SdpMedia& m) const {
  return m.transport.extmap_allow_mixed || transport.extmap_allow_mixed;
}

Result<SessionDescription> parse_sdp(std::string_view text) {
  return Parser().run(text);
}

}  // namespace spillway
