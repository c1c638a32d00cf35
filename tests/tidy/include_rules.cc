// The arrows between modules, as a table: first matching row decides.
#include <cctype>

#include "tests/tidy/rules.h"

namespace spillway::tidy {
namespace {

struct Module {
  std::string_view folder;                // path prefix of the including file
  std::vector<std::string_view> may_see;  // path prefixes of what it includes
};

// Rows from special to general. Exceptions carry their date and reason.
const std::vector<Module>& modules() {
  static const std::vector<Module> all = {
      {"datapath/base/", {"datapath/base/"}},
      {"datapath/abi/", {"datapath/base/", "datapath/abi/"}},
      {"datapath/proto/", {"datapath/base/", "datapath/proto/"}},
      {"datapath/srtp/", {"datapath/base/", "datapath/proto/", "datapath/srtp/"}},
      // 2026-11-21: the engine changes session state where it lies, in shared memory, so
      // that a crash between two stores loses nothing; and it takes the plain records of
      // what it is told and tells. Never rings, regions or seqlocks.
      {"datapath/core/",
       {"datapath/base/", "datapath/proto/", "datapath/srtp/", "datapath/core/",
        "datapath/abi/session_state.h", "datapath/abi/session_config.h", "datapath/abi/messages.h",
        "datapath/abi/counters.h"}},
      {"datapath/net/", {"datapath/base/", "datapath/net/"}},
      {"datapath/io/", {"datapath/base/", "datapath/net/", "datapath/io/", "bpf/"}},
      {"datapath/worker/", {"datapath/", "bpf/"}},
      {"bpf/", {"bpf/"}},
      // 2026-11-21: the launcher opens the media sockets, which outlive the datapath.
      {"control/launcher/",
       {"control/", "datapath/base/", "datapath/abi/", "datapath/io/sockets.h",
        "datapath/io/unique_fd.h"}},
      // 2026-11-21: main.cc is where the process is put together.
      {"control/main.cc",
       {"control/", "datapath/base/", "datapath/abi/", "datapath/proto/", "signaling/"}},
      {"control/", {"control/", "datapath/base/", "datapath/abi/", "datapath/proto/"}},
      {"signaling/", {"signaling/", "datapath/base/", "control/control_api.h"}},
      {"tests/", {""}},
      {"perf/", {""}},
  };
  return all;
}

}  // namespace

void check_includes(const SourceFile& file, Findings& out) {
  if (!is_cpp(file.path)) return;
  const Module* module = nullptr;
  for (const Module& m : modules())
    if (!module && file.path.starts_with(m.folder)) module = &m;
  if (!module) return;
  size_t line = 0;
  for (size_t at = 0; at < file.text.size();) {
    const size_t end = std::min(file.text.find('\n', at), file.text.size());
    std::string_view text = std::string_view(file.text).substr(at, end - at);
    at = end + 1;
    ++line;
    constexpr std::string_view kStart = "#include \"";
    if (!text.starts_with(kStart)) continue;
    text.remove_prefix(kStart.size());
    const std::string name(text.substr(0, text.find('"')));
    bool allowed = false;
    for (std::string_view prefix : module->may_see) allowed = allowed || name.starts_with(prefix);
    if (allowed && module->folder != "tests/" && module->folder != "perf/" &&
        name.starts_with("tests/"))
      allowed = false;
    if (!allowed)
      out.push_back(
          {file.path, line,
           std::string(module->folder) + " may not include " + name + " (STYLE: module map)"});
  }
}

}  // namespace spillway::tidy
