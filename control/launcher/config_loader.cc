#include "control/launcher/config_loader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>

#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include "datapath/base/result.h"

namespace spillway {
namespace {

const ConfigOrigin kDefaultOrigin;

// What is wrong and where, so that messages come in the order of the file.
struct Fault {
  uint32_t line;
  uint32_t column;
  std::string text;
};
using Faults = std::vector<Fault>;

std::string place_of(const std::string& name, const toml::source_region& where) {
  return name + ":" + std::to_string(where.begin.line) + ":" + std::to_string(where.begin.column);
}

std::string did_you_mean(std::string_view name) {
  const std::string_view near = nearest_config_key(name);
  return near.empty() ? "" : "; did you mean " + std::string(near) + "?";
}

// What was found where a key's value was expected, without showing it in full.
std::string kind_text(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::string:
      return "text";
    case toml::node_type::integer:
      return "a number";
    case toml::node_type::floating_point:
      return "a floating-point number";
    case toml::node_type::boolean:
      return "a boolean";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::table:
      return "a table";
    default:
      return "a date or time";
  }
}

std::optional<ConfigValue> value_of(const ConfigKey& key, const toml::node& node) {
  if (const auto* b = node.as_boolean()) return b->get();
  if (const auto* s = node.as_string()) return s->get();
  if (const auto* n = node.as_integer())
    return n->get() >= 0 ? std::optional<ConfigValue>(static_cast<uint64_t>(n->get()))
                         : std::nullopt;
  const auto* array = node.as_array();
  if (!array) return std::nullopt;
  if (std::holds_alternative<NumberList>(default_value(key))) {
    NumberList out;
    for (const toml::node& item : *array) {
      const auto* n = item.as_integer();
      if (!n || n->get() < 0) return std::nullopt;
      out.push_back(static_cast<uint64_t>(n->get()));
    }
    return out;
  }
  TextList out;
  for (const toml::node& item : *array) {
    const auto* s = item.as_string();
    if (!s) return std::nullopt;
    out.push_back(s->get());
  }
  return out;
}

void add(Faults& faults, const toml::source_region& where, std::string text) {
  faults.push_back({where.begin.line, where.begin.column, std::move(text)});
}

void load_node(const toml::key& name, const toml::node& node, const std::string& path,
               const std::string& file, LoadedConfig& out, Faults& faults) {
  const ConfigKey* key = find_config_key(path);
  if (!key) {
    add(faults, name.source(), "unknown key " + path + did_you_mean(path));
    return;
  }
  const auto value = value_of(*key, node);
  if (!value) {
    add(faults, node.source(),
        path + ": expected " + expected_text(*key) + ", got " +
            (node.is_integer() ? "a negative number" : kind_text(node)));
    return;
  }
  if (auto ok = set_value(out.config, *key, *value); !ok)
    add(faults, node.source(), path + ": " + ok.error().text);
  else
    out.origins[path] = {ConfigSource::file, place_of(file, node.source())};
}

bool is_section(std::string_view name) {
  for (const ConfigKey& key : config_keys())
    if (key.name.size() > name.size() && key.name.starts_with(name) && key.name[name.size()] == '.')
      return true;
  return false;
}

std::string section_names() {
  std::string out;
  std::string_view last;
  for (const ConfigKey& key : config_keys()) {
    const size_t dot = key.name.find('.');
    if (dot == std::string_view::npos || key.name.substr(0, dot) == last) continue;
    last = key.name.substr(0, dot);
    out += (out.empty() ? "" : ", ") + std::string(last);
  }
  return out;
}

Result<std::string> read_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno_error(path);
  std::string text;
  char block[8192];
  for (;;) {
    const ssize_t n = ::read(fd, block, sizeof block);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      Error e = errno_error(path);
      ::close(fd);
      return e;
    }
    if (n == 0) break;
    text.append(block, static_cast<size_t>(n));
    if (text.size() > kConfigFileBytesMax) {
      ::close(fd);
      return Error{path + ": longer than " + std::to_string(kConfigFileBytesMax) +
                   " bytes: is this a configuration file?"};
    }
  }
  ::close(fd);
  return text;
}

// In Kubernetes a service called "spillway" puts these into every container.
bool is_foreign(std::string_view name) {
  return name.starts_with("SPILLWAY_SERVICE_") || name == "SPILLWAY_PORT" ||
         name.starts_with("SPILLWAY_PORT_");
}

