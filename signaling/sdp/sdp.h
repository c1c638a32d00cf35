// SDP offers as a bounded, read-only model (RFC 8866, RFC 8829, RFC 8839).
//
// parse_sdp() reads what WebRTC clients really send and is tolerant: LF or CRLF,
// blank lines, unknown lines and attributes, attributes of payload types that the
// m-line does not list. It is not tolerant of bombs (threats A-22): every count
// and length below is bounded, each line is looked at once, nothing recurses and
// there are no regular expressions, so its time is linear in the text.
//
// Memory: every string_view borrows from the parsed text, which must outlive the
// SessionDescription. No view holds a control character, so none can break a line
// when it is echoed. Errors: Error::text begins "line N: ". Any thread.
//
// Candidates are counted and thrown away: an ICE-lite server never contacts or
// resolves one (threats A-41).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "datapath/base/limits.h"
#include "datapath/base/media.h"
#include "datapath/base/result.h"
#include "datapath/base/units.h"

namespace spillway {

// --- limits of the parser; text size is kMaxSdpBytes --------------------

inline constexpr uint32_t kMaxSdpLines = 1024;
inline constexpr uint32_t kMaxSdpMediaLines = 32;
// A-22 proposes 512; H.265 and H.264 fmtp lines with parameter sets and m-lines of
// 60 payload types with long candidates behind them come near it, so twice that.
inline constexpr uint32_t kMaxSdpLineBytes = 1024;
inline constexpr uint32_t kMaxSdpFormats = 64;     // payload types per m-line
inline constexpr uint32_t kMaxSdpTokenBytes = 32;  // media type, protocol, format, encoding name
// Kept per m-line; more of them are ignored, not an error: none is needed.
inline constexpr uint32_t kMaxSdpExtmaps = 16;  // only those of kExtensionUris are kept at all
inline constexpr uint32_t kMaxSdpCandidates = 64;
inline constexpr uint32_t kMaxSdpSsrcs = 16;
inline constexpr uint32_t kMaxSdpSsrcGroups = 16;
inline constexpr uint32_t kMaxSdpFingerprints = 4;  // per level
// Kept per m-line so that "too many" can be refused by name (more: an error).
inline constexpr uint32_t kMaxSdpRids = 16;

// --- model ----------------------------------------------------------------------

enum class SdpMediaType : uint8_t { audio, video, application, other };
enum class SdpDirection : uint8_t { sendrecv, sendonly, recvonly, inactive };
enum class SdpSetup : uint8_t { actpass, active, passive, holdconn };  // RFC 4145, RFC 8842

// a=rtcp-fb of one payload type (RFC 4585, RFC 5104).
struct SdpFeedback {
  bool nack = false;
  bool pli = false;
  bool fir = false;
  bool transport_cc = false;
  bool remb = false;
};

// One payload type of an m-line with its rtpmap and fmtp. Payload types 0 and 8 have
// their static meaning (RFC 3551) when the offer gives no rtpmap.
struct SdpFormat {
  uint8_t pt = 0;             // 0..127
  std::string_view encoding;  // "opus", "H264", "rtx"; empty: no rtpmap
  uint32_t clock_rate = 0;    // Hz
  uint8_t channels = 1;
  std::string_view fmtp;  // without "a=fmtp:PT "
  SdpFeedback feedback;   // wildcards (a=rtcp-fb:*) already merged in
};

// a=extmap of a known URI (RFC 8285).
struct SdpExtmap {
  uint16_t id = 0;  // 1..4095 as offered; which ids can be used is negotiation's
  ExtensionKind kind = ExtensionKind::none;
  SdpDirection direction = SdpDirection::sendrecv;
};

// a=rid (RFC 8851).
struct SdpRid {
  std::string_view id;
  bool send = false;              // else recv
  std::string_view restrictions;  // "pt=96;max-width=1280", often empty
};

// One stream of a=simulcast:send (RFC 8853): alternatives of which one is sent.
struct SdpSimulcastStream {
  std::vector<std::string_view> alternatives;  // rid ids, '~' (initially paused) removed
};

struct SdpSsrc {
  Ssrc ssrc{};
  std::string_view cname;
};

struct SdpSsrcGroup {
  std::string_view semantics;  // "FID", "SIM", "FEC-FR"
  std::vector<Ssrc> ssrcs;
};

struct SdpFingerprint {
  std::string_view algorithm;  // as written
  std::string_view digest;     // "AB:CD:..."
};

// Attributes that may stand at session or media level (RFC 8859).
struct SdpTransport {
  std::string_view ice_ufrag;
  std::string_view ice_pwd;
  std::vector<SdpFingerprint> fingerprints;
  std::optional<SdpSetup> setup;
  std::optional<SdpDirection> direction;
  bool extmap_allow_mixed = false;  // RFC 8285 §6
};

struct SdpMedia {
  uint32_t line = 0;  // of "m=", 1-based, for messages
  SdpMediaType type = SdpMediaType::other;
  std::string_view type_text;  // <= kMaxSdpTokenBytes
  uint16_t port = 0;
  std::string_view protocol;       // <= kMaxSdpTokenBytes
  std::string_view first_format;   // <= kMaxSdpTokenBytes; what a refusal echoes
  std::vector<SdpFormat> formats;  // empty unless the m-line lists RTP payload types
  std::string_view mid;            // RFC 5888; empty: none
  SdpTransport transport;          // media level only; see the functions below
  bool rtcp_mux = false;
  bool rtcp_rsize = false;
  bool bundle_only = false;  // RFC 9143: port 0 is then no refusal
  bool crypto = false;       // a=crypto, SDES (RFC 4568): never acceptable
  std::vector<SdpExtmap> extmaps;
  std::vector<SdpRid> rids;
  std::vector<SdpSimulcastStream> simulcast_send;
  std::vector<SdpSsrc> ssrcs;
  std::vector<SdpSsrcGroup> ssrc_groups;
  uint32_t candidates = 0;  // seen, all ignored
};

struct SessionDescription {
  SdpTransport transport;  // session level
  bool ice_lite = false;
  bool crypto = false;
  std::vector<std::vector<std::string_view>> bundle_groups;  // mids of each a=group:BUNDLE
  std::vector<SdpMedia> media;

  // Media level, else session level.
  std::string_view ice_ufrag(const SdpMedia& m) const;
  std::string_view ice_pwd(const SdpMedia& m) const;
  const std::vector<SdpFingerprint>& fingerprints(const SdpMedia& m) const;
  std::optional<SdpSetup> setup(const SdpMedia& m) const;
  SdpDirection direction(const SdpMedia& m) const;  // default sendrecv (RFC 8866 §6.7)
  bool extmap_allow_mixed(const SdpMedia& m) const;
};

// text: at most kMaxSdpBytes; must outlive the result.
Result<SessionDescription> parse_sdp(std::string_view text);

}  // namespace spillway
