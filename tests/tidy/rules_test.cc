// Each rule catches a bad sample and lets a good one pass.
#include "tests/tidy/rules.h"

#include <gtest/gtest.h>

namespace spillway::tidy {
namespace {

Findings run(void (*rule)(const SourceFile&, Findings&), const std::string& path,
             const std::string& text) {
  Findings out;
  rule(make_source(path, text), out);
  return out;
}

std::string include(const std::string& name) {
  return "// x\n#include \"" + name + "\"\n";
}

TEST(TidyIncludes, ArrowsPointUpTheModuleMap) {
  const struct {
    const char* from;
    const char* to;
    bool allowed;
  } cases[] = {
      {"datapath/base/a.h", "datapath/base/b.h", true},
      {"datapath/base/a.h", "datapath/abi/b.h", false},
      {"datapath/proto/a.cc", "datapath/abi/b.h", false},
      {"datapath/srtp/a.cc", "datapath/proto/b.h", true},
      {"datapath/core/a.cc", "datapath/abi/session_state.h", true},
      {"datapath/core/a.cc", "datapath/abi/regions.h", false},
      {"datapath/core/a.cc", "datapath/io/packet_io.h", false},
      {"datapath/io/uring/a.cc", "datapath/core/b.h", false},
      {"datapath/worker/a.cc", "datapath/core/b.h", true},
      {"datapath/worker/a.cc", "control/config.h", false},
      {"control/a.cc", "datapath/abi/b.h", true},
      {"control/a.cc", "datapath/core/b.h", false},
      {"control/a.cc", "signaling/http/server.h", false},
      {"control/main.cc", "signaling/http/server.h", true},
      {"control/launcher/a.cc", "datapath/io/sockets.h", true},
      {"control/launcher/a.cc", "datapath/io/packet_io.h", false},
      {"signaling/a.cc", "control/control_api.h", true},
      {"signaling/a.cc", "control/sessions.h", false},
      {"signaling/a.cc", "datapath/abi/b.h", false},
      {"datapath/worker/a.cc", "tests/unit/b.h", false},
      {"signaling/a.cc", "neighbour.h", false},
      {"tests/unit/a.cc", "datapath/core/b.h", true},
      {"perf/a.cc", "tests/peer/b.h", true},
      {"bpf/a.h", "datapath/base/b.h", false},
  };
  for (const auto& c : cases) {
    const Findings found = run(check_includes, c.from, include(c.to));
    EXPECT_EQ(found.empty(), c.allowed) << c.from << " -> " << c.to;
    if (!found.empty()) {
      EXPECT_EQ(found[0].line, 2u);
    }
  }
}

TEST(TidyHotPath, BannedNamesAreFoundWithTheirLine) {
  for (const char* bad :
       {"std::function<void()> f;", "std::shared_ptr<int> p;", "auto p = new int;",
        "return new Thing();", "void* p = malloc(3);", "std::mutex m;",
        "std::snprintf(b, 3, \"\");", "auto t = std::chrono::steady_clock::now();",
        "#include <sys/socket.h>", "#include <unistd.h>", "getrandom(b, 3, 0);"}) {
    const Findings found =
        run(check_hot_path, "datapath/core/a.cc", std::string("\n") + bad + "\n");
    ASSERT_FALSE(found.empty()) << bad;
    EXPECT_EQ(found[0].line, 2u) << bad;
    EXPECT_TRUE(run(check_hot_path, "datapath/io/a.cc", bad).empty()) << bad;
  }
  for (const char* good :
       {"// a new session needs no malloc", "const char* s = \"mutex\";", "int renewed = 3;",
        "#include <new>\n", "new (&slot) Thing{};", "A() : p_(new int[3]) {}",
        "/* printf */ int x;", "auto s = R\"(new)\";", "int n = 1'000; // new"})
    EXPECT_TRUE(run(check_hot_path, "datapath/core/a.cc", good).empty()) << good;
}

TEST(TidyLength, WarnsNearTheHintAndFailsAboveTheLimit) {
  EXPECT_TRUE(run(check_length, "control/a.cc", std::string(600, '\n')).empty());
  Findings found = run(check_length, "control/a.cc", std::string(601, '\n'));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(found[0].warning);
  found = run(check_length, "control/a.cc", std::string(801, '\n'));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_FALSE(found[0].warning);
  EXPECT_TRUE(run(check_length, "control/a.md", std::string(5000, '\n')).empty());
}

TEST(TidyHeaders, NeedPragmaOnce) {
  EXPECT_EQ(run(check_pragma_once, "control/a.h", "// #pragma once\nint x;\n").size(), 1u);
  EXPECT_TRUE(run(check_pragma_once, "control/a.h", "// x\n#pragma once\n").empty());
  EXPECT_TRUE(run(check_pragma_once, "control/a.cc", "int x;").empty());
}

TEST(TidyWords, UnfinishedWorkHostsAndPathsAreFound) {
  for (const std::string& bad :
       {std::string("// TO") + "DO: later", std::string("FIX") + "ME",
        std::string("https://registry.") + "npmjs.org/x", std::string("pypi.") + "org",
        std::string("see /wo") + "rk/main", std::string("\"/wo") + "rk/x\""})
    for (const char* path : {"control/a.cc", "README.md", "scripts/x"})
      EXPECT_EQ(run(check_words, path, bad).size(), 1u) << bad;
  for (const std::string& good :
       {std::string("mastodon"), std::string("TO") + "DOS", std::string("build/wo") + "rk/x",
        std::string("a framework/ here"), std::string("${X}/wo") + "rk/y"})
    EXPECT_TRUE(run(check_words, "README.md", good).empty()) << good;
}

TEST(TidyTree, TopLevelIsClosed) {
  Findings found;
  check_top_level({"datapath", "README.md", ".ci", "build"}, found);
  EXPECT_TRUE(found.empty());
  check_top_level({"src", "notes.txt"}, found);
  EXPECT_EQ(found.size(), 2u);
}

TEST(TidyTree, FoldersHaveAReadmeOrTheirParentDoes) {
  Findings found;
  check_readmes({"datapath/README.md", "datapath/io/a.cc", "datapath/io/README.md",
                 "datapath/io/uring/a.cc", "control/README.md", "control/launcher/a.h"},
                found);
  EXPECT_TRUE(found.empty());
  check_readmes({"tests/README.md", "tests/unit/io/deep/a.cc"}, found);
  EXPECT_TRUE(found.empty());
  check_readmes({"signaling/http/a.cc"}, found);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].path, "signaling/http");
}

TEST(TidyText, LiteralsAreBlankedAndLinesStay) {
  const std::string code = strip_literals("a \"b\\\"c\" // d\n'e' /* f\ng */ h R\"x(i)\"j)x\" k");
  EXPECT_EQ(code.find_first_of("bcdefgij"), std::string::npos) << code;
  for (char c : {'a', 'h', 'k'}) EXPECT_NE(code.find(c), std::string::npos) << c;
  EXPECT_EQ(std::count(code.begin(), code.end(), '\n'), 2);
}

}  // namespace
}  // namespace spillway::tidy
