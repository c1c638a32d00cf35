#include "signaling/http/message.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace spillway {

namespace {

constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

bool breaks_framing(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto u = static_cast<unsigned char>(c);
    return (u < 0x20 && u != '\t') || u == 0x7f;
  });
}

void append_number(std::string& out, uint64_t n) {
  char text[20];
  const auto end = std::to_chars(text, text + sizeof text, n).ptr;
  out.append(text, end);
}

}  // namespace

std::optional<std::string_view> HttpRequest::header(std::string_view name) const {
  for (const auto& [n, v] : headers)
    if (equals_ignoring_case(n, name)) return trim_blanks(v);
  return std::nullopt;
}

std::string_view HttpRequest::path() const {
  return target.substr(0, target.find_first_of("?#"));
}

std::string_view name_of(HttpRoute route) {
  constexpr std::array<std::string_view, kHttpRouteCount> names{
      "whip", "whep", "session", "layer", "api", "page", "admin", "unknown", "refused"};
  return names[static_cast<uint8_t>(route)];
}

void HttpResponse::set(std::string_view name, std::string_view value) {
  std::erase_if(headers, [&](const auto& h) { return equals_ignoring_case(h.first, name); });
  add(name, value);
}

void HttpResponse::add(std::string_view name, std::string_view value) {
  headers.emplace_back(name, value);
}

std::optional<std::string_view> HttpResponse::header(std::string_view name) const {
  for (const auto& [n, v] : headers)
    if (equals_ignoring_case(n, name)) return v;
  return std::nullopt;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trim_blanks(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool is_media_type(std::string_view content_type, std::string_view wanted) {
  return equals_ignoring_case(trim_blanks(content_type.substr(0, content_type.find(';'))), wanted);
}

std::string_view reason_phrase(uint16_t status) {
  switch (status) {
    case 100:
      return "Continue";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    default:
      return "Unknown";
  }
}

std::string serialize(const HttpResponse& response, bool keep_alive, std::string_view date,
                      std::string_view request_id) {
  std::string out;
  out.reserve(512 + response.body.size());
  out += "HTTP/1.1 ";
  append_number(out, response.status);
  out += ' ';
  out += reason_phrase(response.status);
  out += "\r\n";
  for (const auto& [name, value] : response.headers) {
    if (name.empty() || breaks_framing(name) || breaks_framing(value)) continue;
    out += name;
    out += ": ";
    out += value;
    out += "\r\n";
  }
  out += "Date: ";
  out += date;
  out += "\r\nX-Request-Id: ";
  out += request_id;
  out += "\r\n";
  const bool may_have_body = response.status != 204;
  if (may_have_body) {
    out += "Content-Length: ";
    append_number(out, response.head_content_length.value_or(response.body.size()));
    out += "\r\n";
  }
  out += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
  if (may_have_body && !response.head_content_length) out += response.body;
  return out;
}

}  // namespace spillway
