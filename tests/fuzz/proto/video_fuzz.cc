// Payload readers of every video codec. The first byte chooses the codec.
#include <cstdlib>
#include <vector>

#include "datapath/proto/video/av1.h"
#include "datapath/proto/video/h264.h"
#include "datapath/proto/video/h265.h"
#include "datapath/proto/video/key_frame.h"
#include "datapath/proto/video/vp8.h"
#include "datapath/proto/video/vp9.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace spillway;
  if (size == 0) return 0;
  auto codec = static_cast<Codec>(data[0] % kCodecCount);
  Bytes payload{data + 1, size - 1};
  if (starts_key_frame(codec, payload) && starts_frame(codec, payload) == false &&
      codec != Codec::h264 && codec != Codec::h265)
    std::abort();  // there a later slice of a key frame counts as well
  ends_frame(codec, payload);
  size_t total = 0;
  auto add = [&](uint8_t, Bytes b) { total += b.size(); };
  switch (codec) {
    case Codec::h264: for_each_h264_nal(payload, add); break;
    case Codec::h265: for_each_h265_nal(payload, add); break;
    case Codec::av1:
      for_each_av1_element(payload, [&](Bytes b, bool) {
        total += b.size();
        parse_av1_obu_header(b);
      });
      break;
    case Codec::vp8:
      if (auto d = parse_vp8(payload)) {
        std::vector<uint8_t> copy(payload.begin(), payload.end());
        shift_vp8(copy, *d, 77, 5);
        auto e = parse_vp8(copy);
        if (!e || e->bytes != d->bytes || e->picture_id_bits != d->picture_id_bits) std::abort();
      }
      break;
    case Codec::vp9:
      if (auto d = parse_vp9(payload)) {
        if (d->bytes > payload.size()) std::abort();
        std::vector<uint8_t> copy(payload.begin(), payload.end());
        shift_vp9(copy, *d, 77, 5);
        auto e = parse_vp9(copy);
        if (!e || e->bytes != d->bytes || e->picture_id_bits != d->picture_id_bits) std::abort();
      }
      break;
    default: break;
  }
  if (total > payload.size()) std::abort();
  return 0;
}
