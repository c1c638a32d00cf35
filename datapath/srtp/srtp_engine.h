// SrtpEngine: protects and unprotects SRTP and SRTCP (RFC 3711, RFC 7714).
//
// One engine per worker thread: it owns scratch memory, the multi-buffer manager
// or the cipher contexts, all allocated in create(). After that it allocates
// nothing, also not in expand(). Not thread-safe; different engines share
// nothing. Keys are caller-owned SrtpKeys; with openssl the round keys of the last
// packet stay in a cipher context until the next. No clock, randomness or socket.
//
// Two back ends with equal output, chosen once in create():
//
//   ipsec_mb   AES-NI or better: GCM by direct calls, CM + HMAC-SHA1 gathered over
//              the packets of a batch (multi-buffer)
//   openssl    any CPU; re-keys one cipher context per packet
//
// Errors: a faulty packet or an exhausted index is a result (0 bytes, nullopt),
// never an assertion; nothing is logged. Authentication comes first: on failure
// neither the packet nor the output is different from before the call.
//
// Replay protection and the estimation of ROC are the caller's (replay_window.h):
//   estimate index -> check() -> unprotect -> accept().
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "datapath/base/bytes.h"
#include "datapath/base/limits.h"
#include "datapath/base/result.h"
#include "datapath/base/units.h"
#include "datapath/srtp/srtp_keys.h"
#include "datapath/srtp/srtp_profile.h"

namespace spillway {

class IndexChecker;

enum class SrtpBackend : uint8_t { automatic = 0, ipsec_mb = 1, openssl = 2 };
// The best instruction set the engine may use; for tests and measurements. The
// CPU having less lowers it further.
enum class SrtpCpu : uint8_t { native = 0, avx2 = 1, avx = 2, sse = 3, no_aes = 4 };

// One packet to protect. The finished, rewritten RTP header stands at
// out[0..header_bytes) already. The ciphertext is written from `payload`, which
// many jobs may share, to out + header_bytes and the tag behind it: encryption is
// the copy. Not one byte is written behind that, so outputs may lie end to end.
struct RtpProtectJob {
  const SrtpKeys* keys = nullptr;    // an RTP key; jobs may differ in key and profile
  uint8_t* out = nullptr;            // header + payload + srtp_trailer_bytes() writable
  const uint8_t* payload = nullptr;  // must not overlap out
  uint64_t index = 0;                // ROC << 16 | SEQ of the header, < kSrtpIndexLimit
  Ssrc ssrc{};                       // of the header, host order
  uint32_t header_bytes = 0;         // >= 12, with CSRC and extension
  uint32_t payload_bytes = 0;        // >= 0; sum with the trailer <= kMaxDatagramBytes
  uint32_t out_bytes = 0;            // result: total, 0 = refused and out unchanged
};

// One received packet.
struct RtpUnprotectJob {
  const SrtpKeys* keys = nullptr;
  uint8_t* packet = nullptr;       // whole datagram
  uint8_t* payload_out = nullptr;  // room for packet_bytes - header_bytes - tag; either
                                   // packet + header_bytes (in place) or elsewhere
  uint64_t index = 0;              // estimated
  Ssrc ssrc{};                     // of the header, host order
  uint32_t packet_bytes = 0;
  uint32_t header_bytes = 0;
  uint32_t payload_bytes = 0;  // result: plaintext bytes at payload_out
  bool ok = false;             // result: authenticated and decrypted
};

struct RtcpPlain {
  uint32_t plain_bytes;  // of the compound packet, in place from packet[0]
  uint32_t index;        // SRTCP index, authenticated
};

class SrtpEngine {
 public:
  // automatic: ipsec_mb where the CPU (as limited by `cpu`) has AES-NI, PCLMULQDQ
  // and SSE4.2, else openssl. ipsec_mb on a CPU without: an Error.
  static Result<std::unique_ptr<SrtpEngine>> create(SrtpBackend backend = SrtpBackend::automatic,
                                                    SrtpCpu cpu = SrtpCpu::native);
  virtual ~SrtpEngine();
  SrtpEngine(const SrtpEngine&) = delete;
  SrtpEngine& operator=(const SrtpEngine&) = delete;

