#include "datapath/abi/regions.h"

#include <string>
#include <time.h>
#include <unistd.h>

namespace spillway::abi {
namespace {

template <typename Member>
constexpr SectionHeader section(size_t offset) {
  if constexpr (std::is_array_v<Member>) {
    using Record = std::remove_extent_t<Member>;
    return {offset, sizeof(Member), sizeof(Record), std::extent_v<Member>};
  } else {
    return {offset, sizeof(Member), sizeof(Member), 1};
  }
}

// offsetof is conditionally supported for these types; g++ and clang define it
// for every standard-layout class, which is asserted here.
static_assert(std::is_standard_layout_v<BootRegion> && std::is_standard_layout_v<ControlRegion> &&
              std::is_standard_layout_v<KeysRegion> && std::is_standard_layout_v<DatapathRegion>);
#define SPILLWAY_SECTION(Region, member) section<decltype(Region::member)>(offsetof(Region, member))

constexpr SectionHeader kBootSections[] = {SPILLWAY_SECTION(BootRegion, config)};
constexpr SectionHeader kControlSections[] = {
    SPILLWAY_SECTION(ControlRegion, status),       SPILLWAY_SECTION(ControlRegion, command_head),
    SPILLWAY_SECTION(ControlRegion, dtls_out_head), SPILLWAY_SECTION(ControlRegion, event_tail),
    SPILLWAY_SECTION(ControlRegion, dtls_in_tail), SPILLWAY_SECTION(ControlRegion, commands),
    SPILLWAY_SECTION(ControlRegion, dtls_out),     SPILLWAY_SECTION(ControlRegion, sessions),
    SPILLWAY_SECTION(ControlRegion, recovery),     SPILLWAY_SECTION(ControlRegion, records),
    SPILLWAY_SECTION(ControlRegion, tracks)};
constexpr SectionHeader kKeysSections[] = {SPILLWAY_SECTION(KeysRegion, keys)};
constexpr SectionHeader kDatapathSections[] = {
    SPILLWAY_SECTION(DatapathRegion, status),      SPILLWAY_SECTION(DatapathRegion, command_tail),
    SPILLWAY_SECTION(DatapathRegion, dtls_out_tail), SPILLWAY_SECTION(DatapathRegion, event_head),
    SPILLWAY_SECTION(DatapathRegion, dtls_in_head), SPILLWAY_SECTION(DatapathRegion, counters),
    SPILLWAY_SECTION(DatapathRegion, events),      SPILLWAY_SECTION(DatapathRegion, dtls_in),
    SPILLWAY_SECTION(DatapathRegion, reports),     SPILLWAY_SECTION(DatapathRegion, states),
    SPILLWAY_SECTION(DatapathRegion, publishers)};
#undef SPILLWAY_SECTION

template <typename Region>
Result<MappedRegion<Region>> map_checked(int fd, RegionKind kind, Access access,
                                         bool secret = false, std::string* lock_note = nullptr) {
  auto mapping = map_region(fd, region_bytes(kind), access, secret, lock_note);
  if (!mapping) return mapping.error();
  const auto* header = static_cast<const RegionHeader*>(mapping->address());
  if (auto ok = check_header(header, kind, region_bytes(kind), sections_of(kind)); !ok)
    return ok.error();
  return MappedRegion<Region>(std::move(*mapping));
}

int64_t monotonic_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1'000'000'000 + t.tv_nsec;
}

}  // namespace

std::span<const SectionHeader> sections_of(RegionKind kind) {
  switch (kind) {
    case RegionKind::boot: return kBootSections;
    case RegionKind::control: return kControlSections;
    case RegionKind::keys: return kKeysSections;
    case RegionKind::datapath: return kDatapathSections;
  }
  return {};
}

uint64_t region_bytes(RegionKind kind) {
  switch (kind) {
    case RegionKind::boot: return sizeof(BootRegion);
    case RegionKind::control: return sizeof(ControlRegion);
    case RegionKind::keys: return sizeof(KeysRegion);
    case RegionKind::datapath: return sizeof(DatapathRegion);
  }
  return 0;
}

Result<RegionFds> create_regions(const BootConfig& boot) {
  RegionFds fds;
  struct Wanted {
    RegionKind kind;
    const char* name;
    int* fd;
  };
  const Wanted wanted[] = {{RegionKind::boot, "spillway-boot", &fds.boot},
                           {RegionKind::control, "spillway-control", &fds.control},
                           {RegionKind::keys, "spillway-keys", &fds.keys},
                           {RegionKind::datapath, "spillway-datapath", &fds.datapath}};
  for (const Wanted& w : wanted) {
    auto fail = [&](Error e) {
      for (const Wanted& o : wanted)
        if (*o.fd >= 0) ::close(*o.fd);
      return e;
    };
    auto fd = create_region_fd(w.name, region_bytes(w.kind));
    if (!fd) return fail(fd.error());
    *w.fd = *fd;
    auto mapping = map_region(*fd, region_bytes(w.kind), Access::read_write);
    if (!mapping) return fail(mapping.error());
    if (w.kind == RegionKind::boot)
      static_cast<BootRegion*>(mapping->address())->config = boot;
    init_header(static_cast<RegionHeader*>(mapping->address()), w.kind, region_bytes(w.kind),
                sections_of(w.kind), monotonic_ns());
  }
  return fds;
}

Result<MappedRegion<const BootRegion>> map_boot(int fd) {
  return map_checked<const BootRegion>(fd, RegionKind::boot, Access::read_only);
}
Result<MappedRegion<ControlRegion>> map_control(int fd) {
  return map_checked<ControlRegion>(fd, RegionKind::control, Access::read_write);
}
Result<MappedRegion<const ControlRegion>> map_control_read(int fd) {
  return map_checked<const ControlRegion>(fd, RegionKind::control, Access::read_only);
}
Result<MappedRegion<KeysRegion>> map_keys(int fd, std::string* lock_note) {
  return map_checked<KeysRegion>(fd, RegionKind::keys, Access::read_write, true, lock_note);
}
Result<MappedRegion<const KeysRegion>> map_keys_read(int fd, std::string* lock_note) {
  return map_checked<const KeysRegion>(fd, RegionKind::keys, Access::read_only, true, lock_note);
}
Result<MappedRegion<DatapathRegion>> map_datapath(int fd) {
  return map_checked<DatapathRegion>(fd, RegionKind::datapath, Access::read_write);
}
Result<MappedRegion<const DatapathRegion>> map_datapath_read(int fd) {
  return map_checked<const DatapathRegion>(fd, RegionKind::datapath, Access::read_only);
}

}  // namespace spillway::abi
