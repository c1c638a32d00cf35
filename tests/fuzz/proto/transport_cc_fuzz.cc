// Feedback of any bytes is refused or walked in bounds; and a feedback built from
// arrival times drawn from the input reads back as what it says it covers.
#include <array>
#include <cstdlib>
#include <vector>

#include "datapath/proto/rtcp.h"
#include "datapath/proto/transport_cc.h"

namespace {

using namespace spillway;

void read_any(Bytes fci) {
  auto fb = parse_transport_cc(fci);
  if (!fb) return;
  uint32_t n = 0;
  for_each_transport_cc(*fb, [&](uint16_t, int64_t) { ++n; });
  if (n != fb->status_count) std::abort();
}

void round_trip(Bytes in) {
  Reader r(in);
  uint16_t base = r.be16();
  int64_t now = static_cast<int32_t>(r.be32());
  size_t room = r.u8() * 6u;
  if (r.bad()) return;
  std::vector<int64_t> arrivals;
  while (r.left() >= 2) {
    auto step = static_cast<int16_t>(r.be16());
    if (step % 3 == 0) {
      arrivals.push_back(kTransportCcLost);
    } else {
      now += step / 8;
      arrivals.push_back(now);
    }
  }
  std::array<uint8_t, 256 * 6> out;
  Writer w(MutableBytes{out}.first(room));
  uint32_t covered = write_transport_cc(w, Ssrc{1}, Ssrc{2}, base, arrivals, 3);
  if (w.bad() || covered > arrivals.size()) std::abort();
  if (covered == 0) {
    if (w.size() != 0) std::abort();
    return;
  }
  RtcpWalker walker(w.written());
  auto p = walker.next();
  if (!p || !p->is(RtcpType::transport_feedback, kRtcpTransportCc)) std::abort();
  auto f = parse_feedback(*p);
  auto fb = f ? parse_transport_cc(f->fci) : std::nullopt;
  if (!fb || fb->status_count != covered || fb->base != base) std::abort();
  // The reference time has 24 bits on the wire: compare modulo 2^32 ticks.
  uint32_t i = 0;
  for_each_transport_cc(*fb, [&](uint16_t sequence, int64_t ticks) {
    if (sequence != static_cast<uint16_t>(base + i)) std::abort();
    if ((ticks == kTransportCcLost) != (arrivals[i] == kTransportCcLost)) std::abort();
    if (ticks != kTransportCcLost &&
        static_cast<uint32_t>(ticks) != static_cast<uint32_t>(arrivals[i]))
      std::abort();
    ++i;
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  if (data[0] & 1)
    read_any({data + 1, size - 1});
  else
    round_trip({data + 1, size - 1});
  return 0;
}
