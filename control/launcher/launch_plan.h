// Everything two children need, made once and kept until the launcher ends: memory
// regions, media sockets, eventfds, the configuration in force and the DTLS identity
// (datapath/abi/process.h says who gets what under which number).
//
// Who may corrupt whom: a child gets a region it does not write as a descriptor that
// cannot be mapped for writing. The launcher maps only the two regions with a status,
// read-only; it never maps the keys.
#pragma once

#include <string>
#include <vector>

#include "control/config.h"
#include "control/launcher/supervisor.h"
#include "datapath/abi/regions.h"
#include "datapath/base/result.h"
#include "datapath/io/sockets.h"
#include "datapath/io/unique_fd.h"

namespace spillway {

// A dead io_uring keeps its sockets bound for a while; an earlier instance may have
// left some.
inline constexpr Nanos kBindPatience = seconds(2);

// Move-only: owns every descriptor the specs refer to.
struct LaunchPlan {
  Config config;  // in force: workers, port and advertise are settled
  SupervisedChild control;
  SupervisedChild datapath;
  std::vector<std::string> notes;  // what is less than asked for, one line each

  std::vector<UniqueFd> owned;
  std::vector<MediaSockets> sockets;
  abi::MappedRegion<const abi::ControlRegion> control_region;
  abi::MappedRegion<const abi::DatapathRegion> datapath_region;
};

// program_directory: where spillway-control and spillway-datapath lie.
Result<LaunchPlan> make_launch_plan(const Config& config, const std::string& program_directory);

// Directory of the running binary, by /proc/self/exe.
Result<std::string> own_directory();

}  // namespace spillway
