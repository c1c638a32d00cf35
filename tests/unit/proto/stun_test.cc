#include "datapath/proto/stun.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "datapath/proto/crc32.h"
#include "datapath/proto/ice_credentials.h"
#include "tests/unit/proto/bytes_testing.h"
#include "tests/vectors/proto/rfc5769.h"

namespace spillway {
namespace {

using namespace testing_bytes;
constexpr std::string_view kPassword = "a-password-of-24-letters";
constexpr StunTransactionId kId{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
const Endpoint kV4{IpAddress::v4(192, 0, 2, 1), 32853};

Endpoint v6() {
  Endpoint e = kV4;
  e.ip = *IpAddress::parse("2001:db8:1234:5678:11:2233:4455:6677");
  return e;
}

// Puts messages together attribute by attribute, independent of the library's builder.
class Message {
 public:
  explicit Message(uint16_t type = 0x0001) : b_(20) {
    store_be16(&b_[0], type);
    store_be32(&b_[4], kStunMagicCookie);
    std::copy(kId.begin(), kId.end(), b_.begin() + 8);
  }
  Message& add(uint16_t type, Bytes v) {
    size_t at = b_.size();
    b_.resize(at + 4 + (v.size() + 3) / 4 * 4);
    store_be16(&b_[at], type);
    store_be16(&b_[at + 2], static_cast<uint16_t>(v.size()));
    std::copy(v.begin(), v.end(), b_.begin() + static_cast<int64_t>(at) + 4);
    set_length(b_.size() - 20);
    return *this;
  }
  Message& username(std::string_view name) { return add(0x0006, text(name)); }
  Message& integrity(std::string_view password = kPassword) {
    set_length(b_.size() - 20 + 24);
    Sha1Digest mac = HmacSha1Key(text(password))({b_});
    return add(0x0008, mac);
  }
  Message& fingerprint(uint32_t error = 0) {
    set_length(b_.size() - 20 + 8);
    std::array<uint8_t, 4> v;
    store_be32(v.data(), crc32(b_) ^ 0x5354554E ^ error);
    return add(0x8028, v);
  }
  Buffer bytes() const { return b_; }

 private:
  void set_length(size_t n) { store_be16(&b_[2], static_cast<uint16_t>(n)); }
  Buffer b_;
};

bool accepted(Bytes packet, std::string_view password = kPassword) {
  auto m = parse_stun(packet);
  return m && verify_stun_integrity(packet, *m, password);
}

// --- RFC 5769 -----------------------------------------------------------------------------

TEST(Stun, Rfc5769Request) {
  auto m = parse_stun(rfc5769::kRequest);
  ASSERT_TRUE(m);
  EXPECT_EQ(m->type, StunType::binding_request);
  EXPECT_EQ(m->username, rfc5769::kUsername);
  EXPECT_TRUE(m->has_priority);
  EXPECT_EQ(m->priority, 0x6e0001ffu);
  EXPECT_EQ(m->role, IceRole::controlled);
  EXPECT_EQ(m->tie_breaker, 0x932ff9b151263b36u);
  EXPECT_FALSE(m->use_candidate);
  EXPECT_EQ(m->unknown_required_count, 0);
  EXPECT_TRUE(verify_stun_fingerprint(rfc5769::kRequest, *m));
  EXPECT_TRUE(verify_stun_integrity(rfc5769::kRequest, *m, rfc5769::kPassword));
  EXPECT_FALSE(verify_stun_integrity(rfc5769::kRequest, *m, "another"));
}

TEST(Stun, Rfc5769Responses) {
  auto check = [](Bytes packet, const Endpoint& expected) {
    auto m = parse_stun(packet);
    ASSERT_TRUE(m);
    EXPECT_EQ(m->type, StunType::binding_success);
    ASSERT_TRUE(m->mapped);
    EXPECT_EQ(m->mapped->to_string(), expected.to_string());
    EXPECT_TRUE(verify_stun_integrity(packet, *m, rfc5769::kPassword));
  };
  check(rfc5769::kResponseV4, kV4);
  check(rfc5769::kResponseV6, v6());
}

// One changed bit anywhere is noticed, but for the type of FINGERPRINT itself: changed, it
// is an attribute behind MESSAGE-INTEGRITY and ignored, and the rest was authenticated.
TEST(Stun, EveryFlippedBitIsNoticed) {
  Buffer packet(std::begin(rfc5769::kRequest), std::end(rfc5769::kRequest));
  size_t fingerprint = packet.size() - 8;
  for (size_t i = 0; i < packet.size(); ++i) {
    if (i == fingerprint || i == fingerprint + 1) continue;
    for (int bit = 0; bit < 8; ++bit) {
      packet[i] = static_cast<uint8_t>(packet[i] ^ 1 << bit);
      EXPECT_FALSE(accepted(packet, rfc5769::kPassword)) << i << ' ' << bit;
      packet[i] = static_cast<uint8_t>(packet[i] ^ 1 << bit);
    }
  }
  EXPECT_TRUE(accepted(packet, rfc5769::kPassword));
}

// --- parsing ------------------------------------------------------------------------------

TEST(Stun, StructureIsChecked) {
  Buffer good = Message().username("a:b").integrity().fingerprint().bytes();
  ASSERT_TRUE(accepted(good));
  auto changed = [&](auto&& change) {
    Buffer b = good;
    change(b);
    return parse_stun(b).has_value();
  };
  EXPECT_FALSE(changed([](Buffer& b) { b[4] = 0; })) << "magic cookie";
  EXPECT_FALSE(changed([](Buffer& b) { b[1] = 0x03; })) << "another method";
  EXPECT_FALSE(changed([](Buffer& b) { b[0] = 0x02; b[1] = 0x00; })) << "GOOG-PING";
  EXPECT_FALSE(changed([](Buffer& b) { b.push_back(0); })) << "length and size differ";
  EXPECT_FALSE(changed([](Buffer& b) { b.resize(b.size() + 4); }));
  EXPECT_FALSE(changed([](Buffer& b) { b[23] = 0xff; })) << "attribute past the end";
  for (size_t n = 0; n < good.size(); ++n)
    with_exact(Bytes{good}.first(n), [](Bytes b) { EXPECT_FALSE(parse_stun(b)); });
  Buffer bare(20);
  bare[1] = 1;
  store_be32(&bare[4], kStunMagicCookie);
  EXPECT_TRUE(parse_stun(bare));
}

TEST(Stun, WrongAttributeLengthsAreMalformed) {
  struct Case {
    uint16_t type;
    size_t bytes;
    bool good;
  };
  for (Case c : {Case{0x0024, 4, true}, Case{0x0024, 3, false}, Case{0x0024, 8, false},
                 Case{0x0025, 0, true}, Case{0x0025, 4, false}, Case{0x8029, 8, true},
                 Case{0x802a, 7, false}, Case{0x0006, 513, true}, Case{0x0006, 514, false},
                 Case{0x0006, 0, false}, Case{0x0008, 20, true}, Case{0x0008, 19, false},
                 Case{0x8028, 4, true}, Case{0x8028, 8, false}, Case{0x0020, 8, false},
                 Case{0x0009, 3, false}, Case{0x0009, 4, false}, Case{0x8022, 100, true}})
    EXPECT_EQ(parse_stun(Message().add(c.type, Buffer(c.bytes, 0)).bytes()).has_value(), c.good)
        << std::hex << c.type << ' ' << c.bytes;
}

TEST(Stun, XorMappedAddressOfUnknownFamilyOrLengthIsMalformed) {
  EXPECT_TRUE(parse_stun(Message(0x0101).add(0x0020, hex("0001a147e112a643")).bytes()));
  EXPECT_FALSE(parse_stun(Message(0x0101).add(0x0020, hex("0003a147e112a643")).bytes()));
  EXPECT_FALSE(parse_stun(Message(0x0101).add(0x0020, hex("0002a147e112a643")).bytes()));
  EXPECT_FALSE(parse_stun(Message(0x0101).add(0x0020, hex("0001a147e112a64300000000")).bytes()));
}

TEST(Stun, ErrorCodes) {
  auto code = [](const char* value) {
    auto m = parse_stun(Message(0x0111).add(0x0009, hex(value)).bytes());
    return m ? int{m->error_code} : -1;
  };
  EXPECT_EQ(code("00000457"), 487);
  EXPECT_EQ(code("00000401 556e"), 401);
  EXPECT_EQ(code("00000263"), -1) << "2xx is no error";
  EXPECT_EQ(code("00000464"), -1) << "number above 99";
}

// interop R1: FFmpeg sends only USERNAME, USE-CANDIDATE, MI, FINGERPRINT.
TEST(Stun, MinimalRequestsAreAccepted) {
  Buffer ffmpeg = Message().username("l:r").add(0x0025, {}).integrity().fingerprint().bytes();
  auto m = parse_stun(ffmpeg);
  ASSERT_TRUE(m);
  EXPECT_TRUE(m->use_candidate);
  EXPECT_FALSE(m->has_priority);
  EXPECT_EQ(m->role, IceRole::none);
  EXPECT_TRUE(accepted(ffmpeg));
  EXPECT_TRUE(accepted(Message().username("l:r").integrity().bytes())) << "no FINGERPRINT";
}

TEST(Stun, WithoutIntegrityNothingIsAccepted) {
  EXPECT_FALSE(accepted(Message().username("l:r").bytes()));
  EXPECT_FALSE(accepted(Message().username("l:r").fingerprint().bytes()));
  EXPECT_FALSE(accepted(Message().username("l:r").integrity("other").bytes()));
}

TEST(Stun, WrongFingerprintIsRefusedThoughIntegrityIsRight) {
  EXPECT_FALSE(accepted(Message().username("l:r").integrity().fingerprint(1).bytes()));
}

// RFC 8489 §14.5: what follows MESSAGE-INTEGRITY is not protected, so it is not read.
TEST(Stun, AttributesAfterIntegrityAreIgnored) {
  Buffer b = Message()
                 .username("l:r")
                 .integrity()
                 .add(0x0025, {})
                 .add(0x0024, hex("00000001"))
                 .add(0x7fff, {})
                 .add(0x0006, text("x:y"))
                 .fingerprint()
                 .bytes();
  auto m = parse_stun(b);
  ASSERT_TRUE(m);
  EXPECT_TRUE(verify_stun_integrity(b, *m, kPassword));
  EXPECT_EQ(m->username, "l:r");
  EXPECT_FALSE(m->use_candidate);
  EXPECT_FALSE(m->has_priority);
  EXPECT_EQ(m->unknown_required_count, 0);
  EXPECT_NE(m->fingerprint_offset, 0) << "but FINGERPRINT is";
}

TEST(Stun, FingerprintMustBeLast) {
  EXPECT_FALSE(parse_stun(Message().username("l:r").integrity().fingerprint().add(0x8022, {})
                              .bytes()));
}

TEST(Stun, OfRepeatedAttributesTheFirstCounts) {
  Buffer b = Message()
                 .username("a:b")
                 .username("c:d")
                 .add(0x0024, hex("00000001"))
                 .add(0x0024, hex("00000002"))
                 .add(0x802a, hex("0000000000000003"))
                 .add(0x8029, hex("0000000000000004"))
                 .bytes();
  auto m = parse_stun(b);
  ASSERT_TRUE(m);
  EXPECT_EQ(m->username, "a:b");
  EXPECT_EQ(m->priority, 1u);
  EXPECT_EQ(m->role, IceRole::controlling);
  EXPECT_EQ(m->tie_breaker, 3u);
}

// Chrome's 0xC0xx family is optional, 0x7fff is not.
TEST(Stun, OnlyUnknownRequiredAttributesAreCollected) {
  auto m = parse_stun(Message()
                          .username("a:b")
                          .add(0xc057, hex("00000001"))
                          .add(0x7fff, hex("00"))
                          .add(0x0022, {})
                          .bytes());
  ASSERT_TRUE(m);
  ASSERT_EQ(m->unknown_required_count, 2);
  EXPECT_EQ(m->unknown_required[0], 0x7fff);
  EXPECT_EQ(m->unknown_required[1], 0x0022);
  Message many;
  for (uint16_t i = 0; i < 100; ++i) many.add(static_cast<uint16_t>(0x4000 + i), {});
  EXPECT_EQ(parse_stun(many.bytes())->unknown_required_count, kMaxStunUnknown);
}

// --- answers --------------------------------------------------------------------------------

TEST(Stun, SuccessRoundTripAndSize) {
  Buffer request = Message().username("0123456789abcdef:rem1").integrity().fingerprint().bytes();
  auto m = parse_stun(request);
  ASSERT_TRUE(m);
  for (const Endpoint& to : {kV4, v6()}) {
    std::array<uint8_t, 200> out;
    uint32_t n = write_stun_success(out, *m, to, kPassword);
    ASSERT_EQ(n, to.ip.is_v4() ? 64u : 76u);
    Bytes answer{out.data(), n};
    ASSERT_TRUE(accepted(answer));
    auto back = parse_stun(answer);
    EXPECT_EQ(back->type, StunType::binding_success);
    EXPECT_EQ(back->transaction_id, kId);
    EXPECT_EQ(back->mapped, to);
    EXPECT_NE(back->fingerprint_offset, 0);
    for (size_t room = 0; room < n; ++room)
      EXPECT_EQ(write_stun_success(MutableBytes{out}.first(room), *m, to, kPassword), 0u) << room;
  }
}

// A-08, T7: no answer is longer than its request; a request naming one of our fragments
// is always answered.
TEST(Stun, AnswersAreNeverLongerThanTheRequest) {
  IceKeys keys{IceSecret{}};
  std::string ours(make_local_ufrag(keys, 1, 1, 0).view());
  for (bool fingerprint : {false, true})
    for (size_t name = 1; name < 60; ++name)
      for (uint32_t unknown : {0u, 1u, 2u, 3u, 16u}) {
        Message message;
        std::string username = ours + ":" + std::string(name, 'r');
        if (name > 40) username = std::string(name - 40, 'x');  // none of ours
        message.username(username);
        for (uint32_t i = 0; i < unknown; ++i) message.add(static_cast<uint16_t>(0x4000 + i), {});
        message.integrity();
        if (fingerprint) message.fingerprint();
        Buffer request = message.bytes();
        auto m = parse_stun(request);
        ASSERT_TRUE(m);
        std::array<uint8_t, 200> out;
        for (const Endpoint& to : {kV4, v6()}) {
          uint32_t n = write_stun_success(out, *m, to, kPassword);
          EXPECT_LE(n, request.size());
          if (name <= 40) {
            ASSERT_GT(n, 0u);
            EXPECT_TRUE(accepted({out.data(), n}));
            bool answered_with = parse_stun({out.data(), n})->fingerprint_offset != 0;
            EXPECT_TRUE(answered_with || !fingerprint);
          }
        }
        uint32_t n = write_stun_unknown_attributes(out, *m, kPassword);
        EXPECT_LE(n, request.size());
        EXPECT_TRUE(n > 0 || name > 40);
      }
}

TEST(Stun, UnknownAttributesAnswer) {
  Buffer request = Message()
                       .username("0123456789abcdef:rem1")
                       .add(0x7fff, {})
                       .add(0x4001, hex("0102"))
                       .add(0x4002, {})
                       .integrity()
                       .fingerprint()
                       .bytes();
  auto m = parse_stun(request);
  std::array<uint8_t, 200> out;
  uint32_t n = write_stun_unknown_attributes(out, *m, kPassword);
  ASSERT_GT(n, 0u);
  Bytes answer{out.data(), n};
  auto back = parse_stun(answer);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->type, StunType::binding_error);
  EXPECT_EQ(back->error_code, 420);
  EXPECT_TRUE(accepted(answer));
  EXPECT_EQ(buffer(answer.subspan(28, 12)), hex("000a0006 7fff40014002 0000"));
}

TEST(Stun, RoleConflictAnswer) {
  Buffer request = Message().username("0123456789abcdef:rem1").integrity().bytes();
  auto m = parse_stun(request);
  std::array<uint8_t, 200> out;
  HmacSha1Key key(text(kPassword));
  uint32_t n = write_stun_error(out, *m, 487, key);
  ASSERT_GT(n, 0u);
  EXPECT_EQ(parse_stun({out.data(), n})->error_code, 487);
  EXPECT_TRUE(accepted({out.data(), n}));
  EXPECT_EQ(write_stun_error(out, *m, 299, key), 0u);
  EXPECT_EQ(write_stun_error(out, *m, 700, key), 0u);
}

// --- requests ---------------------------------------------------------------------------------

TEST(Stun, RequestRoundTrip) {
  Random random(11);
  for (int i = 0; i < 500; ++i) {
    std::string name(1 + random.below(513), 'u');
    StunRequest in;
    for (auto& b : in.transaction_id) b = static_cast<uint8_t>(random.u32());
    in.username = name;
    in.priority = random.u32();
    in.role = static_cast<IceRole>(random.below(3));
    in.tie_breaker = random.u64();
    in.use_candidate = random.below(2) != 0;
    std::array<uint8_t, 700> out;
    uint32_t n = write_stun_request(out, in, kPassword);
    ASSERT_GT(n, 0u);
    Bytes packet{out.data(), n};
    auto m = parse_stun(packet);
    ASSERT_TRUE(m);
    EXPECT_TRUE(accepted(packet));
    EXPECT_EQ(m->type, StunType::binding_request);
    EXPECT_EQ(m->transaction_id, in.transaction_id);
    EXPECT_EQ(m->username, name);
    EXPECT_TRUE(m->has_priority);
    EXPECT_EQ(m->priority, in.priority);
    EXPECT_EQ(m->role, in.role);
    if (in.role != IceRole::none) {
      EXPECT_EQ(m->tie_breaker, in.tie_breaker);
    }
    EXPECT_EQ(m->use_candidate, in.use_candidate);
    EXPECT_EQ(write_stun_request(MutableBytes{out}.first(n - 1), in, kPassword), 0u);
  }
}

TEST(Stun, RequestsNeedAUsername) {
  std::array<uint8_t, 700> out;
  EXPECT_EQ(write_stun_request(out, {}, kPassword), 0u);
  std::string long_name(514, 'u');
  StunRequest r;
  r.username = long_name;
  EXPECT_EQ(write_stun_request(out, r, kPassword), 0u);
}

TEST(Stun, DamagedMessagesNeverReachPastTheirEnd) {
  for (Bytes sample : {Bytes{rfc5769::kRequest}, Bytes{rfc5769::kResponseV4},
                       Bytes{rfc5769::kResponseV6}})
    with_damaged(sample, [](Bytes b) {
      auto m = parse_stun(b);
      if (!m) return;
      verify_stun_integrity(b, *m, rfc5769::kPassword);
      verify_stun_fingerprint(b, *m);
      std::array<uint8_t, 200> out;
      EXPECT_LE(write_stun_success(out, *m, kV4, kPassword), b.size());
      EXPECT_LE(write_stun_unknown_attributes(out, *m, kPassword), b.size());
    });
}

}  // namespace
}  // namespace spillway
