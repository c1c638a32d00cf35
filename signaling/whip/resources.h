// The WHIP and WHEP resources: an endpoint that creates sessions, a session that
// is patched and deleted, and a viewer's layer choice.
//
// Functions from request to response over ControlApi; the router has already done
// CORS, rate limits and the method check. Authentication is done here, because a
// session knows only after its look-up whether it publishes or watches. Single thread.
#pragma once

#include <string_view>

#include "control/control_api.h"
#include "signaling/http/auth.h"
#include "signaling/http/http_options.h"
#include "signaling/http/message.h"

namespace spillway {

struct ResourceContext {
  const HttpOptions& options;
  ControlApi& control;
  IpAddress client_ip;
};

// POST of an SDP offer: 201 with the answer, Location, ETag, Accept-Patch, Link.
HttpResponse post_offer(const ResourceContext& context, AuthAction action, std::string_view stream,
                        const HttpRequest& request);

// PATCH /w/{id}: trickle or ICE restart (patch_decision.h).
HttpResponse patch_session(const ResourceContext& context, std::string_view id,
                           const ControlApi::IceState& ice, const HttpRequest& request);

// DELETE /w/{id}. Entity tags are ignored (H18).
HttpResponse delete_session(const ResourceContext& context, std::string_view id,
                            const ControlApi::IceState& ice, const HttpRequest& request);

// POST /w/{id}/layer with the JSON of the WHEP layer extension:
//   {"mediaId":"<mid or m-line index>","rid":"h"}   ("encodingId" is taken for rid)
//   {} or an empty body: automatic. Spatial, temporal and max* selectors: 422.
// The extension is not advertised by Link: its text wants server-sent events with
// it, which do not exist yet.
HttpResponse post_layer(const ResourceContext& context, std::string_view id,
                        const ControlApi::IceState& ice, const HttpRequest& request);

}  // namespace spillway
