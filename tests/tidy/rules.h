// The house rules a program can check: include arrows, names banned on the hot path,
// file lengths, READMEs, what may stand at the top, words that must not be committed.
//
// Pure functions from text to findings, so that each rule is tested with a sample it
// must catch and one it must pass (rules_test.cc). tidy.cc walks the tree.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::tidy {

struct Finding {
  std::string path;  // relative to the root
  size_t line = 0;   // 1-based; 0 = the file or folder as a whole
  std::string text;
  bool warning = false;
};
using Findings = std::vector<Finding>;

struct SourceFile {
  std::string path;  // relative to the root, '/' between folders
  std::string text;
  std::string code;  // C and C++ only: text with comments and literals blanked
};

SourceFile make_source(std::string path, std::string text);

// Comments, string and character literals replaced by spaces; newlines stay.
std::string strip_literals(std::string_view text);
bool is_cpp(std::string_view path);
bool is_header(std::string_view path);

// One file. include_rules.cc:
void check_includes(const SourceFile& file, Findings& out);
// rules.cc:
void check_hot_path(const SourceFile& file, Findings& out);
void check_length(const SourceFile& file, Findings& out);
void check_pragma_once(const SourceFile& file, Findings& out);
void check_words(const SourceFile& file, Findings& out);

// The tree; paths of all files, relative to the root.
void check_top_level(const std::vector<std::string>& entries, Findings& out);
void check_readmes(const std::vector<std::string>& files, Findings& out);

void check_file(const SourceFile& file, Findings& out);  // all rules for one file

}  // namespace spillway::tidy
