#include "datapath/base/result.h"

#include <cerrno>
#include <system_error>

namespace spillway {

Error errno_error(const std::string& what, int errno_value) {
  return {what + ": " + std::generic_category().message(errno_value), errno_value};
}

Error errno_error(const std::string& what) { return errno_error(what, errno); }

}  // namespace spillway
