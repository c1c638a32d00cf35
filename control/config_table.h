// The one table of configuration keys. File, environment, flags, JSON, `config
// explain` and the example file are all derived from it, so they cannot disagree.
//
// A key "http.listen" is [http] listen in TOML, SPILLWAY_HTTP__LISTEN in the
// environment and --http.listen as a flag. Its default is what Config{} holds.
//
// Values travel as ConfigValue; set_value() is the only way into a Config and
// refuses what is out of range, naming what was expected. Pure functions on plain
// values; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "control/config.h"
#include "datapath/base/result.h"

namespace spillway {

using TextList = std::vector<std::string>;
using NumberList = std::vector<uint64_t>;
using ConfigValue = std::variant<bool, uint64_t, std::string, TextList, NumberList>;

// What a text, or each text of a list, must look like.
enum class TextForm : uint8_t {
  any,       // up to 4096 printable bytes
  choice,    // one of ConfigKey::choices
  endpoint,  // numeric address:port, port not 0
  address,   // numeric address
  prefix,    // numeric address, or address/bits
  origin,    // "*" or scheme://host[:port] (RFC 6454)
  token,     // bearer token (RFC 6750 b64token), a secret
  ice_uri,   // stun:, stuns:, turn: or turns: and host[:port] (RFC 7064, 7065)
  path,      // a file; existence is checked by check_environment()
};

// Where the value lies. Exactly one alternative per key.
using ConfigField = std::variant<bool& (*)(Config&), uint16_t& (*)(Config&), uint32_t& (*)(Config&),
                                 std::string& (*)(Config&), TextList& (*)(Config&),
                                 std::vector<uint32_t>& (*)(Config&)>;

struct ConfigKey {
  std::string_view name;  // "section.key", or "key" at the top level
  ConfigField field;
  uint64_t min = 0;  // of numbers, and of each number of a list
  uint64_t max = 0;
  TextForm form = TextForm::any;
  std::string_view choices = {};  // "auto|uring|mmsg"
  std::string_view alias = {};    // short flag without dashes; empty = none
  std::string_view help = {};     // one or two sentences for operators
  bool secret() const { return form == TextForm::token; }
};

// In the order of config.h.
std::span<const ConfigKey> config_keys();
const ConfigKey* find_config_key(std::string_view name);
// The known name nearest to a misspelt one; empty when none is near.
std::string_view nearest_config_key(std::string_view name);

std::string environment_name(const ConfigKey& key);  // "SPILLWAY_HTTP__LISTEN"
std::string flag_name(const ConfigKey& key);         // "--http.listen"
// "a number from 0 to 16", "one of auto, uring, mmsg", ... for people.
std::string expected_text(const ConfigKey& key);
std::string type_text(const ConfigKey& key);  // "boolean", "number", "text", "list of ..."

ConfigValue get_value(const Config& config, const ConfigKey& key);
ConfigValue default_value(const ConfigKey& key);
// Error: "expected <what>, got <value>"; the config is unchanged then.
Result<void> set_value(Config& config, const ConfigKey& key, const ConfigValue& value);

// From environment or flag: true/false/1/0/yes/no/on/off, decimal numbers, and lists
// separated by commas (empty text = empty list).
Result<ConfigValue> parse_text_value(const ConfigKey& key, std::string_view text);
// TOML notation, which for strings, numbers and lists is JSON's as well.
std::string toml_text(const ConfigValue& value);
// toml_text, or "(3 hidden)" for secrets.
std::string display_text(const ConfigKey& key, const ConfigValue& value);

}  // namespace spillway
