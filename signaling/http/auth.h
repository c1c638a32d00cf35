// Static bearer tokens (RFC 6750) and what the token-named endpoints make of them.
//
// A wrong or missing token is 401 with WWW-Authenticate, never 403: RFC 6750 §3.1
// has 403 for a token that is good for something else, and these are good for one
// thing only. When an action has no tokens configured, Authorization is not looked
// at (C4: "Bearer undefined" must not fail). Comparison takes the same time
// whatever matches. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "signaling/http/http_options.h"
#include "signaling/http/message.h"

namespace spillway {

enum class AuthAction : uint8_t { publish, watch };
enum class AuthResult : uint8_t { ok, missing, wrong };

// The token of "Authorization: Bearer x" (scheme in any case), or of the bare value
// with accept_raw_token (C5). nullopt: none, or another scheme.
std::optional<std::string_view> bearer_token(const HttpRequest& request, bool accept_raw);

AuthResult check_auth(const HttpOptions& options, AuthAction action, const HttpRequest& request);

// 401 with WWW-Authenticate: Bearer, error="invalid_token" when one was given.
HttpResponse unauthorized(AuthResult result);

// Stream of /whip/endpoint and /whep/endpoint: the token where tokens are names
// (no token list for the action and token_names_stream), else "demo". A configured
// token is a secret and never becomes a name: names are shown to viewers. Absent,
// "undefined" and "null" (what scripts send without a key) are "demo" too.
// nullopt: the token is not a stream name.
std::optional<std::string> stream_of_endpoint(const HttpOptions& options, AuthAction action,
                                              const HttpRequest& request);

// Equality in time that depends on the lengths only.
bool equals_in_constant_time(std::string_view a, std::string_view b);

}  // namespace spillway
