// spdlog's default logger on stderr, as text or as one JSON object per line.
//
// Lines are queued and written by a thread of spdlog's: a reader of stderr that stops
// costs old lines, never time of the io_context (threats F-14). Text from outside must
// be escaped or drawn from a closed alphabet by whoever logs it; the JSON form
// escapes once more. Keys, passwords, tokens and session ids are never logged.
#pragma once

#include <string>

#include <spdlog/common.h>

#include "control/config.h"

namespace spillway {

void setup_logging(const Config::Log& config, const std::string& process);
// The same to another sink, for tests.
void setup_logging(const Config::Log& config, const std::string& process, spdlog::sink_ptr sink);
// Writes what is queued.
void stop_logging();

}  // namespace spillway
