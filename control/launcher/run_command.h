// The verbs of `spillway`. Returns the exit code; writes to stdout and stderr.
#pragma once

#include <string>
#include <vector>

namespace spillway {

int run_command(const std::vector<std::string>& arguments);

}  // namespace spillway
