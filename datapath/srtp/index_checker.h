// IndexChecker: proof, in test builds, that no (key, SSRC, index) is ever
// encrypted twice (threats A-31; with GCM a reuse gives away the authentication
// key). Remembers all of them, so it allocates and locks: never in production.
//
// Any thread; one checker may serve the engines of all workers, and live across a
// simulated restart of the datapath.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>

#include "datapath/base/units.h"
#include "datapath/srtp/srtp_keys.h"

namespace spillway {

class IndexChecker {
 public:
  // False: this index was recorded before under the same session key, kind and
  // SSRC. Two SrtpKeys expanded from one master key are one key.
  bool record(const SrtpKeys& keys, Ssrc ssrc, uint64_t index);

  uint64_t recorded() const;

 private:
  static constexpr uint64_t kPageIndices = 4096;
  struct Page {
    uint64_t bits[kPageIndices / 64] = {};
  };
  using PageKey = std::tuple<uint64_t, uint32_t, uint64_t>;  // key identity, SSRC, page

  mutable std::mutex mutex_;
  std::map<PageKey, std::unique_ptr<Page>> pages_;
  uint64_t recorded_ = 0;
};

}  // namespace spillway
