#include "datapath/proto/rtcp.h"

#include <algorithm>
#include <array>
#include <bit>

namespace spillway {
namespace {

constexpr uint32_t kRembMagic = 0x52454D42;  // "REMB"

// Starts a packet of `body` bytes (a multiple of 4) when it fits, else makes w bad.
bool begin(Writer& w, RtcpType type, uint32_t count, size_t body) {
  if (w.bad() || count > 31 || body / 4 > 0xffff || w.left() < 4 + body) {
    w.zeros(w.left() + 1);  // more than fits: only marks it bad
    return false;
  }
  w.u8(static_cast<uint8_t>(0x80 | count));
  w.u8(static_cast<uint8_t>(type));
  w.be16(static_cast<uint16_t>(body / 4));
  return true;
}

void put(Writer& w, const ReportBlock& b) {
  int32_t lost = std::clamp(b.cumulative_lost, -0x800000, 0x7fffff);
  w.be32(value(b.ssrc));
  w.u8(b.fraction_lost);
  w.be24(static_cast<uint32_t>(lost) & 0xffffff);
  w.be32(b.highest_sequence);
  w.be32(b.jitter);
  w.be32(b.last_sr);
  w.be32(b.delay_since_sr);
}

// Where the report blocks of p begin, 0 when it has no room for all it counts.
size_t blocks_offset(const RtcpPacket& p) {
  size_t fixed = p.is(RtcpType::sender_report) ? 24 : p.is(RtcpType::receiver_report) ? 4 : 0;
  if (fixed == 0 || p.body.size() < fixed + size_t{p.count} * kReportBlockBytes) return 0;
  return fixed;
}

}  // namespace

std::optional<RtcpPacket> RtcpWalker::next() {
  if (bad_ || left_.empty()) return std::nullopt;
  bad_ = true;
  if (left_.size() < 4 || left_[0] >> 6 != 2) return std::nullopt;
  size_t bytes = 4 * (size_t{load_be16(&left_[2])} + 1);
  if (bytes > left_.size()) return std::nullopt;
  RtcpPacket p{left_[1], static_cast<uint8_t>(left_[0] & 0x1f), left_.subspan(4, bytes - 4)};
  if (left_[0] & 0x20) {
    if (p.body.empty()) return std::nullopt;
    uint8_t pad = p.body[p.body.size() - 1];
    if (pad == 0 || pad > p.body.size()) return std::nullopt;
    p.body = p.body.first(p.body.size() - pad);
  }
  left_ = left_.subspan(bytes);
  bad_ = false;
  return p;
}

std::optional<SenderReport> parse_sender_report(const RtcpPacket& p) {
  if (!p.is(RtcpType::sender_report) || blocks_offset(p) == 0) return std::nullopt;
  const uint8_t* b = p.body.data();
  return SenderReport{Ssrc{load_be32(b)}, NtpTime{load_be64(b + 4)}, RtpTime{load_be32(b + 12)},
                      load_be32(b + 16), load_be32(b + 20)};
}

std::optional<Ssrc> parse_receiver_report(const RtcpPacket& p) {
  if (!p.is(RtcpType::receiver_report) || blocks_offset(p) == 0) return std::nullopt;
  return Ssrc{load_be32(p.body.data())};
}

uint32_t report_block_count(const RtcpPacket& p) { return blocks_offset(p) != 0 ? p.count : 0; }

ReportBlock report_block(const RtcpPacket& p, uint32_t i) {
  size_t at = blocks_offset(p);
  if (at == 0 || i >= p.count) return {};
  const uint8_t* b = p.body.data() + at + i * kReportBlockBytes;
  // Sign-extends 24 bits.
  auto lost = static_cast<int32_t>(load_be24(b + 5) << 8) >> 8;
  return {Ssrc{load_be32(b)}, b[4],           lost, load_be32(b + 8), load_be32(b + 12),
          load_be32(b + 16),  load_be32(b + 20)};
}

std::optional<SdesCname> next_sdes_cname(const RtcpPacket& p, uint32_t* cursor) {
  if (!p.is(RtcpType::source_description) || *cursor > p.body.size()) return std::nullopt;
  Reader r(p.body.subspan(*cursor));
  std::optional<SdesCname> found;
  while (!found && r.left() >= 4) {
    Ssrc ssrc{r.be32()};
    bool ended = false;
    while (r.left() > 0) {
      uint8_t item = r.u8();
      if (item == 0) {
        ended = true;
        break;
      }
      Bytes text = r.bytes(r.u8());
      if (r.bad()) break;
      if (item == 1 && !found) found = SdesCname{ssrc, text};
    }
    // Each chunk ends with 1..4 zero bytes on a 32-bit boundary. The last may lack them.
    if (r.bad()) break;
    if (ended) r.skip(std::min<size_t>((4 - r.position() % 4) % 4, r.left()));
  }
  *cursor = found && !r.bad() ? *cursor + static_cast<uint32_t>(r.position())
                              : static_cast<uint32_t>(p.body.size()) + 1;
  return r.bad() ? std::nullopt : found;
}

uint32_t bye_count(const RtcpPacket& p) {
  if (!p.is(RtcpType::bye)) return 0;
  size_t sources = size_t{p.count} * 4;
  if (p.body.size() < sources) return 0;
  Bytes reason = p.body.subspan(sources);
  if (!reason.empty() && reason[0] > reason.size() - 1) return 0;
  return p.count;
}

Ssrc bye_ssrc(const RtcpPacket& p, uint32_t i) {
  if (i >= bye_count(p)) return Ssrc{};
  return Ssrc{load_be32(&p.body[size_t{i} * 4])};
}

std::optional<RtcpFeedback> parse_feedback(const RtcpPacket& p) {
  if (!p.is(RtcpType::transport_feedback) && !p.is(RtcpType::payload_feedback))
    return std::nullopt;
  if (p.body.size() < 8) return std::nullopt;
  return RtcpFeedback{p.count, Ssrc{load_be32(&p.body[0])}, Ssrc{load_be32(&p.body[4])},
                      p.body.subspan(8)};
}

std::optional<Remb> parse_remb(Bytes fci) {
  Reader r(fci);
  if (r.be32() != kRembMagic) return std::nullopt;
  Remb out;
  out.ssrc_count = r.u8();
  uint32_t rate = r.be24();
  uint32_t exponent = rate >> 18;
  uint64_t mantissa = rate & 0x3ffff;
  out.ssrcs = r.bytes(size_t{out.ssrc_count} * 4);
  if (r.bad()) return std::nullopt;
  bool fits = mantissa == 0 || exponent < 64u - static_cast<uint32_t>(std::bit_width(mantissa)) + 1;
  out.bps = mantissa == 0 ? 0 : fits ? mantissa << exponent : UINT64_MAX;
  return out;
}

bool write_sender_report(Writer& w, const SenderReport& sr, std::span<const ReportBlock> blocks) {
  if (!begin(w, RtcpType::sender_report, static_cast<uint32_t>(std::min<size_t>(blocks.size(), 32)),
             24 + blocks.size() * kReportBlockBytes))
    return false;
  w.be32(value(sr.ssrc));
  w.be64(value(sr.ntp));
  w.be32(value(sr.rtp));
  w.be32(sr.packets);
  w.be32(sr.octets);
  for (const ReportBlock& b : blocks) put(w, b);
  return true;
}

bool write_receiver_report(Writer& w, Ssrc sender, std::span<const ReportBlock> blocks) {
  if (!begin(w, RtcpType::receiver_report,
             static_cast<uint32_t>(std::min<size_t>(blocks.size(), 32)),
             4 + blocks.size() * kReportBlockBytes))
    return false;
  w.be32(value(sender));
  for (const ReportBlock& b : blocks) put(w, b);
  return true;
}

bool write_sdes(Writer& w, Ssrc ssrc, Bytes cname) {
  // SSRC, item type and length, text, at least one zero, to a multiple of 4.
  size_t body = (4 + 2 + cname.size() + 1 + 3) & ~size_t{3};
  uint32_t chunks = cname.empty() || cname.size() > 255 ? 32 : 1;  // 32: out of range
  if (!begin(w, RtcpType::source_description, chunks, body)) return false;
  w.be32(value(ssrc));
  w.u8(1);
  w.u8(static_cast<uint8_t>(cname.size()));
  w.bytes(cname);
  w.zeros(body - 6 - cname.size());
  return true;
}

bool write_bye(Writer& w, std::span<const Ssrc> ssrcs) {
  auto count = static_cast<uint32_t>(ssrcs.empty() ? 32 : std::min<size_t>(ssrcs.size(), 32));
  if (!begin(w, RtcpType::bye, count, ssrcs.size() * 4)) return false;
  for (Ssrc s : ssrcs) w.be32(value(s));
  return true;
}

bool write_nack(Writer& w, Ssrc sender, Ssrc media, std::span<const uint16_t> sequences) {
  // First how many entries, so that a packet is written whole or not at all.
  auto each_entry = [&](auto&& entry) {
    for (size_t i = 0; i < sequences.size();) {
      uint16_t pid = sequences[i++];
      uint16_t mask = 0;
      for (; i < sequences.size(); ++i) {
        auto ahead = static_cast<uint16_t>(sequences[i] - pid);
        if (ahead > 16) break;
        if (ahead != 0) mask = static_cast<uint16_t>(mask | 1u << (ahead - 1));
      }
      entry(pid, mask);
    }
  };
  size_t entries = 0;
  each_entry([&](uint16_t, uint16_t) { ++entries; });
  if (!begin(w, RtcpType::transport_feedback, entries == 0 ? 32 : kRtcpNack, 8 + entries * 4))
    return false;
  w.be32(value(sender));
  w.be32(value(media));
  each_entry([&](uint16_t pid, uint16_t mask) {
    w.be16(pid);
    w.be16(mask);
  });
  return true;
}

bool write_pli(Writer& w, Ssrc sender, Ssrc media) {
  if (!begin(w, RtcpType::payload_feedback, kRtcpPli, 8)) return false;
  w.be32(value(sender));
  w.be32(value(media));
  return true;
}

bool write_fir(Writer& w, Ssrc sender, std::span<const FirEntry> entries) {
  if (!begin(w, RtcpType::payload_feedback, entries.empty() ? 32 : kRtcpFir,
             8 + entries.size() * 8))
    return false;
  w.be32(value(sender));
  w.be32(0);  // RFC 5104 §4.3.1.2: media SSRC is in the entries
  for (const FirEntry& e : entries) {
    w.be32(value(e.ssrc));
    w.u8(e.sequence);
    w.zeros(3);
  }
  return true;
}

bool write_remb(Writer& w, Ssrc sender, uint64_t bps, std::span<const Ssrc> ssrcs) {
  if (!begin(w, RtcpType::payload_feedback, ssrcs.size() > 255 ? 32 : kRtcpAfb,
             16 + ssrcs.size() * 4))
    return false;
  auto bits = static_cast<uint32_t>(std::bit_width(bps));
  uint32_t exponent = bits > 18 ? bits - 18 : 0;
  w.be32(value(sender));
  w.be32(0);
  w.be32(kRembMagic);
  w.u8(static_cast<uint8_t>(ssrcs.size()));
  w.be24(exponent << 18 | static_cast<uint32_t>(bps >> exponent));
  for (Ssrc s : ssrcs) w.be32(value(s));
  return true;
}

}  // namespace spillway
