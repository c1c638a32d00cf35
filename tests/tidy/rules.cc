#include "tests/tidy/rules.h"

#include <algorithm>
#include <array>
#include <set>

namespace spillway::tidy {
namespace {

constexpr size_t kLinesHint = 600;
constexpr size_t kLinesMax = 800;

bool word_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

size_t line_of(std::string_view text, size_t at) {
  return static_cast<size_t>(std::count(text.begin(), text.begin() + static_cast<long>(at), '\n')) +
         1;
}

// Every place where `word` stands alone: no letter directly before or after it.
std::vector<size_t> find_word(std::string_view text, std::string_view word) {
  std::vector<size_t> out;
  for (size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    const bool before = at > 0 && word_char(text[at - 1]) && word_char(word.front());
    const size_t end = at + word.size();
    const bool after = end < text.size() && word_char(text[end]) && word_char(word.back());
    if (!before && !after) out.push_back(at);
  }
  return out;
}

std::string_view folder_of(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}

bool has_extension(std::string_view path, std::initializer_list<std::string_view> extensions) {
  return std::any_of(extensions.begin(), extensions.end(),
                     [&](std::string_view e) { return path.ends_with(e); });
}

// 2026-11-21: test builds only (SPILLWAY_CHECKS); it is shared by all workers.
bool is_excepted(std::string_view path, std::string_view word) {
  return path.starts_with("datapath/srtp/index_checker.") &&
         (word == "mutex" || word == "lock_guard");
}

// `new` that takes memory after start-up, as far as text can tell. Not: placement new,
// "#include <new>", and `member_(new T[n])` or `unique_ptr<T>(new T)`, which hand the
// memory to its owner in a constructor or factory. seal_memory() judges the rest.
bool allocates(std::string_view code, size_t at) {
  const size_t next = code.find_first_not_of(" \n", at + 3);
  if (next != std::string_view::npos && code[next] == '(') return false;
  const size_t last = at == 0 ? std::string_view::npos : code.find_last_not_of(" \n", at - 1);
  return last == std::string_view::npos || (code[last] != '(' && code[last] != '<');
}

// A quoted or raw literal starting at `at`; returns its end.
size_t literal_end(std::string_view text, size_t at) {
  if (text[at] == '"' && at > 0 && text[at - 1] == 'R') {
    const size_t open = text.find('(', at);
    if (open == std::string_view::npos) return text.size();
    const std::string close = ")" + std::string(text.substr(at + 1, open - at - 1)) + "\"";
    const size_t end = text.find(close, open);
    return end == std::string_view::npos ? text.size() : end + close.size();
  }
  const char quote = text[at];
  for (size_t i = at + 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == quote || text[i] == '\n') {
      return i + 1;
    }
  }
  return text.size();
}

}  // namespace

bool is_header(std::string_view path) {
  return has_extension(path, {".h", ".hpp"});
}
bool is_cpp(std::string_view path) {
  return is_header(path) || has_extension(path, {".cc", ".cpp", ".c"});
}

std::string strip_literals(std::string_view text) {
  std::string out(text);
  auto blank = [&](size_t from, size_t to) {
    for (size_t i = from; i < std::min(to, out.size()); ++i)
      if (out[i] != '\n') out[i] = ' ';
  };
  for (size_t at = 0; at < text.size();) {
    size_t end = at + 1;
    if (text.substr(at, 2) == "//") {
      end = std::min(text.find('\n', at), text.size());
      blank(at, end);
    } else if (text.substr(at, 2) == "/*") {
      const size_t close = text.find("*/", at + 2);
      end = close == std::string_view::npos ? text.size() : close + 2;
      blank(at, end);
    } else if (text[at] == '"' || (text[at] == '\'' && (at == 0 || !word_char(text[at - 1])))) {
      // A quote after a digit is a separator: 1'000.
      end = literal_end(text, at);
      blank(at, end);
    }
    at = end;
  }
  return out;
}

