#include "tests/peer/commands.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <deque>
#include <fstream>

#include "tests/peer/clock.h"
#include "tests/peer/publisher.h"

namespace spillway::peer {
namespace {

std::atomic<bool> g_interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

constexpr Nanos kGoodbyeTimeout = seconds(5);
constexpr uint32_t kHttpThreads = 4;

// What both verbs set up: loop, certificate, SRTP, HTTP threads.
struct Setup {
  EventLoop loop;
  std::unique_ptr<DtlsIdentity> identity;
  std::unique_ptr<SrtpEngine> srtp;
  std::unique_ptr<PeerRuntime> runtime;
  std::unique_ptr<HttpPool> http;
  HttpUrl url;

  Result<void> prepare(const CommonArguments& a) {
    auto parsed = HttpUrl::parse(a.url);
    if (!parsed) return parsed.error();
    url = *std::move(parsed);
    auto made = DtlsIdentity::create(a.srtp);
    if (!made) return made.error();
    identity = *std::move(made);
    auto engine = SrtpEngine::create();
    if (!engine) return engine.error();
    srtp = *std::move(engine);
    runtime = std::make_unique<PeerRuntime>(PeerRuntime{loop, *identity, *srtp, {}, a.gro, a.prefer_v6});
    if (!a.via.empty()) {
      runtime->via = Endpoint::parse(a.via);
      if (!runtime->via) return Error{"--via wants ADDRESS:PORT"};
    }
    http = std::make_unique<HttpPool>(kHttpThreads,
                                      [this](std::function<void()> f) { loop.post(std::move(f)); });
    interrupted();
    return {};
  }
};

double cpu_seconds() {
  rusage u{};
  getrusage(RUSAGE_SELF, &u);
  return static_cast<double>(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
         static_cast<double>(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

int complain(const std::string& text) {
  std::fprintf(stderr, "spillway-peer: %s\n", text.c_str());
  return 1;
}

using Count = unsigned long long;

void print_live(const std::deque<Viewer>& viewers, uint64_t* last_bytes, double seconds_passed) {
  uint64_t playing = 0, failed = 0, packets = 0, bytes = 0, lost = 0, nacked = 0, frames = 0;
  for (const Viewer& v : viewers) {
    const ViewerFigures f = v.figures();
    playing += v.playing();
    failed += v.failed();
    packets += f.packets;
    bytes += f.bytes;
    lost += f.lost;
    nacked += f.nacked;
    frames += f.frames;
  }
  std::fprintf(stderr,
               "\r%4.0f s  %zu viewers, %llu play, %llu failed  %8.1f Mb/s  %llu packets  %llu frames  "
               "nacked %llu  lost %llu   ",
               seconds_passed, viewers.size(), Count{playing}, Count{failed},
               static_cast<double>(bytes - *last_bytes) * 8 / 1e6, Count{packets}, Count{frames},
               Count{nacked}, Count{lost});
  *last_bytes = bytes;
}

}  // namespace

bool interrupted() {
  static const bool installed = [] {
    struct sigaction action {};
    action.sa_handler = [](int) { g_interrupted.store(true, std::memory_order_relaxed); };
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    signal(SIGPIPE, SIG_IGN);
    return true;
  }();
  return installed && g_interrupted.load(std::memory_order_relaxed);
}

int publish_command(const CommonArguments& arguments, std::unique_ptr<MediaSource> source) {
  Setup s;
  if (auto ok = s.prepare(arguments); !ok) return complain(ok.error().text);
  Publisher publisher(*s.runtime, *s.http, {s.url, arguments.token, arguments.passive, true},
                      std::move(source));
  publisher.start();
  bool stopping = false;
  bool announced = false;
  Nanos since{}, give_up = kNever;
  const bool tty = isatty(STDERR_FILENO) == 1;
  Nanos next_line{};
  s.loop.on_tick = [&](Nanos now) {
    publisher.tick(now);
    if (publisher.sending() && !announced) {
      announced = true;
      since = now;
      std::fprintf(stderr, "publishing to %s\n", s.url.to_string().c_str());
    }
    if (tty && announced && now >= next_line) {
      next_line = now + seconds(1);
      const PublisherCounters& c = publisher.counters();
      std::fprintf(stderr, "\r%4lld s  %llu packets  %llu frames  %llu key  nacked %llu  repeated %llu  PLI %llu   ",
                   static_cast<long long>((now - since).ms() / 1000), Count{c.packets},
                   Count{c.frames}, Count{c.key_frames}, Count{c.nacked}, Count{c.repeated},
                   Count{c.plis});
    }
    const bool over = announced && arguments.duration_s > 0 &&
                      static_cast<double>((now - since).ms()) >= arguments.duration_s * 1000;
    if (!stopping && (publisher.failed() || publisher.closed_by_server() || interrupted() || over)) {
      stopping = true;
      give_up = now + kGoodbyeTimeout;
      publisher.stop([&] { s.loop.stop(); });
    }
    if (now >= give_up) s.loop.stop();
  };
  s.loop.on_deadline = [&](Nanos now) { return publisher.produce(now); };
  s.loop.run();
  s.http.reset();
  const PublisherCounters& c = publisher.counters();
  std::fprintf(stderr,
               "%ssent %llu packets, %llu frames (%llu key); nacked %llu, repeated %llu, forgotten %llu; "
               "PLI %llu; receiver reports %llu; transport-cc received %llu, lost %llu; CPU %.2f s\n",
               tty ? "\n" : "", Count{c.packets}, Count{c.frames}, Count{c.key_frames}, Count{c.nacked},
               Count{c.repeated}, Count{c.forgotten}, Count{c.plis}, Count{c.receiver_reports},
               Count{c.transport_cc_received}, Count{c.transport_cc_lost}, cpu_seconds());
  if (publisher.failed()) return complain(publisher.error());
  if (publisher.closed_by_server() || !announced) return complain("the server ended the session");
  return 0;
}

int play_command(const PlayArguments& arguments) {
  Setup s;
  if (auto ok = s.prepare(arguments.common); !ok) return complain(ok.error().text);
  ViewerOptions options = arguments.viewer;
  options.url = s.url;
  options.token = arguments.common.token;
  options.passive = arguments.common.passive;
  std::deque<Viewer> viewers;  // never moves an element
  const Nanos started = clock_now();
  const Nanos interval{1'000'000'000 / std::max(1u, arguments.ramp)};
  Nanos end = kNever, give_up = kNever;
  const bool live = !arguments.quiet && isatty(STDERR_FILENO) == 1;
  Nanos next_line = started;
  uint64_t last_bytes = 0;
  uint64_t goodbyes = 0;
  RunReport report;
  s.loop.on_tick = [&](Nanos now) {
    while (viewers.size() < arguments.viewers && give_up == kNever &&
           now >= started + interval * static_cast<int64_t>(viewers.size())) {
      viewers.emplace_back(*s.runtime, *s.http, options, static_cast<uint32_t>(viewers.size()));
      viewers.back().start(now);
      // The duration counts from the last viewer's start: all are there for all of it.
      if (viewers.size() == arguments.viewers && arguments.common.duration_s > 0)
        end = now + millis(static_cast<int64_t>(arguments.common.duration_s * 1000));
    }
    for (Viewer& v : viewers) v.tick(now);
    if (live && now >= next_line) {
      next_line = now + seconds(1);
      print_live(viewers, &last_bytes, static_cast<double>((now - started).ms()) / 1000);
    }
    if (give_up == kNever && (now >= end || interrupted())) {
      give_up = now + kGoodbyeTimeout;
      for (Viewer& v : viewers) {
        v.finish(now);
        report.viewers.push_back(v.figures());
      }
      report.seconds = static_cast<double>((now - started).ms()) / 1000;
      goodbyes = viewers.size();
      for (Viewer& v : viewers)
        v.stop([&] {
          if (--goodbyes == 0) s.loop.stop();
        });
      if (viewers.empty()) s.loop.stop();
    }
    if (now >= give_up) s.loop.stop();
  };
  s.loop.run();
  s.http.reset();
  report.cpu_seconds = cpu_seconds();
  report.conclude(arguments.expect);
  std::fprintf(stderr, "%s%s", live ? "\n" : "", report.summary().c_str());
  if (arguments.json == "-") {
    std::fputs(report.json().c_str(), stdout);
  } else if (!arguments.json.empty()) {
    std::ofstream file(arguments.json);
    file << report.json();
    if (!file.flush()) return complain("cannot write " + arguments.json);
  }
  const bool anybody = std::any_of(report.viewers.begin(), report.viewers.end(), [](const auto& v) {
    return v.packets > 0;
  });
  return report.missed.empty() && anybody ? 0 : 1;
}

}  // namespace spillway::peer
