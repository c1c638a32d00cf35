#include "signaling/http/router.h"

#include <algorithm>
#include <random>

#include "signaling/http/client_address.h"
#include "signaling/http/cors.h"
#include "signaling/http/problem.h"
#include "signaling/http/rate_limit.h"
#include "signaling/http/status_json.h"
#include "signaling/pages/pages.h"
#include "signaling/whip/links.h"
#include "signaling/whip/resources.h"

namespace spillway {

namespace {

// Prefixes remembered per limiter; 4096 entries are ~200 KiB.
constexpr uint32_t kLimiterEntries = 4096;
// A client that retries while we drain should find another server by then.
constexpr uint32_t kDrainRetryAfterS = 5;
constexpr size_t kSessionIdBytesMax = 64;

constexpr std::string_view kEndpointMethods = "POST, OPTIONS, HEAD, GET";
constexpr std::string_view kSessionMethods = "PATCH, DELETE, GET, HEAD, OPTIONS";
constexpr std::string_view kLayerMethods = "POST, OPTIONS";
constexpr std::string_view kReadMethods = "GET, HEAD, OPTIONS";

HttpResponse empty(uint16_t status) {
  HttpResponse response;
  response.status = status;
  return response;
}

HttpResponse document(std::string_view type, std::string_view body) {
  HttpResponse response;
  response.set("Content-Type", type);
  response.body = body;
  return response;
}

HttpResponse json(std::string body) {
  HttpResponse response;
  response.set("Content-Type", "application/json");
  response.set("Cache-Control", "no-store");
  response.body = std::move(body);
  return response;
}

HttpResponse not_allowed(std::string_view methods) {
  HttpResponse response =
      problem(ProblemType::method_not_allowed, "See the Allow header for what is.");
  response.set("Allow", methods);
  return response;
}

// 200, not 204: the RFC's own words (§4.2), and what clients test for.
HttpResponse options_ok(std::string_view methods) {
  HttpResponse response = empty(200);
  response.set("Allow", methods);
  return response;
}

// What the limiter's hash needs: unpredictable outside, no more.
HashKey random_key() {
  std::random_device device;
  const auto word = [&] { return uint64_t{device()} << 32 | device(); };
  return {word(), word()};
}

bool is_session_id(std::string_view id) {
  return !id.empty() && id.size() <= kSessionIdBytesMax && is_stream_name(id);
}

// "host", "host:port", "[v6]:port" without the port.
std::string_view host_name(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

bool host_allowed(const HttpOptions& options, const HttpRequest& request) {
  if (options.allowed_hosts.empty()) return true;
  const std::string_view host = host_name(request.header("Host").value_or(""));
  return std::any_of(options.allowed_hosts.begin(), options.allowed_hosts.end(),
                     [&](const std::string& h) { return equals_ignoring_case(h, host); });
}

void strip_for_head(HttpResponse& response) {
  response.head_content_length = response.body.size();
  response.body.clear();
}

ProblemType refusal_type(uint16_t status) {
  switch (status) {
    case 408:
      return ProblemType::request_timeout;
    case 413:
      return ProblemType::body_too_large;
    case 417:
      return ProblemType::expectation_failed;
    case 431:
      return ProblemType::header_too_large;
    case 500:
      return ProblemType::internal_error;
    default:
      return ProblemType::bad_request;
  }
}

void add_safety_headers(HttpResponse& response) {
  response.set("X-Content-Type-Options", "nosniff");
  response.set("Referrer-Policy", "no-referrer");
}

HttpResponse refusal(uint16_t status, std::string_view reason) {
  HttpResponse response = problem(refusal_type(status), reason);
  response.route = HttpRoute::refused;
  response.close = true;
  add_safety_headers(response);
  return response;
}

}  // namespace

struct ApiRouter::State {
  State(const HttpOptions& o, ControlApi& c, HttpMetrics& m, HttpClock k)
      : options(o),
        control(c),
        metrics(m),
        clock(std::move(k)),
        post_rule(rate_rule(o.posts_per_second)),
        posts_by_prefix(rate_rule(o.posts_per_second_per_ip), kLimiterEntries, random_key()),
        changes_by_prefix(rate_rule(o.changes_per_second_per_ip), kLimiterEntries, random_key()),
        guesses_by_prefix(rate_rule(o.guesses_per_second_per_ip), kLimiterEntries, random_key()) {
    for (const std::string& text : o.trusted_proxies)
      if (const auto prefix = IpPrefix::parse(text)) proxies.push_back(*prefix);
  }

