#include "tests/peer/sources/readers.h"

#include <cstring>
#include <fstream>
#include <iterator>
#include <string_view>

#include "datapath/proto/bit_reader.h"

namespace spillway::peer {
namespace {

uint32_t load_le32(const uint8_t* p) {
  return p[0] | static_cast<uint32_t>(p[1]) << 8 | static_cast<uint32_t>(p[2]) << 16 |
         static_cast<uint32_t>(p[3]) << 24;
}
uint16_t load_le16(const uint8_t* p) { return static_cast<uint16_t>(p[0] | p[1] << 8); }

bool begins_with(Bytes b, std::string_view magic) {
  return b.size() >= magic.size() && std::memcmp(b.data(), magic.data(), magic.size()) == 0;
}

constexpr size_t kFramesMax = 1'000'000;

}  // namespace

Result<std::vector<uint8_t>> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) return errno_error("open " + path);
  const auto bytes = in.tellg();
  if (bytes < 0 || static_cast<uint64_t>(bytes) > kFileBytesMax)
    return Error{path + " is no ordinary file, or has more than 512 MiB"};
  std::vector<uint8_t> out(static_cast<size_t>(bytes));
  in.seekg(0);
  in.read(reinterpret_cast<char*>(out.data()), bytes);
  if (!in) return Error{"read " + path};
  return out;
}

Result<IvfFile> read_ivf(Bytes file) {
  constexpr size_t kHeader = 32, kFrameHeader = 12;
  if (file.size() < kHeader || !begins_with(file, "DKIF")) return Error{"not an IVF file"};
  const size_t header = load_le16(&file[6]);
  IvfFile out;
  const Bytes fourcc = file.subspan(8, 4);
  out.codec = begins_with(fourcc, "VP80")   ? Codec::vp8
              : begins_with(fourcc, "VP90") ? Codec::vp9
              : begins_with(fourcc, "AV01") ? Codec::av1
                                            : Codec::none;
  if (out.codec == Codec::none) return Error{"IVF: the codec is none of VP8, VP9, AV1"};
  out.width = load_le16(&file[12]);
  out.height = load_le16(&file[14]);
  out.rate = load_le32(&file[16]);
  out.scale = load_le32(&file[20]);
  if (header < kHeader || header > file.size() || out.rate == 0 || out.scale == 0)
    return Error{"IVF: the header is damaged"};
  size_t at = header;
  while (file.size() - at >= kFrameHeader && out.frames.size() < kFramesMax) {
    const size_t bytes = load_le32(&file[at]);
    const uint64_t time = load_le32(&file[at + 4]) | uint64_t{load_le32(&file[at + 8])} << 32;
    at += kFrameHeader;
    if (bytes > file.size() - at) break;
    if (bytes > 0) out.frames.push_back({time, file.subspan(at, bytes)});
    at += bytes;
  }
  if (out.frames.empty()) return Error{"IVF: no whole frame"};
  return out;
}

Result<std::vector<H264AccessUnit>> read_annex_b(Bytes file) {
  std::vector<H264AccessUnit> out;
  bool has_slice = false;  // in the unit at the end of `out`
  const auto add = [&](Bytes nal) {
    while (!nal.empty() && nal.back() == 0) nal = nal.first(nal.size() - 1);  // trailing zeros
    if (nal.empty() || out.size() >= kFramesMax) return;
    const uint8_t type = nal[0] & 0x1f;
    const bool slice = type >= 1 && type <= 5;
    const bool opens = type >= 6 && type <= 9;
    // first_mb_in_slice = 0 is ue(v) "1".
    const bool first_slice = slice && nal.size() > 1 && (nal[1] & 0x80) != 0;
    if (out.empty() || (has_slice && (opens || first_slice))) {
      out.emplace_back();
      has_slice = false;
    }
    has_slice |= slice;
    out.back().key |= type == 5;
    if (type != 9) out.back().nals.push_back(nal);
  };
  size_t begin = SIZE_MAX;
  for (size_t at = 0; at + 3 <= file.size();) {
    if (file[at] == 0 && file[at + 1] == 0 && file[at + 2] == 1) {
      if (begin != SIZE_MAX) add(file.subspan(begin, at - begin));
      begin = at += 3;
    } else {
      ++at;
    }
  }
  if (begin != SIZE_MAX) add(file.subspan(begin));
  while (!out.empty() && !has_slice) {  // parameter sets at the end belong to nothing
    out.pop_back();
    break;
  }
  if (out.empty()) return Error{"no H.264 access unit behind a start code"};
  return out;
}

uint32_t opus_samples(Bytes packet) {
  if (packet.empty()) return 0;
  const uint32_t config = packet[0] >> 3;
  constexpr uint32_t kSilk[] = {480, 960, 1920, 2880}, kCelt[] = {120, 240, 480, 960};
  const uint32_t frame = config < 12   ? kSilk[config & 3]
                         : config < 16 ? (config & 1 ? 960u : 480u)
                                       : kCelt[config & 3];
  const uint32_t code = packet[0] & 3;
  uint32_t frames = code == 0 ? 1 : 2;
  if (code == 3) {
    if (packet.size() < 2) return 0;
    frames = packet[1] & 0x3f;
  }
  const uint32_t samples = frame * frames;
  return samples > 5760 ? 0 : samples;
}

Result<std::vector<OpusPacket>> read_ogg_opus(Bytes file) {
  constexpr size_t kPageHeader = 27;
  std::vector<OpusPacket> out;
  std::vector<uint8_t> packet;
  bool found = false;
  uint32_t serial = 0;
  uint64_t index = 0;  // of the packet in its stream: 0 OpusHead, 1 OpusTags
  size_t at = 0;
  while (file.size() - at >= kPageHeader && out.size() < kFramesMax) {
    if (!begins_with(file.subspan(at), "OggS")) break;
    const uint8_t flags = file[at + 5];
    const uint32_t page_serial = load_le32(&file[at + 14]);
    const size_t segments = file[at + 26];
    if (file.size() - at - kPageHeader < segments) break;
    const Bytes table = file.subspan(at + kPageHeader, segments);
    size_t data = at + kPageHeader + segments;
    if (!found && (flags & 0x02) && begins_with(file.subspan(data), "OpusHead")) {
      found = true;
      serial = page_serial;
    }
    const bool ours = found && page_serial == serial;
    if (ours && !(flags & 0x01)) packet.clear();  // not continued: what was open is lost
    bool whole = true;
    for (const uint8_t lace : table) {
      if (file.size() - data < lace) {
        whole = false;
        break;
      }
      if (ours) {
        packet.insert(packet.end(), file.begin() + static_cast<ptrdiff_t>(data),
                      file.begin() + static_cast<ptrdiff_t>(data + lace));
        if (packet.size() > 64 * 1024) packet.clear();
        if (lace < 255) {
          const uint32_t samples = opus_samples(packet);
          if (index++ >= 2 && samples != 0 && packet.size() <= 1275) out.push_back({packet, samples});
          packet.clear();
        }
      }
      data += lace;
    }
    if (!whole) break;
    at = data;
  }
  if (out.empty()) return Error{"no Opus packet in an Ogg file"};
  return out;
}

}  // namespace spillway::peer
