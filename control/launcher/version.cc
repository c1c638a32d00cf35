#include "control/launcher/version.h"

#include <openssl/crypto.h>
#include <sys/utsname.h>
#include <toml++/impl/version.h>
#include <CLI/Version.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <boost/version.hpp>

#include "control/launcher/build_info.h"
#include "datapath/abi/regions.h"

namespace spillway {
namespace json = boost::json;

std::string version_text() {
  std::string out = "spillway " SPILLWAY_VERSION;
  if (sizeof SPILLWAY_COMMIT > 1) out += " (" SPILLWAY_COMMIT ")";
  return out;
}

std::string version_json() {
  utsname kernel{};
  ::uname(&kernel);
  json::object regions;
  for (auto [name, kind] :
       {std::pair{"boot", abi::RegionKind::boot}, std::pair{"control", abi::RegionKind::control},
        std::pair{"keys", abi::RegionKind::keys}, std::pair{"datapath", abi::RegionKind::datapath}})
    regions[name] = abi::region_bytes(kind);
  json::object out{
      {"version", SPILLWAY_VERSION},
      {"commit", SPILLWAY_COMMIT},
      {"build_type", SPILLWAY_BUILD_TYPE},
      {"sanitizer", SPILLWAY_SANITIZER},
      {"compiler",
#if defined(__clang__)
       "clang " __clang_version__
#else
       "gcc " __VERSION__
#endif
      },
      {"abi", std::to_string(abi::kAbiMajor) + "." + std::to_string(abi::kAbiMinor)},
      {"libraries", json::object{{"openssl", OpenSSL_version(OPENSSL_VERSION)},
                                 {"boost", std::to_string(BOOST_VERSION / 100000) + "." +
                                               std::to_string(BOOST_VERSION / 100 % 1000) + "." +
                                               std::to_string(BOOST_VERSION % 100)},
                                 {"liburing", SPILLWAY_LIBURING_VERSION},
                                 {"ipsec-mb", SPILLWAY_IPSEC_MB_VERSION},
                                 {"spdlog", SPILLWAY_SPDLOG_VERSION},
                                 {"cli11", CLI11_VERSION},
                                 {"toml++", std::to_string(TOML_LIB_MAJOR) + "." +
                                                std::to_string(TOML_LIB_MINOR) + "." +
                                                std::to_string(TOML_LIB_PATCH)}}},
      {"region_bytes", std::move(regions)},
      {"kernel", kernel.release},
      {"machine", kernel.machine}};
  return json::serialize(out) + "\n";
}

}  // namespace spillway
