// Any datagram: parse, check, and answer as the datapath would. An answer is never
// longer than the request and reads back.
#include <array>
#include <cstdlib>

#include "datapath/proto/ice_credentials.h"
#include "datapath/proto/stun.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace spillway;
  static const IceKeys keys{IceSecret{}};
  static const HmacSha1Key password(Bytes{});
  Bytes packet{data, size};
  auto m = parse_stun(packet);
  if (!m) return 0;
  if (m->bytes != size) std::abort();
  parse_local_ufrag(keys, m->username.substr(0, m->username.find(':')));
  verify_stun_integrity(packet, *m, password);
  verify_stun_fingerprint(packet, *m);
  Endpoint to{IpAddress::v4(192, 0, 2, 1), 3478};
  if (m->transaction_id[0] & 1) to.ip.bytes[0] = 0x20;
  std::array<uint8_t, 1500> out;
  for (uint32_t n : {write_stun_success(out, *m, to, password),
                     write_stun_unknown_attributes(out, *m, password),
                     write_stun_error(out, *m, 487, password)}) {
    if (n > size) std::abort();
  }
  uint32_t n = write_stun_success(out, *m, to, password);
  if (n == 0) return 0;
  Bytes answer{out.data(), n};
  auto back = parse_stun(answer);
  if (!back || back->type != StunType::binding_success || back->mapped != to ||
      back->transaction_id != m->transaction_id || !verify_stun_integrity(answer, *back, password))
    std::abort();
  return 0;
}
