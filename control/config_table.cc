#include "control/config_table.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "datapath/base/endpoint.h"
#include "datapath/base/limits.h"

namespace spillway {
namespace {

constexpr size_t kTextBytesMax = 4096;
constexpr size_t kListItemsMax = 1024;

#define SPILLWAY_FIELD(Type, path) ConfigField(+[](Config& c) -> Type& { return c.path; })

// clang-format off
const std::array kKeys = {
    ConfigKey{.name = "http.listen", .field = SPILLWAY_FIELD(std::string, http.listen), .form = TextForm::endpoint, .alias = "http",
              .help = "Public API and pages: numeric address and port."},
    ConfigKey{.name = "http.admin_listen", .field = SPILLWAY_FIELD(std::string, http.admin_listen), .form = TextForm::endpoint, .alias = "admin",
              .help = "Listener of /healthz, /readyz and /metrics. It has no authentication: keep it off public addresses."},
    ConfigKey{.name = "http.tls_certificate", .field = SPILLWAY_FIELD(std::string, http.tls_certificate), .form = TextForm::path,
              .help = "PEM certificate chain of the public listener. Empty: plain HTTP."},
    ConfigKey{.name = "http.tls_key", .field = SPILLWAY_FIELD(std::string, http.tls_key), .form = TextForm::path,
              .help = "PEM private key for http.tls_certificate."},
    ConfigKey{.name = "http.insecure_http", .field = SPILLWAY_FIELD(bool, http.insecure_http),
              .help = "Allow plain HTTP on an address other machines reach, for example behind a proxy that speaks TLS."},
    ConfigKey{.name = "http.cors_origins", .field = SPILLWAY_FIELD(TextList, http.cors_origins), .form = TextForm::origin,
              .help = "Origins whose pages may use the API; \"*\" is any."},
    ConfigKey{.name = "http.pages", .field = SPILLWAY_FIELD(bool, http.pages),
              .help = "Serve the publish, watch and status pages."},
    ConfigKey{.name = "http.strict_etag", .field = SPILLWAY_FIELD(bool, http.strict_etag),
              .help = "Answer 428 to a trickle PATCH without If-Match."},
    ConfigKey{.name = "http.half_accept", .field = SPILLWAY_FIELD(bool, http.half_accept),
              .help = "WHIP: accept an offer of which some media sections must be refused, instead of answering 422."},
    ConfigKey{.name = "http.max_connections", .field = SPILLWAY_FIELD(uint32_t, http.max_connections), .min = 1, .max = 100'000,
              .help = "TCP connections open at once on the public listener; more are closed."},
    ConfigKey{.name = "http.max_connections_per_ip", .field = SPILLWAY_FIELD(uint32_t, http.max_connections_per_ip), .min = 1, .max = 100'000,
              .help = "The same per IPv4 address or IPv6 /64."},
    ConfigKey{.name = "http.trusted_proxies", .field = SPILLWAY_FIELD(TextList, http.trusted_proxies), .form = TextForm::prefix,
              .help = "Addresses or prefixes whose X-Forwarded-For is believed."},
    ConfigKey{.name = "http.ice_servers", .field = SPILLWAY_FIELD(TextList, http.ice_servers), .form = TextForm::ice_uri,
              .help = "STUN and TURN servers told to clients in Link headers."},

    ConfigKey{.name = "auth.publish_tokens", .field = SPILLWAY_FIELD(TextList, auth.publish_tokens), .form = TextForm::token,
              .help = "Bearer tokens that may publish. Empty: anybody may. Prefer the file: flags are visible to every user of the machine."},
    ConfigKey{.name = "auth.watch_tokens", .field = SPILLWAY_FIELD(TextList, auth.watch_tokens), .form = TextForm::token,
              .help = "Bearer tokens that may watch. Empty: anybody may."},
    ConfigKey{.name = "auth.accept_raw_token", .field = SPILLWAY_FIELD(bool, auth.accept_raw_token),
              .help = "Accept an Authorization header without the word Bearer."},
    ConfigKey{.name = "auth.token_names_stream", .field = SPILLWAY_FIELD(bool, auth.token_names_stream),
              .help = "On /whip/endpoint and /whep/endpoint the token is the stream's name."},
    ConfigKey{.name = "auth.delete_needs_token", .field = SPILLWAY_FIELD(bool, auth.delete_needs_token),
              .help = "Ask for the token on DELETE as well; otherwise the unguessable session URL is enough."},

    ConfigKey{.name = "media.port", .field = SPILLWAY_FIELD(uint16_t, media.port), .min = 0, .max = 65535, .alias = "port",
              .help = "UDP port of all media, IPv4 and IPv6. 0: any free one."},
    ConfigKey{.name = "media.bind", .field = SPILLWAY_FIELD(TextList, media.bind), .form = TextForm::address,
              .help = "Numeric local addresses to receive on, at most one per family. Empty: all."},
    ConfigKey{.name = "media.advertise", .field = SPILLWAY_FIELD(TextList, media.advertise), .form = TextForm::address, .alias = "advertise",
              .help = "Numeric addresses told to clients as ICE candidates, for example the public one behind 1:1 NAT. Empty: all local ones."},
    ConfigKey{.name = "media.workers", .field = SPILLWAY_FIELD(uint32_t, media.workers), .min = 0, .max = kMaxWorkers, .alias = "workers",
              .help = "Datapath threads. 0: one per usable core."},
    ConfigKey{.name = "media.cpus", .field = SPILLWAY_FIELD(std::vector<uint32_t>, media.cpus), .min = 0, .max = 1023,
              .help = "Worker i is pinned to the i-th of these CPUs. Empty: the usable ones in order."},
    ConfigKey{.name = "media.pin", .field = SPILLWAY_FIELD(bool, media.pin),
              .help = "Pin workers to CPUs."},
    ConfigKey{.name = "media.io", .field = SPILLWAY_FIELD(std::string, media.io), .form = TextForm::choice, .choices = "auto|uring|mmsg", .alias = "io",
              .help = "How packets enter and leave: io_uring, or recvmmsg/sendmmsg. auto takes io_uring where the kernel allows it."},
    ConfigKey{.name = "media.srtp", .field = SPILLWAY_FIELD(std::string, media.srtp), .form = TextForm::choice, .choices = "auto|ipsec-mb|openssl",
              .help = "Encryption library of the datapath. auto takes ipsec-mb where the CPU supports it."},
    ConfigKey{.name = "media.video_rings", .field = SPILLWAY_FIELD(uint32_t, media.video_rings), .min = 1, .max = kMaxTracks,
              .help = "Video layers that can be live at once; 3.2 MiB of address space each, memory only when used."},
    ConfigKey{.name = "media.audio_rings", .field = SPILLWAY_FIELD(uint32_t, media.audio_rings), .min = 1, .max = kMaxTracks,
              .help = "Audio tracks that can be live at once; 0.4 MiB of address space each, memory only when used."},

    ConfigKey{.name = "sessions.max", .field = SPILLWAY_FIELD(uint32_t, sessions.max), .min = 1, .max = kMaxSessions,
              .help = "Publishers and viewers at once; more are answered 503."},
    ConfigKey{.name = "sessions.max_half_open", .field = SPILLWAY_FIELD(uint32_t, sessions.max_half_open), .min = 1, .max = kMaxSessions,
              .help = "Sessions that were answered but are not connected yet."},
    ConfigKey{.name = "sessions.posts_per_second", .field = SPILLWAY_FIELD(uint32_t, sessions.posts_per_second), .min = 0, .max = 1'000'000,
              .help = "New sessions per second from everybody together; more are answered 503. 0: no limit."},
    ConfigKey{.name = "sessions.posts_per_second_per_ip", .field = SPILLWAY_FIELD(uint32_t, sessions.posts_per_second_per_ip), .min = 0, .max = 1'000'000,
              .help = "The same per IPv4 /24 or IPv6 /56; more are answered 429. 0: no limit."},
    ConfigKey{.name = "sessions.connect_timeout_s", .field = SPILLWAY_FIELD(uint32_t, sessions.connect_timeout_s), .min = 1, .max = 300,
              .help = "Seconds from the answer to a finished handshake."},
    ConfigKey{.name = "sessions.consent_timeout_s", .field = SPILLWAY_FIELD(uint32_t, sessions.consent_timeout_s), .min = 5, .max = 300,
              .help = "Seconds without any authenticated packet after which a session ends (RFC 7675: 30)."},
    ConfigKey{.name = "sessions.publisher_policy", .field = SPILLWAY_FIELD(std::string, sessions.publisher_policy), .form = TextForm::choice, .choices = "takeover|reject",
              .help = "A second publisher of a stream takes it over, or is answered 409."},
    ConfigKey{.name = "sessions.wait_for_publisher_s", .field = SPILLWAY_FIELD(uint32_t, sessions.wait_for_publisher_s), .min = 0, .max = 86'400,
              .help = "Seconds a viewer may wait for a publisher. 0: without a publisher he is answered 409 at once."},
    ConfigKey{.name = "sessions.rtx_percent", .field = SPILLWAY_FIELD(uint32_t, sessions.rtx_percent), .min = 0, .max = 100,
              .help = "Retransmissions a viewer may cause, in percent of what is sent to him."},

    ConfigKey{.name = "log.level", .field = SPILLWAY_FIELD(std::string, log.level), .form = TextForm::choice, .choices = "trace|debug|info|warn|error", .alias = "log",
              .help = "Least important messages that are written."},
    ConfigKey{.name = "log.json", .field = SPILLWAY_FIELD(bool, log.json),
              .help = "One JSON object per log line."},

    ConfigKey{.name = "drain_timeout_s", .field = SPILLWAY_FIELD(uint32_t, drain_timeout_s), .min = 0, .max = 86'400,
              .help = "After SIGTERM: seconds to wait for sessions to end by themselves."},
};
// clang-format on
#undef SPILLWAY_FIELD

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  if (text.empty()) return out;
  for (;;) {
    const size_t at = text.find(separator);
    out.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return out;
    text.remove_prefix(at + 1);
  }
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool all_of(std::string_view text, std::string_view also) {
  return std::all_of(text.begin(), text.end(),
                     [&](char c) { return alnum(c) || also.find(c) != std::string_view::npos; });
}

bool is_host_port(std::string_view text) {
  return !text.empty() && text.size() <= 300 && all_of(text, "-._:[]");
}

bool is_prefix(std::string_view text) {
  const size_t slash = text.find('/');
  const auto ip = IpAddress::parse(text.substr(0, slash));
  if (!ip) return false;
  if (slash == std::string_view::npos) return true;
  const std::string_view digits = text.substr(slash + 1);
  uint32_t bits = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  return error == std::errc{} && end == digits.data() + digits.size() &&
         bits <= (ip->is_v4() ? 32u : 128u);
}

bool is_token(std::string_view text) {
  std::string_view body = text;
  while (!body.empty() && body.back() == '=') body.remove_suffix(1);
  return !body.empty() && text.size() <= 256 && all_of(body, "-._~+/");
}

bool is_origin(std::string_view text) {
  if (text == "*") return true;
  const size_t at = text.find("://");
  return at != std::string_view::npos && at > 0 && all_of(text.substr(0, at), "+-.") &&
         is_host_port(text.substr(at + 3));
}

bool is_ice_uri(std::string_view text) {
  for (std::string_view scheme : {"stun:", "stuns:", "turn:", "turns:"})
    if (text.starts_with(scheme)) {
      std::string_view rest = text.substr(scheme.size());
      const size_t query = rest.find('?');
      return is_host_port(rest.substr(0, query)) &&
             (query == std::string_view::npos || all_of(rest.substr(query + 1), "="));
    }
  return false;
}

bool printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
}

bool text_fits(const ConfigKey& key, std::string_view text) {
  if (text.size() > kTextBytesMax || !printable(text)) return false;
  switch (key.form) {
    case TextForm::any:
    case TextForm::path:
      return true;
    case TextForm::choice: {
      const auto choices = split(key.choices, '|');
      return std::find(choices.begin(), choices.end(), text) != choices.end();
    }
    case TextForm::endpoint: {
      const auto e = Endpoint::parse(text);
      return e && e->valid();
    }
    case TextForm::address:
      return IpAddress::parse(text).has_value();
    case TextForm::prefix:
      return is_prefix(text);
    case TextForm::origin:
      return is_origin(text);
    case TextForm::token:
      return is_token(text);
    case TextForm::ice_uri:
      return is_ice_uri(text);
  }
  return false;
}

std::string form_text(const ConfigKey& key) {
  switch (key.form) {
    case TextForm::any:
      return "text of at most 4096 printable bytes";
    case TextForm::path:
      return "a file name";
    case TextForm::choice: {
      std::string out = "one of";
      for (std::string_view c : split(key.choices, '|')) out.append(" ").append(c).append(",");
      out.pop_back();
      return out;
    }
    case TextForm::endpoint:
      return "a numeric address:port such as 127.0.0.1:8080 or [::1]:8080";
    case TextForm::address:
      return "a numeric address such as 192.0.2.1 or 2001:db8::1";
    case TextForm::prefix:
      return "a numeric address or prefix such as 10.0.0.0/8";
    case TextForm::origin:
      return "\"*\" or an origin such as https://example.org";
    case TextForm::token:
      return "a token of at most 256 letters, digits and -._~+/, = at its end";
    case TextForm::ice_uri:
      return "a URI such as stun:stun.example.org:3478";
  }
  return {};
}

enum class Kind : uint8_t { boolean, number, text, text_list, number_list };

Kind kind_of(const ConfigKey& key) {
  constexpr std::array kKinds = {Kind::boolean, Kind::number,    Kind::number,
                                 Kind::text,    Kind::text_list, Kind::number_list};
  static_assert(kKinds.size() == std::variant_size_v<ConfigField>);
  return kKinds[key.field.index()];
}

std::string range_text(const ConfigKey& key) {
  return "from " + std::to_string(key.min) + " to " + std::to_string(key.max);
}

Error expected(const ConfigKey& key, const std::string& got) {
  // What was meant as a secret stays one even when it is malformed.
  return {"expected " + expected_text(key) + ", got " + (key.secret() ? "something else" : got)};
}

bool value_fits(const ConfigKey& key, const ConfigValue& value) {
  auto number = [&](uint64_t n) { return n >= key.min && n <= key.max; };
  switch (kind_of(key)) {
    case Kind::boolean:
      return std::holds_alternative<bool>(value);
    case Kind::number: {
      const auto* n = std::get_if<uint64_t>(&value);
      return n && number(*n);
    }
    case Kind::text: {
      const auto* t = std::get_if<std::string>(&value);
      // An empty path is how TLS is switched off; everything else needs a value.
      return t && (t->empty() ? key.form == TextForm::path || key.form == TextForm::any
                              : text_fits(key, *t));
    }
    case Kind::text_list: {
      const auto* list = std::get_if<TextList>(&value);
      return list && list->size() <= kListItemsMax &&
             std::all_of(list->begin(), list->end(),
                         [&](const std::string& t) { return !t.empty() && text_fits(key, t); });
    }
    case Kind::number_list: {
      const auto* list = std::get_if<NumberList>(&value);
      return list && list->size() <= kListItemsMax &&
             std::all_of(list->begin(), list->end(), number);
    }
  }
  return false;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t above = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, above + 1, diagonal + (a[i] == b[j] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row.back();
}

std::string quoted(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += "\\u00";
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[c & 15];
    } else {
      out += c;
    }
  }
  return out + '"';
}

