#include "control/launcher/run_command.h"

#include <sys/prctl.h>
#include <unistd.h>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "control/launcher/command_line.h"
#include "control/launcher/config_loader.h"
#include "control/launcher/config_report.h"
#include "control/launcher/host_limits.h"
#include "control/launcher/launch_plan.h"
#include "control/launcher/service_manager.h"
#include "control/launcher/supervisor.h"
#include "control/launcher/version.h"

namespace spillway {
namespace {

void print(std::FILE* to, const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), to);
  std::fflush(to);
}

// Lines on stderr, as the children write theirs.
class Log {
 public:
  explicit Log(const Config::Log& config) : config_(config) {}
  void info(const std::string& text) const {
    if (config_.level != "warn" && config_.level != "error") line("info", text);
  }
  void warn(const std::string& text) const {
    if (config_.level != "error") line("warn", text);
  }
  void error(const std::string& text) const { line("error", text); }

 private:
  void line(const char* level, const std::string& text) const {
    if (!config_.json) {
      print(stderr, "spillway: " + text + "\n");
      return;
    }
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    tm parts{};
    ::gmtime_r(&now.tv_sec, &parts);
    char stamp[40];
    const size_t n = std::strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &parts);
    std::snprintf(stamp + n, sizeof stamp - n, ".%03ldZ", now.tv_nsec / 1'000'000);
    print(stderr, boost::json::serialize(boost::json::object{
                      {"ts", stamp}, {"level", level}, {"process", "spillway"}, {"text", text}}) +
                      "\n");
  }
  Config::Log config_;
};

// What a person types into a browser to reach http.listen from this machine.
std::string base_url(const Config::Http& http) {
  Endpoint e = Endpoint::parse(http.listen).value_or(Endpoint{});
  if (e.ip.unspecified())
    e.ip = e.ip.is_v4() ? IpAddress::v4(127, 0, 0, 1) : *IpAddress::parse("::1");
  return (http.tls_certificate.empty() ? "http://" : "https://") + e.to_string();
}

// Bytes another process wrote: bounded, and printable when shown.
template <size_t N>
std::string shown(const char (&text)[N]) {
  std::string out;
  for (size_t i = 0; i < N && text[i] != '\0'; ++i)
    out += text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?';
  return out;
}

void announce(const LaunchPlan& plan, const Log& log) {
  const Config& c = plan.config;
  const abi::ProcessStatus& datapath = *plan.datapath.status;
  const std::string facts = version_text() + " is ready: " + std::to_string(c.media.workers) +
                            (c.media.workers == 1 ? " worker, " : " workers, ") +
                            shown(datapath.io_backend) + ", " + shown(datapath.srtp_backend) +
                            ", media on UDP " + std::to_string(c.media.port);
  const std::string url = base_url(c.http);
  if (c.log.json) {
    log.info(facts + ", " + url);
    return;
  }
  std::string out = facts + "\n";
  if (c.http.pages)
    out += "  publish  " + url + "/publish/demo\n  watch    " + url + "/watch/demo\n  status   " +
           url + "/status\n";
  out += "  WHIP     " + url + "/whip/{stream}\n  WHEP     " + url + "/whep/{stream}\n";
  print(stdout, out);
}

ConfigInput input_of(const CommandLine& command) {
  ConfigInput input;
  input.file = command.file;
  input.environment = process_environment();
  input.flags = command.flags;
  return input;
}

// 0 when there is nothing to complain about.
int report_faults(const LoadedConfig& loaded) {
  for (const auto* list : {&loaded.flag_errors, &loaded.errors})
    for (const std::string& e : *list) print(stderr, "spillway: " + e + "\n");
  return !loaded.flag_errors.empty() ? kExitUsage : !loaded.errors.empty() ? kExitRefused : 0;
}

