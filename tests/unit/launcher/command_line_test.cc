// Verbs and flags as typed.
#include "control/launcher/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/config_table.h"

namespace spillway {
namespace {

using testing::HasSubstr;

CommandLine parse(std::vector<std::string> arguments, const char* environment = nullptr) {
  return parse_command_line(std::move(arguments), environment);
}

TEST(CommandLine, RunIsTheDefaultVerb) {
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {}, {"run"}, {"--port", "4000"}, {"run", "--media.port=4000"}}) {
    const CommandLine c = parse(arguments);
    EXPECT_FALSE(c.finished) << c.output;
    EXPECT_EQ(c.verb, Verb::run);
    if (arguments.size() > 1) {
      EXPECT_EQ(c.flags.at("media.port").second, "4000");
    }
  }
  EXPECT_EQ(parse({"--port", "4000"}).flags.at("media.port").first, "--port");
}

TEST(CommandLine, EveryKeyIsAFlagOfRunCheckAndExplain) {
  for (const std::vector<std::string>& verb :
       std::vector<std::vector<std::string>>{{"run"}, {"config", "check"}, {"config", "explain"}})
    for (const ConfigKey& key : config_keys()) {
      const bool boolean = std::holds_alternative<bool>(default_value(key));
      auto arguments = verb;
      arguments.push_back(flag_name(key) + "=" + (boolean ? "false" : "x"));
      const CommandLine c = parse(arguments);
      ASSERT_FALSE(c.finished) << key.name << c.output;
      EXPECT_EQ(c.flags.at(std::string(key.name)).second, boolean ? "false" : "x") << key.name;
      if (boolean) {
        arguments.back() = flag_name(key);
        EXPECT_EQ(parse(arguments).flags.at(std::string(key.name)).second, "true") << key.name;
      }
    }
}

TEST(CommandLine, ListFlagsMayBeRepeated) {
  const CommandLine c = parse({"--advertise", "192.0.2.1", "--media.advertise=192.0.2.2,::1"});
  EXPECT_EQ(c.flags.at("media.advertise").second, "192.0.2.1,192.0.2.2,::1");
}

TEST(CommandLine, ConfigVerbsTakeTheirArguments) {
  CommandLine c = parse({"config", "check", "a.toml", "--json"}, "env.toml");
  EXPECT_EQ(c.verb, Verb::config_check);
  EXPECT_EQ(c.file, "a.toml");
  EXPECT_TRUE(c.json);
  c = parse({"config", "check"}, "env.toml");
  EXPECT_EQ(c.file, "env.toml");
  c = parse({"config", "explain", "http.listen", "--value", "--config", "b.toml"});
  EXPECT_EQ(c.verb, Verb::config_explain);
  EXPECT_EQ(c.key, "http.listen");
  EXPECT_EQ(c.file, "b.toml");
  EXPECT_TRUE(c.value);
  EXPECT_EQ(parse({"version", "--json"}).verb, Verb::version);
  EXPECT_EQ(parse({"--version"}).verb, Verb::version);
}

TEST(CommandLine, WrongUsageIsExitCode64) {
  for (const auto& arguments :
       std::vector<std::vector<std::string>>{{"start"},
                                             {"--prot", "1"},
                                             {"run", "--port"},
                                             {"config"},
                                             {"config", "explain", "--value"},
                                             {"version", "--port", "1"},
                                             {"run", "extra"}}) {
    const CommandLine c = parse(arguments);
    EXPECT_TRUE(c.finished) << arguments[0];
    EXPECT_EQ(c.exit_code, 64) << arguments[0];
    EXPECT_FALSE(c.output.empty());
  }
}

TEST(CommandLine, HelpShowsKeysAndExitsWithZero) {
  const CommandLine c = parse({"run", "--help"});
  EXPECT_TRUE(c.finished);
  EXPECT_EQ(c.exit_code, 0);
  EXPECT_THAT(c.output, HasSubstr("--media.workers"));
  EXPECT_THAT(c.output, HasSubstr("spillway run"));
  EXPECT_EQ(parse({"--help"}).exit_code, 0);
  EXPECT_THAT(parse({"config", "explain", "-h"}).output, HasSubstr("KEY"));
}

}  // namespace
}  // namespace spillway
