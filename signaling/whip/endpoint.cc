#include "signaling/http/problem.h"
#include "signaling/sdp/answer.h"
#include "signaling/sdp/negotiation.h"
#include "signaling/sdp/sdp.h"
#include "signaling/whip/links.h"
#include "signaling/whip/resources.h"

namespace spillway {

namespace {

HttpResponse created(const ResourceContext& context, const SessionAnswer& session,
                     std::string answer) {
  HttpResponse response;
  response.status = 201;
  response.set("Content-Type", "application/sdp");
  // Absolute path, no query: relative to the endpoint, clients resolve it wrongly.
  response.set("Location", "/w/" + session.session_id);
  response.set("ETag", "\"" + session.etag + "\"");
  // Gone from the RFC's final text; older clients trickle only when they see it.
  response.set("Accept-Patch", "application/trickle-ice-sdpfrag");
  // The answer holds credentials.
  response.set("Cache-Control", "no-store");
  add_ice_server_links(response, context.options.ice_servers);
  response.body = std::move(answer);
  return response;
}

HttpResponse unsupported_type() {
  HttpResponse response =
      problem(ProblemType::unsupported_type, "An offer is sent as application/sdp.");
  response.set("Accept-Post", "application/sdp");
  return response;
}

}  // namespace

HttpResponse post_offer(const ResourceContext& context, AuthAction action, std::string_view stream,
                        const HttpRequest& request) {
  const AuthResult auth = check_auth(context.options, action, request);
  if (auth != AuthResult::ok) return unauthorized(auth);
  const bool publish = action == AuthAction::publish;

  // How a player asks the server to offer (WHEP counter-offers, which we do not
  // make). 422, because one player takes every 400 as a request to try just this (C7).
  if (!publish && request.body.empty() &&
      is_media_type(request.header("Content-Type").value_or("application/sdp"), "application/sdp"))
    return problem(ProblemType::unsupported_offer,
                   "The body is empty and this server makes no offers itself: send an SDP offer.");
  if (!is_media_type(request.header("Content-Type").value_or(""), "application/sdp"))
    return unsupported_type();

  const auto offer = parse_sdp(request.body);
  if (!offer) return problem(ProblemType::bad_sdp, offer.error().text);
  const PlanResult planned = publish
                                 ? plan_publish(*offer, PublishOptions{context.options.half_accept})
                                 : plan_watch(*offer, context.control.describe_stream(stream));
  if (const auto* refusal = std::get_if<Refusal>(&planned)) {
    return problem(refusal->kind == Refusal::Kind::malformed ? ProblemType::bad_sdp
                                                             : ProblemType::unsupported_offer,
                   refusal->detail);
  }
  const OfferPlan& plan = std::get<OfferPlan>(planned);

  SessionRequest wish;
  wish.stream = stream;
  wish.transport = plan.transport;
  wish.media = plan.media;
  wish.client_ip = context.client_ip;
  const auto made = publish ? context.control.publish(wish) : context.control.watch(wish);
  if (const auto* error = std::get_if<ApiError>(&made)) return problem_from(*error);
  const SessionAnswer& session = std::get<SessionAnswer>(made);

  auto answer = write_answer(*offer, plan, session);
  if (!answer) {
    // Nobody will ever learn this session's id: do not leave it to its timeout.
    context.control.remove(session.session_id);
    return problem(ProblemType::internal_error, answer.error().text);
  }
  return created(context, session, *std::move(answer));
}

}  // namespace spillway
