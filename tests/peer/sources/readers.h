// Readers of media files, on bytes already in memory: IVF, H.264 Annex B, Ogg with Opus.
//
// Files are as hostile as the network: every length is checked against what is there, and
// a broken file gives an error or the frames before the damage. Pure; spans borrow from
// the file's bytes.
#pragma once

#include <cstdint>
#include <vector>

#include "datapath/base/bytes.h"
#include "datapath/base/media.h"
#include "datapath/base/result.h"

namespace spillway::peer {

inline constexpr size_t kFileBytesMax = 512u * 1024 * 1024;

struct IvfFile {
  Codec codec = Codec::none;  // vp8, vp9, av1
  uint16_t width = 0, height = 0;
  uint32_t rate = 30, scale = 1;  // a timestamp tick is scale/rate seconds
  struct Frame {
    uint64_t time = 0;  // ticks
    Bytes data;
  };
  std::vector<Frame> frames;  // at least one
};
Result<IvfFile> read_ivf(Bytes file);

// The NAL units of a byte stream (ITU-T H.264 annex B), grouped into access units: a unit
// begins with a delimiter, parameter sets or SEI after a slice, or a slice whose
// first_mb_in_slice is 0. Delimiters are left out.
struct H264AccessUnit {
  std::vector<Bytes> nals;
  bool key = false;  // has an IDR slice
};
Result<std::vector<H264AccessUnit>> read_annex_b(Bytes file);

// Packets of the first Opus stream in an Ogg file (RFC 3533, RFC 7845), without its two
// headers. A packet that spans pages is joined, so packets own their bytes.
struct OpusPacket {
  std::vector<uint8_t> data;
  uint32_t samples = 960;  // at 48 kHz
};
Result<std::vector<OpusPacket>> read_ogg_opus(Bytes file);
// Duration told by the packet's TOC (RFC 6716 §3.1); 0: empty or impossible (> 120 ms).
uint32_t opus_samples(Bytes packet);

Result<std::vector<uint8_t>> read_file(const std::string& path);

}  // namespace spillway::peer
