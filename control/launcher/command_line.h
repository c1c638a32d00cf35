// The operator's command line, parsed: `spillway [run|config check|config explain|
// version] [flags]`. Every key of config_table.h is a flag; without a verb it is run.
//
// Errors are usage errors (exit 64). Prints nothing itself.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace spillway {

enum class Verb : uint8_t { run, config_check, config_explain, version };

struct CommandLine {
  Verb verb = Verb::run;
  bool json = false;
  bool toml = false;
  bool value = false;
  bool watchdog = true;
  std::string file;  // --config, FILE, or SPILLWAY_CONFIG
  std::string key;   // of explain; empty = all
  // As ConfigInput::flags.
  std::map<std::string, std::pair<std::string, std::string>, std::less<>> flags;

  bool finished = false;  // help was asked for or something is wrong
  int exit_code = 0;
  std::string output;  // help text, or what is wrong
};

CommandLine parse_command_line(std::vector<std::string> arguments, const char* config_from_env);

}  // namespace spillway
