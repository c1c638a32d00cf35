#include "signaling/http/request_reader.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <optional>
#include <string>

namespace spillway {

namespace beast_http = boost::beast::http;

namespace {

// 8 KiB of two-letter headers would be two thousand; real clients send ~20.
constexpr size_t kHeaderCountMax = 100;

struct Fault {
  uint16_t status = 0;
  std::string_view reason;
};

bool is_control(char c) {
  const auto u = static_cast<unsigned char>(c);
  return u < 0x20 || u == 0x7f;
}

bool is_digits(std::string_view text) {
  // 18 digits fit in 63 bits; anything longer is refused as too large anyway.
  return !text.empty() && text.size() <= 18 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string_view view(boost::beast::string_view s) {
  return {s.data(), s.size()};
}

// What Beast tolerates and another parser in the chain might read differently.
// `block` is the header section with its last empty line.
std::optional<Fault> check_header_block(std::string_view block) {
  std::string_view rest = block.substr(0, block.size() - 2);
  bool first = true;
  bool v1_1 = false;
  size_t headers = 0, hosts = 0, lengths = 0, codings = 0;
  while (!rest.empty()) {
    const auto eol = rest.find("\r\n");
    const std::string_view line = rest.substr(0, eol);
    rest.remove_prefix(eol + 2);
    if (std::any_of(line.begin(), line.end(), [](char c) { return is_control(c) && c != '\t'; }))
      return Fault{400, "control character in the header section"};
    if (first) {
      first = false;
      v1_1 = line.ends_with(" HTTP/1.1");
      if (!v1_1 && !line.ends_with(" HTTP/1.0"))
        return Fault{400, "the request line does not end in HTTP/1.1"};
      if (std::count(line.begin(), line.end(), ' ') != 2)
        return Fault{400, "the request line has not three parts"};
      continue;
    }
    if (line.front() == ' ' || line.front() == '\t')
      return Fault{400, "line folding in the header section"};
    if (++headers > kHeaderCountMax) return Fault{431, "too many header fields"};
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0)
      return Fault{400, "a header field without a name"};
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trim_blanks(line.substr(colon + 1));
    if (equals_ignoring_case(name, "Host")) ++hosts;
    if (equals_ignoring_case(name, "Content-Length")) {
      ++lengths;
      if (!is_digits(value)) return Fault{400, "Content-Length is not a number"};
    }
    if (equals_ignoring_case(name, "Transfer-Encoding")) {
      ++codings;
      if (!equals_ignoring_case(value, "chunked"))
        return Fault{400, "a transfer coding other than chunked"};
    }
  }
  if (lengths > 1) return Fault{400, "more than one Content-Length"};
  if (codings > 1) return Fault{400, "more than one Transfer-Encoding"};
  if (lengths != 0 && codings != 0) return Fault{400, "both Content-Length and Transfer-Encoding"};
  if (codings != 0 && !v1_1) return Fault{400, "Transfer-Encoding in HTTP/1.0"};
  if (hosts > 1 || (v1_1 && hosts == 0)) return Fault{400, "not exactly one Host"};
  return std::nullopt;
}

Fault fault_of(const boost::beast::error_code& ec) {
  if (ec == beast_http::error::body_limit) return {413, "the body is larger than the limit"};
  if (ec == beast_http::error::header_limit)
    return {431, "the header section is larger than the limit"};
  if (ec == beast_http::error::bad_chunk || ec == beast_http::error::bad_chunk_extension)
    return {400, "bad chunk"};
  return {400, "the request is not HTTP/1.1"};
}

HttpMethod method_of(beast_http::verb verb) {
  switch (verb) {
    case beast_http::verb::get:
      return HttpMethod::get;
    case beast_http::verb::head:
      return HttpMethod::head;
    case beast_http::verb::post:
      return HttpMethod::post;
    case beast_http::verb::patch:
      return HttpMethod::patch;
    case beast_http::verb::delete_:
      return HttpMethod::del;
    case beast_http::verb::options:
      return HttpMethod::options;
    default:
      return HttpMethod::other;
  }
}

// origin-form and "*" as they are; absolute-form loses scheme and authority
// (RFC 9112 §3.2.2). Empty: no request target.
std::string_view origin_form(std::string_view target, bool options) {
  if (std::any_of(target.begin(), target.end(),
                  [](char c) { return c <= 0x20 || c == 0x7f; }))  // 8-bit is negative
    return {};
  if (target.starts_with('/') || (options && target == "*")) return target;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!equals_ignoring_case(target.substr(0, scheme.size()), scheme)) continue;
    const auto slash = target.find('/', scheme.size());
    return slash == std::string_view::npos ? "/" : target.substr(slash);
  }
  return {};
}

}  // namespace

struct RequestReader::State {
  using Parser = beast_http::request_parser<beast_http::string_body>;

  explicit State(const HttpLimits& l) : limits(l) {}

  HttpLimits limits;
  std::string in;                // not yet consumed
  uint64_t wire_bytes = 0;       // consumed by the body of this request, framing included
  size_t head_scanned = 0;       // of `in`, known not to hold the end of the header
  std::optional<Parser> parser;  // engaged once the header section is complete
  size_t header_fields = 0;
  bool expect_continue = false;
  Status status = Status::need_more;
  Fault fault;

