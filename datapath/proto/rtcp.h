// RTCP: a walker over compound packets, readers and builders of the types we use.
//
// RFC 3550 §6 (SR, RR, SDES, BYE), RFC 4585 (NACK, PLI), RFC 5104 §4.3.1 (FIR),
// draft-alvestrand-rmcat-remb-03 (REMB); transport-cc is in transport_cc.h. Works on
// plaintext (after SRTCP). Reduced-size packets (RFC 5506) are accepted: no rule what comes
// first. Every count is checked against the bytes there are, unknown types and XR are
// skipped (threats A-17). All fields host order. Nothing allocates; any thread.
//
//   |V=2|P|  count  |  type  |  length in 32-bit words - 1  |  body ... (| padding |n|)
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "datapath/base/bytes.h"
#include "datapath/base/units.h"

namespace spillway {

enum class RtcpType : uint8_t {
  sender_report = 200,
  receiver_report = 201,
  source_description = 202,
  bye = 203,
  application = 204,
  transport_feedback = 205,  // RFC 4585 §6.2; format = RtcpPacket::count
  payload_feedback = 206,    // RFC 4585 §6.3
  extended_report = 207,
};
inline constexpr uint8_t kRtcpNack = 1;          // of transport_feedback
inline constexpr uint8_t kRtcpTransportCc = 15;  // of transport_feedback
inline constexpr uint8_t kRtcpPli = 1;           // of payload_feedback
inline constexpr uint8_t kRtcpFir = 4;           // of payload_feedback
inline constexpr uint8_t kRtcpAfb = 15;          // of payload_feedback: REMB and others

// Sequence numbers honoured of one NACK packet (threats A-18).
inline constexpr uint32_t kMaxNackSequences = 256;

// One packet of a compound; borrowed.
struct RtcpPacket {
  uint8_t type = 0;   // RtcpType, or one we do not know
  uint8_t count = 0;  // 0..31: report count, source count or feedback format
  Bytes body;         // after the 4-byte header, without padding
  constexpr bool is(RtcpType t) const { return type == static_cast<uint8_t>(t); }
  constexpr bool is(RtcpType t, uint8_t format) const { return is(t) && count == format; }
};

// for (RtcpWalker w(bytes); auto p = w.next();) ...  Each next() consumes at least four
// bytes. It ends at the end, or at the first packet whose version, length or padding is
// wrong: then bad() (what came before may be used).
class RtcpWalker {
 public:
  explicit constexpr RtcpWalker(Bytes compound) : left_(compound) {}
  std::optional<RtcpPacket> next();
  constexpr bool bad() const { return bad_; }

