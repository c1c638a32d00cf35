#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <charconv>

#include "datapath/base/limits.h"
#include "signaling/http/problem.h"
#include "signaling/whip/resources.h"

namespace spillway {

namespace {

namespace json = boost::json;

// Selectors of the extension that would need us to look into the codec.
constexpr std::array<std::string_view, 7> kUnsupported{
    "spatialLayerId", "temporalLayerId", "maxSpatialLayerId", "maxTemporalLayerId",
    "maxWidth",       "maxHeight",       "maxBitrate"};

struct LayerWish {
  std::string mid;  // empty: the session's video
  std::string rid;  // empty: automatic
};

std::optional<std::string> text_member(const json::object& object, std::string_view name) {
  const json::value* const v = object.if_contains({name.data(), name.size()});
  if (v == nullptr || !v->is_string()) return std::nullopt;
  return std::string(v->get_string().data(), v->get_string().size());
}

// A mid of the session, or the index of its m-line as text or number.
std::optional<std::string> media_id(const json::value& id, const std::vector<std::string>& mids) {
  uint64_t index = 0;
  if (id.is_string()) {
    const std::string_view text(id.get_string().data(), id.get_string().size());
    for (const std::string& mid : mids)
      if (mid == text) return mid;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), index);
    if (ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  } else if (id.is_int64() && id.get_int64() >= 0) {
    index = static_cast<uint64_t>(id.get_int64());
  } else {
    return std::nullopt;
  }
  if (index >= mids.size()) return std::nullopt;
  return mids[index];
}

}  // namespace

HttpResponse post_layer(const ResourceContext& context, std::string_view id,
                        const ControlApi::IceState& ice, const HttpRequest& request) {
  const AuthResult auth =
      check_auth(context.options, ice.publisher ? AuthAction::publish : AuthAction::watch, request);
  if (auth != AuthResult::ok) return unauthorized(auth);
  if (ice.publisher)
    return problem(ProblemType::unsupported_layer, "Only a viewer chooses a layer.");

  LayerWish wish;
  if (!request.body.empty()) {
    if (!is_media_type(request.header("Content-Type").value_or(""), "application/json")) {
      HttpResponse response = problem(ProblemType::unsupported_type, "Send application/json.");
      response.set("Accept-Post", "application/json");
      return response;
    }
    boost::system::error_code ec;
    json::parse_options strict;
    strict.max_depth = 4;  // {"a":[...]} at most; nesting is an attack
    const json::value document =
        json::parse({request.body.data(), request.body.size()}, ec, {}, strict);
    if (ec || !document.is_object())
      return problem(ProblemType::bad_request, "The body is not a JSON object.");
    const json::object& object = document.get_object();
    if (const json::value* const media = object.if_contains("mediaId")) {
      const auto mid = media_id(*media, ice.mids);
      if (!mid)
        return problem(ProblemType::unsupported_layer,
                       "mediaId is neither a mid nor an m-line index of this session.");
      wish.mid = *mid;
    }
    for (const std::string_view name : {"rid", "encodingId"}) {
      if (!object.if_contains({name.data(), name.size()})) continue;
      const auto rid = text_member(object, name);
      if (!rid || rid->size() > kMaxRidBytes)
        return problem(ProblemType::unsupported_layer, "rid is not the name of a layer.");
      wish.rid = *rid;
      break;
    }
    for (const std::string_view name : kUnsupported) {
      if (object.if_contains({name.data(), name.size()}))
        return problem(ProblemType::unsupported_layer,
                       "Layers are chosen by rid; spatial, temporal and max selectors are not "
                       "supported.");
    }
  }
  if (const auto error = context.control.select_layer(id, wish.mid, wish.rid)) {
    // The request was well-formed: what is wrong with it is the layer.
    if (error->kind == ApiError::Kind::unsupported || error->kind == ApiError::Kind::invalid)
      return problem(ProblemType::unsupported_layer, error->detail);
    return problem_from(*error);
  }
  return HttpResponse{};
}

}  // namespace spillway