  Status fail(Fault f) {
    fault = f;
    return status = Status::failed;
  }
  Status advance();
  Status read_header();
  Status read_body();
};

RequestReader::Status RequestReader::State::advance() {
  if (!parser) {
    const Status s = read_header();
    if (s == Status::failed || !parser) return status = s;
  }
  return status = read_body();
}

RequestReader::Status RequestReader::State::read_header() {
  // RFC 9112 §2.2: one empty line before a request is ignored.
  if (head_scanned == 0 && in.starts_with("\r\n")) in.erase(0, 2);
  if (in.empty()) return Status::need_more;
  // A TLS ClientHello (0x16) or other noise would otherwise wait for the deadline.
  const char c = in.front();
  const bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
  if (!letter && in != "\r") return fail({400, "the first byte is not of a method"});

  const auto end = in.find("\r\n\r\n", head_scanned);
  if (end == std::string::npos) {
    if (in.size() > limits.header_bytes_max)
      return fail({431, "the header section is larger than the limit"});
    head_scanned = in.size() > 3 ? in.size() - 3 : 0;
    return Status::need_more;
  }
  const size_t head_bytes = end + 4;
  if (head_bytes > limits.header_bytes_max)
    return fail({431, "the header section is larger than the limit"});
  const std::string_view block = std::string_view(in).substr(0, head_bytes);
  if (const auto bad = check_header_block(block)) return fail(*bad);

  parser.emplace();
  parser->header_limit(limits.header_bytes_max + 1);
  parser->body_limit(uint64_t{limits.body_bytes_max});
  boost::beast::error_code ec;
  const size_t used = parser->put(boost::asio::buffer(in.data(), head_bytes), ec);
  if (ec && ec != beast_http::error::need_more) return fail(fault_of(ec));
  if (!parser->is_header_done() || used != head_bytes)
    return fail({400, "the header section is not HTTP/1.1"});
  in.erase(0, head_bytes);
  head_scanned = 0;
  const auto& message = parser->get();
  header_fields = static_cast<size_t>(std::distance(message.begin(), message.end()));
  if (origin_form(view(message.target()), message.method() == beast_http::verb::options).empty())
    return fail({400, "bad request target"});
  if (const auto expect = message.find(beast_http::field::expect); expect != message.end()) {
    if (!equals_ignoring_case(view(expect->value()), "100-continue"))
      return fail({417, "only 100-continue can be expected"});
    expect_continue = message.version() == 11 && !parser->is_done();
  }
  return Status::need_more;
}

RequestReader::Status RequestReader::State::read_body() {
  parser->eager(true);
  boost::beast::error_code ec;
  while (!parser->is_done() && !in.empty()) {
    const size_t used = parser->put(boost::asio::buffer(in), ec);
    in.erase(0, used);
    wire_bytes += used;
    if (ec == beast_http::error::need_more) break;
    if (ec) return fail(fault_of(ec));
    if (used == 0) break;
  }
  if (parser->is_done()) {
    const auto& message = parser->get();
    if (static_cast<size_t>(std::distance(message.begin(), message.end())) != header_fields)
      return fail({400, "trailer fields"});
    expect_continue = false;
    return Status::complete;
  }
  // Chunk sizes and extensions are not in the body limit: bound them as well, what
  // is consumed and what waits for its line to end.
  if (wire_bytes + in.size() > 2 * uint64_t{limits.body_bytes_max} + limits.header_bytes_max)
    return fail({413, "the chunk framing is larger than the limit"});
  return Status::need_more;
}

RequestReader::RequestReader(const HttpLimits& limits) : state_(std::make_unique<State>(limits)) {}
RequestReader::~RequestReader() = default;

RequestReader::Status RequestReader::feed(std::string_view bytes) {
  state_->in.append(bytes);
  if (state_->status != Status::need_more) return state_->status;
  return state_->advance();
}

RequestReader::Status RequestReader::next() {
  State& s = *state_;
  if (s.status == Status::failed) return s.status;
  s.parser.reset();
  s.wire_bytes = 0;
  s.head_scanned = 0;
  s.expect_continue = false;
  s.status = Status::need_more;
  return s.advance();
}

RequestReader::Status RequestReader::status() const {
  return state_->status;
}

bool RequestReader::started() const {
  return state_->parser || !state_->in.empty();
}

bool RequestReader::take_expect_continue() {
  return std::exchange(state_->expect_continue, false);
}

HttpRequest RequestReader::request() const {
  const auto& message = state_->parser->get();
  HttpRequest request;
  request.method = method_of(message.method());
  request.target =
      origin_form(view(message.target()), message.method() == beast_http::verb::options);
  request.headers.reserve(state_->header_fields);
  for (const auto& field : message)
    request.headers.emplace_back(view(field.name_string()), view(field.value()));
  request.body = message.body();
  return request;
}

bool RequestReader::keep_alive() const {
  return state_->parser->keep_alive();
}
uint16_t RequestReader::error_status() const {
  return state_->fault.status;
}
std::string_view RequestReader::error_reason() const {
  return state_->fault.reason;
}

}  // namespace spillway
