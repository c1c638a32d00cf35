// The configuration: each key by each of its four ways in, precedence, messages with
// places, rules between keys, and the forms it is shown in.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>
#include <cstdlib>
#include <fstream>

#include "control/config_check.h"
#include "control/config_json.h"
#include "control/config_table.h"
#include "control/launcher/config_loader.h"
#include "control/launcher/config_report.h"

namespace spillway {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A value that is valid and not the default.
ConfigValue other_value(const ConfigKey& key) {
  const ConfigValue value = default_value(key);
  if (const auto* b = std::get_if<bool>(&value)) return !*b;
  if (const auto* n = std::get_if<uint64_t>(&value)) return *n == key.min ? key.max : key.min;
  if (std::holds_alternative<NumberList>(value)) return NumberList{key.min, key.max};
  std::string text;
  switch (key.form) {
    case TextForm::any:
    case TextForm::path:
      text = "/etc/some where.pem";
      break;
    case TextForm::choice:
      text = std::string(key.choices.substr(key.choices.rfind('|') + 1));
      break;
    case TextForm::endpoint:
      text = "[2001:db8::1]:7443";
      break;
    case TextForm::address:
      text = "2001:db8::1";
      break;
    case TextForm::prefix:
      text = "10.0.0.0/8";
      break;
    case TextForm::origin:
      text = "https://example.org:8443";
      break;
    case TextForm::token:
      text = "abcDEF-._~+/123==";
      break;
    case TextForm::ice_uri:
      text = "turn:turn.example.org:3478?transport=udp";
      break;
  }
  if (std::holds_alternative<TextList>(value)) return TextList{text, text};
  return text;
}

// As an operator would write it in the environment or after a flag.
std::string plain_text(const ConfigValue& value) {
  if (const auto* s = std::get_if<std::string>(&value)) return *s;
  if (const auto* list = std::get_if<TextList>(&value)) {
    std::string out;
    for (const std::string& s : *list) out += (out.empty() ? "" : ",") + s;
    return out;
  }
  if (const auto* list = std::get_if<NumberList>(&value)) {
    std::string out;
    for (uint64_t n : *list) out += (out.empty() ? "" : ",") + std::to_string(n);
    return out;
  }
  return toml_text(value);
}

std::string toml_of(const ConfigKey& key, const std::string& value) {
  const size_t dot = key.name.find('.');
  if (dot == std::string_view::npos) return std::string(key.name) + " = " + value + "\n";
  return "[" + std::string(key.name.substr(0, dot)) + "]\n" +
         std::string(key.name.substr(dot + 1)) + " = " + value + "\n";
}

LoadedConfig from_toml(std::string_view text) {
  LoadedConfig out;
  load_toml(text, "test.toml", out);
  return out;
}

class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& text) {
    const int fd = ::mkstemp(path_.data());
    EXPECT_GE(fd, 0);
    EXPECT_EQ(::write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    ::close(fd);
  }
  ~TemporaryFile() { ::unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/spillway-config-XXXXXX";
};

TEST(ConfigTable, EveryKeyOfTheStructHasAName) {
  // Aim: a field added to Config without a table entry would be settable by nothing.
  // 13 http + 5 auth + 10 media + 9 sessions + 2 log + drain_timeout_s; the size of
  // Config changes with every field, so this reminds whoever adds one.
  EXPECT_EQ(config_keys().size(), 40u);
  EXPECT_EQ(sizeof(Config), sizeof(Config::Http) + sizeof(Config::Auth) + sizeof(Config::Media) +
                                sizeof(Config::Sessions) + sizeof(Config::Log) + 8);
}

TEST(ConfigTable, NamesAndFieldsAreDistinct) {
  // Aim: a copied table line that still points at its neighbour's field.
  for (const ConfigKey& key : config_keys()) {
    Config changed;
    ASSERT_TRUE(set_value(changed, key, other_value(key)).ok()) << key.name;
    for (const ConfigKey& other : config_keys()) {
      if (other.name == key.name)
        EXPECT_NE(get_value(changed, other), default_value(other)) << key.name;
      else
        EXPECT_EQ(get_value(changed, other), default_value(other)) << key.name << other.name;
    }
    EXPECT_FALSE(key.help.empty()) << key.name;
  }
}

TEST(ConfigTable, DefaultsAreAcceptedByTheirOwnRules) {
  for (const ConfigKey& key : config_keys()) {
    Config config;
    EXPECT_TRUE(set_value(config, key, default_value(key)).ok()) << key.name;
  }
  EXPECT_THAT(check_config(Config{}), IsEmpty());
}

TEST(ConfigWays, EachKeyByFileEnvironmentFlagAndJson) {
  for (const ConfigKey& key : config_keys()) {
    SCOPED_TRACE(std::string(key.name));
    const ConfigValue value = other_value(key);

    const LoadedConfig file = from_toml(toml_of(key, toml_text(value)));
    EXPECT_THAT(file.errors, IsEmpty());
    EXPECT_EQ(get_value(file.config, key), value);
    EXPECT_EQ(file.origin(key.name).source, ConfigSource::file);

    ConfigInput environment;
    environment.environment = {{environment_name(key), plain_text(value)}};
    const LoadedConfig env = load_config(environment, false);
    EXPECT_EQ(get_value(env.config, key), value);
    EXPECT_EQ(env.origin(key.name).place, environment_name(key));

    ConfigInput flags;
    flags.flags[std::string(key.name)] = {flag_name(key), plain_text(value)};
    const LoadedConfig flag = load_config(flags, false);
    EXPECT_EQ(get_value(flag.config, key), value);
    EXPECT_EQ(flag.origin(key.name).source, ConfigSource::flag);

    Config config;
    ASSERT_TRUE(set_value(config, key, value).ok());
    auto json = config_from_json(config_to_json(config));
    ASSERT_TRUE(json.ok()) << json.error().text;
    for (const ConfigKey& k : config_keys())
      EXPECT_EQ(get_value(*json, k), get_value(config, k)) << k.name;
  }
}

TEST(ConfigWays, FlagBeatsEnvironmentBeatsFileBeatsDefault) {
  const TemporaryFile file("[media]\nport = 1001\nworkers = 3\nvideo_rings = 7\n");
  ConfigInput input;
  input.file = file.path();
  input.environment = {{"SPILLWAY_MEDIA__PORT", "1002"}, {"SPILLWAY_MEDIA__WORKERS", "4"}};
  input.flags["media.port"] = {"--port", "1003"};
  const LoadedConfig loaded = load_config(input, false);
  EXPECT_THAT(loaded.errors, IsEmpty());
  EXPECT_EQ(loaded.config.media.port, 1003);
  EXPECT_EQ(loaded.config.media.workers, 4u);
  EXPECT_EQ(loaded.config.media.video_rings, 7u);
  EXPECT_EQ(loaded.config.media.audio_rings, Config{}.media.audio_rings);
  EXPECT_EQ(loaded.origin("media.port").place, "--port");
  EXPECT_EQ(loaded.origin("media.video_rings").place, file.path() + ":4:15");
}

TEST(ConfigErrors, FileNamesLineColumnAndExpectation) {
  const LoadedConfig loaded = from_toml(
      "drain_timeout_s = true\n"       // 1
      "[http]\n"                       // 2
      "listen = \"localhost:8080\"\n"  // 3
      "listn = \"127.0.0.1:1\"\n"      // 4
      "[media]\n"                      // 5
      "workers = 17\n"                 // 6
      "port = -1\n"                    // 7
      "io = \"xdp\"\n"                 // 8
      "cpus = [0, \"1\"]\n"            // 9
      "[sesions]\n"                    // 10
      "max = 3\n");                    // 11
  EXPECT_THAT(
      loaded.errors,
      ElementsAre(
          "test.toml:1:19: drain_timeout_s: expected a number from 0 to 86400, got true",
          "test.toml:3:10: http.listen: expected a numeric address:port such as 127.0.0.1:8080 "
          "or [::1]:8080, got \"localhost:8080\"",
          "test.toml:4:1: unknown key http.listn; did you mean http.listen?",
          "test.toml:6:11: media.workers: expected a number from 0 to 16, got 17",
          "test.toml:7:8: media.port: expected a number from 0 to 65535, got a negative number",
          "test.toml:8:6: media.io: expected one of auto, uring, mmsg, got \"xdp\"",
          "test.toml:9:8: media.cpus: expected a list of numbers from 0 to 1023, got a list",
          "test.toml:10:2: unknown section [sesions]; known are http, auth, media, sessions, "
          "log"));
}

TEST(ConfigErrors, SyntaxErrorHasItsPlace) {
  EXPECT_THAT(from_toml("[http]\nlisten = \n").errors,
              ElementsAre(testing::StartsWith("test.toml:2:")));
  EXPECT_THAT(from_toml("http = 3\n").errors,
              ElementsAre("test.toml:1:1: http is a section: expected [http] and keys below it"));
}

TEST(ConfigErrors, EnvironmentAndFlagAreNamed) {
  ConfigInput input;
  input.environment = {{"SPILLWAY_MEDIA__WORKERS", "many"},
                       {"SPILLWAY_HTTP_LISTEN", "127.0.0.1:1"},
                       {"SPILLWAY_HTTP__PAGES", "maybe"},
                       {"SPILLWAY_SERVICE_HOST", "10.0.0.1"},  // Kubernetes' own
                       {"SPILLWAY_PORT_80_TCP", "tcp://10.0.0.1:80"},
                       {"SPILLWAY_CONFIG", "x"},
                       {"PATH", "/bin"}};
  input.flags["media.port"] = {"--port", "65536"};
  const LoadedConfig loaded = load_config(input, false);
  EXPECT_THAT(
      loaded.errors,
      ElementsAre("environment variable SPILLWAY_MEDIA__WORKERS: expected a number from 0 to 16, "
                  "got \"many\"",
                  "environment variable SPILLWAY_HTTP_LISTEN: no such key; did you mean "
                  "SPILLWAY_HTTP__LISTEN?",
                  "environment variable SPILLWAY_HTTP__PAGES: expected true or false, got "
                  "\"maybe\""));
  EXPECT_THAT(loaded.flag_errors,
              ElementsAre("flag --port: expected a number from 0 to 65535, got \"65536\""));
}

TEST(ConfigErrors, MissingAndOversizedFilesAreRefused) {
  ConfigInput input;
  input.file = "/nonexistent/spillway.toml";
  EXPECT_THAT(load_config(input, false).errors,
              ElementsAre(HasSubstr("/nonexistent/spillway.toml")));
  input.file = "/dev/zero";
  EXPECT_THAT(load_config(input, false).errors, ElementsAre(HasSubstr("longer than")));
}

TEST(ConfigErrors, BadSecretsAreNotRepeated) {
  const LoadedConfig loaded = from_toml("[auth]\npublish_tokens = [\"my secret\"]\n");
  ASSERT_EQ(loaded.errors.size(), 1u);
  EXPECT_THAT(loaded.errors[0], HasSubstr("test.toml:2:18"));
  EXPECT_THAT(loaded.errors[0], Not(HasSubstr("my secret")));
}

TEST(ConfigErrors, JsonIsStrict) {
  for (const char* bad :
       {"", "[]", "{", "{\"http.lissten\":\"127.0.0.1:1\"}", "{\"media.port\":\"3\"}",
        "{\"media.port\":70000}", "{\"media.port\":-1}", "{\"media.cpus\":[1,\"a\"]}",
        "{\"http.pages\":null}", "{\"http.pages\":{}}", "{\"http.cors_origins\":[3]}"})
    EXPECT_FALSE(config_from_json(bad).ok()) << bad;
  EXPECT_TRUE(config_from_json("{\"media.cpus\":[],\"http.cors_origins\":[]}").ok());
}

TEST(ConfigForms, TextsThatMustAndMustNotPass) {
  const struct {
    const char* key;
    std::vector<const char*> good;
    std::vector<const char*> bad;
  } cases[] = {
      {"http.listen",
       {"0.0.0.0:1", "[::]:65535"},
       {"", "1.2.3.4", "1.2.3.4:0", "a:1", "1.2.3.4:65536"}},
      {"media.advertise", {"", "192.0.2.1", "192.0.2.1, ::1"}, {"example.org", "1.2.3.4:1", ","}},
      {"http.trusted_proxies", {"10.0.0.0/32", "::/0"}, {"10.0.0.0/33", "10.0.0.0/", "/8", "10/8"}},
      {"http.cors_origins", {"*", "https://a.b"}, {"a.b", "https://", "https://a/b"}},
      {"http.ice_servers", {"stun:a:1", "turns:[::1]:1?transport=tcp"}, {"http:a", "stun:", "a"}},
      {"auth.watch_tokens", {"abc", "a=="}, {"=", "a b", "a\"b"}},
      {"sessions.publisher_policy", {"takeover", "reject"}, {"", "takeover|reject", "TAKEOVER"}},
      {"http.tls_key", {"", "/a b"}, {"/a\nb"}},
      {"http.pages", {"true", "0", "yes", "off"}, {"", "TRUE", "2"}},
      {"media.port", {"0", "65535", " 7 "}, {"", "1.0", "0x10", "+1", "99999999999999999999"}}};
  for (const auto& c : cases) {
    const ConfigKey* key = find_config_key(c.key);
    ASSERT_NE(key, nullptr) << c.key;
    for (const char* text : c.good) EXPECT_TRUE(parse_text_value(*key, text).ok()) << c.key << text;
    for (const char* text : c.bad) EXPECT_FALSE(parse_text_value(*key, text).ok()) << c.key << text;
  }
}

// The keys check_config() calls fatal, and those it only warns of.
std::pair<std::vector<std::string>, std::vector<std::string>> judged(const Config& config) {
  std::pair<std::vector<std::string>, std::vector<std::string>> out;
  for (const ConfigProblem& p : check_config(config))
    (p.fatal ? out.first : out.second).push_back(p.key);
  return out;
}

TEST(ConfigRules, PlainHttpOnlyOnLoopbackUnlessAskedFor) {
  Config config;
  config.http.listen = "0.0.0.0:8080";
  EXPECT_THAT(judged(config).first, ElementsAre("http.listen"));
  config.http.insecure_http = true;
  EXPECT_THAT(judged(config).first, IsEmpty());
  config.http.insecure_http = false;
  config.http.tls_certificate = "c";
  EXPECT_THAT(judged(config).first, ElementsAre("http.tls_key"));
  config.http.tls_key = "k";
  EXPECT_THAT(judged(config).first, IsEmpty());
  config.http.tls_certificate.clear();
  EXPECT_THAT(judged(config).first, ElementsAre("http.tls_certificate"));
  config = {};
  config.http.listen = "[::1]:8080";
  EXPECT_THAT(judged(config).first, IsEmpty());
}

TEST(ConfigRules, ContradictionsBetweenKeys) {
  Config config;
  config.http.admin_listen = config.http.listen;
  EXPECT_THAT(judged(config).first, ElementsAre("http.admin_listen"));
  config = {};
  config.http.admin_listen = "0.0.0.0:9090";
  EXPECT_THAT(judged(config).first, ElementsAre("http.admin_listen"));
  config.http.insecure_http = true;
  EXPECT_THAT(judged(config).first, IsEmpty());
  EXPECT_THAT(judged(config).second, ElementsAre("http.admin_listen"));
  config = {};
  config.media.bind = {"10.0.0.1", "::1"};
  EXPECT_THAT(judged(config).first, IsEmpty());
  config.media.bind = {"10.0.0.1", "10.0.0.2"};
  EXPECT_THAT(judged(config).first, ElementsAre("media.bind"));
  config = {};
  config.media.advertise = {"0.0.0.0"};
  EXPECT_THAT(judged(config).first, ElementsAre("media.advertise"));
  config = {};
  config.media.workers = 3;
  config.media.cpus = {0, 1};
  EXPECT_THAT(judged(config).first, ElementsAre("media.cpus"));
  config.media.cpus = {0, 1, 1};
  EXPECT_THAT(judged(config).first, ElementsAre("media.cpus"));
  config = {};
  config.auth.publish_tokens = {"short"};
  EXPECT_THAT(judged(config).second, ElementsAre("auth.publish_tokens"));
}

TEST(ConfigRules, MessageNamesWhereTheValueCameFrom) {
  ConfigInput input;
  input.environment = {{"SPILLWAY_HTTP__LISTEN", "0.0.0.0:80"}};
  EXPECT_THAT(load_config(input, false).errors,
              ElementsAre(testing::StartsWith("http.listen (SPILLWAY_HTTP__LISTEN): plain HTTP")));
}

TEST(ConfigRules, FilesAndCpusMustExist) {
  Config config;
  config.http.tls_certificate = "/nonexistent/cert.pem";
  config.http.tls_key = "/nonexistent/key.pem";
  config.media.cpus = {1023};
  std::vector<std::string> keys;
  for (const ConfigProblem& p : check_environment(config)) keys.push_back(p.key);
  EXPECT_THAT(keys, ElementsAre("http.tls_certificate", "http.tls_key", "media.cpus"));
}

TEST(ConfigReport, ExampleParsesAndEqualsTheDefaults) {
  const LoadedConfig loaded = from_toml(example_toml());
  EXPECT_THAT(loaded.errors, IsEmpty());
  EXPECT_EQ(config_to_json(loaded.config), config_to_json(Config{}));
  EXPECT_EQ(loaded.origins.size(), config_keys().size());
}

TEST(ConfigReport, ShippedExampleIsTheGeneratedOne) {
  // Aim: deploy/spillway.toml falling behind the table. Regenerate it with
  // `spillway config explain --toml > deploy/spillway.toml`.
  std::ifstream file(SPILLWAY_SOURCE_DIR "/deploy/spillway.toml");
  const std::string shipped((std::istreambuf_iterator<char>(file)), {});
  EXPECT_EQ(shipped, example_toml());
}

TEST(ConfigReport, ExplainsValueOriginDefaultAndNames) {
  ConfigInput input;
  input.flags["media.port"] = {"--port", "5000"};
  input.flags["auth.watch_tokens"] = {"--auth.watch_tokens", "verysecret1,verysecret2"};
  const LoadedConfig loaded = load_config(input, false);
  const std::string one = explain_key(*find_config_key("media.port"), loaded);
  for (const char* part :
       {"media.port = 5000", "--port", "3478", "SPILLWAY_MEDIA__PORT", "a number from 0 to 65535"})
    EXPECT_THAT(one, HasSubstr(part));
  for (const std::string& text : {explain_all(loaded), explain_json(loaded, nullptr),
                                  explain_key(*find_config_key("auth.watch_tokens"), loaded)}) {
    EXPECT_THAT(text, Not(HasSubstr("verysecret")));
    EXPECT_THAT(text, HasSubstr("(2 hidden)"));
  }
}

TEST(ConfigJson, DescriptorIsReadFromItsStartEachTime) {
  const TemporaryFile file("{\"media.port\": 4000}");
  std::FILE* f = std::fopen(file.path().c_str(), "r");
  ASSERT_NE(f, nullptr);
  ::lseek(::fileno(f), 5, SEEK_SET);
  for (int i = 0; i < 2; ++i) {
    auto config = read_config_fd(::fileno(f));
    ASSERT_TRUE(config.ok()) << config.error().text;
    EXPECT_EQ(config->media.port, 4000);
  }
  std::fclose(f);
  EXPECT_FALSE(read_config_fd(-1).ok());
}

}  // namespace
}  // namespace spillway
