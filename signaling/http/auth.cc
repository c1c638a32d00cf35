#include "signaling/http/auth.h"

#include <openssl/crypto.h>

#include "signaling/http/problem.h"
#include "signaling/pages/pages.h"

namespace spillway {

namespace {

const std::vector<std::string>& tokens_of(const HttpOptions& options, AuthAction action) {
  return action == AuthAction::publish ? options.publish_tokens : options.watch_tokens;
}

}  // namespace

std::optional<std::string_view> bearer_token(const HttpRequest& request, bool accept_raw) {
  const auto value = request.header("Authorization");
  if (!value || value->empty()) return std::nullopt;
  constexpr std::string_view kScheme = "Bearer ";
  if (value->size() > kScheme.size() &&
      equals_ignoring_case(value->substr(0, kScheme.size()), kScheme)) {
    return trim_blanks(value->substr(kScheme.size()));
  }
  if (accept_raw && value->find(' ') == std::string_view::npos) return value;
  return std::nullopt;
}

bool equals_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

AuthResult check_auth(const HttpOptions& options, AuthAction action, const HttpRequest& request) {
  const auto& tokens = tokens_of(options, action);
  if (tokens.empty()) return AuthResult::ok;
  const auto given = bearer_token(request, options.accept_raw_token);
  if (!given) return AuthResult::missing;
  bool good = false;
  for (const std::string& token : tokens)  // all of them: the time tells nothing
    good |= !token.empty() && equals_in_constant_time(*given, token);
  return good ? AuthResult::ok : AuthResult::wrong;
}

HttpResponse unauthorized(AuthResult result) {
  const bool wrong = result == AuthResult::wrong;
  HttpResponse response = problem(ProblemType::unauthorized,
                                  wrong ? "The bearer token is not valid for this action."
                                        : "Send the token as \"Authorization: Bearer <token>\".");
  // RFC 6750 §3.1: no error code when the request had no authentication at all.
  response.set("WWW-Authenticate", wrong ? "Bearer realm=\"spillway\", error=\"invalid_token\""
                                         : "Bearer realm=\"spillway\"");
  return response;
}

std::optional<std::string> stream_of_endpoint(const HttpOptions& options, AuthAction action,
                                              const HttpRequest& request) {
  constexpr std::string_view kDefault = "demo";
  if (!options.token_names_stream || !tokens_of(options, action).empty())
    return std::string(kDefault);
  const auto token = bearer_token(request, options.accept_raw_token);
  if (!token || token->empty() || *token == "undefined" || *token == "null")
    return std::string(kDefault);
  if (!is_stream_name(*token)) return std::nullopt;
  return std::string(*token);
}

}  // namespace spillway
