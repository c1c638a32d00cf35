#include "signaling/pages/pages.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace spillway {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<fs::path> web_files() {
  std::vector<fs::path> out;
  for (const auto& entry : fs::recursive_directory_iterator(SPILLWAY_WEB_DIR)) {
    if (entry.is_regular_file()) out.push_back(entry.path());
  }
  return out;
}

const std::vector<std::string> kHtmlPaths = {"/", "/publish/studio", "/watch/studio", "/status"};

// All "src", "href" and module imports of a text.
std::vector<std::string> references(const std::string& text) {
  std::vector<std::string> out;
  const std::regex pattern(R"re((?:src|href)="([^"]+)"|\} from '([^']+)')re");
  for (std::sregex_iterator it(text.begin(), text.end(), pattern), end; it != end; ++it) {
    out.push_back((*it)[1].matched ? (*it)[1].str() : (*it)[2].str());
  }
  return out;
}

TEST(StreamName, AcceptsTheAgreedCharactersAndLengths) {
  // Aim: pages and API agree on what a stream may be called.
  EXPECT_TRUE(is_stream_name("a"));
  EXPECT_TRUE(is_stream_name("Studio_1-b"));
  EXPECT_TRUE(is_stream_name(std::string(128, 'x')));
  EXPECT_FALSE(is_stream_name(""));
  EXPECT_FALSE(is_stream_name(std::string(129, 'x')));
  for (int c = 0; c < 256; ++c) {
    const char byte = static_cast<char>(c);
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_' || c == '-';
    EXPECT_EQ(is_stream_name(std::string(1, byte)), good) << c;
  }
}

TEST(FindPage, ServesTheFourPagesAsUncachedHtml) {
  // Aim: each documented address gives its own page, asked for anew each time.
  for (const std::string& path : kHtmlPaths) {
    const auto page = find_page(path);
    ASSERT_TRUE(page) << path;
    EXPECT_EQ(page->content_type, "text/html; charset=utf-8");
    EXPECT_FALSE(page->cacheable) << path;
    EXPECT_TRUE(page->body.starts_with("<!doctype html>")) << path;
  }
  EXPECT_NE(find_page("/publish/a")->body, find_page("/watch/a")->body);
}

TEST(FindPage, IgnoresTheQuery) {
  // Aim: automation's parameters do not hide the page.
  const auto page = find_page("/publish/studio?autostart=1&codec=VP8");
  ASSERT_TRUE(page);
  EXPECT_EQ(page->body, find_page("/publish/studio")->body);
  EXPECT_TRUE(find_page("/?x=/../y"));
}

TEST(FindPage, RefusesBadStreamNamesAndUnknownPaths) {
  // Aim: nothing but the named paths exists; no name reaches a page unchecked.
  const std::string too_long = "/watch/" + std::string(129, 'a');
  for (const std::string& path :
       {std::string(""), std::string("/watch"), std::string("/watch/"), std::string("/publish/"),
        std::string("/watch/a/b"), std::string("/watch/%3Cscript%3E"), std::string("/watch/<b>"),
        std::string("/watch/../status"), std::string("/Status"), std::string("/status/"),
        std::string("/index.html"), std::string("/assets"), std::string("/assets/"),
        std::string("/assets/../pages.h"), std::string("/assets/index.html"),
        std::string("/web/index.html"), std::string("//"), too_long,
        std::string("/assets/style.css\0", 18)}) {
    EXPECT_FALSE(find_page(path)) << path;
  }
}

TEST(FindPage, CachesAssetsOnlyUnderTheHashOfThisBuild) {
  // Aim: a cached asset can never belong to another build than its page.
  const std::string hashed = "/assets/" + std::string(asset_hash()) + "/style.css";
  ASSERT_TRUE(find_page(hashed));
  EXPECT_TRUE(find_page(hashed)->cacheable);
  ASSERT_TRUE(find_page("/assets/style.css"));
  EXPECT_FALSE(find_page("/assets/style.css")->cacheable);
  EXPECT_EQ(find_page(hashed)->body, find_page("/assets/style.css")->body);
  EXPECT_FALSE(find_page("/assets/000000000000/style.css"));
  EXPECT_FALSE(find_page("/assets/" + std::string(asset_hash()) + "/"));
  EXPECT_EQ(find_page("/favicon.ico")->content_type, "image/svg+xml; charset=utf-8");
}

