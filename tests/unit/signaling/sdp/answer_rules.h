// Every rule an SDP answer of ours must keep, checked from the texts alone: this
// reader shares no code with signaling/sdp, so both would have to be wrong alike.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace spillway::test {

// Broken rules, in words; empty: the answer is fine.
std::vector<std::string> broken_answer_rules(std::string_view offer, std::string_view answer,
                                             bool publish);

}  // namespace spillway::test