  // "ipsec-mb avx512", "ipsec-mb avx2", "openssl": for health and metrics. Static memory.
  std::string_view name() const { return name_; }

  // Derives and expands the session keys of one direction. False (and `out`
  // wiped): the profile is unknown, or the library failed; operations with such
  // keys are refused. Not per packet: 0.5 to 1 us.
  bool expand(const SrtpMasterKey& master, SrtpStreamKind kind, SrtpKeys& out);
  // The derivation alone (RFC 3711 §4.3.1, kdr 0).
  bool derive(const SrtpMasterKey& master, SrtpStreamKind kind, SrtpSessionKey& out);
  // The expansion alone.
  bool load(const SrtpSessionKey& session, SrtpStreamKind kind, SrtpKeys& out);

  // jobs: at most kBurst. Refused jobs (empty or foreign key, RTCP key, index past
  // the key's life, lengths) get out_bytes = 0; the others are done. Returns how
  // many were protected. The caller never presents an (SSRC, index) twice under
  // one key (threats A-31).
  uint32_t protect_rtp(std::span<RtpProtectJob> jobs);

  // jobs: at most kBurst. Returns how many are ok.
  uint32_t unprotect_rtp(std::span<RtpUnprotectJob> jobs);
  // One packet; the number of payload bytes at payload_out.
  std::optional<uint32_t> unprotect_rtp(const SrtpKeys& keys, Ssrc ssrc, uint64_t index,
                                        uint32_t header_bytes, MutableBytes packet,
                                        uint8_t* payload_out);

  // In place: buffer[0..plain_bytes) is a compound packet of at least 8 bytes whose
  // first sender SSRC is `ssrc`; the buffer has room for srtcp_trailer_bytes()
  // behind it. index < kSrtcpIndexLimit, never used before with this key. Returns
  // total bytes, 0 = refused and nothing changed.
  uint32_t protect_rtcp(const SrtpKeys& keys, MutableBytes buffer, uint32_t plain_bytes,
                        uint32_t index, Ssrc ssrc);
  // In place. A packet with the E bit clear (authenticated only) is refused: no
  // profile we negotiate permits it (RFC 8827 §6.5).
  std::optional<RtcpPlain> unprotect_rtcp(const SrtpKeys& keys, MutableBytes packet);

  // Test builds: every (key, SSRC, index) encrypted is recorded and a reuse aborts.
  // nullptr = off. Without SPILLWAY_CHECKS it is never consulted. The checker
  // outlives the engine and may serve several.
  void set_index_checker(IndexChecker* checker) { checker_ = checker; }

 protected:
  // Which back end expanded a key (SrtpKeys::engine): the layouts differ, also
  // between the instruction sets of ipsec-mb.
  using KeyLayout = uint8_t;

  class KeyDerivation;  // AES in counter mode for the derivation
  SrtpEngine(std::string_view name, KeyLayout layout, std::unique_ptr<KeyDerivation> kdf);

  // Back ends. Arguments are checked already: usable keys, lengths, index.
  virtual bool do_load(const SrtpSessionKey& session, SrtpKeys& out) = 0;
  virtual void do_protect_rtp(std::span<RtpProtectJob* const> jobs) = 0;
  virtual void do_unprotect_rtp(std::span<RtpUnprotectJob* const> jobs) = 0;
  virtual void do_protect_rtcp(const SrtpKeys& keys, uint8_t* packet, uint32_t plain_bytes,
                               uint32_t index, Ssrc ssrc) = 0;
  virtual bool do_unprotect_rtcp(const SrtpKeys& keys, uint8_t* packet, uint32_t plain_bytes,
                                 uint32_t index, Ssrc ssrc) = 0;

 private:
  bool usable(const SrtpKeys& keys, SrtpStreamKind kind) const {
    return keys.engine == layout_ && keys.kind == kind && srtp_tag_bytes(keys.profile) != 0;
  }

  std::string_view name_;
  KeyLayout layout_;
  std::unique_ptr<KeyDerivation> kdf_;
  IndexChecker* checker_ = nullptr;
};

}  // namespace spillway
