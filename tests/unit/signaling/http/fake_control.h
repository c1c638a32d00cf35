// A ControlApi that remembers what it was asked and answers what a test says.
#pragma once

#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "control/control_api.h"

namespace spillway::test {

class FakeControl final : public ControlApi {
 public:
  // --- what a test sets ------------------------------------------------------------
  StreamDescription description;         // of every stream
  std::optional<ApiError> create_error;  // publish and watch
  std::optional<ApiError> restart_error;
  std::optional<ApiError> layer_error;
  std::map<std::string, IceState, std::less<>> known;  // by session id
  std::vector<StreamStatus> stream_list;
  std::vector<SessionStatus> session_list;
  Health health_now;
  std::vector<Endpoint> candidates{{IpAddress::v4(192, 0, 2, 7), 3478, 0},
                                   {*IpAddress::parse("2001:db8::7"), 3478, 0}};
  bool throw_on_streams = false;
  bool lose_media = false;  // answers without the planned media

  // --- what a test looks at -------------------------------------------------------------
  std::vector<SessionRequest> published;
  std::vector<SessionRequest> watched;
  std::vector<std::string> removed;
  struct Restart {
    std::string id, ufrag, pwd;
  };
  std::vector<Restart> restarts;
  struct Layer {
    std::string id, mid, rid;
  };
  std::vector<Layer> layer_wishes;
  int create_calls = 0;

  StreamDescription describe_stream(std::string_view) const override { return description; }
  ApiResult<SessionAnswer> publish(const SessionRequest& request) override {
    published.push_back(request);
    return create(request, true);
  }
  ApiResult<SessionAnswer> watch(const SessionRequest& request) override {
    watched.push_back(request);
    return create(request, false);
  }
  std::optional<IceState> ice_state(std::string_view id) const override {
    const auto found = known.find(id);
    if (found == known.end()) return std::nullopt;
    return found->second;
  }
  ApiResult<IceRestartAnswer> restart_ice(std::string_view id, std::string_view ufrag,
                                          std::string_view pwd) override {
    restarts.push_back({std::string(id), std::string(ufrag), std::string(pwd)});
    if (restart_error) return *restart_error;
    IceState& ice = known.find(id)->second;
    ice.remote_ufrag = ufrag;
    ice.remote_pwd = pwd;
    ice.etag = "2-0badcafe";
    return IceRestartAnswer{ice.etag, transport("newlocalufrag", "newlocalpasswordnewlocal")};
  }
  bool remove(std::string_view id) override {
    removed.emplace_back(id);
    const auto found = known.find(id);
    if (found == known.end()) return false;
    known.erase(found);
    return true;
  }
  std::optional<ApiError> select_layer(std::string_view id, std::string_view mid,
                                       std::string_view rid) override {
    layer_wishes.push_back({std::string(id), std::string(mid), std::string(rid)});
    return layer_error;
  }
  std::vector<LayerStatus> layers(std::string_view) const override { return {}; }
  std::vector<StreamStatus> streams() const override {
    if (throw_on_streams) throw std::runtime_error("a fault\r\nof the program");
    return stream_list;
  }
  std::vector<SessionStatus> sessions(std::string_view) const override { return session_list; }
  Health health() const override { return health_now; }
  std::string metrics_text() const override { return "spillway_fake_total 1\n"; }

 private:
  TransportAnswer transport(std::string ufrag, std::string pwd) const {
    TransportAnswer t;
    t.ice_ufrag = std::move(ufrag);
    t.ice_pwd = std::move(pwd);
    t.candidates = candidates;
    t.fingerprint_sha256.fill(0xab);
    return t;
  }
  ApiResult<SessionAnswer> create(const SessionRequest& request, bool publisher) {
    ++create_calls;
    if (create_error) return *create_error;
    SessionAnswer answer;
    answer.session_id = "AAAAAAAAAAAAAAAAAAAA" + std::to_string(10 + create_calls);
    answer.etag = "1-deadbeef";
    answer.transport = transport("localufrag", "localpasswordlocalpassword");
    answer.transport.local_role = request.transport.local_role;
    IceState ice{answer.etag,
                 request.transport.ice_ufrag,
                 request.transport.ice_pwd,
                 publisher,
                 request.stream,
                 {}};
    uint32_t ssrc = 1000;
    for (const MediaPlan& m : request.media) {
      MediaAnswer media;
      if (!publisher) {
        media.ssrc = Ssrc{ssrc++};
        media.rtx_ssrc = Ssrc{m.kind == MediaKind::video ? ssrc++ : 0};
        media.cname = "cname";
        media.msid = "spillway " + request.stream;
      }
      answer.media.push_back(media);
      ice.mids.push_back(m.mid);
    }
    if (lose_media) answer.media.clear();
    known.emplace(answer.session_id, ice);
    return answer;
  }
};

}  // namespace spillway::test
