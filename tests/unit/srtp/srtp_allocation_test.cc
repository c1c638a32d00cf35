// After create() an engine allocates nothing, neither through operator new nor
// inside OpenSSL. A program of its own, because OpenSSL accepts memory functions
// only before its first allocation.
#include <openssl/crypto.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "tests/unit/srtp/srtp_rig.h"

namespace {

std::atomic<uint64_t> allocations{0};

void* count_malloc(size_t n, const char*, int) {
  ++allocations;
  return std::malloc(n);
}
void* count_realloc(void* p, size_t n, const char*, int) {
  ++allocations;
  return std::realloc(p, n);
}
void plain_free(void* p, const char*, int) {
  std::free(p);
}

}  // namespace

void* operator new(size_t n) {
  ++allocations;
  if (void* p = std::malloc(n)) return p;
  std::abort();
}
void operator delete(void* p) noexcept {
  std::free(p);
}
void operator delete(void* p, size_t) noexcept {
  std::free(p);
}

namespace spillway::srtp_test {
namespace {

const bool counted = CRYPTO_set_mem_functions(count_malloc, count_realloc, plain_free) == 1;

TEST(SrtpAllocation, HappensOnlyInCreate) {
  ASSERT_TRUE(counted) << "OpenSSL allocated before the hooks were set";
  Random random(1);
  for (const EngineChoice& choice : kEngines) {
    const uint64_t before_create = allocations;
    auto engine = make_engine(choice);
    if (!engine) continue;
    ASSERT_GT(allocations.load(), before_create) << "the hooks count";

    std::vector<SrtpMasterKey> masters;
    for (int i = 0; i < 12; ++i) masters.push_back(random_master(kProfiles[i % 3].profile, random));
    std::vector<SrtpKeys> rtp(masters.size()), rtcp(masters.size());
    const Buffer payload = random.bytes(1200);
    std::vector<Buffer> outs(kBurst, Buffer(1400));
    std::vector<RtpProtectJob> protect_jobs(kBurst);
    std::vector<RtpUnprotectJob> unprotect_jobs(kBurst);
    Buffer report(200, 0x80);

    const uint64_t before = allocations;
    for (size_t i = 0; i < masters.size(); ++i) {
      ASSERT_TRUE(engine->expand(masters[i], SrtpStreamKind::rtp, rtp[i]));
      ASSERT_TRUE(engine->expand(masters[i], SrtpStreamKind::rtcp, rtcp[i]));
    }
    for (uint32_t round = 0; round < 20; ++round) {
      for (uint32_t i = 0; i < kBurst; ++i) {
        RtpProtectJob& p = protect_jobs[i];
        p.keys = &rtp[(i * 7 + round) % rtp.size()];
        p.out = outs[i].data();
        p.payload = payload.data();
        p.index = round;
        p.header_bytes = 12;
        p.payload_bytes = 1200;
      }
      ASSERT_EQ(engine->protect_rtp(protect_jobs), kBurst);
      for (uint32_t i = 0; i < kBurst; ++i) {
        RtpUnprotectJob& u = unprotect_jobs[i];
        u.keys = protect_jobs[i].keys;
        u.packet = outs[i].data();
        u.payload_out = outs[i].data() + 12;
        u.index = round;
        u.packet_bytes = protect_jobs[i].out_bytes;
        u.header_bytes = 12;
        if (i == 9) u.packet[100] ^= 1;  // the refusal as well
      }
      ASSERT_EQ(engine->unprotect_rtp(unprotect_jobs), kBurst - 1);
      for (const SrtpKeys& keys : rtcp) {
        const uint32_t n = engine->protect_rtcp(keys, report, 100, round, Ssrc{0x80808080});
        ASSERT_NE(n, 0u);
        ASSERT_TRUE(engine->unprotect_rtcp(keys, {report.data(), n}));
      }
    }
    EXPECT_EQ(allocations.load(), before) << choice.name;
  }
}

}  // namespace
}  // namespace spillway::srtp_test