  const HttpOptions& options;
  ControlApi& control;
  HttpMetrics& metrics;
  HttpClock clock;
  std::vector<IpPrefix> proxies;
  RateRule post_rule;
  TokenBucket posts;
  PrefixLimiter posts_by_prefix;
  PrefixLimiter changes_by_prefix;
  PrefixLimiter guesses_by_prefix;
  bool draining = false;

  HttpResponse dispatch(const HttpRequest& request, const IpAddress& client);
  HttpResponse endpoint(AuthAction action, std::string_view name, const HttpRequest& request,
                        const IpAddress& client);
  HttpResponse session(std::string_view rest, const HttpRequest& request, const IpAddress& client);
  HttpResponse api(std::string_view rest, const HttpRequest& request, const IpAddress& client);
  HttpResponse page(std::string_view path, const HttpRequest& request);
  std::optional<HttpResponse> limit_posts(const IpAddress& client);
};

std::optional<HttpResponse> ApiRouter::State::limit_posts(const IpAddress& client) {
  const Nanos now = clock();
  if (const uint32_t wait = posts_by_prefix.take(client, now)) {
    metrics.count_reject(HttpReject::rate_limit_prefix);
    return problem(ProblemType::rate_limited, "Too many new sessions from this network.", wait);
  }
  if (const uint32_t wait = posts.take(post_rule, now)) {
    metrics.count_reject(HttpReject::rate_limit_global);
    return problem(ProblemType::overloaded, "Too many new sessions.", wait);
  }
  return std::nullopt;
}

HttpResponse ApiRouter::State::endpoint(AuthAction action, std::string_view name,
                                        const HttpRequest& request, const IpAddress& client) {
  switch (request.method) {
    case HttpMethod::options: {
      HttpResponse response = options_ok(kEndpointMethods);
      response.set("Accept-Post", "application/sdp");
      if (!is_preflight(request) && check_auth(options, action, request) == AuthResult::ok)
        add_ice_server_links(response, options.ice_servers);
      return response;
    }
    case HttpMethod::get:
      return empty(204);
    case HttpMethod::head: {
      HttpResponse response = empty(200);
      response.set("Content-Type", "application/sdp");
      response.set("Accept-Post", "application/sdp");
      return response;
    }
    case HttpMethod::post:
      break;
    default:
      return not_allowed(kEndpointMethods);
  }
  if (auto limited = limit_posts(client)) return std::move(*limited);
  if (draining) {
    metrics.count_reject(HttpReject::draining);
    return problem(ProblemType::draining, "No new sessions: the server is being shut down.",
                   kDrainRetryAfterS);
  }
  const auto stream = name == "endpoint"     ? stream_of_endpoint(options, action, request)
                      : is_stream_name(name) ? std::optional<std::string>(name)
                                             : std::nullopt;
  if (!stream)
    return problem(ProblemType::bad_stream_name,
                   "A stream name is 1 to 128 of A-Z a-z 0-9 _ and -.");
  return post_offer({options, control, client}, action, *stream, request);
}

HttpResponse ApiRouter::State::session(std::string_view rest, const HttpRequest& request,
                                       const IpAddress& client) {
  const auto slash = rest.find('/');
  const std::string_view id = rest.substr(0, slash);
  const bool layer = slash != std::string_view::npos;
  if (layer && rest.substr(slash) != "/layer")
    return problem(ProblemType::no_such_resource,
                   "Sessions are at /w/{id}, layers at /w/{id}/layer.");
  const std::string_view methods = layer ? kLayerMethods : kSessionMethods;

  bool changes = false;
  switch (request.method) {
    case HttpMethod::options: {
      HttpResponse response = options_ok(methods);
      if (layer)
        response.set("Accept-Post", "application/json");
      else
        response.set("Accept-Patch", "application/trickle-ice-sdpfrag");
      return response;
    }
    case HttpMethod::post:
      if (!layer) return not_allowed(methods);
      changes = true;
      break;
    case HttpMethod::patch:
    case HttpMethod::del:
      if (layer) return not_allowed(methods);
      changes = true;
      break;
    case HttpMethod::get:
    case HttpMethod::head:
      if (layer) return not_allowed(methods);
      break;
    default:
      return not_allowed(methods);
  }
  const Nanos now = clock();
  if (changes) {
    if (const uint32_t wait = changes_by_prefix.take(client, now)) {
      metrics.count_reject(HttpReject::rate_limit_prefix);
      return problem(ProblemType::rate_limited, "Too many changes from this network.", wait);
    }
  }
  const auto ice = is_session_id(id) ? control.ice_state(id) : std::nullopt;
  if (!ice) {
    // 128 random bits keep ids from being guessed; the limit keeps guessing from
    // costing us. It applies to misses only: a neighbour's guesses must not stop
    // an owner from ending a session.
    if (const uint32_t wait = guesses_by_prefix.take(client, now)) {
      metrics.count_reject(HttpReject::session_guess);
      HttpResponse response =
          problem(ProblemType::rate_limited, "Too many unknown sessions.", wait);
      response.close = true;
      return response;
    }
    return problem(ProblemType::no_such_session, "It never existed, was deleted or has expired.");
  }
  const ResourceContext context{options, control, client};
  if (layer) return post_layer(context, id, *ice, request);
  if (request.method == HttpMethod::patch) return patch_session(context, id, *ice, request);
  if (request.method == HttpMethod::del) return delete_session(context, id, *ice, request);
  return empty(204);
}

HttpResponse ApiRouter::State::api(std::string_view rest, const HttpRequest& request,
                                   const IpAddress& client) {
  const bool list = rest.empty();
  const std::string_view name = list ? rest : rest.substr(1);
  if (!list && !is_stream_name(name))
    return problem(ProblemType::no_such_stream, "Streams are at /api/streams/{name}.");
  if (request.method == HttpMethod::options) return options_ok(kReadMethods);
  if (request.method != HttpMethod::get && request.method != HttpMethod::head)
    return not_allowed(kReadMethods);
  const AuthResult auth = check_auth(options, AuthAction::watch, request);
  if (auth != AuthResult::ok) return unauthorized(auth);

  // Addresses of viewers and what the machine runs on are for those who proved
  // who they are or sit on it.
  const bool show_all = !options.watch_tokens.empty() || client.is_loopback();
  const std::vector<StreamStatus> streams = control.streams();
  if (list) return json(streams_json(streams, control.health(), show_all));
  const auto stream = std::find_if(streams.begin(), streams.end(),
                                   [&](const StreamStatus& s) { return s.name == name; });
  if (stream == streams.end())
    return problem(ProblemType::no_such_stream, "Nobody publishes it or waits for it.");
  return json(stream_json(*stream, control.sessions(name), show_all));
}

HttpResponse ApiRouter::State::page(std::string_view path, const HttpRequest& request) {
  const auto found = options.pages ? find_page(path) : std::nullopt;
  if (!found)
    return problem(ProblemType::no_such_resource,
                   "See /whip/{stream}, /whep/{stream}, /api/streams.");
  if (request.method == HttpMethod::options) return options_ok(kReadMethods);
  if (request.method != HttpMethod::get && request.method != HttpMethod::head)
    return not_allowed(kReadMethods);
  HttpResponse response = document(found->content_type, found->body);
  response.set("Cache-Control", found->cacheable ? kAssetCacheControl : kPageCacheControl);
  response.set("Content-Security-Policy", kPageSecurityPolicy);
  return response;
}

HttpResponse ApiRouter::State::dispatch(const HttpRequest& request, const IpAddress& client) {
  const std::string_view path = request.path();
  const auto routed = [](HttpRoute route, HttpResponse response) {
    response.route = route;
    return response;
  };
  if (!host_allowed(options, request)) {
    metrics.count_reject(HttpReject::host_not_allowed);
    return problem(ProblemType::wrong_host, "The Host header names none of the configured hosts.");
  }
  if (path == "*") return options_ok(kReadMethods);
  for (const auto& [prefix, action, route] :
       {std::tuple{std::string_view("/whip/"), AuthAction::publish, HttpRoute::whip},
        std::tuple{std::string_view("/whep/"), AuthAction::watch, HttpRoute::whep}}) {
    if (!path.starts_with(prefix)) continue;
    const std::string_view name = path.substr(prefix.size());
    if (name.empty() || name.find('/') != std::string_view::npos)
      return routed(route,
                    problem(ProblemType::no_such_resource, "One path segment names the stream."));
    return routed(route, endpoint(action, name, request, client));
  }
  if (path.starts_with("/w/")) {
    const std::string_view rest = path.substr(3);
    return routed(rest.ends_with("/layer") ? HttpRoute::layer : HttpRoute::session,
                  session(rest, request, client));
  }
  constexpr std::string_view kStreams = "/api/streams";
  if (path == kStreams || (path.starts_with(kStreams) && path[kStreams.size()] == '/'))
    return routed(HttpRoute::api, api(path.substr(kStreams.size()), request, client));
  HttpResponse response = page(path, request);
  response.route = response.status == 404 ? HttpRoute::unknown : HttpRoute::page;
  return response;
}

ApiRouter::ApiRouter(const HttpOptions& options, ControlApi& control, HttpMetrics& metrics,
                     HttpClock clock)
    : state_(std::make_unique<State>(options, control, metrics, std::move(clock))) {}
ApiRouter::~ApiRouter() = default;

HttpResponse ApiRouter::handle(const HttpRequest& request) {
  const Nanos start = state_->clock();
  HttpResponse response = state_->dispatch(request, client_address(state_->proxies, request));
  // A browser shows its page the answer to the real request, not to this one.
  if (response.status == 404 && is_preflight(request)) response = options_ok(kReadMethods);
  if (response.status == 401) state_->metrics.count_reject(HttpReject::unauthorized);
  add_cors(response, state_->options.cors_origins, request);
  add_safety_headers(response);
  if (request.method == HttpMethod::head) strip_for_head(response);
  state_->metrics.count_request(response.route, response.status, state_->clock() - start);
  return response;
}

HttpResponse ApiRouter::refuse(uint16_t status, std::string_view reason) {
  HttpResponse response = refusal(status, reason);
  add_cors(response, state_->options.cors_origins, HttpRequest{});
  state_->metrics.count_request(response.route, response.status, Nanos{});
  return response;
}

void ApiRouter::begin_drain() {
  state_->draining = true;
}

AdminRouter::AdminRouter(const HttpOptions& options, ControlApi& control, const HttpMetrics& http)
    : options_(options), control_(control), http_(http) {}

HttpResponse AdminRouter::handle(const HttpRequest& request) {
  const auto answer = [&]() -> HttpResponse {
    const std::string_view path = request.path();
    const bool known = path == "/healthz" || path == "/readyz" || path == "/metrics";
    if (!host_allowed(options_, request))
      return problem(ProblemType::wrong_host,
                     "The Host header names none of the configured hosts.");
    if (!known) return problem(ProblemType::no_such_resource, "See /healthz, /readyz, /metrics.");
    if (request.method == HttpMethod::options) return options_ok(kReadMethods);
    if (request.method != HttpMethod::get && request.method != HttpMethod::head)
      return not_allowed(kReadMethods);
    if (path == "/metrics")
      return document("text/plain; version=0.0.4; charset=utf-8",
                      control_.metrics_text() + http_.text());
    const Health health = control_.health();
    std::vector<std::string> reasons;
    std::vector<std::string> degraded;
    if (!health.control_ok) reasons.emplace_back("control is not well");
    if (path == "/readyz") {
      if (!health.datapath_ok) reasons.emplace_back("the datapath does not answer");
      if (health.draining) reasons.emplace_back("draining");
    }
    if (!health.io_note.empty()) degraded.push_back("io: " + health.io_note);
    HttpResponse response = json(health_json(health, reasons, degraded));
    if (!reasons.empty()) response.status = 503;
    return response;
  };
  HttpResponse response = answer();
  response.route = HttpRoute::admin;
  add_safety_headers(response);
  if (request.method == HttpMethod::head) strip_for_head(response);
  return response;
}

HttpResponse AdminRouter::refuse(uint16_t status, std::string_view reason) {
  return refusal(status, reason);
}

}  // namespace spillway
