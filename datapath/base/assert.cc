#include "datapath/base/assert.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

namespace spillway {

void assert_failed(const char* condition, const char* file, int line) {
  char text[512];
  int n = std::snprintf(text, sizeof text, "spillway: assertion failed: %s (%s:%d)\n", condition,
                        file, line);
  if (n > 0) {
    auto len = static_cast<size_t>(n) < sizeof text ? static_cast<size_t>(n) : sizeof text - 1;
    [[maybe_unused]] auto ignored = ::write(STDERR_FILENO, text, len);
  }
  std::abort();
}

}  // namespace spillway
