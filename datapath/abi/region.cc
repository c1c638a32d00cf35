#include "datapath/abi/region.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace spillway::abi {

Mapping& Mapping::operator=(Mapping&& o) noexcept {
  std::swap(address_, o.address_);
  std::swap(bytes_, o.bytes_);
  return *this;
}

Mapping::~Mapping() {
  if (address_) ::munmap(address_, bytes_);
}

Result<int> create_region_fd(const char* name, uint64_t bytes) {
  int fd = ::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return errno_error(std::string("memfd_create ") + name);
  if (::ftruncate(fd, static_cast<off_t>(bytes)) != 0 ||
      ::fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    Error e = errno_error(std::string("size and seal memfd ") + name + " (" +
                          std::to_string(bytes) + " bytes)");
    ::close(fd);
    return e;
  }
  return fd;
}

Result<Mapping> map_region(int fd, uint64_t bytes, Access access, bool secret,
                           std::string* lock_note) {
  struct stat st {};
  if (::fstat(fd, &st) != 0) return errno_error("fstat region fd " + std::to_string(fd));
  if (static_cast<uint64_t>(st.st_size) != bytes)
    return Error{"region fd " + std::to_string(fd) + " has " + std::to_string(st.st_size) +
                 " bytes, this binary expects " + std::to_string(bytes) +
                 ": launcher and child are of different builds"};
  int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & (F_SEAL_SHRINK | F_SEAL_GROW)) != (F_SEAL_SHRINK | F_SEAL_GROW))
    return Error{"region fd " + std::to_string(fd) + " is not sealed against resizing"};
  int prot = access == Access::read_write ? PROT_READ | PROT_WRITE : PROT_READ;
  void* p = ::mmap(nullptr, bytes, prot, MAP_SHARED, fd, 0);
  if (p == MAP_FAILED) return errno_error("mmap region fd " + std::to_string(fd));
  Mapping mapping(p, bytes);
  if (secret) {
    if (::madvise(p, bytes, MADV_DONTDUMP) != 0)
      return errno_error("madvise(MADV_DONTDUMP) on the keys region");
    if (::mlock(p, bytes) != 0 && lock_note)
      *lock_note = "keys are not locked in memory (" +
                   std::string(std::strerror(errno)) + "): raise the memlock limit to " +
                   std::to_string(bytes >> 20) + " MiB or grant CAP_IPC_LOCK";
  }
  return mapping;
}

void init_header(RegionHeader* header, RegionKind kind, uint64_t total_bytes,
                 std::span<const SectionHeader> sections, int64_t now_ns) {
  SPILLWAY_ASSERT(sections.size() <= kMaxSections);
  header->abi_major = kAbiMajor;
  header->abi_minor = kAbiMinor;
  header->kind = static_cast<uint32_t>(kind);
  header->total_bytes = total_bytes;
  header->created_ns = now_ns;
  header->creator_pid = static_cast<uint32_t>(::getpid());
  header->section_count = static_cast<uint32_t>(sections.size());
  for (size_t i = 0; i < sections.size(); ++i) header->sections[i] = sections[i];
  header->magic.store(kMagic, std::memory_order_release);  // pairs with acquire in check_header()
}

Result<void> check_header(const RegionHeader* header, RegionKind kind, uint64_t total_bytes,
                          std::span<const SectionHeader> sections) {
  auto fail = [&](const std::string& what, uint64_t got, uint64_t want) {
    return Error{"shared region " + std::to_string(static_cast<uint32_t>(kind)) + ": " + what +
                 " is " + std::to_string(got) + ", this binary expects " + std::to_string(want)};
  };
  uint64_t magic = header->magic.load(std::memory_order_acquire);  // pairs with init_header()
  if (magic != kMagic) return fail("magic", magic, kMagic);
  if (header->abi_major != kAbiMajor) return fail("ABI major", header->abi_major, kAbiMajor);
  if (header->abi_minor != kAbiMinor) return fail("ABI minor", header->abi_minor, kAbiMinor);
  if (header->kind != static_cast<uint32_t>(kind))
    return fail("kind", header->kind, static_cast<uint32_t>(kind));
  if (header->total_bytes != total_bytes) return fail("size", header->total_bytes, total_bytes);
  if (header->section_count != sections.size())
    return fail("section count", header->section_count, sections.size());
  for (size_t i = 0; i < sections.size(); ++i) {
    const SectionHeader& s = header->sections[i];
    std::string name = "section " + std::to_string(i);
    if (s.offset != sections[i].offset) return fail(name + " offset", s.offset, sections[i].offset);
    if (s.bytes != sections[i].bytes) return fail(name + " bytes", s.bytes, sections[i].bytes);
    if (s.stride != sections[i].stride) return fail(name + " stride", s.stride, sections[i].stride);
    if (s.count != sections[i].count) return fail(name + " count", s.count, sections[i].count);
  }
  return {};
}

}  // namespace spillway::abi
