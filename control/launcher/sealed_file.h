// A memfd with fixed content: written once, then sealed against every change.
#pragma once

#include <string_view>

#include "datapath/base/result.h"
#include "datapath/io/unique_fd.h"

namespace spillway {

// Close-on-exec; the position is at the end, so readers open it anew or use pread.
Result<UniqueFd> make_sealed_file(const char* name, std::string_view content);

}  // namespace spillway
