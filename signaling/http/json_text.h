// Text from outside, made safe for JSON and for logs. Pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace spillway {

// A JSON string with its quotes (RFC 8259 §7). Control characters are escaped;
// bytes that are not UTF-8 become U+FFFD, so the document is always valid.
std::string json_string(std::string_view text);
void append_json_string(std::string& out, std::string_view text);

// For log lines: printable ASCII as it is, '\\' and everything else as
// \xNN, cut at `bytes_max` input bytes with "..." after it.
std::string escape_for_log(std::string_view text, size_t bytes_max = 128);

}  // namespace spillway
