#include "signaling/http/problem.h"
#include "signaling/sdp/sdp_fragment.h"
#include "signaling/whip/patch_decision.h"
#include "signaling/whip/resources.h"

namespace spillway {

namespace {

constexpr std::string_view kFragmentType = "application/trickle-ice-sdpfrag";

AuthAction action_of(const ControlApi::IceState& ice) {
  return ice.publisher ? AuthAction::publish : AuthAction::watch;
}

HttpResponse restart(const ResourceContext& context, std::string_view id,
                     const ControlApi::IceState& ice, const SdpFragment& fragment) {
  const auto made = context.control.restart_ice(id, fragment.ice_ufrag, fragment.ice_pwd);
  if (const auto* error = std::get_if<ApiError>(&made)) return problem_from(*error);
  const auto& answer = std::get<IceRestartAnswer>(made);
  HttpResponse response;
  response.set("Content-Type", kFragmentType);
  response.set("ETag", "\"" + answer.etag + "\"");
  response.set("Cache-Control", "no-store");
  response.body = write_restart_fragment(answer.transport, ice.mids);
  return response;
}

}  // namespace

HttpResponse patch_session(const ResourceContext& context, std::string_view id,
                           const ControlApi::IceState& ice, const HttpRequest& request) {
  const AuthResult auth = check_auth(context.options, action_of(ice), request);
  if (auth != AuthResult::ok) return unauthorized(auth);

  PatchInput in;
  in.is_fragment = is_media_type(request.header("Content-Type").value_or(""), kFragmentType);
  in.current_ufrag = ice.remote_ufrag;
  in.current_pwd = ice.remote_pwd;
  in.strict = context.options.strict_etag;
  // One SDK sends the tag in a request header called ETag (C2).
  auto if_match = request.header("If-Match");
  if (!if_match) if_match = request.header("ETag");
  in.if_match = match_etag(if_match.has_value(), if_match.value_or(""), ice.etag);
  std::string why = "The fragment has no ice-ufrag and ice-pwd.";
  SdpFragment fragment;
  if (in.is_fragment) {
    auto parsed = parse_sdp_fragment(request.body);
    in.parsed = parsed.ok();
    if (parsed) {
      fragment = *std::move(parsed);
      in.ufrag = fragment.ice_ufrag;
      in.pwd = fragment.ice_pwd;
    } else {
      why = parsed.error().text;
    }
  }

  switch (decide_patch(in)) {
    case PatchAction::trickle: {
      // ICE-lite: we never send a check first, so candidates change nothing (H20).
      HttpResponse response;
      response.status = 204;
      return response;
    }
    case PatchAction::restart:
      return restart(context, id, ice, fragment);
    case PatchAction::bad_fragment:
      return problem(ProblemType::bad_fragment, why);
    case PatchAction::stale:
      return problem(ProblemType::stale_etag, "The ICE session was restarted since.");
    case PatchAction::precondition_required:
      return problem(ProblemType::etag_required, "Send If-Match with the ETag of the session.");
    case PatchAction::unsupported_type:
      break;
  }
  HttpResponse response = problem(ProblemType::unsupported_type,
                                  "A session is patched with application/trickle-ice-sdpfrag.");
  response.set("Accept-Patch", kFragmentType);
  return response;
}

HttpResponse delete_session(const ResourceContext& context, std::string_view id,
                            const ControlApi::IceState& ice, const HttpRequest& request) {
  if (context.options.delete_needs_token) {
    const AuthResult auth = check_auth(context.options, action_of(ice), request);
    if (auth != AuthResult::ok) return unauthorized(auth);
  }
  if (!context.control.remove(id))
    return problem(ProblemType::no_such_session, "It ended at this very moment.");
  return HttpResponse{};
}

}  // namespace spillway
