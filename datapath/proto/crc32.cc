#include "datapath/proto/crc32.h"

#include <array>

namespace spillway {
namespace {

// Eight bytes per step: table[k][b] is the CRC of byte b followed by k zero bytes.
constexpr auto kTables = [] {
  std::array<std::array<uint32_t, 256>, 8> t{};
  for (uint32_t b = 0; b < 256; ++b) {
    uint32_t c = b;
    for (int i = 0; i < 8; ++i) c = c & 1 ? 0xEDB88320u ^ c >> 1 : c >> 1;
    t[0][b] = c;
  }
  for (uint32_t b = 0; b < 256; ++b)
    for (uint32_t k = 1; k < 8; ++k) t[k][b] = t[k - 1][b] >> 8 ^ t[0][t[k - 1][b] & 0xff];
  return t;
}();

constexpr uint32_t load_le32(const uint8_t* p) {
  return static_cast<uint32_t>(p[3]) << 24 | static_cast<uint32_t>(p[2]) << 16 |
         static_cast<uint32_t>(p[1]) << 8 | p[0];
}

}  // namespace

uint32_t crc32(Bytes data, uint32_t previous) {
  uint32_t c = ~previous;
  const uint8_t* p = data.data();
  size_t n = data.size();
  for (; n >= 8; n -= 8, p += 8) {
    uint32_t a = c ^ load_le32(p);
    uint32_t b = load_le32(p + 4);
    c = kTables[7][a & 0xff] ^ kTables[6][a >> 8 & 0xff] ^ kTables[5][a >> 16 & 0xff] ^
        kTables[4][a >> 24] ^ kTables[3][b & 0xff] ^ kTables[2][b >> 8 & 0xff] ^
        kTables[1][b >> 16 & 0xff] ^ kTables[0][b >> 24];
  }
  for (; n > 0; --n, ++p) c = c >> 8 ^ kTables[0][(c ^ *p) & 0xff];
  return ~c;
}

}  // namespace spillway
