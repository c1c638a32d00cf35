// The compound walker and every reader behind it on any bytes.
#include <array>
#include <cstdlib>

#include "datapath/proto/rtcp.h"
#include "datapath/proto/transport_cc.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace spillway;
  RtcpWalker walker({data, size});
  size_t packets = 0;
  while (auto p = walker.next()) {
    if (++packets > size / 4) std::abort();
    parse_sender_report(*p);
    parse_receiver_report(*p);
    for (uint32_t i = 0; i < report_block_count(*p); ++i) {
      ReportBlock b = report_block(*p, i);
      std::array<uint8_t, 32> out;
      Writer w(out);
      if (!write_receiver_report(w, Ssrc{1}, {&b, 1})) std::abort();
    }
    uint32_t cursor = 0, names = 0;
    while (auto c = next_sdes_cname(*p, &cursor))
      if (++names > p->body.size() / 4) std::abort();
    for (uint32_t i = 0; i < bye_count(*p); ++i) bye_ssrc(*p, i);
    if (auto f = parse_feedback(*p)) {
      if (for_each_nack(f->fci, [](uint16_t) {}) > kMaxNackSequences) std::abort();
      for_each_fir(f->fci, [](FirEntry) {});
      if (auto remb = parse_remb(f->fci); remb && remb->ssrcs.size() != 4u * remb->ssrc_count)
        std::abort();
    }
  }
  return 0;
}
