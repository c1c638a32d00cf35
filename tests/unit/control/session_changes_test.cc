// Changes to a running session: ICE restarts, layers, and doorbells that find no room.
#include <gtest/gtest.h>

#include "tests/unit/control/rig.h"

namespace spillway {
namespace {

using abi::SessionPhase;
using test::Rig;

TEST(SessionChanges, IceRestartKeepsOldCredentialsUntilTheNewOnesWorked) {
  Rig rig;
  auto p = rig.publish("live");
  rig.connect(p);
  abi::KeyConfig before = rig.datapath->keys(p.slot);
  auto result = rig.manager->restart_ice(p.answer.session_id, "efgh", "new-password-of-22-chrs");
  auto& answer = std::get<IceRestartAnswer>(result);
  EXPECT_NE(answer.etag, p.answer.etag);
  EXPECT_EQ(answer.etag.substr(0, 2), "1-");
  auto fields = parse_local_ufrag(rig.secret, answer.transport.ice_ufrag);
  ASSERT_TRUE(fields.has_value());
  EXPECT_EQ(fields->slot, p.slot);
  EXPECT_EQ(fields->generation, p.generation);
  EXPECT_EQ(fields->ice_generation, 1);
  abi::SessionConfig c = rig.datapath->entry(p.slot);
  EXPECT_EQ(c.ice_generation, 1);
  EXPECT_EQ(c.old_ice_valid, 1);
  EXPECT_EQ(std::string(reinterpret_cast<char*>(c.remote_ufrag), c.remote_ufrag_bytes), "efgh");
  EXPECT_EQ(std::string(reinterpret_cast<char*>(c.old_remote_ufrag), c.old_remote_ufrag_bytes),
            "abcd");
  abi::KeyConfig after = rig.datapath->keys(p.slot);
  EXPECT_EQ(std::memcmp(before.rx_key, after.rx_key, 32), 0) << "SRTP goes on";
  EXPECT_EQ(after.profile, before.profile);
  auto state = rig.manager->ice_state(p.answer.session_id);
  EXPECT_EQ(state->remote_pwd, "new-password-of-22-chrs");
  EXPECT_EQ(state->etag, answer.etag);

  rig.validate(p, 0);  // a check with the old credentials: nothing ends
  EXPECT_EQ(rig.datapath->entry(p.slot).old_ice_valid, 1);
  rig.validate(p, 1);
  EXPECT_EQ(rig.datapath->entry(p.slot).old_ice_valid, 0);
}

TEST(SessionChanges, OldCredentialsEndAfterThirtySeconds) {
  Rig rig;
  auto p = rig.publish("live");
  rig.connect(p);
  rig.manager->restart_ice(p.answer.session_id, "efgh", "new-password-of-22-chrs");
  for (int i = 0; i < 29; ++i) rig.report(p), rig.pass(seconds(1));
  EXPECT_EQ(rig.datapath->entry(p.slot).old_ice_valid, 1);
  for (int i = 0; i < 3; ++i) rig.report(p), rig.pass(seconds(1));
  EXPECT_EQ(rig.datapath->entry(p.slot).old_ice_valid, 0);
  EXPECT_EQ(rig.phase(p), SessionPhase::keyed);
}

TEST(SessionChanges, BadIceRestartChangesNothing) {
  Rig rig;
  auto p = rig.publish("live");
  abi::SessionConfig before = rig.datapath->entry(p.slot);
  for (auto [ufrag, pwd] : {std::pair<std::string, std::string>{"", "x"},
                            {"x", ""},
                            {std::string(33, 'u'), "x"},
                            {"x", std::string(49, 'p')}})
    EXPECT_TRUE(std::holds_alternative<ApiError>(
        rig.manager->restart_ice(p.answer.session_id, ufrag, pwd)));
  abi::SessionConfig after = rig.datapath->entry(p.slot);
  EXPECT_EQ(std::memcmp(&before, &after, sizeof before), 0);
  EXPECT_EQ(rig.manager->ice_state(p.answer.session_id)->etag, p.answer.etag);
}

TEST(SessionChanges, SelectLayerByRid) {
  Rig rig;
  auto p = rig.accept(rig.manager->publish(rig.simulcast("live")));
  auto v = rig.watch("live");
  auto selected = [&] { return rig.datapath->entry(v.slot).media[1].selected_layer; };
  EXPECT_EQ(selected(), abi::kLayerAuto);
  EXPECT_FALSE(rig.manager->select_layer(v.answer.session_id, "1", "h").has_value());
  EXPECT_EQ(selected(), 1);
  EXPECT_FALSE(rig.manager->select_layer(v.answer.session_id, "", "f").has_value());
  EXPECT_EQ(selected(), 2);
  EXPECT_TRUE(rig.manager->select_layer(v.answer.session_id, "1", "nope").has_value());
  EXPECT_TRUE(rig.manager->select_layer(v.answer.session_id, "0", "h").has_value());
  EXPECT_TRUE(rig.manager->select_layer(p.answer.session_id, "1", "h").has_value());
  EXPECT_TRUE(rig.manager->select_layer("nobody", "1", "h").has_value());
  EXPECT_EQ(selected(), 2);
  EXPECT_FALSE(rig.manager->select_layer(v.answer.session_id, "1", "").has_value());
  EXPECT_EQ(selected(), abi::kLayerAuto);

  rig.report(p);
  auto layers = rig.manager->layers("live");
  ASSERT_EQ(layers.size(), 3u);
  EXPECT_EQ(layers[0].rid, "q");
  EXPECT_TRUE(layers[0].active);
  EXPECT_EQ(layers[0].bitrate_bps, 150'000u);
  EXPECT_FALSE(layers[2].active);
}

TEST(SessionChanges, FullCommandRingLosesNoDoorbell) {
  Rig rig;
  rig.limits.connect_timeout_s = 3600;
  rig.start();
  auto p = rig.accept(rig.manager->publish(rig.simulcast("live")));
  auto v = rig.watch("live");
  auto late = rig.watch("live");
  // Nobody drains: far more changes than the rings take.
  const char* rids[] = {"q", "h", "f"};
  for (uint32_t i = 0; i < 3 * abi::kCommandRing; ++i)
    rig.manager->select_layer(i % 2 ? v.answer.session_id : late.answer.session_id, "1",
                              rids[i / 2 % 3]);
  EXPECT_GT(rig.link->doorbells_waiting(), 0u);
  EXPECT_LE(rig.link->doorbells_waiting(), 3u * rig.datapath->workers()) << "one per slot";
  EXPECT_TRUE(rig.manager->remove(late.answer.session_id));
  rig.datapath->work();
  rig.datapath->seen.clear();
  rig.turn();
  EXPECT_EQ(rig.link->doorbells_waiting(), 0u);
  EXPECT_TRUE(rig.datapath->seen.contains(v.slot));
  EXPECT_TRUE(rig.datapath->seen.contains(late.slot));
  abi::SessionConfig seen = rig.datapath->last[v.slot], truth = rig.datapath->entry(v.slot);
  EXPECT_EQ(std::memcmp(&seen, &truth, sizeof seen), 0);
  EXPECT_EQ(rig.datapath->last[late.slot].phase, static_cast<uint8_t>(SessionPhase::free));
}

}  // namespace
}  // namespace spillway
