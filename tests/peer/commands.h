// The program's verbs as functions: run until done or interrupted, give an exit code
// (0; 1: it did not work or an expectation was missed).
#pragma once

#include <memory>
#include <string>

#include "tests/peer/sources/source.h"
#include "tests/peer/stats.h"
#include "tests/peer/viewer.h"

namespace spillway::peer {

struct CommonArguments {
  std::string url;
  std::string token;
  std::string srtp = "any";
  std::string via;  // "127.0.0.1:5000"
  bool passive = false;
  bool gro = false;
  bool prefer_v6 = false;
  double duration_s = 0;  // 0: until interrupted
};

int publish_command(const CommonArguments& arguments, std::unique_ptr<MediaSource> source);

struct PlayArguments {
  CommonArguments common;
  uint32_t viewers = 1;
  uint32_t ramp = 50;  // starts per second
  bool quiet = false;
  std::string json;  // file, "-": standard output, empty: none
  Expectations expect;
  ViewerOptions viewer;  // url and token come from `common`
};
int play_command(const PlayArguments& arguments);

// True after SIGINT or SIGTERM; the first call installs the handlers.
bool interrupted();

}  // namespace spillway::peer