TEST(Embedding, KeepsEveryFileByteForByte) {
  // Aim: the build step loses, doubles or re-encodes nothing; only @ASSETS@ changes.
  const auto files = web_files();
  ASSERT_GE(files.size(), 10u);
  for (const fs::path& file : files) {
    std::string want = read(file);
    std::string path;
    if (file.extension() == ".html") {
      want =
          std::regex_replace(want, std::regex("@ASSETS@"), "/assets/" + std::string(asset_hash()));
      const std::string stem = file.stem().string();
      path = stem == "index" ? "/" : stem == "status" ? "/status" : "/" + stem + "/x";
    } else {
      path = "/assets/" + file.filename().string();
    }
    const auto page = find_page(path);
    ASSERT_TRUE(page) << file;
    EXPECT_EQ(std::string(page->body), want) << file;
  }
}

TEST(Embedding, EveryReferenceLeadsToAFileOfThisBuild) {
  // Aim: no dead link, no request to anywhere else.
  for (const fs::path& file : web_files()) {
    if (file.extension() != ".html" && file.extension() != ".js") continue;
    const bool html = file.extension() == ".html";
    for (std::string target : references(read(file))) {
      if (target.starts_with("#")) continue;
      if (html) {
        target = std::regex_replace(target, std::regex("@ASSETS@"),
                                    "/assets/" + std::string(asset_hash()));
      } else {
        ASSERT_TRUE(target.starts_with("./")) << file << " imports " << target;
        target = "/assets/" + std::string(asset_hash()) + target.substr(1);
      }
      EXPECT_TRUE(find_page(target)) << file << " refers to " << target;
    }
  }
}

TEST(Embedding, NoPageNamesAnotherHost) {
  // Aim: the pages work on an island; an SVG name space is no request.
  const std::regex foreign(R"((https?:)?//[a-z0-9][a-z0-9.-]*\.[a-z]{2,})");
  for (const fs::path& file : web_files()) {
    std::string text = read(file);
    const std::string name_space = "http://www.w3.org/2000/svg";
    if (const size_t at = text.find(name_space); at != std::string::npos) {
      text.erase(at, name_space.size());
    }
    std::smatch match;
    EXPECT_FALSE(std::regex_search(text, match, foreign)) << file << ": " << match.str();
  }
}

TEST(Policy, PagesHoldNothingThePolicyForbids) {
  // Aim: the strict policy breaks no page: no inline script, style or handler, and
  // no text that becomes markup or code.
  const std::regex inline_html(R"re(<script(?![^>]* src=)|<style|\sstyle="|\son[a-z]+=")re");
  const std::regex sinks(
      R"re(\.(inner|outer)HTML|insertAdjacentHTML|document\.write|\beval\(|new Function)re");
  for (const fs::path& file : web_files()) {
    const std::string text = read(file);
    if (file.extension() == ".html") {
      EXPECT_FALSE(std::regex_search(text, inline_html)) << file;
    } else if (file.extension() == ".js") {
      EXPECT_FALSE(std::regex_search(text, sinks)) << file;
    }
  }
}

TEST(Policy, AllowsOnlyThisOrigin) {
  // Aim: a wildcard or 'unsafe-*' slipping in is noticed.
  EXPECT_TRUE(kPageSecurityPolicy.starts_with("default-src 'none'; "));
  for (const std::string_view bad : {"unsafe", "*", "http:", "https:", "data: blob: data:"}) {
    EXPECT_EQ(kPageSecurityPolicy.find(bad), std::string_view::npos) << bad;
  }
  for (const std::string_view needed :
       {"script-src 'self';", "style-src 'self';", "connect-src 'self';", "base-uri 'none';",
        "frame-ancestors 'self';"}) {
    EXPECT_NE(kPageSecurityPolicy.find(needed), std::string_view::npos) << needed;
  }
  EXPECT_EQ(kPageSecurityPolicy.find_first_of("\r\n"), std::string_view::npos);
}

}  // namespace
}  // namespace spillway
