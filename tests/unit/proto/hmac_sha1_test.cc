#include "datapath/proto/hmac_sha1.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "tests/unit/proto/bytes_testing.h"

namespace spillway {
namespace {

using namespace testing_bytes;

// RFC 2202 §3, test cases 1, 2, 6 (key longer than a block).
TEST(HmacSha1, Rfc2202) {
  EXPECT_EQ(buffer(HmacSha1Key(Buffer(20, 0x0b))({text("Hi There")})),
            hex("b617318655057264e28bc0b6fb378c8ef146be00"));
  EXPECT_EQ(buffer(HmacSha1Key(text("Jefe"))({text("what do ya want "), text("for nothing?")})),
            hex("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"));
  EXPECT_EQ(buffer(HmacSha1Key(Buffer(80, 0xaa))(
                {text("Test Using Larger Than Block-Size Key - Hash Key First")})),
            hex("aa4ae5e15272d00e95705637ce8a3b55ed402112"));
}

// Against OpenSSL's own HMAC: every key length around the block, random messages in parts.
TEST(HmacSha1, AgreesWithOpenSsl) {
  Random random(8);
  for (size_t key_bytes = 0; key_bytes <= 130; ++key_bytes) {
    Buffer key = random.bytes(key_bytes), message = random.bytes(random.below(300));
    size_t cut = random.below(static_cast<uint32_t>(message.size() + 1));
    uint8_t expected[20];
    unsigned n = 0;
    ASSERT_TRUE(HMAC(EVP_sha1(), key.empty() ? "" : reinterpret_cast<const char*>(key.data()),
                     static_cast<int>(key.size()), message.data(), message.size(), expected, &n));
    HmacSha1Key prepared(key);
    for (int repeat = 0; repeat < 2; ++repeat)
      EXPECT_EQ(buffer(prepared({Bytes{message}.first(cut), Bytes{message}.subspan(cut)})),
                buffer(expected))
          << key_bytes;
  }
}

TEST(HmacSha1, ComparesWholeValues) {
  EXPECT_TRUE(equal_constant_time(hex("0102"), hex("0102")));
  EXPECT_FALSE(equal_constant_time(hex("0102"), hex("0103")));
  EXPECT_FALSE(equal_constant_time(hex("0102"), hex("010200")));
  EXPECT_TRUE(equal_constant_time({}, {}));
}

}  // namespace
}  // namespace spillway
