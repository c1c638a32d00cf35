#include "signaling/whip/patch_decision.h"

#include "signaling/http/message.h"

namespace spillway {

EtagMatch match_etag(bool present, std::string_view value, std::string_view current_etag) {
  if (!present) return EtagMatch::absent;
  EtagMatch match = EtagMatch::other;
  while (true) {
    const auto comma = value.find(',');
    std::string_view tag = trim_blanks(value.substr(0, comma));
    if (tag.size() >= 2 && tag.front() == '"' && tag.back() == '"')
      tag = tag.substr(1, tag.size() - 2);
    if (tag == "*") return EtagMatch::any;
    if (!tag.empty() && tag == current_etag) match = EtagMatch::current;
    if (comma == std::string_view::npos) return match;
    value.remove_prefix(comma + 1);
  }
}

PatchAction decide_patch(const PatchInput& in) {
  if (!in.is_fragment) return PatchAction::unsupported_type;
  if (!in.parsed || in.ufrag.empty() || in.pwd.empty()) return PatchAction::bad_fragment;
  if (in.if_match == EtagMatch::other) return PatchAction::stale;
  const bool same = in.ufrag == in.current_ufrag && in.pwd == in.current_pwd;
  if (!same) return PatchAction::restart;
  if (in.if_match == EtagMatch::absent && in.strict) return PatchAction::precondition_required;
  return PatchAction::trickle;
}

}  // namespace spillway
