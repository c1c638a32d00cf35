#include "signaling/sdp/sdp_fragment.h"

#include <algorithm>

#include "signaling/sdp/host_candidate.h"
#include "signaling/sdp/sdp.h"
#include "signaling/sdp/text.h"

namespace spillway {
namespace {

// Stores a credential; the same one again is fine.
std::optional<Error> set_credential(std::string_view& into, std::string_view value, size_t min,
                                    size_t max, uint32_t line, std::string_view name) {
  if (value.size() < min || value.size() > max || !is_ice_text(value))
    return sdp_error(line, std::string(name) + " needs " + std::to_string(min) + " to " +
                               std::to_string(max) + " ICE characters");
  if (!into.empty() && into != value)
    return sdp_error(line, std::string(name) + " differs from the one before");
  into = value;
  return std::nullopt;
}

}  // namespace

Result<SdpFragment> parse_sdp_fragment(std::string_view text) {
  if (text.size() > kMaxSdpBytes)
    return sdp_error(1, "the text is longer than " + std::to_string(kMaxSdpBytes) + " bytes");
  SdpFragment out;
  SdpLines lines(text);
  while (const auto line = lines.next()) {
    if (line->type != 'a') continue;
    std::string_view value = line->value;
    const std::string_view name = cut_at(value, ':');
    std::optional<Error> error;
    if (name == "ice-ufrag") {
      error = set_credential(out.ice_ufrag, value, 4, kMaxUfragBytes, line->number, "a=ice-ufrag");
    } else if (name == "ice-pwd") {
      error = set_credential(out.ice_pwd, value, 22, kMaxIcePwdBytes, line->number, "a=ice-pwd");
    } else if (name == "mid") {
      const bool known = std::find(out.mids.begin(), out.mids.end(), value) != out.mids.end();
      if (!known && out.mids.size() < kMaxSdpMediaLines) out.mids.push_back(value);
    } else if (name == "candidate") {
      out.candidates = std::min(out.candidates + 1, kMaxSdpLines);
    } else if (name == "end-of-candidates") {
      out.end_of_candidates = true;
    }
    if (error) return *error;
  }
  if (lines.error()) return *lines.error();
  return out;
}

std::string write_restart_fragment(const TransportAnswer& transport,
                                   const std::vector<std::string>& mids) {
  std::string out = "a=ice-lite\r\na=";
  out += kIceOptions;
  out += "\r\n";
  const bool named = !mids.empty() && !mids.front().empty();
  if (named) {
    out += "a=group:BUNDLE";
    for (const std::string& mid : mids) out += ' ' + mid;
    out += "\r\n";
  }
  // The kind is a placeholder (RFC 8840 §9): readers go by the mid.
  out += "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n";
  if (named) out += "a=mid:" + mids.front() + "\r\n";
  out += "a=ice-ufrag:" + transport.ice_ufrag + "\r\na=ice-pwd:" + transport.ice_pwd + "\r\n";
  for (const std::string& c : host_candidates(transport.candidates, 1)) out += "a=" + c + "\r\n";
  return out + "a=end-of-candidates\r\n";
}

}  // namespace spillway