template <typename List, typename Write>
std::string bracketed(const List& list, Write write) {
  std::string out = "[";
  for (const auto& item : list) out += (out.size() > 1 ? ", " : "") + write(item);
  return out + "]";
}

}  // namespace

std::span<const ConfigKey> config_keys() {
  return kKeys;
}

const ConfigKey* find_config_key(std::string_view name) {
  for (const ConfigKey& key : kKeys)
    if (key.name == name) return &key;
  return nullptr;
}

std::string_view nearest_config_key(std::string_view name) {
  std::string_view best;
  size_t distance = 4;  // more letters wrong than this is another word
  if (name.size() > 100) return best;
  for (const ConfigKey& key : kKeys) {
    const size_t d = edit_distance(name, key.name);
    if (d < distance) {
      distance = d;
      best = key.name;
    }
  }
  if (!best.empty()) return best;
  // The right word in the wrong section, or in none.
  const std::string_view leaf = name.substr(name.rfind('.') + 1);
  for (const ConfigKey& key : kKeys)
    if (key.name.substr(key.name.rfind('.') + 1) == leaf) return key.name;
  return best;
}

std::string environment_name(const ConfigKey& key) {
  std::string out = "SPILLWAY_";
  for (char c : key.name) {
    if (c == '.')
      out += "__";
    else
      out += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return out;
}

std::string flag_name(const ConfigKey& key) {
  return "--" + std::string(key.name);
}

std::string expected_text(const ConfigKey& key) {
  switch (kind_of(key)) {
    case Kind::boolean:
      return "true or false";
    case Kind::number:
      return "a number " + range_text(key);
    case Kind::text:
      return form_text(key);
    case Kind::text_list:
      return "a list, each " + form_text(key);
    case Kind::number_list:
      return "a list of numbers " + range_text(key);
  }
  return {};
}

std::string type_text(const ConfigKey& key) {
  switch (kind_of(key)) {
    case Kind::boolean:
      return "boolean";
    case Kind::number:
      return "number";
    case Kind::text:
      return "text";
    case Kind::text_list:
      return "list of texts";
    case Kind::number_list:
      return "list of numbers";
  }
  return {};
}

ConfigValue get_value(const Config& config, const ConfigKey& key) {
  // The accessors want a mutable Config; nothing is written through them here.
  Config& c = const_cast<Config&>(config);
  return std::visit(
      [&](auto field) -> ConfigValue {
        const auto& v = field(c);
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, uint16_t> || std::is_same_v<T, uint32_t>)
          return uint64_t{v};
        else if constexpr (std::is_same_v<T, std::vector<uint32_t>>)
          return NumberList(v.begin(), v.end());
        else
          return v;
      },
      key.field);
}

