#include "signaling/pages/pages.h"

#include <algorithm>

#include "signaling/pages/embedded.h"

namespace spillway {
namespace {

std::optional<Page> embedded(std::string_view folder, std::string_view name, bool cacheable) {
  for (const pages::EmbeddedFile& file : pages::embedded_files()) {
    if (file.name.starts_with(folder) && file.name.substr(folder.size()) == name) {
      return Page{file.content_type, file.body, cacheable};
    }
  }
  return std::nullopt;
}

// The part of path after prefix, if path begins with it.
std::optional<std::string_view> after(std::string_view path, std::string_view prefix) {
  if (!path.starts_with(prefix)) return std::nullopt;
  return path.substr(prefix.size());
}

}  // namespace

bool is_stream_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxStreamNameBytes &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-';
         });
}

std::optional<Page> find_page(std::string_view path) {
  path = path.substr(0, path.find('?'));
  if (path == "/") return embedded("", "index.html", false);
  if (path == "/status") return embedded("", "status.html", false);
  if (path == "/favicon.ico") return embedded("assets/", "icon.svg", false);
  if (const auto stream = after(path, "/publish/")) {
    return is_stream_name(*stream) ? embedded("", "publish.html", false) : std::nullopt;
  }
  if (const auto stream = after(path, "/watch/")) {
    return is_stream_name(*stream) ? embedded("", "watch.html", false) : std::nullopt;
  }
  if (const auto asset = after(path, "/assets/")) {
    const size_t slash = asset->find('/');
    if (slash == std::string_view::npos) return embedded("assets/", *asset, false);
    // The hash of another build would be cached for ever with this build's bytes.
    if (asset->substr(0, slash) != pages::embedded_hash()) return std::nullopt;
    return embedded("assets/", asset->substr(slash + 1), true);
  }
  return std::nullopt;
}

std::string_view asset_hash() {
  return pages::embedded_hash();
}

}  // namespace spillway