 private:
  Bytes left_;
  bool bad_ = false;
};

// --- reports ---------------------------------------------------------------------------

struct SenderReport {
  Ssrc ssrc{};
  NtpTime ntp{};
  RtpTime rtp{};
  uint32_t packets = 0;
  uint32_t octets = 0;  // payload bytes
};

struct ReportBlock {
  Ssrc ssrc{};
  uint8_t fraction_lost = 0;       // of 256
  int32_t cumulative_lost = 0;     // -2^23 .. 2^23-1; writing clamps
  uint32_t highest_sequence = 0;   // cycles in the high half
  uint32_t jitter = 0;             // RTP ticks
  uint32_t last_sr = 0;            // middle 32 bits of the NTP time; 0 = none yet
  uint32_t delay_since_sr = 0;     // 1/65536 s
};
inline constexpr uint32_t kReportBlockBytes = 24;

// nullopt: not that type, or its report count does not fit in the body.
std::optional<SenderReport> parse_sender_report(const RtcpPacket& p);
std::optional<Ssrc> parse_receiver_report(const RtcpPacket& p);  // who reports
// Blocks of an SR or RR: 0..31; 0 also for malformed ones and other types.
uint32_t report_block_count(const RtcpPacket& p);
// i < report_block_count(p).
ReportBlock report_block(const RtcpPacket& p, uint32_t i);

// --- SDES and BYE ------------------------------------------------------------------------

// The CNAME of the i-th chunk that has one: advances *cursor (start with 0) and gives
// ssrc and text, nullopt at the end or when malformed. RFC 3550 §6.5.
struct SdesCname {
  Ssrc ssrc{};
  Bytes cname;
};
std::optional<SdesCname> next_sdes_cname(const RtcpPacket& p, uint32_t* cursor);

// Sources of a BYE: 0..31; 0 when the count or the reason's length does not fit.
uint32_t bye_count(const RtcpPacket& p);
Ssrc bye_ssrc(const RtcpPacket& p, uint32_t i);  // i < bye_count(p)

// --- feedback -----------------------------------------------------------------------------

struct RtcpFeedback {
  uint8_t format = 0;
  Ssrc sender{};
  Ssrc media{};
  Bytes fci;
};
// Of transport_feedback and payload_feedback with at least both SSRCs.
std::optional<RtcpFeedback> parse_feedback(const RtcpPacket& p);

// Calls f(uint16_t sequence) for each lost packet, at most kMaxNackSequences; gives how
// many. A last entry that is cut off is ignored. RFC 4585 §6.2.1.
template <typename F>
constexpr uint32_t for_each_nack(Bytes fci, F&& f) {
  uint32_t n = 0;
  for (size_t at = 0; fci.size() - at >= 4; at += 4) {
    uint16_t pid = load_be16(&fci[at]);
    uint32_t mask = load_be16(&fci[at + 2]);
    if (n == kMaxNackSequences) return n;
    f(pid);
    ++n;
    for (uint32_t bit = 0; bit < 16; ++bit) {
      if (!(mask >> bit & 1)) continue;
      if (n == kMaxNackSequences) return n;
      f(static_cast<uint16_t>(pid + bit + 1));
      ++n;
    }
  }
  return n;
}

// FIR entries: fci.size() / 8 of them.
struct FirEntry {
  Ssrc ssrc{};
  uint8_t sequence = 0;  // a repeated number is a repeated request, not a new one
};
template <typename F>
constexpr void for_each_fir(Bytes fci, F&& f) {
  for (size_t at = 0; fci.size() - at >= 8; at += 8)
    f(FirEntry{Ssrc{load_be32(&fci[at])}, fci[at + 4]});
}

struct Remb {
  uint64_t bps = 0;  // saturates at UINT64_MAX
  uint8_t ssrc_count = 0;
  Bytes ssrcs;  // 4 * ssrc_count, big endian
};
// fci of a payload_feedback with format kRtcpAfb; nullopt: not REMB, or fewer SSRCs
// than counted.
std::optional<Remb> parse_remb(Bytes fci);

// --- builders ------------------------------------------------------------------------------
// Append one packet. False: it does not fit, or an argument is out of range: nothing of
// it was appended and the writer is bad() from now on.

// blocks: 0..31.
bool write_sender_report(Writer& w, const SenderReport& sr, std::span<const ReportBlock> blocks);
bool write_receiver_report(Writer& w, Ssrc sender, std::span<const ReportBlock> blocks);
// One chunk; cname 1..255 bytes.
bool write_sdes(Writer& w, Ssrc ssrc, Bytes cname);
bool write_bye(Writer& w, std::span<const Ssrc> ssrcs);  // 1..31, no reason
// sequences in ascending order (modulo 2^16), at least one; near ones share an entry.
bool write_nack(Writer& w, Ssrc sender, Ssrc media, std::span<const uint16_t> sequences);
bool write_pli(Writer& w, Ssrc sender, Ssrc media);
bool write_fir(Writer& w, Ssrc sender, std::span<const FirEntry> entries);  // at least one
// bps is rounded down to 18 significant bits; ssrcs 0..255.
bool write_remb(Writer& w, Ssrc sender, uint64_t bps, std::span<const Ssrc> ssrcs);

}  // namespace spillway
