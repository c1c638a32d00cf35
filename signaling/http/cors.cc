#include "signaling/http/cors.h"

#include <algorithm>

namespace spillway {

bool is_preflight(const HttpRequest& request) {
  return request.method == HttpMethod::options && request.header("Origin") &&
         request.header("Access-Control-Request-Method");
}

void add_cors(HttpResponse& response, const std::vector<std::string>& origins,
              const HttpRequest& request) {
  const auto has = [&](std::string_view o) {
    return std::find(origins.begin(), origins.end(), o) != origins.end();
  };
  if (has("*")) {
    response.set("Access-Control-Allow-Origin", "*");
  } else if (!origins.empty()) {
    response.set("Vary", "Origin");
    if (const auto origin = request.header("Origin"); origin && has(*origin))
      response.set("Access-Control-Allow-Origin", *origin);
  }
  // On every response, not only preflights: one player looks for PATCH in the
  // plain OPTIONS answer before it trickles.
  response.set("Access-Control-Allow-Methods", "OPTIONS, GET, HEAD, POST, PATCH, DELETE");
  response.set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match, ETag");
  response.set("Access-Control-Expose-Headers",
               "Location, ETag, Link, Accept-Post, Accept-Patch, Retry-After, WWW-Authenticate");
  response.set("Access-Control-Max-Age", "86400");
}

}  // namespace spillway
