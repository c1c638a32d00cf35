#include "datapath/proto/ice_credentials.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "tests/unit/proto/bytes_testing.h"

namespace spillway {
namespace {

using namespace testing_bytes;

IceSecret secret_of(uint8_t seed) {
  IceSecret s;
  for (size_t i = 0; i < s.bytes.size(); ++i) s.bytes[i] = static_cast<uint8_t>(seed + i);
  return s;
}
bool ice_chars(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
  });
}

TEST(IceCredentials, FragmentCarriesItsFields) {
  IceKeys keys(secret_of(1));
  Random random(10);
  for (int i = 0; i < 1000; ++i) {
    UfragFields in{i == 0 ? kMaxUfragSlot : random.u32() & kMaxUfragSlot,
                   i == 1 ? UINT32_MAX : random.u32(), static_cast<uint8_t>(random.u32())};
    LocalUfrag ufrag = make_local_ufrag(keys, in.slot, in.generation, in.ice_generation);
    EXPECT_TRUE(ice_chars(ufrag.view()));
    EXPECT_EQ(ufrag.view().size(), 16u);
    auto out = parse_local_ufrag(keys, ufrag.view());
    ASSERT_TRUE(out);
    EXPECT_EQ(*out, in);
  }
}

// whatever is not exactly ours is refused by the tag.
TEST(IceCredentials, EveryChangedCharacterIsRefused) {
  IceKeys keys(secret_of(1));
  LocalUfrag ufrag = make_local_ufrag(keys, 77, 5, 0);
  for (size_t i = 0; i < 16; ++i)
    for (int c = 0; c < 256; ++c) {
      std::string changed(ufrag.view());
      if (static_cast<char>(c) == changed[i]) continue;
      changed[i] = static_cast<char>(c);
      EXPECT_FALSE(parse_local_ufrag(keys, changed)) << i << ' ' << c;
    }
  std::string text(ufrag.view());
  for (size_t n = 0; n < 16; ++n) EXPECT_FALSE(parse_local_ufrag(keys, text.substr(0, n)));
  EXPECT_FALSE(parse_local_ufrag(keys, text + "A"));
  EXPECT_FALSE(parse_local_ufrag(keys, ""));
}

TEST(IceCredentials, OtherSecretsAreStrangers) {
  LocalUfrag ufrag = make_local_ufrag(secret_of(1), 77, 5, 0);
  EXPECT_TRUE(parse_local_ufrag(secret_of(1), ufrag.view()));
  EXPECT_FALSE(parse_local_ufrag(secret_of(2), ufrag.view()));
  EXPECT_NE(derive_ice_password(secret_of(1), ufrag.view()).view(),
            derive_ice_password(secret_of(2), ufrag.view()).view());
}

// RFC 8445 §5.3: password of at least 128 bits in 22..256 ice-chars, a new one on restart.
TEST(IceCredentials, PasswordsAreLongIceCharsAndDiffer) {
  IceKeys keys(secret_of(3));
  std::set<std::string> seen;
  for (uint32_t slot = 0; slot < 50; ++slot)
    for (uint8_t restart = 0; restart < 4; ++restart) {
      LocalUfrag ufrag = make_local_ufrag(keys, slot, 1, restart);
      IcePassword password = derive_ice_password(keys, ufrag.view());
      EXPECT_EQ(password.view().size(), 24u);
      EXPECT_TRUE(ice_chars(password.view()));
      EXPECT_TRUE(seen.insert(std::string(password.view())).second);
      EXPECT_EQ(derive_ice_password(keys, ufrag.view()).view(), password.view()) << "repeatable";
    }
}

// Both processes derive them, and a new binary must agree with sessions that live: fixed
// values, computed once from the definition in the header.
TEST(IceCredentials, GoldenValues) {
  LocalUfrag ufrag = make_local_ufrag(secret_of(0), 0x010203, 0x04050607, 8);
  EXPECT_EQ(ufrag.view(), "AQIDBAUGBwh3lPWT");
  EXPECT_EQ(derive_ice_password(secret_of(0), ufrag.view()).view(), "CB0hqGVs8kGgnGVUKkljBQZb");
}

}  // namespace
}  // namespace spillway
