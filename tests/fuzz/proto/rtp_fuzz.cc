// RTP header, payload length and extension elements of any bytes; what was read can be
// written again (unless it cannot be expressed) and then reads the same.
#include <array>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "datapath/proto/header_extensions.h"
#include "datapath/proto/rtp.h"

namespace {

using namespace spillway;

struct Element {
  uint8_t id;
  std::vector<uint8_t> value;
  bool operator==(const Element&) const = default;
};

std::vector<Element> elements(uint16_t profile, Bytes block) {
  std::vector<Element> out;
  for_each_extension(profile, block, [&](uint8_t id, Bytes v) {
    if (!v.empty() && (v.data() < block.data() || &v.back() > &block.back())) std::abort();
    out.push_back({id, {v.begin(), v.end()}});
    read_mid(v);
    read_rid(v);
    read_audio_level(v);
    read_abs_send_time(v);
    read_transport_cc(v);
    read_video_orientation(v);
  });
  if (out.size() > kMaxExtensions) std::abort();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Bytes packet{data, size};
  auto h = parse_rtp_header(packet);
  if (!h) return 0;
  if (h->header_bytes > size || h->header_bytes < kRtpFixedHeaderBytes) std::abort();
  if (auto n = rtp_payload_bytes(*h, packet); n && h->header_bytes + *n > size) std::abort();
  auto read = elements(h->extension_profile, rtp_extension_block(*h, packet));

  std::array<uint8_t, 2048> block;
  ExtensionWriter w(block, true);
  std::vector<Element> expected;
  for (const Element& e : read)
    if (w.add(e.id, e.value)) expected.push_back(e);
  uint32_t bytes = w.finish();
  if (bytes == 0) return expected.empty() ? 0 : (std::abort(), 0);
  auto again = elements(load_be16(&block[0]), {&block[4], bytes - 4});
  if (again != expected) std::abort();
  return 0;
}