SourceFile make_source(std::string path, std::string text) {
  SourceFile file{std::move(path), std::move(text), {}};
  if (is_cpp(file.path)) file.code = strip_literals(file.text);
  return file;
}

void check_hot_path(const SourceFile& file, Findings& out) {
  const bool core = file.path.starts_with("datapath/proto/") ||
                    file.path.starts_with("datapath/srtp/") ||
                    file.path.starts_with("datapath/core/");
  if (!core || !is_cpp(file.path)) return;
  struct Banned {
    std::string_view word;
    std::string_view why;
  };
  constexpr std::array kBanned = {
      Banned{"std::function", "an indirect call and perhaps an allocation"},
      Banned{"shared_ptr", "an atomic counter per copy"},
      Banned{"malloc", "no allocation on the packet path"},
      Banned{"calloc", "no allocation on the packet path"},
      Banned{"realloc", "no allocation on the packet path"},
      Banned{"mutex", "no lock on the packet path"},
      Banned{"lock_guard", "no lock on the packet path"},
      Banned{"condition_variable", "no lock on the packet path"},
      Banned{"printf", "no text on the packet path"},
      Banned{"fprintf", "no text on the packet path"},
      Banned{"snprintf", "no text on the packet path"},
      Banned{"std::cout", "no text on the packet path"},
      Banned{"std::cerr", "no text on the packet path"},
      Banned{"spdlog", "no log on the packet path"},
      Banned{"std::thread", "sans-IO: no threads"},
      Banned{"std::chrono", "sans-IO: time is handed in"},
      Banned{"clock_gettime", "sans-IO: time is handed in"},
      Banned{"gettimeofday", "sans-IO: time is handed in"},
      Banned{"getrandom", "sans-IO: seeds are handed in"},
      Banned{"random_device", "sans-IO: seeds are handed in"},
      Banned{"RAND_bytes", "sans-IO: seeds are handed in"},
      Banned{"getenv", "sans-IO: no environment"},
      Banned{"thread_local", "sans-IO: no globals"}};
  for (const Banned& b : kBanned)
    for (size_t at : find_word(file.code, b.word))
      if (!is_excepted(file.path, b.word))
        out.push_back({file.path, line_of(file.code, at),
                       std::string(b.word) + " is banned here: " + std::string(b.why)});
  for (size_t at : find_word(file.code, "new"))
    if (allocates(file.code, at))
      out.push_back({file.path, line_of(file.code, at), "new is banned here: no allocation"});
  // Headers of system calls.
  for (std::string_view header :
       {"<sys/", "<unistd.h>", "<fcntl.h>", "<poll.h>", "<pthread.h>", "<netinet/", "<arpa/",
        "<linux/", "<signal.h>", "<csignal>", "<ctime>", "<time.h>", "<random>"})
    for (size_t at = file.code.find("#include " + std::string(header)); at != std::string::npos;
         at = file.code.find("#include " + std::string(header), at + 1))
      out.push_back({file.path, line_of(file.code, at),
                     "system calls, clocks and randomness belong to io/: " + std::string(header)});
}

void check_length(const SourceFile& file, Findings& out) {
  if (!is_cpp(file.path) && !has_extension(file.path, {".py", ".mjs", ".js"})) return;
  const auto lines = static_cast<size_t>(std::count(file.text.begin(), file.text.end(), '\n'));
  if (lines > kLinesHint)
    out.push_back({file.path, 0,
                   std::to_string(lines) + " lines; split near " + std::to_string(kLinesHint) +
                       " (at most " + std::to_string(kLinesMax) + ")",
                   lines <= kLinesMax});
}

void check_pragma_once(const SourceFile& file, Findings& out) {
  if (!is_header(file.path)) return;
  if (file.code.find("#pragma once") == std::string::npos)
    out.push_back({file.path, 1, "header without #pragma once"});
}

