#include "signaling/whip/links.h"

#include <algorithm>

namespace spillway {

bool is_ice_server(std::string_view text) {
  if (!text.starts_with("stun:") && !text.starts_with("stuns:")) return false;
  return text.find(':') + 1 < text.size() && std::all_of(text.begin(), text.end(), [](char c) {
           return c > 0x20 && c < 0x7f && c != ',' && c != ';' && c != '<' && c != '>' && c != '"';
         });
}

void add_ice_server_links(HttpResponse& response, const std::vector<std::string>& servers) {
  for (const std::string& server : servers)
    if (is_ice_server(server)) response.add("Link", "<" + server + ">; rel=\"ice-server\"");
}

}  // namespace spillway
