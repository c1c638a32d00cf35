#include "signaling/sdp/text.h"

#include <algorithm>
#include <string>

#include "signaling/sdp/sdp.h"

namespace spillway {
namespace {

constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}
constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t';
}
// Bytes from 0x80 on are UTF-8 of s= and cname lines.
constexpr bool is_control(char c) {
  const auto u = static_cast<unsigned char>(c);
  return (u < 0x20 && c != '\t') || u == 0x7f;
}

}  // namespace

std::optional<SdpLine> SdpLines::next() {
  while (!error_ && !rest_.empty()) {
    const size_t end = rest_.find('\n');
    std::string_view line = rest_.substr(0, end);
    rest_ = end == std::string_view::npos ? std::string_view{} : rest_.substr(end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (++number_ > kMaxSdpLines) {
      error_ =
          sdp_error(number_, "more lines than the " + std::to_string(kMaxSdpLines) + " allowed");
      return std::nullopt;
    }
    if (line.size() > kMaxSdpLineBytes) {
      error_ = sdp_error(number_, "longer than " + std::to_string(kMaxSdpLineBytes) + " bytes");
      return std::nullopt;
    }
    if (std::any_of(line.begin(), line.end(), is_control)) {
      error_ = sdp_error(number_, "holds a control character");
      return std::nullopt;
    }
    if (trim(line).empty()) continue;
    if (line.size() < 2 || line[1] != '=') {
      error_ = sdp_error(number_, "does not start with a letter and '='");
      return std::nullopt;
    }
    return SdpLine{number_, line[0], trim(line.substr(2))};
  }
  return std::nullopt;
}

Error sdp_error(uint32_t line, std::string_view what) {
  return Error{"line " + std::to_string(line) + ": " + std::string(what)};
}

std::string_view next_word(std::string_view& rest) {
  const auto* begin = std::find_if_not(rest.begin(), rest.end(), is_blank);
  const auto* end = std::find_if(begin, rest.end(), is_blank);
  const std::string_view word(begin, static_cast<size_t>(end - begin));
  rest = std::string_view(end, static_cast<size_t>(rest.end() - end));
  return word;
}

std::string_view trim(std::string_view s) {
  while (!s.empty() && is_blank(s.front())) s.remove_prefix(1);
  while (!s.empty() && is_blank(s.back())) s.remove_suffix(1);
  return s;
}

std::string_view cut_at(std::string_view& rest, char separator) {
  const size_t at = rest.find(separator);
  const std::string_view head = rest.substr(0, at);
  rest = at == std::string_view::npos ? std::string_view{} : rest.substr(at + 1);
  return head;
}

bool equal_no_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

std::optional<uint32_t> parse_number(std::string_view s, uint32_t max) {
  if (s.empty() || s.size() > 10) return std::nullopt;
  uint64_t v = 0;
  for (const char c : s) {
    if (c < '0' || c > '9') return std::nullopt;
    v = v * 10 + static_cast<uint64_t>(c - '0');
  }
  if (v > max) return std::nullopt;
  return static_cast<uint32_t>(v);
}

bool is_ice_text(std::string_view s) {
  return std::all_of(s.begin(), s.end(), [](char c) {
    const char l = lower(c);
    return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/' || c == '-' ||
           c == '_' || c == '=';
  });
}

}  // namespace spillway
