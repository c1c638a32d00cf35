// spillway-tidy ROOT: checks the tree against the house rules. Exit 0 = clean (warnings
// allowed), 1 = something is wrong, 64 = usage.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>

#include "tests/tidy/rules.h"

namespace {

namespace fs = std::filesystem;
using spillway::tidy::Finding;
using spillway::tidy::Findings;

constexpr uintmax_t kTextBytesMax = 4 * 1024 * 1024;

bool is_skipped_folder(const std::string& name) {
  static const std::set<std::string> kNames = {"build", ".git", ".cache", "node_modules",
                                               "__pycache__"};
  return kNames.contains(name);
}

// Recorded bytes of others, and the licence, are not ours to word.
bool is_foreign(const std::string& path) {
  return path.starts_with("tests/vectors/") || path.starts_with("tests/fuzz/corpus/") ||
         path == "LICENSE";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: spillway-tidy ROOT\n");
    return 64;
  }
  const fs::path root = argv[1];
  Findings findings;
  std::vector<std::string> top;
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(root))
    top.push_back(entry.path().filename().string());
  for (auto it = fs::recursive_directory_iterator(root); it != fs::recursive_directory_iterator();
       ++it) {
    if (it->is_directory() && is_skipped_folder(it->path().filename().string()))
      it.disable_recursion_pending();
    else if (it->is_regular_file() && !it->is_symlink())
      files.push_back(fs::relative(it->path(), root).generic_string());
  }
  std::sort(files.begin(), files.end());
  spillway::tidy::check_top_level(top, findings);
  spillway::tidy::check_readmes(files, findings);
  size_t checked = 0;
  for (const std::string& path : files) {
    if (is_foreign(path) || fs::file_size(root / path) > kTextBytesMax) continue;
    std::ifstream in(root / path, std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(in)), {});
    if (text.find('\0') != std::string::npos) continue;  // not text
    spillway::tidy::check_file(spillway::tidy::make_source(path, std::move(text)), findings);
    ++checked;
  }
  size_t errors = 0;
  for (const Finding& f : findings) {
    errors += f.warning ? 0 : 1;
    std::printf("%s%s: %s%s\n", f.path.c_str(),
                f.line > 0 ? (":" + std::to_string(f.line)).c_str() : "",
                f.warning ? "warning: " : "", f.text.c_str());
  }
  std::printf("%zu files, %zu errors, %zu warnings\n", checked, errors, findings.size() - errors);
  return errors > 0 ? 1 : 0;
}
