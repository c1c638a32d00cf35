#include "datapath/srtp/index_checker.h"

namespace spillway {
namespace {

// FNV-1a over what makes the key: equal for all SrtpKeys of one session key.
uint64_t identity(const SrtpKeys& keys) {
  uint64_t h = 14695981039346656037ull;
  auto mix = [&h](const uint8_t* p, size_t n) {
    for (size_t i = 0; i < n; ++i) h = (h ^ p[i]) * 1099511628211ull;
  };
  const auto kind = static_cast<uint8_t>(keys.kind);
  mix(&kind, 1);
  mix(keys.salt, sizeof keys.salt);
  mix(keys.cipher, 16);
  return h;
}

}  // namespace

bool IndexChecker::record(const SrtpKeys& keys, Ssrc ssrc, uint64_t index) {
  const std::lock_guard lock(mutex_);
  auto& page = pages_[{identity(keys), value(ssrc), index / kPageIndices}];
  if (!page) page = std::make_unique<Page>();
  uint64_t& word = page->bits[index % kPageIndices / 64];
  const uint64_t bit = uint64_t{1} << (index % 64);
  if ((word & bit) != 0) return false;
  word |= bit;
  ++recorded_;
  return true;
}

uint64_t IndexChecker::recorded() const {
  const std::lock_guard lock(mutex_);
  return recorded_;
}

}  // namespace spillway
