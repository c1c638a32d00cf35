#include "datapath/proto/video/dependency_descriptor.h"

#include "datapath/proto/bit_reader.h"

namespace spillway {
namespace {

// next_layer_idc, A.8.2.
constexpr uint32_t kNextTemporal = 1;
constexpr uint32_t kNextSpatial = 2;
constexpr uint32_t kNoMoreTemplates = 3;

bool read_template_layers(BitReader& r, DependencyStructure& s) {
  uint8_t spatial = 0, temporal = 0, temporal_max = 0;
  for (;;) {
    if (s.template_count == kMaxDependencyTemplates) return false;
    s.spatial_id[s.template_count] = spatial;
    s.temporal_id[s.template_count] = temporal;
    ++s.template_count;
    uint32_t next = r.bits(2);
    if (r.bad()) return false;
    if (next == kNoMoreTemplates) break;
    if (next == kNextTemporal) {
      if (++temporal == kMaxTemporalLayers) return false;
      if (temporal > temporal_max) temporal_max = temporal;
    } else if (next == kNextSpatial) {
      temporal = 0;
      if (++spatial == kMaxSpatialLayers) return false;
    }
  }
  s.spatial_layers = static_cast<uint8_t>(spatial + 1);
  s.temporal_layers = static_cast<uint8_t>(temporal_max + 1);
  return true;
}

// Frame diffs of each template: a chain of (1, 4 bits) ended by 0. Bounded by the bits.
void skip_template_fdiffs(BitReader& r, const DependencyStructure& s) {
  for (uint32_t i = 0; i < s.template_count && !r.bad(); ++i)
    while (r.flag()) r.skip(4);
}

bool read_template_chains(BitReader& r, DependencyStructure& s) {
  uint32_t chains = r.non_symmetric(s.target_count + 1u);
  if (chains > kMaxDependencyChains) return false;
  s.chain_count = static_cast<uint8_t>(chains);
  if (chains == 0) return true;
  for (uint32_t t = 0; t < s.target_count; ++t) r.non_symmetric(chains);
  r.skip(uint64_t{s.template_count} * chains * 4);
  return true;
}

bool read_structure(BitReader& r, DependencyStructure& s) {
  s.template_id_offset = static_cast<uint8_t>(r.bits(6));
  s.target_count = static_cast<uint8_t>(r.bits(5) + 1);
  if (!read_template_layers(r, s)) return false;
  r.skip(uint64_t{s.template_count} * s.target_count * 2);  // decode target indications
  skip_template_fdiffs(r, s);
  if (!read_template_chains(r, s)) return false;
  s.has_resolutions = r.flag();
  if (s.has_resolutions)
    for (uint8_t i = 0; i < s.spatial_layers; ++i) {
      // Sent minus one; 65536 does not fit and is taken as 65535.
      uint32_t width = r.bits(16) + 1, height = r.bits(16) + 1;
      s.width[i] = static_cast<uint16_t>(width > 0xffff ? 0xffff : width);
      s.height[i] = static_cast<uint16_t>(height > 0xffff ? 0xffff : height);
    }
  s.active_targets = static_cast<uint32_t>((uint64_t{1} << s.target_count) - 1);
  return !r.bad();
}

}  // namespace

std::optional<DependencyDescriptor> parse_dependency_descriptor(Bytes value,
                                                                DependencyStructure* structure) {
  if (value.size() < 3) return std::nullopt;
  BitReader r(value);
  DependencyDescriptor d;
  d.start_of_frame = r.flag();
  d.end_of_frame = r.flag();
  d.template_id = static_cast<uint8_t>(r.bits(6));
  d.frame_number = static_cast<uint16_t>(r.bits(16));
  if (value.size() == 3) return d;
  d.has_structure = r.flag();
  d.has_active_targets = r.flag();
  d.custom_dtis = r.flag();
  d.custom_fdiffs = r.flag();
  d.custom_chains = r.flag();
  if (!d.has_structure) return d;
  DependencyStructure s;
  if (!read_structure(r, s)) return std::nullopt;
  if (d.has_active_targets) s.active_targets = r.bits(s.target_count);
  if (r.bad()) return std::nullopt;
  if (structure) *structure = s;
  return d;
}

}  // namespace spillway
