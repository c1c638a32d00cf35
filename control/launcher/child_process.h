// Starting one child: fork, the intended descriptors at their numbers and nothing
// else, exec.
//
// The child ends when the launcher does: the kernel sends it SIGKILL on the death of
// the thread that started it (PR_SET_PDEATHSIG, tied to the launcher's only thread),
// and a launcher that died between fork and that call is noticed by getppid(). It has
// a process group of its own, so that Ctrl-C in a terminal reaches the launcher alone
// and the launcher decides the order of ending. Signal mask and dispositions are the
// defaults; standard input is /dev/null; core dumps are off (keys and plaintext).
//
// Call from a process with one thread. Nothing here is kept after the call returns.
#pragma once

#include <sys/types.h>
#include <string>
#include <vector>

#include "datapath/base/result.h"

namespace spillway {

// A descriptor of ours and the number under which the child finds it.
struct Inherited {
  int fd = -1;
  int number = -1;  // >= 3
  // Opened anew without the right to write, with a position of its own: for files
  // another process writes, and for those every incarnation reads from the start.
  bool read_only = false;
};

struct ChildSpec {
  std::string name;                      // for messages
  std::string path;                      // absolute
  std::vector<std::string> arguments;    // without argv[0]
  std::vector<Inherited> descriptors;    // borrowed
  std::vector<std::string> environment;  // "NAME=value"
};

// Result: the pid. Error: descriptor, fork or exec trouble; no process is left then.
Result<pid_t> spawn_child(const ChildSpec& spec);

// Our environment without what is not for children: SPILLWAY_* (may hold tokens) and
// what a service manager meant for the launcher.
std::vector<std::string> child_environment();

// "exited with code 3", "was killed by signal 11 (Segmentation fault)".
std::string describe_exit(int wait_status);

}  // namespace spillway
