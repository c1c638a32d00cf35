#include "control/launcher/command_line.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>

#include "control/config_table.h"
#include "control/launcher/supervisor.h"

namespace spillway {
namespace {

constexpr const char* kFooter =
    "Every key can also stand in a TOML file (--config) and in the environment\n"
    "(SPILLWAY_HTTP__LISTEN). Precedence: flag, environment, file, default.\n"
    "Exit codes: 0 orderly end, 64 wrong usage, 78 configuration or machine refused.";

// What was typed for a key, as one text: list flags may be repeated.
std::string joined(const std::vector<std::string>& results) {
  std::string out;
  for (const std::string& r : results) out += (out.empty() ? "" : ",") + r;
  return out;
}

using KeyOptions = std::vector<std::pair<const ConfigKey*, CLI::Option*>>;

void add_keys(CLI::App& app, KeyOptions& out) {
  for (const ConfigKey& key : config_keys()) {
    std::string names = flag_name(key);
    if (!key.alias.empty()) names += ",--" + std::string(key.alias);
    // const: a mutable text would be taken for the variable to write to.
    const std::string help =
        std::string(key.help) + " Default " + display_text(key, default_value(key)) + ".";
    const size_t dot = key.name.find('.');
    const std::string group =
        dot == std::string_view::npos ? "process" : std::string(key.name.substr(0, dot));
    const ConfigValue value = default_value(key);
    CLI::Option* option = nullptr;
    if (std::holds_alternative<bool>(value)) {
      option = app.add_flag(names, help);
    } else {
      option = app.add_option(names, help)->type_name(type_text(key))->expected(1);
      option->allow_extra_args(false);
      const bool list =
          std::holds_alternative<TextList>(value) || std::holds_alternative<NumberList>(value);
      option->multi_option_policy(list ? CLI::MultiOptionPolicy::TakeAll
                                       : CLI::MultiOptionPolicy::TakeLast);
    }
    option->group(group);
    out.emplace_back(&key, option);
  }
}

void take_keys(const KeyOptions& options, const std::vector<std::string>& arguments,
               CommandLine& out) {
  for (const auto& [key, option] : options) {
    if (option->count() == 0) continue;
    // The name in messages is the one that was typed.
    std::string typed = flag_name(*key);
    const std::string alias = "--" + std::string(key->alias);
    if (!key->alias.empty())
      for (const std::string& a : arguments)
        if (a == alias || a.starts_with(alias + "=")) typed = alias;
    const std::vector<std::string> results = option->results();
    const bool is_flag = std::holds_alternative<bool>(default_value(*key));
    out.flags[std::string(key->name)] = {typed, is_flag ? results.back() : joined(results)};
  }
}

}  // namespace

CommandLine parse_command_line(std::vector<std::string> arguments, const char* config_from_env) {
  CommandLine out;
  if (config_from_env) out.file = config_from_env;
  const bool flag_first = !arguments.empty() && arguments[0].starts_with('-') &&
                          arguments[0] != "--help" && arguments[0] != "-h" &&
                          arguments[0] != "--version";
  if (arguments.empty() || flag_first) arguments.insert(arguments.begin(), "run");

  CLI::App app("Spillway, a WebRTC forwarding appliance: WHIP in, WHEP out.", "spillway");
  app.footer(kFooter);
  app.require_subcommand(0, 1);
  bool version_flag = false;
  app.add_flag("--version", version_flag, "Same as the verb version");
  KeyOptions run_keys, check_keys, explain_keys;
  auto file_option = [&](CLI::App* verb) {
    verb->add_option("--config", out.file, "TOML file [$SPILLWAY_CONFIG]")->type_name("FILE");
  };

  CLI::App* run = app.add_subcommand("run", "Start Spillway (the default)");
  file_option(run);
  bool no_watchdog = false;
  run->add_flag("--no-watchdog", no_watchdog, "Do not kill a process that hangs (debuggers)");
  add_keys(*run, run_keys);

  CLI::App* config = app.add_subcommand("config", "Look at the configuration without starting");
  config->require_subcommand(1);
  CLI::App* check = config->add_subcommand("check", "Read it and say what is wrong");
  check->add_option("FILE", out.file, "TOML file")->type_name("");
  file_option(check);
  check->add_flag("--json", out.json, "Machine-readable");
  add_keys(*check, check_keys);
  CLI::App* explain = config->add_subcommand("explain", "Values in force and where they come from");
  explain->add_option("KEY", out.key, "One key, such as http.listen")->type_name("");
  file_option(explain);
  explain->add_flag("--json", out.json, "Machine-readable");
  explain->add_flag("--toml", out.toml, "An example file: every key with its default");
  explain->add_flag("--value", out.value, "Only the value of KEY, for scripts");
  add_keys(*explain, explain_keys);

  CLI::App* version = app.add_subcommand("version", "What this build is made of");
  version->add_flag("--json", out.json, "Machine-readable");

  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    app.parse(reversed);
  } catch (const CLI::Success&) {  // help was asked for
    out.finished = true;
    out.output = app.help();
    for (const CLI::App* verb : {run, config, version})
      if (verb->parsed()) out.output = verb->help("spillway") + "\n" + kFooter + "\n";
    for (const CLI::App* verb : {check, explain})
      if (verb->parsed()) out.output = verb->help("spillway config");
    return out;
  } catch (const CLI::ParseError& e) {
    out.finished = true;
    out.exit_code = kExitUsage;
    out.output = std::string(e.what()) + "; see spillway --help\n";
    return out;
  }
  out.watchdog = !no_watchdog;
  if (run->parsed()) take_keys(run_keys, arguments, out);
  if (check->parsed()) take_keys(check_keys, arguments, out);
  if (explain->parsed()) take_keys(explain_keys, arguments, out);
  out.verb = version_flag || version->parsed() ? Verb::version
             : check->parsed()                 ? Verb::config_check
             : explain->parsed()               ? Verb::config_explain
                                               : Verb::run;
  if (out.verb == Verb::config_explain && out.value && out.key.empty()) {
    out.finished = true;
    out.exit_code = kExitUsage;
    out.output = "config explain --value needs a KEY\n";
  }
  return out;
}

}  // namespace spillway
