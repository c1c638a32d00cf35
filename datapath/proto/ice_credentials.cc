#include "datapath/proto/ice_credentials.h"

#include "datapath/base/assert.h"

namespace spillway {
namespace {

// ice-char of RFC 8839 §5.4 = ALPHA / DIGIT / "+" / "/", which is base64's alphabet.
constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr uint8_t kNotIceChar = 0xff;
constexpr auto kValues = [] {
  std::array<uint8_t, 256> t{};
  t.fill(kNotIceChar);
  for (uint8_t i = 0; i < 64; ++i) t[static_cast<uint8_t>(kAlphabet[i])] = i;
  return t;
}();

// Domain separation: the first byte of what is hashed.
constexpr uint8_t kTagDomain = 0x01;
constexpr uint8_t kPasswordDomain = 0x02;

constexpr uint32_t kFieldBytes = 8;
constexpr uint32_t kTagBytes = 4;
static_assert((kFieldBytes + kTagBytes) / 3 * 4 == kLocalUfragBytes);
constexpr uint32_t kPasswordBinaryBytes = kLocalIcePasswordBytes / 4 * 3;
static_assert(kPasswordBinaryBytes * 8 >= 128 && kPasswordBinaryBytes <= kSha1Bytes);

// in: a multiple of 3 bytes; out: 4/3 of them.
void encode(Bytes in, char* out) {
  for (size_t i = 0; i + 3 <= in.size(); i += 3, out += 4) {
    uint32_t v = load_be24(&in[i]);
    for (uint32_t k = 0; k < 4; ++k) out[k] = kAlphabet[v >> (18 - 6 * k) & 63];
  }
}

uint32_t tag_of(const IceKeys& keys, Bytes fields) {
  return load_be32(keys.hmac()({Bytes{&kTagDomain, 1}, fields}).data());
}

}  // namespace

LocalUfrag make_local_ufrag(const IceKeys& keys, uint32_t slot, uint32_t generation,
                            uint8_t ice_generation) {
  SPILLWAY_ASSERT(slot <= kMaxUfragSlot);
  std::array<uint8_t, kFieldBytes + kTagBytes> raw;
  store_be24(&raw[0], slot);
  store_be32(&raw[3], generation);
  raw[7] = ice_generation;
  store_be32(&raw[kFieldBytes], tag_of(keys, Bytes{raw}.first(kFieldBytes)));
  LocalUfrag out;
  encode(raw, out.text.data());
  return out;
}

std::optional<UfragFields> parse_local_ufrag(const IceKeys& keys, std::string_view text) {
  if (text.size() != kLocalUfragBytes) return std::nullopt;
  std::array<uint8_t, kFieldBytes + kTagBytes> raw;
  for (size_t group = 0; group < kLocalUfragBytes / 4; ++group) {
    uint32_t v = 0;
    for (size_t k = 0; k < 4; ++k) {
      uint8_t six = kValues[static_cast<uint8_t>(text[group * 4 + k])];
      if (six == kNotIceChar) return std::nullopt;
      v = v << 6 | six;
    }
    store_be24(&raw[group * 3], v);
  }
  // Not compared in constant time: the tag only sorts out noise.
  if (load_be32(&raw[kFieldBytes]) != tag_of(keys, Bytes{raw}.first(kFieldBytes)))
    return std::nullopt;
  return UfragFields{load_be24(&raw[0]), load_be32(&raw[3]), raw[7]};
}

IcePassword derive_ice_password(const IceKeys& keys, std::string_view ufrag) {
  Bytes text{reinterpret_cast<const uint8_t*>(ufrag.data()), ufrag.size()};
  Sha1Digest digest = keys.hmac()({Bytes{&kPasswordDomain, 1}, text});
  IcePassword out;
  encode(Bytes{digest}.first(kPasswordBinaryBytes), out.text.data());
  return out;
}

}  // namespace spillway
