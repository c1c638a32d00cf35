#include "control/logging.h"

#include <memory>
#include <utility>

#include <spdlog/async.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace spillway {
namespace {

constexpr size_t kQueuedLines = 8192;

// %* : the message as the inside of a JSON string (RFC 8259 §7).
class JsonMessage : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& msg, const std::tm&,
              spdlog::memory_buf_t& dest) override {
    constexpr char kHex[] = "0123456789abcdef";
    for (char c : msg.payload) {
      auto u = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        dest.push_back('\\');
        dest.push_back(c);
      } else if (u < 0x20 || u == 0x7f) {
        for (char e : {'\\', 'u', '0', '0', kHex[u >> 4], kHex[u & 15]}) dest.push_back(e);
      } else {
        dest.push_back(c);
      }
    }
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<JsonMessage>();
  }
};

}  // namespace

void setup_logging(const Config::Log& config, const std::string& process, spdlog::sink_ptr sink) {
  spdlog::init_thread_pool(kQueuedLines, 1);
  auto logger = std::make_shared<spdlog::async_logger>(
      process, std::move(sink), spdlog::thread_pool(),
      spdlog::async_overflow_policy::overrun_oldest);
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<JsonMessage>('*');
  formatter->set_pattern(
      config.json
          ? R"({"ts":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l","process":"%n","message":"%*"})"
          : "%Y-%m-%d %H:%M:%S.%e %n %l %v");
  logger->set_formatter(std::move(formatter));
  logger->set_level(spdlog::level::from_str(config.level == "error" ? "err" : config.level));
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

void setup_logging(const Config::Log& config, const std::string& process) {
  setup_logging(config, process, std::make_shared<spdlog::sinks::stderr_sink_mt>());
}

void stop_logging() { spdlog::shutdown(); }

}  // namespace spillway
