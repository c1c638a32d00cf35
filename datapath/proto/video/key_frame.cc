#include "datapath/proto/video/key_frame.h"

#include "datapath/proto/video/av1.h"
#include "datapath/proto/video/h264.h"
#include "datapath/proto/video/h265.h"
#include "datapath/proto/video/vp8.h"
#include "datapath/proto/video/vp9.h"

namespace spillway {
namespace {

bool h264_starts_key_frame(Bytes payload) {
  bool key = false;
  for_each_h264_nal(payload, [&](uint8_t type, Bytes) {
    key |= type == kH264Sps || type == kH264SliceIdr;
  });
  return key;
}

bool h265_starts_key_frame(Bytes payload) {
  bool key = false;
  for_each_h265_nal(payload, [&](uint8_t type, Bytes) {
    key |= type == kH265Vps || type == kH265Sps ||
           (type >= kH265FirstIrap && type <= kH265LastIrap);
  });
  return key;
}

std::optional<bool> h264_starts_frame(Bytes payload) {
  std::optional<bool> starts;
  bool whole = for_each_h264_nal(payload, [&](uint8_t type, Bytes body) {
    if (starts) return;  // the first NAL unit decides
    bool slice = type >= kH264SliceNonIdr && type <= kH264SliceIdr;
    if (slice)
      // first_mb_in_slice is ue(v) and first in a slice header: 0 is a single 1 bit.
      // Partitions B and C (3, 4) never come first.
      starts = type != 3 && type != 4 && !body.empty() && (body[0] & 0x80) != 0;
    else
      starts = type >= kH264Sei && type <= kH264Delimiter;
  });
  if (!whole && !starts) return std::nullopt;
  return starts.value_or(false);  // a fragment that is not the first
}

std::optional<bool> h265_starts_frame(Bytes payload) {
  std::optional<bool> starts;
  bool whole = for_each_h265_nal(payload, [&](uint8_t type, Bytes body) {
    if (starts) return;
    if (type <= kH265LastSlice)
      starts = !body.empty() && (body[0] & 0x80) != 0;  // first_slice_segment_in_pic_flag
    else
      starts = (type >= kH265Vps && type <= kH265Delimiter) || type == kH265PrefixSei;
  });
  if (!whole && !starts) return std::nullopt;
  return starts.value_or(false);
}

}  // namespace

bool starts_key_frame(Codec codec, Bytes payload) {
  switch (codec) {
    case Codec::h264: return h264_starts_key_frame(payload);
    case Codec::h265: return h265_starts_key_frame(payload);
    case Codec::vp8: return vp8_starts_key_frame(payload);
    case Codec::vp9: {
      auto d = parse_vp9(payload);
      return d && vp9_starts_key_frame(*d);
    }
    case Codec::av1: {
      auto a = parse_av1_aggregation(payload);
      return a && a->new_sequence;
    }
    default: return false;
  }
}

std::optional<bool> starts_frame(Codec codec, Bytes payload) {
  switch (codec) {
    case Codec::h264: return h264_starts_frame(payload);
    case Codec::h265: return h265_starts_frame(payload);
    case Codec::vp8: {
      auto d = parse_vp8(payload);
      if (!d) return std::nullopt;
      return d->partition_start && d->partition == 0;
    }
    case Codec::vp9: {
      auto d = parse_vp9(payload);
      if (!d) return std::nullopt;
      return d->frame_start && d->spatial_id == 0;
    }
    case Codec::av1: {
      auto a = parse_av1_aggregation(payload);
      if (!a) return std::nullopt;
      if (a->new_sequence) return true;
      if (a->continues_previous) return false;
      return std::nullopt;
    }
    default: return std::nullopt;
  }
}

std::optional<bool> ends_frame(Codec codec, Bytes payload) {
  switch (codec) {
    case Codec::h264:
      if (h264_fragment_goes_on(payload)) return false;
      return std::nullopt;
    case Codec::h265:
      if (h265_fragment_goes_on(payload)) return false;
      return std::nullopt;
    case Codec::vp9: {
      auto d = parse_vp9(payload);
      if (!d) return std::nullopt;
      return d->frame_end;
    }
    case Codec::av1: {
      auto a = parse_av1_aggregation(payload);
      if (!a || !a->continues_in_next) return std::nullopt;
      return false;
    }
    default: return std::nullopt;
  }
}

}  // namespace spillway
