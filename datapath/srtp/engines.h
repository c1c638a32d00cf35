// The two back ends, for SrtpEngine::create alone.
#pragma once

#include <memory>

#include "datapath/srtp/srtp_engine.h"

namespace spillway {

// True when ipsec-mb has a path with AES-NI for this CPU as limited by `cpu`.
bool ipsec_mb_usable(SrtpCpu cpu);
Result<std::unique_ptr<SrtpEngine>> make_ipsec_mb_engine(SrtpCpu cpu);
Result<std::unique_ptr<SrtpEngine>> make_openssl_engine();

}  // namespace spillway
