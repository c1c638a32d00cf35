// Lines and tokens of SDP text: the bounded scanner under sdp.h and sdp_fragment.h.
//
// Everything borrows from the text, nothing allocates except error messages, each
// byte is looked at a constant number of times. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "datapath/base/result.h"

namespace spillway {

// One "x=value" line, without its line end.
struct SdpLine {
  uint32_t number = 0;  // 1-based, blank lines counted
  char type = 0;        // 'a', 'm', ...
  std::string_view value;
};

// Yields the lines of a text; blank ones are skipped. After next() returned nullopt,
// error() says whether the text ended (nullopt) or broke a rule: kMaxSdpLines,
// kMaxSdpLineBytes, a control character, or no "x=" at the start.
class SdpLines {
 public:
  explicit SdpLines(std::string_view text) : rest_(text) {}
  std::optional<SdpLine> next();
  const std::optional<Error>& error() const { return error_; }

 private:
  std::string_view rest_;
  uint32_t number_ = 0;
  std::optional<Error> error_;
};

// "line N: what".
Error sdp_error(uint32_t line, std::string_view what);

// Cuts the next word off `rest` (words are separated by one or more spaces or tabs);
// empty when none is left.
std::string_view next_word(std::string_view& rest);
std::string_view trim(std::string_view s);
// Cuts off what stands before the first separator; all of it when there is none.
std::string_view cut_at(std::string_view& rest, char separator);

bool equal_no_case(std::string_view a, std::string_view b);
// Decimal digits only, within 0..max.
std::optional<uint32_t> parse_number(std::string_view s, uint32_t max);

// ice-char (RFC 8839 §5.4) and the base64url and padding characters some clients use.
bool is_ice_text(std::string_view s);

}  // namespace spillway
