// Life of sessions: admission, opening, ICE restarts, layers, ending.
#include "control/session_manager.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include <openssl/crypto.h>
#include <spdlog/spdlog.h>

#include "control/candidates.h"
#include "control/log_limit.h"
#include "datapath/proto/ice_credentials.h"

namespace spillway {
namespace {

constexpr uint32_t kRetryOverloadedS = 2;
constexpr uint32_t kRetryNoPublisherS = 5;
constexpr uint32_t kRetryDrainingS = 10;
// Viewers of streams nobody publishes may not use up the tracks of those who would.
constexpr uint32_t kTracksForWaiting = kMaxTracks / 2;
// Doorbells repeated after a change: a session that moved between workers at the wrong
// moment is looked at again.
constexpr uint8_t kReminders = 2;

HashKey draw_hash_key(const SessionManager::Random& random) {
  std::array<uint8_t, 16> bytes{};
  random(bytes);
  return {load_be64(bytes.data()), load_be64(bytes.data() + 8)};
}

ApiError unknown_session() { return {ApiError::Kind::not_found, "no such session", 0}; }

// msid identifiers have at most 64 characters (RFC 8830 §2).
std::string msid_of(const std::string& stream, MediaKind kind, uint32_t ordinal) {
  std::string out = stream.substr(0, 64) + (kind == MediaKind::audio ? " audio" : " video");
  if (ordinal > 0) out += std::to_string(ordinal);
  return out;
}

IceSecret ice_secret(const abi::BootConfig& boot) {
  IceSecret s;
  std::copy_n(boot.ice_secret, s.bytes.size(), s.bytes.data());
  return s;
}

}  // namespace

SessionManager::SessionManager(DatapathLink& link, const DtlsContext& dtls, ManagerOptions options,
                               Clock clock, Random random)
    : link_(link),
      dtls_(dtls),
      options_(std::move(options)),
      clock_(std::move(clock)),
      random_(std::move(random)),
      now_(clock_()),
      started_(now_),
      streams_(tracks_),
      by_slot_(kMaxSessions),
      by_id_(0, IdHash{draw_hash_key(random_)}),
      last_sweep_(now_) {
  recover();
  link_.flush();
}

SessionManager::~SessionManager() = default;

uint32_t SessionManager::random_u32() {
  std::array<uint8_t, 4> bytes{};
  random_(bytes);
  return load_be32(bytes.data());
}

uint8_t SessionManager::pick_home() const {
  auto first = home_count_.begin();
  auto least = std::min_element(first, first + link_.workers());
  return static_cast<uint8_t>(least - first);
}

Session* SessionManager::at(uint32_t slot, uint32_t generation) const {
  Session* s = slot < kMaxSessions ? by_slot_[slot].get() : nullptr;
  return s && s->name.generation == generation ? s : nullptr;
}

Session* SessionManager::find(std::string_view session_id) const {
  auto id = session_id_from(session_id);
  if (!id) return nullptr;
  auto it = by_id_.find(*id);
  return it == by_id_.end() ? nullptr : by_slot_[it->second].get();
}

std::string SessionManager::etag_of(const abi::ControlRecord& record,
                                    uint8_t ice_generation) const {
  char text[16];
  std::snprintf(text, sizeof text, "%u-%08x", ice_generation, record.etag_nonce);
  return text;
}

TransportAnswer SessionManager::transport_answer(const Session& session) const {
  IceKeys keys(ice_secret(link_.boot()));
  LocalUfrag ufrag = make_local_ufrag(keys, session.name.slot, session.name.generation,
                                      session.ice_generation);
  IcePassword password = derive_ice_password(keys, ufrag.view());
  TransportAnswer out;
  out.ice_ufrag = ufrag.view();
  out.ice_pwd = password.view();
  out.candidates = order_candidates(options_.candidates, session.client_ip);
  out.fingerprint_sha256 = dtls_.fingerprint_sha256();
  out.local_role = session.local_role;
  return out;
}

// --- opening -----------------------------------------------------------------------------

std::optional<ApiError> SessionManager::admit(bool replaces) {
  auto overloaded = [&](const char* why) {
    ++counters_.refused_overloaded;
    return ApiError{ApiError::Kind::overloaded, why, kRetryOverloadedS};
  };
  if (draining_)
    return ApiError{ApiError::Kind::draining, "this server is about to stop", kRetryDrainingS};
  if (!datapath_alive()) return overloaded("the media process is not running");
  uint32_t limit = std::min(options_.limits.max, kMaxSessions);
  if (session_count_ - (replaces ? 1 : 0) >= limit) return overloaded("too many sessions");
  if (half_open_ >= options_.limits.max_half_open)
    return overloaded("too many sessions are being set up");
  return std::nullopt;
}

bool SessionManager::assign_tracks(Stream& stream, abi::SessionRole role,
                                   abi::SessionConfig& config, TrackList& held) {
  bool publisher = role == abi::SessionRole::publisher;
  if (!publisher && !stream.live() && tracks_.used() >= kTracksForWaiting) return false;
  std::array<uint32_t, 2> ordinals{};
  for (uint32_t m = 0; m < config.media_count; ++m) {
    auto kind = static_cast<MediaKind>(config.media[m].kind);
    uint32_t ordinal = ordinals[config.media[m].kind]++;
    uint32_t track = streams_.track(stream, kind, ordinal, publisher || ordinal == 0);
    if (track == abi::kNoTrack && (publisher || ordinal == 0)) return false;
    config.media[m].track = track;
    if (track == abi::kNoTrack) continue;
    tracks_.hold(track);
    held[m] = track;
  }
  return true;
}

ApiResult<SessionAnswer> SessionManager::publish(const SessionRequest& request) {
  return open(request, abi::SessionRole::publisher);
}

ApiResult<SessionAnswer> SessionManager::watch(const SessionRequest& request) {
  return open(request, abi::SessionRole::viewer);
}

ApiResult<SessionAnswer> SessionManager::open(const SessionRequest& request,
                                              abi::SessionRole role) {
  now_ = clock_();
  bool publisher = role == abi::SessionRole::publisher;
  auto built = build_session(request, role,
                             {options_.limits.connect_timeout_s * 1000,
                              options_.limits.consent_timeout_s * 1000,
                              options_.limits.rtx_percent});
  if (auto* error = std::get_if<ApiError>(&built)) return *error;
  auto& config = std::get<abi::SessionConfig>(built);

  const Stream* existing = streams_.find(request.stream);
  bool live = existing && existing->live();
  bool replaces = publisher && live;
  if (replaces && options_.limits.publisher_policy == "reject")
    return ApiError{ApiError::Kind::already_published, "this stream has a publisher", 0};
  if (!publisher && !live && options_.limits.wait_for_publisher_s == 0)
    return ApiError{ApiError::Kind::no_publisher, "nobody publishes this stream",
                    kRetryNoPublisherS};
  if (auto error = admit(replaces)) return *error;

  auto name = slots_.take();
  if (!name) {
    ++counters_.refused_overloaded;
    return ApiError{ApiError::Kind::overloaded, "the session table is full", kRetryOverloadedS};
  }
  Stream& stream = streams_.open(request.stream, now_);
  auto session = std::make_unique<Session>();
  if (!assign_tracks(stream, role, config, session->tracks)) {
    for (uint32_t track : session->tracks) tracks_.drop(track);
    slots_.cancel(*name);
    streams_.close_if_empty(stream);
    ++counters_.refused_overloaded;
    return ApiError{ApiError::Kind::overloaded, "all tracks are in use", kRetryOverloadedS};
  }

  session->name = *name;
  random_(session->id);
  session->stream = &stream;
  session->created = now_;
  session->client_ip = request.client_ip;
  session->home_worker = session->via_worker = pick_home();
  session->publisher = publisher;
  session->local_role = request.transport.local_role;
  session->fingerprints = request.transport.fingerprints;
  session->reminders = kReminders;

  SessionAnswer answer;
  std::array<uint8_t, 12> cname_bytes{};
  random_(cname_bytes);
  std::string cname = base64url(cname_bytes);
  std::vector<uint32_t> used;
  auto draw_ssrc = [&] {
    for (;;) {
      uint32_t ssrc = random_u32();
      if (ssrc == 0 || std::find(used.begin(), used.end(), ssrc) != used.end()) continue;
      used.push_back(ssrc);
      return ssrc;
    }
  };
  config.generation = name->generation;
  config.home_worker = session->home_worker;
  std::array<uint32_t, 2> ordinals{};
  for (uint32_t m = 0; m < config.media_count; ++m) {
    abi::MediaConfig& media = config.media[m];
    MediaAnswer line;
    line.cname = cname;
    line.msid = msid_of(request.stream, request.media[m].kind, ordinals[media.kind]++);
    if (!publisher) {
      media.cname_bytes = static_cast<uint8_t>(cname.size());
      std::copy_n(cname.data(), cname.size(), media.cname);
      line.ssrc = Ssrc{media.ssrc[0] = draw_ssrc()};
      bool rtx = std::any_of(media.payloads, media.payloads + media.payload_count,
                             [](const abi::PayloadConfig& p) {
                               return p.rtx_pt != abi::kNoPayloadType;
                             });
      if (rtx) line.rtx_ssrc = Ssrc{media.rtx_ssrc[0] = draw_ssrc()};
    }
    answer.media.push_back(std::move(line));
  }
  SPILLWAY_ASSERT(abi::validate(config));

  // The new one stands before the old one goes, so that the stream stays open; in the
  // table the old one goes first: a track has one writer.
  if (replaces) {
    Session* old = by_slot_[stream.publisher].get();
    stream.publisher = name->slot;
    end(*old, EndReason::replaced);
  }
  // The entry is the truth: it comes last, when all it refers to is there.
  abi::ControlRecord record{};
  record.generation = name->generation;
  record.etag_nonce = random_u32();
  record.created_ns = now_.ns;
  std::copy_n(request.client_ip.bytes.data(), 16, record.client_ip);
  std::copy_n(session->id.data(), 16, record.session_id);
  record.stream_bytes = static_cast<uint8_t>(request.stream.size());
  std::copy_n(request.stream.data(), request.stream.size(), record.stream);
  link_.write_record(name->slot, record);
  abi::KeyConfig keys{};
  keys.generation = name->generation;
  set_remote_pwd(keys, request.transport.ice_pwd);
  link_.write_keys(name->slot, keys);
  OPENSSL_cleanse(&keys, sizeof keys);
  if (publisher)
    for (uint32_t m = 0; m < config.media_count; ++m)
      link_.write_track(config.media[m].track,
                        make_track_record(request.media[m], name->slot, name->generation));
  link_.set_slots_used(slots_.used());
  link_.write_session(name->slot, config);

  Session& s = add_session(std::move(session));
  if (publisher) describe(stream, config);
  ++(publisher ? counters_.created_publishers : counters_.created_viewers);
  link_.ring(name->slot, name->generation, s.home_worker);
  link_.flush();

  answer.session_id = base64url(s.id);
  answer.etag = etag_of(record, s.ice_generation);
  answer.transport = transport_answer(s);
  return answer;
}

Session& SessionManager::add_session(std::unique_ptr<Session> session) {
  Session& s = *session;
  Stream& stream = *s.stream;
  if (s.publisher) {
    stream.publisher = s.name.slot;
  } else {
    s.viewer_index = static_cast<uint32_t>(stream.viewers.size());
    stream.viewers.push_back(s.name.slot);
  }
  by_id_[s.id] = s.name.slot;
  ++session_count_;
  if (!s.keyed) ++half_open_;
  ++home_count_[s.home_worker];
  return *(by_slot_[s.name.slot] = std::move(session));
}

void SessionManager::describe(Stream& stream, const abi::SessionConfig& config) {
  stream.description.clear();
  for (uint32_t m = 0; m < config.media_count; ++m) {
    abi::TrackRecord record;
    if (config.media[m].track == abi::kNoTrack) continue;
    if (!link_.read_track(config.media[m].track, &record) ||
        record.publisher_slot != stream.publisher ||
        record.publisher_generation != config.generation)
      record = {};
    stream.description.push_back(describe_track(config.media[m], record));
  }
}

// --- ending ------------------------------------------------------------------------------

void SessionManager::write_free(SlotName name, abi::SessionConfig config) {
  config.generation = name.generation;
  config.phase = static_cast<uint8_t>(abi::SessionPhase::free);
  link_.write_session(name.slot, config);
  link_.wipe_keys(name.slot);
  link_.wipe_record(name.slot);
  link_.ring(name.slot, name.generation, config.home_worker);
}

void SessionManager::end(Session& session, EndReason reason) {
  SlotName name = session.name;
  if (session.keyed) send_close_notify(session);
  drop_handshake(session);
  last_flights_.erase(name.slot);

  static LogLimit limit;
  if (limit.allow(now_)) {
    abi::SessionReport report{};
    if (!link_.read_report(name.slot, &report) || report.generation != name.generation) report = {};
    spdlog::info("session end stream={} role={} reason={} age_ms={} rx_packets={} tx_packets={}{}",
                 session.stream->name, session.publisher ? "publisher" : "viewer",
                 kEndReasonNames[static_cast<size_t>(reason)], (now_ - session.created).ms(),
                 report.rx_packets, report.tx_packets, limit.note());
  }

  abi::SessionConfig config{};
  if (!link_.read_session(name.slot, &config)) config.home_worker = session.home_worker;
  write_free(name, config);

  ++counters_.ended[static_cast<size_t>(reason)];
  --session_count_;
  if (!session.keyed) --half_open_;
  --home_count_[session.home_worker];
  Stream& stream = *session.stream;
  if (session.publisher) {
    if (stream.publisher == name.slot) {
      stream.publisher = kNoSlot;
      stream.publisher_gone = now_;
      stream.description.clear();
    }
  } else {
    uint32_t moved = stream.viewers.back();
    stream.viewers[session.viewer_index] = moved;
    by_slot_[moved]->viewer_index = session.viewer_index;
    stream.viewers.pop_back();
  }
  slots_.give_back(name, session.tracks, now_);
  by_id_.erase(session.id);
  by_slot_[name.slot].reset();
  streams_.close_if_empty(stream);
}

bool SessionManager::remove(std::string_view session_id) {
  now_ = clock_();
  Session* s = find(session_id);
  if (!s) return false;
  end(*s, EndReason::removed);
  link_.flush();
  return true;
}

void SessionManager::remove_all() {
  now_ = clock_();
  for (auto& s : by_slot_)
    if (s) end(*s, EndReason::drained);
  link_.flush();
}

// --- ICE restart and layers -----------------------------------------------------------------

std::optional<ControlApi::IceState> SessionManager::ice_state(std::string_view session_id) const {
  const Session* s = find(session_id);
  abi::SessionConfig config;
  abi::ControlRecord record;
  abi::KeyConfig keys;
  if (!s || !link_.read_session(s->name.slot, &config) ||
      !link_.read_record(s->name.slot, &record) || !link_.read_keys(s->name.slot, &keys))
    return std::nullopt;
  IceState out;
  out.etag = etag_of(record, s->ice_generation);
  out.remote_ufrag.assign(reinterpret_cast<const char*>(config.remote_ufrag),
                          std::min<size_t>(config.remote_ufrag_bytes, kMaxUfragBytes));
  out.remote_pwd.assign(reinterpret_cast<const char*>(keys.ice_pwd),
                        std::min<size_t>(keys.ice_pwd_bytes, kMaxIcePwdBytes));
  OPENSSL_cleanse(&keys, sizeof keys);
  out.publisher = s->publisher;
  out.stream = s->stream->name;
  for (uint32_t m = 0; m < config.media_count && m < kMaxMedia; ++m)
    out.mids.push_back(mid_of(config.media[m]));
  return out;
}

ApiResult<IceRestartAnswer> SessionManager::restart_ice(std::string_view session_id,
                                                        std::string_view remote_ufrag,
                                                        std::string_view remote_pwd) {
  now_ = clock_();
  Session* s = find(session_id);
  if (!s) return unknown_session();
  if (auto error = check_credentials(remote_ufrag, remote_pwd)) return *error;
  abi::SessionConfig config;
  abi::ControlRecord record;
  abi::KeyConfig keys;
  uint32_t slot = s->name.slot;
  // Our own words: unreadable only if memory was damaged.
  if (!link_.read_session(slot, &config) || !link_.read_record(slot, &record) ||
      !link_.read_keys(slot, &keys)) {
    end(*s, EndReason::damaged);
    link_.flush();
    return unknown_session();
  }
  std::copy_n(config.remote_ufrag, kMaxUfragBytes, config.old_remote_ufrag);
  config.old_remote_ufrag_bytes = config.remote_ufrag_bytes;
  config.old_ice_valid = 1;
  set_remote_ufrag(config, remote_ufrag);
  config.ice_generation = ++s->ice_generation;
  set_remote_pwd(keys, remote_pwd);
  record.etag_nonce = random_u32();
  s->old_ice_valid = true;
  s->ice_restarted = now_;
  s->reminders = kReminders;
  link_.write_record(slot, record);
  link_.write_keys(slot, keys);
  OPENSSL_cleanse(&keys, sizeof keys);
  link_.write_session(slot, config);
  link_.ring(slot, s->name.generation, s->home_worker);
  link_.flush();
  ++counters_.ice_restarts;
  return IceRestartAnswer{etag_of(record, s->ice_generation), transport_answer(*s)};
}

std::optional<ApiError> SessionManager::select_layer(std::string_view session_id,
                                                     std::string_view mid, std::string_view rid) {
  now_ = clock_();
  Session* s = find(session_id);
  abi::SessionConfig config;
  if (!s || !link_.read_session(s->name.slot, &config)) return unknown_session();
  if (s->publisher) return ApiError{ApiError::Kind::invalid, "a publisher has no layer to choose"};
  uint32_t line = kMaxMedia;
  for (uint32_t m = config.media_count; m-- > 0;)
    if (config.media[m].kind == static_cast<uint8_t>(MediaKind::video) &&
        (mid.empty() || mid_of(config.media[m]) == mid))
      line = m;
  if (line == kMaxMedia) return ApiError{ApiError::Kind::invalid, "no video line with this mid"};

  uint8_t layer = abi::kLayerAuto;
  if (!rid.empty()) {
    abi::SessionConfig source;
    if (!s->stream->live() || !link_.read_session(s->stream->publisher, &source))
      return ApiError{ApiError::Kind::no_publisher, "nobody publishes this stream",
                      kRetryNoPublisherS};
    for (uint32_t m = 0; m < source.media_count; ++m)
      for (uint32_t l = 0; l < source.media[m].layer_count; ++l)
        if (source.media[m].track == config.media[line].track && rid_of(source.media[m], l) == rid)
          layer = static_cast<uint8_t>(l);
    if (layer == abi::kLayerAuto)
      return ApiError{ApiError::Kind::invalid, "the publisher sends no layer of this name"};
  }
  if (config.media[line].selected_layer == layer) return std::nullopt;
  config.media[line].selected_layer = layer;
  s->reminders = kReminders;
  link_.write_session(s->name.slot, config);
  link_.ring(s->name.slot, s->name.generation, s->home_worker);
  link_.flush();
  return std::nullopt;
}

}  // namespace spillway
