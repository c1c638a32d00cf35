// The service manager's protocol (sd_notify(3)) over $NOTIFY_SOCKET: short text
// datagrams. Without that variable every call does nothing.
#pragma once

#include <string>
#include <string_view>

#include "datapath/base/units.h"
#include "datapath/io/unique_fd.h"

namespace spillway {

class ServiceManager {
 public:
  // NOTIFY_SOCKET (a path, or "@name" for an abstract one), WATCHDOG_USEC and
  // WATCHDOG_PID as in sd_watchdog_enabled(3); all may be null.
  ServiceManager(const char* socket, const char* watchdog_usec, const char* watchdog_pid);
  static ServiceManager from_environment();

  void ready(std::string_view status);                   // READY=1
  void stopping();                                       // STOPPING=1
  void turn(Nanos now);                                  // WATCHDOG=1, twice per interval asked for
  Nanos watchdog_interval() const { return interval_; }  // 0 = none

 private:
  void send(std::string_view text);

  UniqueFd fd_;
  std::string address_;  // sun_path, abstract ones with a leading zero byte
  Nanos interval_{};
  Nanos next_ping_{};
};

}  // namespace spillway
