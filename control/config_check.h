// What one key alone cannot tell: rules between keys, and between the configuration
// and this machine.
#pragma once

#include <string>
#include <vector>

#include "control/config.h"

namespace spillway {

struct ConfigProblem {
  std::string key;   // the key an operator would change first
  std::string text;  // what is wrong and what to do
  bool fatal = true;
};

// Rules between keys. Pure.
std::vector<ConfigProblem> check_config(const Config& config);
// Files that must be readable, CPUs that must exist. Reads the file system.
std::vector<ConfigProblem> check_environment(const Config& config);

}  // namespace spillway
