#include "datapath/base/lazy_memory.h"

#include <sys/mman.h>

#include "datapath/base/assert.h"

namespace spillway {

LazyMemory::LazyMemory(uint64_t bytes)
    : data_(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)),
      bytes_(bytes) {
  SPILLWAY_ASSERT(data_ != MAP_FAILED);
  ::madvise(data_, bytes_, MADV_DONTDUMP);
}

LazyMemory::~LazyMemory() { ::munmap(data_, bytes_); }

}  // namespace spillway
