#include "control/launcher/config_report.h"

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

namespace spillway {
namespace json = boost::json;
namespace {

constexpr size_t kCommentColumns = 80;

std::string_view source_text(ConfigSource source) {
  switch (source) {
    case ConfigSource::defaults:
      return "default";
    case ConfigSource::file:
      return "file";
    case ConfigSource::environment:
      return "environment";
    case ConfigSource::flag:
      return "flag";
  }
  return {};
}

std::string shown(const ConfigKey& key, const Config& config) {
  return display_text(key, get_value(config, key));
}

std::string flags_text(const ConfigKey& key) {
  return flag_name(key) + (key.alias.empty() ? "" : ", --" + std::string(key.alias));
}

// Text broken at spaces, each line after `prefix`.
std::string wrapped(std::string_view text, std::string_view prefix) {
  std::string out;
  std::string line(prefix);
  bool empty = true;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    if (!empty && line.size() + 1 + word.size() > kCommentColumns) {
      out += line + "\n";
      line = prefix;
      empty = true;
    }
    line += (empty ? "" : " ") + std::string(word);
    empty = false;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out + line + "\n";
}

json::array texts(const std::vector<std::string>& lines) {
  json::array out;
  for (const std::string& line : lines) out.emplace_back(line);
  return out;
}

json::string text(std::string_view s) {
  return json::string(s.data(), s.size());
}

json::value value_json(const ConfigKey& key, const ConfigValue& value) {
  if (key.secret()) return text(display_text(key, value));
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

}  // namespace

std::string explain_key(const ConfigKey& key, const LoadedConfig& loaded) {
  const ConfigOrigin& origin = loaded.origin(key.name);
  std::string out = std::string(key.name) + " = " + shown(key, loaded.config) + "\n";
  out += wrapped(key.help, "  ");
  out += "  from         " + (origin.place.empty() ? "the default" : origin.place) + "\n";
  out += "  default      " + shown(key, Config{}) + "\n";
  out += "  expected     " + expected_text(key) + "\n";
  out += "  environment  " + environment_name(key) + "\n";
  out += "  flag         " + flags_text(key) + "\n";
  return out;
}

std::string explain_all(const LoadedConfig& loaded) {
  std::string out;
  for (const ConfigKey& key : config_keys()) {
    const ConfigOrigin& origin = loaded.origin(key.name);
    std::string line = std::string(key.name) + " = " + shown(key, loaded.config);
    if (origin.source != ConfigSource::defaults) {
      line.resize(std::max<size_t>(line.size(), 48), ' ');
      line += "  # " + origin.place + ", default " + shown(key, Config{});
    }
    out += line + "\n";
  }
  return out;
}

std::string explain_json(const LoadedConfig& loaded, const ConfigKey* only) {
  json::array out;
  for (const ConfigKey& key : config_keys()) {
    if (only && only->name != key.name) continue;
    const ConfigOrigin& origin = loaded.origin(key.name);
    json::object item;
    item["key"] = text(key.name);
    item["value"] = value_json(key, get_value(loaded.config, key));
    item["source"] = text(source_text(origin.source));
    item["place"] = text(origin.place);
    item["default"] = value_json(key, default_value(key));
    item["type"] = text(type_text(key));
    item["expected"] = text(expected_text(key));
    item["environment"] = text(environment_name(key));
    item["flag"] = text(flag_name(key));
    item["help"] = text(key.help);
    out.push_back(std::move(item));
  }
  return json::serialize(out) + "\n";
}

std::string example_toml() {
  std::string out =
      "# Spillway's configuration, every key with its default. What is left out keeps its\n"
      "# default; an unknown key is an error.\n"
      "#\n"
      "# Precedence: flag (--http.listen X) > environment (SPILLWAY_HTTP__LISTEN=X) > this\n"
      "# file > default. Check it with:  spillway config check FILE\n"
      "# This file is the output of:     spillway config explain --toml\n";
  auto entry = [&](const ConfigKey& key) {
    const size_t dot = key.name.find('.');
    out += "\n" + wrapped(key.help, "# ") + wrapped("Expected: " + expected_text(key) + ".", "# ");
    out += std::string(dot == std::string_view::npos ? key.name : key.name.substr(dot + 1)) +
           " = " + toml_text(default_value(key)) + "\n";
  };
  // Keys without a section must stand before the first section.
  for (const ConfigKey& key : config_keys())
    if (key.name.find('.') == std::string_view::npos) entry(key);
  std::string_view section;
  for (const ConfigKey& key : config_keys()) {
    const size_t dot = key.name.find('.');
    if (dot == std::string_view::npos) continue;
    if (key.name.substr(0, dot) != section) {
      section = key.name.substr(0, dot);
      out += "\n[" + std::string(section) + "]\n";
    }
    entry(key);
  }
  return out;
}

std::string check_json(const LoadedConfig& loaded) {
  std::vector<std::string> errors = loaded.flag_errors;
  errors.insert(errors.end(), loaded.errors.begin(), loaded.errors.end());
  json::object out;
  out["ok"] = errors.empty();
  out["errors"] = texts(errors);
  out["warnings"] = texts(loaded.warnings);
  return json::serialize(out) + "\n";
}

}  // namespace spillway
