// Any text as a PATCH body.
#include <cstdint>
#include <string_view>

#include "datapath/base/assert.h"
#include "signaling/sdp/sdp.h"
#include "signaling/sdp/sdp_fragment.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace spillway;
  const auto f = parse_sdp_fragment({reinterpret_cast<const char*>(data), size});
  if (!f) {
    SPILLWAY_ASSERT(f.error().text.starts_with("line "));
    return 0;
  }
  SPILLWAY_ASSERT(f->ice_ufrag.size() <= kMaxUfragBytes && f->ice_pwd.size() <= kMaxIcePwdBytes);
  SPILLWAY_ASSERT(f->mids.size() <= kMaxSdpMediaLines && f->candidates <= kMaxSdpLines);
  TransportAnswer t;
  t.ice_ufrag = "ufrag";
  t.ice_pwd = "password0123456789012345";
  t.candidates.push_back(*Endpoint::parse("192.0.2.1:3478"));
  std::vector<std::string> mids(f->mids.begin(), f->mids.end());
  SPILLWAY_ASSERT(parse_sdp_fragment(write_restart_fragment(t, mids)).ok());
  return 0;
}
