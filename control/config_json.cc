#include "control/config_json.h"

#include <unistd.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cerrno>

#include "control/config_table.h"

namespace spillway {
namespace json = boost::json;
namespace {

json::value to_json(const ConfigValue& value) {
  return std::visit(
      [](const auto& v) -> json::value {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, TextList> || std::is_same_v<T, NumberList>) {
          json::array out;
          for (const auto& item : v) out.emplace_back(item);
          return out;
        } else {
          return json::value(v);
        }
      },
      value);
}

std::optional<uint64_t> number(const json::value& v) {
  if (v.is_uint64()) return v.get_uint64();
  if (v.is_int64() && v.get_int64() >= 0) return static_cast<uint64_t>(v.get_int64());
  return std::nullopt;
}

// nullopt: no kind of value any key has. An empty array is a list of either kind, so
// the key decides.
std::optional<ConfigValue> from_json(const ConfigKey& key, const json::value& v) {
  if (v.is_bool()) return v.get_bool();
  if (v.is_string()) return std::string(v.get_string().data(), v.get_string().size());
  if (const auto n = number(v)) return *n;
  if (!v.is_array()) return std::nullopt;
  if (std::holds_alternative<NumberList>(default_value(key))) {
    NumberList out;
    for (const json::value& item : v.get_array()) {
      const auto n = number(item);
      if (!n) return std::nullopt;
      out.push_back(*n);
    }
    return out;
  }
  TextList out;
  for (const json::value& item : v.get_array()) {
    if (!item.is_string()) return std::nullopt;
    out.emplace_back(item.get_string().data(), item.get_string().size());
  }
  return out;
}

}  // namespace

std::string config_to_json(const Config& config) {
  json::object out;
  for (const ConfigKey& key : config_keys())
    out[json::string_view(key.name.data(), key.name.size())] = to_json(get_value(config, key));
  return json::serialize(out);
}

Result<Config> config_from_json(std::string_view text) {
  if (text.size() > kConfigJsonBytesMax)
    return Error{"configuration JSON is longer than " + std::to_string(kConfigJsonBytesMax) +
                 " bytes"};
  json::error_code failed;
  const json::value parsed = json::parse(json::string_view(text.data(), text.size()), failed);
  if (failed) return Error{"configuration JSON: " + failed.message()};
  const json::object* object = parsed.if_object();
  if (!object) return Error{"configuration JSON: expected an object"};
  Config config;
  for (const auto& entry : *object) {
    const std::string name(entry.key().data(), entry.key().size());
    const ConfigKey* key = find_config_key(name);
    if (!key) return Error{"configuration JSON: unknown key " + name};
    const auto value = from_json(*key, entry.value());
    if (!value) return Error{"configuration JSON: " + name + ": expected " + expected_text(*key)};
    if (auto ok = set_value(config, *key, *value); !ok)
      return Error{"configuration JSON: " + name + ": " + ok.error().text};
  }
  return config;
}

Result<Config> read_config_fd(int fd) {
  std::string text;
  char block[4096];
  for (;;) {
    const ssize_t n = ::pread(fd, block, sizeof block, static_cast<off_t>(text.size()));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error("read configuration from descriptor " + std::to_string(fd));
    if (n == 0) break;
    text.append(block, static_cast<size_t>(n));
    if (text.size() > kConfigJsonBytesMax) break;  // refused by config_from_json
  }
  return config_from_json(text);
}

}  // namespace spillway