ConfigValue default_value(const ConfigKey& key) {
  return get_value(Config{}, key);
}

Result<void> set_value(Config& config, const ConfigKey& key, const ConfigValue& value) {
  if (!value_fits(key, value)) return expected(key, toml_text(value));
  std::visit(
      [&](auto field) {
        auto& target = field(config);
        using T = std::decay_t<decltype(target)>;
        if constexpr (std::is_same_v<T, uint16_t> || std::is_same_v<T, uint32_t>) {
          target = static_cast<T>(std::get<uint64_t>(value));
        } else if constexpr (std::is_same_v<T, std::vector<uint32_t>>) {
          target.clear();
          for (uint64_t n : std::get<NumberList>(value)) target.push_back(static_cast<uint32_t>(n));
        } else {
          target = std::get<T>(value);
        }
      },
      key.field);
  return {};
}

Result<ConfigValue> parse_text_value(const ConfigKey& key, std::string_view text) {
  auto number = [](std::string_view digits) -> std::optional<uint64_t> {
    uint64_t n = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), n);
    if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    return n;
  };
  ConfigValue value;
  switch (kind_of(key)) {
    case Kind::boolean:
      if (text == "true" || text == "1" || text == "yes" || text == "on")
        value = true;
      else if (text == "false" || text == "0" || text == "no" || text == "off")
        value = false;
      else
        return expected(key, quoted(text));
      break;
    case Kind::number: {
      const auto n = number(trimmed(text));
      if (!n) return expected(key, quoted(text));
      value = *n;
      break;
    }
    case Kind::text:
      value = std::string(text);
      break;
    case Kind::text_list: {
      TextList list;
      for (std::string_view item : split(text, ',')) list.emplace_back(trimmed(item));
      value = std::move(list);
      break;
    }
    case Kind::number_list: {
      NumberList list;
      for (std::string_view item : split(text, ',')) {
        const auto n = number(trimmed(item));
        if (!n) return expected(key, quoted(text));
        list.push_back(*n);
      }
      value = std::move(list);
      break;
    }
  }
  if (!value_fits(key, value)) return expected(key, quoted(text));
  return value;
}

std::string toml_text(const ConfigValue& value) {
  return std::visit(
      [](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, bool>)
          return v ? "true" : "false";
        else if constexpr (std::is_same_v<T, uint64_t>)
          return std::to_string(v);
        else if constexpr (std::is_same_v<T, std::string>)
          return quoted(v);
        else if constexpr (std::is_same_v<T, TextList>)
          return bracketed(v, [](const std::string& s) { return quoted(s); });
        else
          return bracketed(v, [](uint64_t n) { return std::to_string(n); });
      },
      value);
}

std::string display_text(const ConfigKey& key, const ConfigValue& value) {
  const auto* list = std::get_if<TextList>(&value);
  if (key.secret() && list && !list->empty())
    return std::string("(").append(std::to_string(list->size())).append(" hidden)");
  return toml_text(value);
}

}  // namespace spillway