void load_environment(const ConfigInput& input, LoadedConfig& out) {
  for (const auto& [name, text] : input.environment) {
    if (!name.starts_with("SPILLWAY_") || name == "SPILLWAY_CONFIG" || is_foreign(name)) continue;
    const ConfigKey* key = nullptr;
    for (const ConfigKey& k : config_keys())
      if (environment_name(k) == name) key = &k;
    const std::string where = "environment variable " + name + ": ";
    if (!key) {
      std::string wanted;
      for (size_t i = 9; i < name.size(); ++i) {
        if (name.compare(i, 2, "__") == 0) {
          wanted += '.';
          ++i;
        } else {
          wanted +=
              name[i] >= 'A' && name[i] <= 'Z' ? static_cast<char>(name[i] - 'A' + 'a') : name[i];
        }
      }
      const std::string_view near = nearest_config_key(wanted);
      const ConfigKey* nearest = find_config_key(near);
      out.errors.push_back(where + "no such key" +
                           (nearest ? "; did you mean " + environment_name(*nearest) + "?" : ""));
      continue;
    }
    const auto value = parse_text_value(*key, text);
    if (!value) {
      out.errors.push_back(where + value.error().text);
      continue;
    }
    if (auto ok = set_value(out.config, *key, *value); !ok)
      out.errors.push_back(where + ok.error().text);
    else
      out.origins[std::string(key->name)] = {ConfigSource::environment, name};
  }
}

void load_flags(const ConfigInput& input, LoadedConfig& out) {
  for (const auto& [name, typed] : input.flags) {
    const auto& [flag, text] = typed;
    const ConfigKey* key = find_config_key(name);
    if (!key) {
      out.flag_errors.push_back("flag " + flag + ": no such key" + did_you_mean(name));
      continue;
    }
    const auto value = parse_text_value(*key, text);
    if (!value) {
      out.flag_errors.push_back("flag " + flag + ": " + value.error().text);
      continue;
    }
    if (auto ok = set_value(out.config, *key, *value); !ok)
      out.flag_errors.push_back("flag " + flag + ": " + ok.error().text);
    else
      out.origins[name] = {ConfigSource::flag, flag};
  }
}

void take(const std::vector<ConfigProblem>& problems, LoadedConfig& out) {
  for (const ConfigProblem& p : problems) {
    const ConfigOrigin& origin = out.origin(p.key);
    std::string text = p.key;
    if (origin.source != ConfigSource::defaults) text += " (" + origin.place + ")";
    (p.fatal ? out.errors : out.warnings).push_back(text + ": " + p.text);
  }
}

}  // namespace

const ConfigOrigin& LoadedConfig::origin(std::string_view key) const {
  const auto it = origins.find(key);
  return it == origins.end() ? kDefaultOrigin : it->second;
}

void load_toml(std::string_view text, const std::string& name, LoadedConfig& out) {
  const toml::parse_result parsed = toml::parse(text, name);
  if (!parsed) {
    out.errors.push_back(place_of(name, parsed.error().source()) + ": " +
                         std::string(parsed.error().description()));
    return;
  }
  Faults faults;
  for (const auto& [key, node] : parsed.table()) {
    const std::string path(key.str());
    const toml::table* section = node.as_table();
    if (section && is_section(path)) {
      for (const auto& [inner_key, inner] : *section)
        load_node(inner_key, inner, path + "." + std::string(inner_key.str()), name, out, faults);
    } else if (section && !find_config_key(path)) {
      add(faults, key.source(), "unknown section [" + path + "]; known are " + section_names());
    } else if (is_section(path) && !find_config_key(path)) {
      add(faults, key.source(), path + " is a section: expected [" + path + "] and keys below it");
    } else {
      load_node(key, node, path, name, out, faults);
    }
  }
  std::stable_sort(faults.begin(), faults.end(), [](const Fault& a, const Fault& b) {
    return std::pair(a.line, a.column) < std::pair(b.line, b.column);
  });
  for (const Fault& f : faults)
    out.errors.push_back(name + ":" + std::to_string(f.line) + ":" + std::to_string(f.column) +
                         ": " + f.text);
}

LoadedConfig load_config(const ConfigInput& input, bool environment_checks) {
  LoadedConfig out;
  if (!input.file.empty()) {
    auto text = read_file(input.file);
    if (text)
      load_toml(*text, input.file, out);
    else
      out.errors.push_back("configuration file " + text.error().text);
  }
  load_environment(input, out);
  load_flags(input, out);
  // Rules between keys would only repeat what a bad key already caused.
  if (!out.errors.empty() || !out.flag_errors.empty()) return out;
  take(check_config(out.config), out);
  if (environment_checks) take(check_environment(out.config), out);
  return out;
}

std::vector<std::pair<std::string, std::string>> process_environment() {
  std::vector<std::pair<std::string, std::string>> out;
  for (char** p = environ; p && *p; ++p) {
    const std::string_view entry = *p;
    const size_t at = entry.find('=');
    if (at != std::string_view::npos) out.emplace_back(entry.substr(0, at), entry.substr(at + 1));
  }
  return out;
}

}  // namespace spillway
