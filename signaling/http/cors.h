// Cross-origin headers (interop §1.4). Pure functions.
//
// Sent on every response. Allow-Credentials never is: authority travels in
// Authorization, which a foreign page cannot add by itself.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "signaling/http/message.h"

namespace spillway {

// OPTIONS with Origin and Access-Control-Request-Method: asked by a browser, not by
// the application. Needs no authentication and gets no ice-server links (H30, H31).
bool is_preflight(const HttpRequest& request);

// Allow-Origin is "*" if configured so, else the request's Origin if it is in the
// list (with Vary: Origin), else absent.
void add_cors(HttpResponse& response, const std::vector<std::string>& origins,
              const HttpRequest& request);

}  // namespace spillway
