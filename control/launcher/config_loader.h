// From file, environment and flags to one Config: flag > environment > file > default.
//
// Every fault names its place: "spillway.toml:3:10: media.workers: expected a number
// from 0 to 16, got 99", "environment variable SPILLWAY_MEDIA__WORKERS: ...",
// "flag --media.workers: ...". All faults are reported, not only the first. Faults of
// flags are told apart because they are usage errors (exit 64, not 78).
//
// Start-up code, single-threaded.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/config.h"
#include "control/config_check.h"
#include "control/config_table.h"

namespace spillway {

inline constexpr size_t kConfigFileBytesMax = 1024 * 1024;

enum class ConfigSource : uint8_t { defaults, file, environment, flag };

struct ConfigOrigin {
  ConfigSource source = ConfigSource::defaults;
  std::string place;  // "spillway.toml:3:10", "SPILLWAY_MEDIA__WORKERS", "--workers"
};

struct ConfigInput {
  std::string file;  // empty = none
  // NAME, value; only names beginning with SPILLWAY_ matter.
  std::vector<std::pair<std::string, std::string>> environment;
  // Key name -> (flag as typed, value); lists joined by commas.
  std::map<std::string, std::pair<std::string, std::string>, std::less<>> flags;
};

struct LoadedConfig {
  Config config;
  std::map<std::string, ConfigOrigin, std::less<>> origins;  // absent = default
  std::vector<std::string> errors;                           // of file, environment and rules
  std::vector<std::string> flag_errors;
  std::vector<std::string> warnings;

  const ConfigOrigin& origin(std::string_view key) const;
};

// check_environment() is included only when `environment_checks`.
LoadedConfig load_config(const ConfigInput& input, bool environment_checks);

// TOML text, for load_config and tests; `name` is used in messages.
void load_toml(std::string_view text, const std::string& name, LoadedConfig& out);

// All of environ, split at '='.
std::vector<std::pair<std::string, std::string>> process_environment();

}  // namespace spillway
