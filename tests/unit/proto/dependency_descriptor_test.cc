#include "datapath/proto/video/dependency_descriptor.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/unit/proto/bytes_testing.h"

namespace spillway {
namespace {

using namespace testing_bytes;

class BitWriter {
 public:
  BitWriter& put(uint32_t bits, uint32_t value) {
    for (uint32_t i = bits; i-- > 0;) {
      if (count_ % 8 == 0) out_.push_back(0);
      out_.back() = static_cast<uint8_t>(out_.back() | (value >> i & 1u) << (7 - count_ % 8));
      ++count_;
    }
    return *this;
  }
  BitWriter& non_symmetric(uint32_t n, uint32_t v) {
    uint32_t w = 0;
    for (uint32_t x = n; x; x >>= 1) ++w;
    uint32_t m = (1u << w) - n;
    return v < m ? put(w - 1, v) : put(w, v + m);
  }
  const Buffer& bytes() const { return out_; }

 private:
  Buffer out_;
  uint32_t count_ = 0;
};

// What a structure says, written as the specification's syntax (A.8.2).
struct Spec {
  uint32_t offset = 5;
  uint32_t targets = 3;
  std::vector<uint32_t> next_layer{1, 2, 1, 3};  // after each template; 3 ends
  uint32_t fdiffs = 1;                           // per template
  uint32_t chains = 2;
  bool resolutions = true;
  uint32_t spatial_layers = 2;
  bool active = false;
  uint32_t active_mask = 0;
};

Buffer write(const Spec& s) {
  BitWriter b;
  b.put(1, 1).put(1, 0).put(6, 7).put(16, 0xabcd);
  b.put(1, 1).put(1, s.active).put(3, 0);
  b.put(6, s.offset).put(5, s.targets - 1);
  for (uint32_t n : s.next_layer) b.put(2, n);
  auto templates = static_cast<uint32_t>(s.next_layer.size());
  for (uint32_t i = 0; i < templates * s.targets; ++i) b.put(2, i % 4);
  for (uint32_t i = 0; i < templates; ++i) {
    for (uint32_t k = 0; k < s.fdiffs; ++k) b.put(1, 1).put(4, k);
    b.put(1, 0);
  }
  b.non_symmetric(s.targets + 1, s.chains);
  if (s.chains > 0) {
    for (uint32_t i = 0; i < s.targets; ++i) b.non_symmetric(s.chains, i % s.chains);
    for (uint32_t i = 0; i < templates * s.chains; ++i) b.put(4, i % 16);
  }
  b.put(1, s.resolutions);
  if (s.resolutions)
    for (uint32_t i = 0; i < s.spatial_layers; ++i)
      b.put(16, 640 * (i + 1) - 1).put(16, 360 * (i + 1) - 1);
  if (s.active) b.put(s.targets, s.active_mask);
  return b.bytes();
}

TEST(DependencyDescriptor, MandatoryFieldsOnly) {
  auto d = parse_dependency_descriptor(hex("87 1234"), nullptr);
  ASSERT_TRUE(d);
  EXPECT_TRUE(d->start_of_frame);
  EXPECT_FALSE(d->end_of_frame);
  EXPECT_EQ(d->template_id, 7);
  EXPECT_EQ(d->frame_number, 0x1234);
  EXPECT_FALSE(d->has_structure);
  EXPECT_FALSE(d->starts_key_frame());
  for (const char* cut : {"", "87", "8712"})
    with_exact(hex(cut), [](Bytes v) { EXPECT_FALSE(parse_dependency_descriptor(v, nullptr)); });
}

TEST(DependencyDescriptor, ExtendedFieldsWithoutStructure) {
  auto d = parse_dependency_descriptor(hex("47 1234 3f"), nullptr);
  ASSERT_TRUE(d);
  EXPECT_FALSE(d->start_of_frame);
  EXPECT_TRUE(d->end_of_frame);
  EXPECT_FALSE(d->has_structure);
  EXPECT_FALSE(d->has_active_targets);
  EXPECT_TRUE(d->custom_dtis);
  EXPECT_TRUE(d->custom_fdiffs);
  EXPECT_TRUE(d->custom_chains);
}

TEST(DependencyDescriptor, AttachedStructure) {
  DependencyStructure s;
  Spec spec;
  spec.active = true;
  spec.active_mask = 0b101;
  auto d = parse_dependency_descriptor(write(spec), &s);
  ASSERT_TRUE(d);
  EXPECT_TRUE(d->has_structure);
  EXPECT_TRUE(d->starts_key_frame());
  EXPECT_EQ(d->frame_number, 0xabcd);
  EXPECT_EQ(s.template_id_offset, 5);
  EXPECT_EQ(s.template_count, 4);
  EXPECT_EQ(s.target_count, 3);
  EXPECT_EQ(s.chain_count, 2);
  EXPECT_EQ(s.spatial_layers, 2);
  EXPECT_EQ(s.temporal_layers, 2);
  EXPECT_EQ(s.active_targets, 0b101u);
  for (uint32_t i = 0; i < 4; ++i) {
    EXPECT_EQ(s.spatial_id[i], i / 2) << i;
    EXPECT_EQ(s.temporal_id[i], i % 2) << i;
  }
  EXPECT_TRUE(s.has_resolutions);
  EXPECT_EQ(s.width[0], 640);
  EXPECT_EQ(s.height[1], 720);
  EXPECT_EQ(s.template_index(5), 0);
  EXPECT_EQ(s.template_index(8), 3);
  EXPECT_EQ(s.template_index(9), std::nullopt);
  EXPECT_EQ(s.template_index(4), std::nullopt);
}

TEST(DependencyDescriptor, TemplateIdsWrapAt64) {
  DependencyStructure s;
  Spec spec;
  spec.offset = 62;
  ASSERT_TRUE(parse_dependency_descriptor(write(spec), &s));
  EXPECT_EQ(s.template_index(62), 0);
  EXPECT_EQ(s.template_index(1), 3);
  EXPECT_EQ(s.template_index(2), std::nullopt);
}

TEST(DependencyDescriptor, AllTargetsAreActiveByDefault) {
  DependencyStructure s;
  Spec spec;
  spec.targets = 32;
  spec.chains = 16;
  ASSERT_TRUE(parse_dependency_descriptor(write(spec), &s));
  EXPECT_EQ(s.active_targets, UINT32_MAX);
  EXPECT_EQ(s.target_count, 32);
  EXPECT_EQ(s.chain_count, 16);
}

// each cap, at it and one above.
TEST(DependencyDescriptor, CapsAreEnforced) {
  auto good = [](const Spec& spec) {
    DependencyStructure s;
    bool ok = parse_dependency_descriptor(write(spec), &s).has_value();
    EXPECT_EQ(s.template_count != 0, ok) << "left as it was when refused";
    return ok;
  };
  Spec templates;
  templates.next_layer.assign(63, 0);
  templates.next_layer.push_back(3);
  templates.spatial_layers = 1;
  EXPECT_TRUE(good(templates)) << "64 templates";
  templates.next_layer.insert(templates.next_layer.begin(), 0);
  EXPECT_FALSE(good(templates)) << "65 templates";

  Spec temporal;
  temporal.next_layer = {1, 1, 1, 3};
  temporal.spatial_layers = 1;
  EXPECT_TRUE(good(temporal));
  temporal.next_layer = {1, 1, 1, 1, 3};
  EXPECT_FALSE(good(temporal)) << "5 temporal layers";

  Spec spatial;
  spatial.next_layer = {2, 2, 2, 2, 2, 2, 2, 3};
  spatial.spatial_layers = 8;
  EXPECT_TRUE(good(spatial));
  spatial.next_layer.insert(spatial.next_layer.begin(), 2);
  EXPECT_FALSE(good(spatial)) << "9 spatial layers";

  Spec chains;
  chains.targets = 32;
  chains.chains = 16;
  EXPECT_TRUE(good(chains));
  chains.chains = 17;
  EXPECT_FALSE(good(chains)) << "17 chains";
}

TEST(DependencyDescriptor, RandomStructuresRoundTrip) {
  Random random(13);
  for (int round = 0; round < 2000; ++round) {
    Spec spec;
    spec.offset = random.below(64);
    spec.targets = 1 + random.below(32);
    spec.next_layer.clear();
    std::vector<std::pair<uint32_t, uint32_t>> layers;
    uint32_t spatial = 0, temporal = 0, temporal_max = 0;
    for (uint32_t left = random.below(20);; --left) {
      layers.emplace_back(spatial, temporal);
      uint32_t next = left == 0 ? 3 : random.below(3);
      if ((next == 1 && temporal == 3) || (next == 2 && spatial == 7)) next = 0;
      spec.next_layer.push_back(next);
      if (next == 3) break;
      if (next == 1) temporal_max = std::max(temporal_max, ++temporal);
      if (next == 2) {
        ++spatial;
        temporal = 0;
      }
    }
    spec.spatial_layers = spatial + 1;
    spec.fdiffs = random.below(4);
    spec.chains = random.below(std::min(spec.targets, 16u) + 1);
    spec.resolutions = random.below(2) != 0;
    spec.active = random.below(2) != 0;
    auto all = static_cast<uint32_t>((uint64_t{1} << spec.targets) - 1);
    spec.active_mask = random.u32() & all;
    DependencyStructure s;
    Buffer bytes = write(spec);
    ASSERT_TRUE(parse_dependency_descriptor(bytes, &s)) << round;
    EXPECT_EQ(s.template_id_offset, spec.offset);
    ASSERT_EQ(s.template_count, layers.size());
    for (size_t i = 0; i < layers.size(); ++i) {
      EXPECT_EQ(s.spatial_id[i], layers[i].first);
      EXPECT_EQ(s.temporal_id[i], layers[i].second);
    }
    EXPECT_EQ(s.target_count, spec.targets);
    EXPECT_EQ(s.chain_count, spec.chains);
    EXPECT_EQ(s.spatial_layers, spatial + 1);
    EXPECT_EQ(s.temporal_layers, temporal_max + 1);
    EXPECT_EQ(s.has_resolutions, spec.resolutions);
    EXPECT_EQ(s.active_targets, spec.active ? spec.active_mask : all);
  }
}

TEST(DependencyDescriptor, EveryTruncationOfAStructureIsRefused) {
  Spec spec;
  spec.active = true;
  Buffer whole = write(spec);
  for (size_t n = 4; n < whole.size(); ++n)
    with_exact(Bytes{whole}.first(n), [&](Bytes v) {
      DependencyStructure s;
      EXPECT_FALSE(parse_dependency_descriptor(v, &s)) << n;
      EXPECT_EQ(s.template_count, 0);
    });
  with_damaged(whole, [](Bytes v) {
    DependencyStructure s;
    parse_dependency_descriptor(v, &s);
  });
}

}  // namespace
}  // namespace spillway
