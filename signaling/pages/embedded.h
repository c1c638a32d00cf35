// The table embed.cmake writes: every file of web/ with its type and text.
// Private to this folder; pages.cc is the only reader.
#pragma once

#include <span>
#include <string_view>

namespace spillway::pages {

struct EmbeddedFile {
  std::string_view name;  // path below web/, e.g. "assets/style.css"
  std::string_view content_type;
  std::string_view body;
};

std::span<const EmbeddedFile> embedded_files();  // sorted by name
std::string_view embedded_hash();

}  // namespace spillway::pages
