// The configuration as people and scripts read it: `spillway config explain|check`.
// Pure functions; secrets are never shown, only counted.
#pragma once

#include <string>

#include "control/config_table.h"
#include "control/launcher/config_loader.h"

namespace spillway {

// One key: value, origin, default, range, names. Several lines.
std::string explain_key(const ConfigKey& key, const LoadedConfig& loaded);
// One line per key, those that differ from the default marked.
std::string explain_all(const LoadedConfig& loaded);
// Array of objects {key, value, source, place, default, expected, environment, flag,
// help}; of one key when `only` is given.
std::string explain_json(const LoadedConfig& loaded, const ConfigKey* only);
// Example file: every key with its default, commented.
std::string example_toml();

// {"ok": bool, "errors": [...], "warnings": [...]}
std::string check_json(const LoadedConfig& loaded);

}  // namespace spillway
