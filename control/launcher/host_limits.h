// What this process and its children are allowed: raised as far as we may, and said in
// one line each where that is less than needed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "control/config.h"

namespace spillway {

// Raises the soft limits of open files and locked memory to the hard ones (children
// inherit them) and returns what is still missing. Never fatal: Spillway then serves
// fewer connections, or its keys may be swapped out.
std::vector<std::string> raise_limits(const Config& config, uint64_t locked_bytes);

// CPUs this process may run on, in order.
std::vector<uint32_t> usable_cpus();

}  // namespace spillway
