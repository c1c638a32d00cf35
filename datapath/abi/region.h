// Creating, sealing, mapping and checking a shared-memory region.
//
// A region is one memfd with one writer. The launcher creates it (it outlives both
// processes), fixes the size with seals and hands the descriptor to each process
// it starts. The header is filled completely before `magic` is stored with release;
// a reader checks the file size before it touches anything, then magic (acquire),
// version, sizes and every section. Any mismatch is a named error, never a guess.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "datapath/base/result.h"

namespace spillway::abi {

inline constexpr uint16_t kAbiMajor = 1;  // another major: drain, never convert silently
inline constexpr uint16_t kAbiMinor = 0;
inline constexpr uint32_t kMaxSections = 12;

enum class RegionKind : uint32_t { boot = 1, control = 2, keys = 3, datapath = 4 };

struct SectionHeader {
  uint64_t offset;  // from the start of the region
  uint64_t bytes;   // == stride * count
  uint64_t stride;  // bytes of one record
  uint64_t count;
};

struct RegionHeader {
  std::atomic<uint64_t> magic;  // kMagic once everything else is filled
  uint16_t abi_major;
  uint16_t abi_minor;
  uint32_t kind;           // RegionKind
  uint64_t total_bytes;
  int64_t created_ns;      // CLOCK_MONOTONIC
  uint32_t creator_pid;
  uint32_t section_count;
  SectionHeader sections[kMaxSections];
  uint64_t reserved_zero[11];
};
inline constexpr uint64_t kMagic = 0x53504c5759414249;  // "SPLWYABI"
static_assert(sizeof(RegionHeader) % 128 == 0);

// A mapping; unmapped by the destructor. Move-only.
class Mapping {
 public:
  Mapping() = default;
  Mapping(void* address, uint64_t bytes) : address_(address), bytes_(bytes) {}
  Mapping(Mapping&& o) noexcept
      : address_(std::exchange(o.address_, nullptr)), bytes_(std::exchange(o.bytes_, 0)) {}
  Mapping& operator=(Mapping&& o) noexcept;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();
  void* address() const { return address_; }
  uint64_t bytes() const { return bytes_; }

 private:
  void* address_ = nullptr;
  uint64_t bytes_ = 0;
};

enum class Access { read_only, read_write };

// memfd with the size sealed; `name` shows in /proc. Close-on-exec.
Result<int> create_region_fd(const char* name, uint64_t bytes);

// Maps all of fd after checking that the file has exactly `bytes` and sealed size.
// secret: mlock (failure is returned in *lock_note, not fatal: an ordinary user may
// lack the limit) and MADV_DONTDUMP.
Result<Mapping> map_region(int fd, uint64_t bytes, Access access, bool secret = false,
                           std::string* lock_note = nullptr);

// Writer of the header, once, on fresh zero memory.
void init_header(RegionHeader* header, RegionKind kind, uint64_t total_bytes,
                 std::span<const SectionHeader> sections, int64_t now_ns);

// Compares a mapped header with what this binary expects.
Result<void> check_header(const RegionHeader* header, RegionKind kind, uint64_t total_bytes,
                          std::span<const SectionHeader> sections);

}  // namespace spillway::abi
