// Remote address -> session, one table per worker.
//
// Only addresses with a verified STUN check enter. Fixed capacity, keyed hash, probe
// limit kProbe: inserting fails closed, looking up an unknown address costs one
// line of tags (threats A-37). An entry names (slot, generation); it is stale, and may
// be overwritten, once `is_stale(slot, generation)` says so.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "datapath/base/endpoint.h"
#include "datapath/base/limits.h"

namespace spillway {

class AddressTable {
 public:
  static constexpr uint32_t kCapacity = 4 * kMaxSessions;
  static constexpr uint32_t kProbe = 16;

  struct Value {
    uint32_t slot = 0;
    uint32_t generation = 0;
  };

  explicit AddressTable(const HashKey& key)
      : key_(key), tags_(new uint16_t[kCapacity + kProbe]()), entries_(new Entry[kCapacity + kProbe]) {}

  std::optional<Value> find(const Endpoint& remote) const {
    uint64_t h = hash_endpoint(remote, key_);
    uint16_t tag = tag_of(h);
    uint32_t base = static_cast<uint32_t>(h) & (kCapacity - 1);
    for (uint32_t i = base; i < base + kProbe; ++i)
      if (tags_[i] == tag && entries_[i].remote == remote) return entries_[i].value;
    return std::nullopt;
  }

  // Inserts or replaces. False: all kProbe places hold live sessions.
  template <typename IsStale>
  bool insert(const Endpoint& remote, Value value, IsStale is_stale) {
    uint64_t h = hash_endpoint(remote, key_);
    uint16_t tag = tag_of(h);
    uint32_t base = static_cast<uint32_t>(h) & (kCapacity - 1);
    uint32_t place = base + kProbe;
    for (uint32_t i = base; i < base + kProbe; ++i) {
      if (tags_[i] == tag && entries_[i].remote == remote) {
        entries_[i].value = value;
        return true;
      }
      if (place == base + kProbe && (tags_[i] == 0 || is_stale(entries_[i].value))) place = i;
    }
    if (place == base + kProbe) return false;
    tags_[place] = tag;
    entries_[place] = {remote, value};
    return true;
  }

  // Removes `remote` only while it still means `value`.
  void erase(const Endpoint& remote, Value value) {
    uint64_t h = hash_endpoint(remote, key_);
    uint16_t tag = tag_of(h);
    uint32_t base = static_cast<uint32_t>(h) & (kCapacity - 1);
    for (uint32_t i = base; i < base + kProbe; ++i)
      if (tags_[i] == tag && entries_[i].remote == remote &&
          entries_[i].value.slot == value.slot && entries_[i].value.generation == value.generation)
        tags_[i] = 0;
  }

 private:
  struct Entry {
    Endpoint remote;
    Value value;
  };
  static uint16_t tag_of(uint64_t h) { return static_cast<uint16_t>(h >> 48) | 1; }

  HashKey key_;
  std::unique_ptr<uint16_t[]> tags_;  // 0 = empty
  std::unique_ptr<Entry[]> entries_;
};

}  // namespace spillway
