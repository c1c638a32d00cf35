#include "signaling/http/status_json.h"

#include "signaling/http/json_text.h"

namespace spillway {

namespace {

// Writes `key":value` members with the commas between them.
class Object {
 public:
  explicit Object(std::string& out) : out_(out) { out_ += '{'; }
  void end() { out_ += '}'; }
  std::string& key(std::string_view name) {
    if (!first_) out_ += ',';
    first_ = false;
    append_json_string(out_, name);
    out_ += ':';
    return out_;
  }
  void text(std::string_view name, std::string_view v) { append_json_string(key(name), v); }
  void number(std::string_view name, uint64_t v) { key(name) += std::to_string(v); }
  void boolean(std::string_view name, bool v) { key(name) += v ? "true" : "false"; }
  template <typename List, typename Write>
  void array(std::string_view name, const List& list, Write write) {
    key(name) += '[';
    bool first = true;
    for (const auto& item : list) {
      if (!first) out_ += ',';
      first = false;
      write(out_, item);
    }
    out_ += ']';
  }

 private:
  std::string& out_;
  bool first_ = true;
};

template <typename Counted>
void add_counters(Object& o, const Counted& c) {
  o.number("rx_packets", c.rx_packets);
  o.number("rx_bytes", c.rx_bytes);
  o.number("tx_packets", c.tx_packets);
  o.number("tx_bytes", c.tx_bytes);
}

void write_text(std::string& out, const std::string& text) {
  append_json_string(out, text);
}

void write_track(std::string& out, const TrackDescription& track) {
  Object o(out);
  o.text("kind", track.kind == MediaKind::audio ? "audio" : "video");
  o.array("codecs", track.codecs, [](std::string& to, const TrackCodec& codec) {
    Object c(to);
    c.text("name", name_of(codec.codec));
    c.text("fmtp", codec.fmtp);
    c.end();
  });
  o.array("rids", track.rids, write_text);
  o.end();
}

void write_layer(std::string& out, const LayerStatus& layer) {
  Object o(out);
  o.text("rid", layer.rid);
  o.boolean("active", layer.active);
  o.number("bitrate_bps", layer.bitrate_bps);
  o.end();
}

void add_stream(Object& o, const StreamStatus& stream) {
  o.text("name", stream.name);
  o.boolean("live", stream.live);
  o.number("viewers", stream.viewers);
  add_counters(o, stream);
  o.array("tracks", stream.tracks, write_track);
  o.array("layers", stream.layers, write_layer);
}

void add_health(Object& o, const Health& health, bool show_machine) {
  o.boolean("control_ok", health.control_ok);
  o.boolean("datapath_ok", health.datapath_ok);
  o.boolean("draining", health.draining);
  o.number("uptime_ms", health.uptime_ms);
  if (!show_machine) return;
  o.text("io_backend", health.io_backend);
  o.text("io_note", health.io_note);
  o.text("srtp_backend", health.srtp_backend);
  o.number("workers", health.workers);
  o.number("datapath_restarts", health.datapath_restarts);
}

}  // namespace

std::string streams_json(const std::vector<StreamStatus>& streams, const Health& health,
                         bool show_machine) {
  std::string out;
  Object o(out);
  o.array("streams", streams, [](std::string& to, const StreamStatus& stream) {
    Object s(to);
    add_stream(s, stream);
    s.end();
  });
  Object h(o.key("health"));
  add_health(h, health, show_machine);
  h.end();
  o.end();
  out += '\n';
  return out;
}

std::string stream_json(const StreamStatus& stream, const std::vector<SessionStatus>& sessions,
                        bool show_remotes) {
  std::string out;
  Object o(out);
  add_stream(o, stream);
  o.array("sessions", sessions, [&](std::string& to, const SessionStatus& session) {
    Object s(to);
    s.boolean("publisher", session.publisher);
    s.text("state", session.state);
    s.text("remote", show_remotes ? std::string_view(session.remote) : std::string_view());
    s.number("age_ms", session.age_ms);
    add_counters(s, session);
    s.end();
  });
  o.end();
  out += '\n';
  return out;
}

std::string health_json(const Health& health, const std::vector<std::string>& reasons,
                        const std::vector<std::string>& degraded) {
  std::string out;
  Object o(out);
  o.text("status", reasons.empty() ? "ready" : "unavailable");
  o.array("reasons", reasons, write_text);
  o.array("degraded", degraded, write_text);
  add_health(o, health, true);
  o.end();
  out += '\n';
  return out;
}

}  // namespace spillway
