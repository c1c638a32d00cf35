#include "control/launcher/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace spillway {
namespace {

int64_t to_number(const char* text) {
  int64_t n = 0;
  if (text) std::from_chars(text, text + std::strlen(text), n);
  return n;
}

}  // namespace

ServiceManager::ServiceManager(const char* socket, const char* watchdog_usec,
                               const char* watchdog_pid) {
  if (!socket || (socket[0] != '/' && socket[0] != '@')) return;
  address_ = socket;
  if (address_.size() >= sizeof(sockaddr_un::sun_path)) return;
  if (address_[0] == '@') address_[0] = '\0';
  fd_ = UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int64_t pid = to_number(watchdog_pid);
  const int64_t usec = to_number(watchdog_usec);
  if (usec > 0 && usec <= 3600ll * 1'000'000 && (pid == 0 || pid == ::getpid()))
    interval_ = micros(usec);
}

ServiceManager ServiceManager::from_environment() {
  return {std::getenv("NOTIFY_SOCKET"), std::getenv("WATCHDOG_USEC"), std::getenv("WATCHDOG_PID")};
}

void ServiceManager::send(std::string_view text) {
  if (!fd_.valid()) return;
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, address_.data(), address_.size());
  const auto bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
  // A manager that does not listen is no reason to stop serving.
  ::sendto(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL,
           reinterpret_cast<const sockaddr*>(&to), bytes);
}

void ServiceManager::ready(std::string_view status) {
  send("READY=1\nSTATUS=" + std::string(status));
}

void ServiceManager::stopping() {
  send("STOPPING=1\nSTATUS=draining");
}

void ServiceManager::turn(Nanos now) {
  if (interval_.ns == 0 || now < next_ping_) return;
  next_ping_ = now + Nanos{interval_.ns / 2};
  send("WATCHDOG=1");
}

}  // namespace spillway
