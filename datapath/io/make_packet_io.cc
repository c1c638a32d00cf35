#include "datapath/io/make_packet_io.h"

#include <bit>
#include <cerrno>
#include <utility>

#include "datapath/io/mmsg/mmsg_io.h"
#include "datapath/io/uring/uring_io.h"

namespace spillway {

namespace {

// The common port of the sockets, each checked for its family.
Result<uint16_t> common_port(const MediaFds& fds) {
  uint16_t port = 0;
  const std::pair<int, bool> sockets[] = {{fds.v4, true}, {fds.v6, false}};
  for (auto [fd, v4] : sockets) {
    if (fd < 0) continue;
    auto bound = check_media_socket(fd);
    if (!bound) return bound.error();
    // An unspecified IPv4 address is v4 in our form too (::ffff:0.0.0.0).
    if (bound->ip.is_v4() != v4)
      return Error{"media socket fd " + std::to_string(fd) + " has the wrong family", EINVAL};
    if (port != 0 && bound->port != port)
      return Error{"media sockets are bound to different ports", EINVAL};
    port = bound->port;
  }
  if (port == 0) return Error{"no media socket given", EINVAL};
  return port;
}

const char* uring_hint(int code) {
  switch (code) {
    case EPERM:
    case EACCES:
      return "allow io_uring_setup in the container's seccomp profile, or set"
             " kernel.io_uring_disabled=0";
    case ENOSYS:
      return "this kernel or sandbox has no io_uring";
    case ENOMEM:
      return "raise the locked memory limit (ulimit -l)";
    default:
      return "Linux 6.1 or newer is recommended";
  }
}

}  // namespace

Result<PacketIoChoice> make_packet_io(const PacketIoOptions& options) {
  auto port = common_port(options.fds);
  if (!port) return port.error();
  if (options.rx_buffers < 8 || options.rx_buffers > 4096 ||
      !std::has_single_bit(options.rx_buffers))
    return Error{"rx_buffers must be a power of two from 8 to 4096", EINVAL};

  PacketIoChoice choice;
  if (options.backend != IoBackend::mmsg) {
    auto uring = UringIo::create(options.fds, *port, options.rx_buffers);
    if (uring) {
      choice.io = *std::move(uring);
      return choice;
    }
    const Error& e = uring.error();
    std::string why = "io_uring is refused (" + e.text + "): " + uring_hint(e.code);
    if (options.backend == IoBackend::uring) return Error{std::move(why), e.code};
    choice.note = "using recvmmsg/sendmmsg because " + why + ".";
  }
  auto mmsg = MmsgIo::create(options.fds, *port);
  if (!mmsg) return mmsg.error();
  choice.io = *std::move(mmsg);
  return choice;
}

}  // namespace spillway
