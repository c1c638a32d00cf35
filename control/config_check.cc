#include "control/config_check.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "datapath/base/endpoint.h"

namespace spillway {
namespace {

bool is_loopback(const std::string& endpoint) {
  const auto e = Endpoint::parse(endpoint);
  return e && e->ip.is_loopback();
}

void check_http(const Config::Http& http, std::vector<ConfigProblem>& out) {
  const bool certificate = !http.tls_certificate.empty();
  const bool key = !http.tls_key.empty();
  if (certificate && !key)
    out.push_back({"http.tls_key", "http.tls_certificate is set but http.tls_key is not"});
  if (key && !certificate)
    out.push_back({"http.tls_certificate", "http.tls_key is set but http.tls_certificate is not"});
  if (!certificate && !key && !http.insecure_http && !is_loopback(http.listen))
    out.push_back(
        {"http.listen", "plain HTTP on " + http.listen +
                            " would carry tokens and session secrets in the clear: set "
                            "http.tls_certificate and http.tls_key, listen on 127.0.0.1, or set "
                            "http.insecure_http if a proxy in front speaks TLS"});
  if (http.listen == http.admin_listen)
    out.push_back({"http.admin_listen", "http.listen and http.admin_listen are both " +
                                            http.listen + ": give them different ports"});
  if (!is_loopback(http.admin_listen))
    out.push_back({"http.admin_listen",
                   "the admin listener has neither TLS nor authentication; everybody who "
                   "reaches " +
                       http.admin_listen + " can read the metrics" +
                       (http.insecure_http ? ""
                                           : ": listen on 127.0.0.1, or set "
                                             "http.insecure_http if that is meant"),
                   !http.insecure_http});
  if (http.max_connections_per_ip > http.max_connections)
    out.push_back({"http.max_connections_per_ip",
                   "greater than http.max_connections and therefore without effect", false});
}

void check_media(const Config::Media& media, std::vector<ConfigProblem>& out) {
  size_t v4 = 0;
  size_t v6 = 0;
  for (const std::string& text : media.bind)
    if (const auto ip = IpAddress::parse(text)) ++(ip->is_v4() ? v4 : v6);
  if (v4 > 1 || v6 > 1)
    out.push_back({"media.bind",
                   "at most one IPv4 and one IPv6 address; leave it empty to "
                   "receive on all"});
  for (const std::string& text : media.advertise) {
    const auto ip = IpAddress::parse(text);
    if (ip && ip->unspecified())
      out.push_back({"media.advertise", text + " is no address a client could send to"});
  }
  if (!media.cpus.empty()) {
    if (media.workers > media.cpus.size())
      out.push_back({"media.cpus", std::to_string(media.workers) + " workers but " +
                                       std::to_string(media.cpus.size()) + " CPUs"});
    if (!media.pin)
      out.push_back({"media.cpus", "without effect because media.pin is false", false});
    auto sorted = media.cpus;
    std::sort(sorted.begin(), sorted.end());
    if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
      out.push_back({"media.cpus", "names a CPU twice: its two workers would share it"});
  }
}

void check_sessions(const Config& config, std::vector<ConfigProblem>& out) {
  const auto& s = config.sessions;
  if (s.posts_per_second != 0 && s.posts_per_second_per_ip > s.posts_per_second)
    out.push_back({"sessions.posts_per_second_per_ip",
                   "greater than sessions.posts_per_second and therefore without effect", false});
  for (const std::string& token : config.auth.publish_tokens)
    if (token.size() < 8) {
      out.push_back(
          {"auth.publish_tokens", "a token of fewer than 8 characters can be guessed", false});
      break;
    }
}

void check_file(const char* key, const std::string& path, std::vector<ConfigProblem>& out) {
  if (path.empty()) return;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    out.push_back({key, "cannot read " + path + ": " + std::strerror(errno)});
    return;
  }
  ::close(fd);
}

}  // namespace

std::vector<ConfigProblem> check_config(const Config& config) {
  std::vector<ConfigProblem> out;
  check_http(config.http, out);
  check_media(config.media, out);
  check_sessions(config, out);
  return out;
}

std::vector<ConfigProblem> check_environment(const Config& config) {
  std::vector<ConfigProblem> out;
  check_file("http.tls_certificate", config.http.tls_certificate, out);
  check_file("http.tls_key", config.http.tls_key, out);
  cpu_set_t usable;
  CPU_ZERO(&usable);
  if (::sched_getaffinity(0, sizeof usable, &usable) == 0)
    for (uint32_t cpu : config.media.cpus)
      if (cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, &usable))
        out.push_back(
            {"media.cpus", "CPU " + std::to_string(cpu) + " does not exist or is not ours to use"});
  return out;
}

}  // namespace spillway
