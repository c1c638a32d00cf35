// Any bytes: refused, or inside every cap of threats A-16.
#include <cstdlib>

#include "datapath/proto/video/dependency_descriptor.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace spillway;
  DependencyStructure s;
  auto d = parse_dependency_descriptor({data, size}, &s);
  if (!d || !d->has_structure) {
    if (s.template_count != 0) std::abort();
    return 0;
  }
  if (s.template_count == 0 || s.template_count > kMaxDependencyTemplates ||
      s.target_count == 0 || s.target_count > kMaxDecodeTargets ||
      s.chain_count > kMaxDependencyChains || s.chain_count > s.target_count ||
      s.spatial_layers == 0 || s.spatial_layers > kMaxSpatialLayers || s.temporal_layers == 0 ||
      s.temporal_layers > kMaxTemporalLayers)
    std::abort();
  for (uint32_t i = 0; i < s.template_count; ++i)
    if (s.spatial_id[i] >= s.spatial_layers || s.temporal_id[i] >= s.temporal_layers) std::abort();
  if (auto i = s.template_index(d->template_id); i && *i >= s.template_count) std::abort();
  return 0;
}