void check_words(const SourceFile& file, Findings& out) {
  // Joined from halves, so that this file does not contain what it looks for.
  static const std::array kWords = {std::string("TO") + "DO", std::string("FIX") + "ME",
                                    std::string("X") + "XX"};
  static const std::array kHosts = {std::string("registry.") + "npmjs.org",
                                    std::string("registry.") + "yarnpkg.com",
                                    std::string("pypi.") + "org",
                                    std::string("python") + "hosted.org",
                                    std::string("crates.") + "io",
                                    std::string("proxy.golang.") + "org",
                                    std::string("deb.debian.") + "org",
                                    std::string("snapshot.debian.") + "org",
                                    std::string("registry-1.docker.") + "io",
                                    std::string("docker.") + "io/",
                                    std::string("ghcr.") + "io",
                                    std::string("quay.") + "io"};
  static const std::string kPath = std::string("/wo") + "rk/";
  for (const std::string& word : kWords)
    for (size_t at : find_word(file.text, word))
      out.push_back({file.path, line_of(file.text, at),
                     word + ": finish it, or say in the README what is missing"});
  for (const std::string& host : kHosts)
    for (size_t at = file.text.find(host); at != std::string::npos;
         at = file.text.find(host, at + 1))
      out.push_back({file.path, line_of(file.text, at),
                     host + ": hosts of registries are the user's choice, not ours"});
  for (size_t at = file.text.find(kPath); at != std::string::npos;
       at = file.text.find(kPath, at + 1))
    if (at == 0 || (!word_char(file.text[at - 1]) && file.text[at - 1] != '.' &&
                    file.text[at - 1] != '}' && file.text[at - 1] != '/'))
      out.push_back({file.path, line_of(file.text, at), "path of one particular machine"});
}

void check_top_level(const std::vector<std::string>& entries, Findings& out) {
  static const std::set<std::string> kAllowed = {"CMakeLists.txt",
                                                 "CMakePresets.json",
                                                 "datapath",
                                                 "bpf",
                                                 "control",
                                                 "signaling",
                                                 "tests",
                                                 "perf",
                                                 "scripts",
                                                 "deploy",
                                                 "README.md",
                                                 "LICENSE",
                                                 ".ci",
                                                 ".git",
                                                 ".gitignore",
                                                 ".clang-format",
                                                 ".clang-tidy",
                                                 ".github",
                                                 "build",
                                                 ".cache"};
  for (const std::string& entry : entries)
    if (!kAllowed.contains(entry)) out.push_back({entry, 0, "does not belong at the top level"});
}

void check_readmes(const std::vector<std::string>& files, Findings& out) {
  static const std::set<std::string_view> kFolders = {"datapath", "bpf",  "control", "signaling",
                                                      "tests",    "perf", "deploy"};
  const std::set<std::string> all(files.begin(), files.end());
  auto has_readme = [&](std::string_view folder) {
    return all.contains(std::string(folder) + "/README.md");
  };
  std::set<std::string> folders;
  for (const std::string& path : files) {
    const std::string_view folder = folder_of(path);
    const bool source = is_cpp(path) || has_extension(path, {".py", ".mjs", ".service", ".html"});
    if (source && kFolders.contains(folder.substr(0, folder.find('/'))))
      folders.insert(std::string(folder));
  }
  for (const std::string& folder : folders) {
    bool found = has_readme(folder) || has_readme(folder_of(folder));
    // The tests of a folder are described where they are gathered.
    for (std::string_view f = folder; !found && f.starts_with("tests/"); f = folder_of(f))
      found = has_readme(folder_of(f));
    if (!found) out.push_back({folder, 0, "neither this folder nor its parent has a README.md"});
  }
}

void check_file(const SourceFile& file, Findings& out) {
  check_includes(file, out);
  check_hot_path(file, out);
  check_length(file, out);
  check_pragma_once(file, out);
  check_words(file, out);
}

}  // namespace spillway::tidy
