// Dependency descriptor header extension (RTP Payload Format For AV1, appendix A),
// bounded (threats A-16).
//
//   |S|E| template id 6 | frame number 16 |         mandatory, always 3 bytes
//   |T|A|D|F|C| template structure (if T) ...        more when longer than 3 bytes
//
// Works for any codec and for encrypted payloads: a descriptor with a template
// structure is where a receiver can start. What depends on the structure of an earlier
// packet (custom DTIs, diffs, chains) is not read here. Nothing allocates; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "datapath/base/bytes.h"

namespace spillway {

inline constexpr uint32_t kMaxDependencyTemplates = 64;
inline constexpr uint32_t kMaxDecodeTargets = 32;
inline constexpr uint32_t kMaxDependencyChains = 16;
inline constexpr uint32_t kMaxSpatialLayers = 8;
inline constexpr uint32_t kMaxTemporalLayers = 4;

struct DependencyDescriptor {
  bool start_of_frame = false;
  bool end_of_frame = false;
  uint8_t template_id = 0;  // 0..63
  uint16_t frame_number = 0;
  bool has_structure = false;        // a template structure is attached (and was valid)
  bool has_active_targets = false;   // a mask of active decode targets is attached
  bool custom_dtis = false;
  bool custom_fdiffs = false;
  bool custom_chains = false;
  constexpr bool starts_key_frame() const { return has_structure && start_of_frame; }
};

// What later packets refer to; enough to know the layer of a template.
struct DependencyStructure {
  uint8_t template_id_offset = 0;  // 0..63
  uint8_t template_count = 0;      // 1..kMaxDependencyTemplates
  uint8_t target_count = 0;        // 1..kMaxDecodeTargets
  uint8_t chain_count = 0;         // 0..kMaxDependencyChains
  uint8_t spatial_layers = 0;      // 1..kMaxSpatialLayers
  uint8_t temporal_layers = 0;     // 1..kMaxTemporalLayers
  bool has_resolutions = false;
  uint32_t active_targets = 0;     // bit per decode target
  std::array<uint8_t, kMaxDependencyTemplates> spatial_id{};
  std::array<uint8_t, kMaxDependencyTemplates> temporal_id{};
  std::array<uint16_t, kMaxSpatialLayers> width{};   // 0 = not said
  std::array<uint16_t, kMaxSpatialLayers> height{};

  // Which of this structure's templates a packet names, nullopt = none.
  constexpr std::optional<uint8_t> template_index(uint8_t template_id) const {
    auto i = static_cast<uint8_t>((template_id + 64u - template_id_offset) & 63u);
    if (i >= template_count) return std::nullopt;
    return i;
  }
};

// value: the extension element. structure: filled when has_structure; may be nullptr.
// nullopt: shorter than 3 bytes, or the attached structure is cut off or exceeds a cap;
// *structure is then left as it was.
std::optional<DependencyDescriptor> parse_dependency_descriptor(Bytes value,
                                                                DependencyStructure* structure);

}  // namespace spillway