int check(const CommandLine& command) {
  const LoadedConfig loaded = load_config(input_of(command), true);
  if (command.json) {
    print(stdout, check_json(loaded));
    return !loaded.flag_errors.empty() ? kExitUsage : !loaded.errors.empty() ? kExitRefused : 0;
  }
  const int code = report_faults(loaded);
  for (const std::string& w : loaded.warnings) print(stderr, "spillway: warning: " + w + "\n");
  if (code == 0)
    print(stdout, (command.file.empty() ? "configuration" : command.file) + ": good\n");
  return code;
}

int explain(const CommandLine& command) {
  if (command.toml) {
    print(stdout, example_toml());
    return 0;
  }
  const ConfigKey* key = nullptr;
  if (!command.key.empty() && !(key = find_config_key(command.key))) {
    const std::string_view near = nearest_config_key(command.key);
    print(stderr, "spillway: unknown key " + command.key +
                      (near.empty() ? "" : "; did you mean " + std::string(near) + "?") + "\n");
    return kExitUsage;
  }
  const LoadedConfig loaded = load_config(input_of(command), false);
  if (const int code = report_faults(loaded); code != 0) return code;
  if (command.value) {
    const ConfigValue value = get_value(loaded.config, *key);
    const auto* text = std::get_if<std::string>(&value);
    print(stdout, (text ? *text : display_text(*key, value)) + "\n");
  } else if (command.json) {
    print(stdout, explain_json(loaded, key));
  } else {
    print(stdout, key ? explain_key(*key, loaded) : explain_all(loaded));
  }
  return 0;
}

int run(const CommandLine& command) {
  const LoadedConfig loaded = load_config(input_of(command), true);
  if (const int code = report_faults(loaded); code != 0) return code;
  const Log log(loaded.config.log);
  for (const std::string& w : loaded.warnings) log.warn(w);

  ::prctl(PR_SET_DUMPABLE, 0);  // secrets pass through this process once
  for (const std::string& w : raise_limits(loaded.config, abi::region_bytes(abi::RegionKind::keys)))
    log.warn(w);
  auto directory = own_directory();
  if (!directory) {
    log.error(directory.error().text);
    return kExitRefused;
  }
  auto plan = make_launch_plan(loaded.config, *directory);
  if (!plan) {
    log.error(plan.error().text);
    return kExitRefused;
  }
  for (const std::string& n : plan->notes) log.warn(n);

  ServiceManager manager = ServiceManager::from_environment();
  SupervisorOptions options;
  options.watchdog = command.watchdog;
  options.drain_timeout = seconds(plan->config.drain_timeout_s);
  SupervisorHooks hooks;
  hooks.info = [&](const std::string& text) { log.info(text); };
  hooks.alarm = [&](const std::string& text) { log.error(text); };
  hooks.ready = [&] {
    announce(*plan, log);
    manager.ready(base_url(plan->config.http));
  };
  hooks.stopping = [&] { manager.stopping(); };
  hooks.turn = [&] {
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    manager.turn({t.tv_sec * 1'000'000'000 + t.tv_nsec});
  };
  Supervisor supervisor(options, plan->control, plan->datapath, std::move(hooks));
  const int code = supervisor.run();
  if (code == 0) log.info("stopped");
  return code;
}

}  // namespace

int run_command(const std::vector<std::string>& arguments) {
  const CommandLine command = parse_command_line(arguments, std::getenv("SPILLWAY_CONFIG"));
  if (command.finished) {
    print(command.exit_code == 0 ? stdout : stderr,
          (command.exit_code == 0 ? "" : "spillway: ") + command.output);
    return command.exit_code;
  }
  switch (command.verb) {
    case Verb::run:
      return run(command);
    case Verb::config_check:
      return check(command);
    case Verb::config_explain:
      return explain(command);
    case Verb::version:
      print(stdout, command.json ? version_json() : version_text() + "\n");
      return 0;
  }
  return kExitUsage;
}

}  // namespace spillway
