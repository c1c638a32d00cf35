// What this build is made of: `spillway version [--json]`.
#pragma once

#include <string>

namespace spillway {

std::string version_text();  // "spillway 0.1.0 (1a2b3c4d5e6f)"
// version, commit, compiler, build type, libraries, ABI version, region sizes, kernel.
std::string version_json();

}  // namespace spillway
