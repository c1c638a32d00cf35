// Config as JSON, the form in which the launcher hands it to its children: one flat
// object, {"http.listen": "127.0.0.1:8080", "media.workers": 2, ...}, every key of
// config_table.h present. Reading is strict (unknown key, wrong type or range are
// errors) except that an absent key keeps its default. No exceptions.
//
// In what the children get, media.workers and media.port are the numbers in force (never
// 0), and media.advertise names the addresses to offer (never empty unless there is
// none).
#pragma once

#include <string>
#include <string_view>

#include "control/config.h"
#include "datapath/base/result.h"

namespace spillway {

inline constexpr uint32_t kConfigJsonBytesMax = 1024 * 1024;

std::string config_to_json(const Config& config);
Result<Config> config_from_json(std::string_view json);

// All of fd from offset 0 (abi::kFdConfig), which is not moved or closed.
Result<Config> read_config_fd(int fd);

}  // namespace spillway
