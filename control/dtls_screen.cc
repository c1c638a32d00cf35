#include "control/dtls_screen.h"

namespace spillway {
namespace {

constexpr uint8_t kChangeCipherSpec = 20;
constexpr uint8_t kAlert = 21;
constexpr uint8_t kHandshake = 22;
constexpr uint8_t kApplicationData = 23;
constexpr uint8_t kClientHello = 1;

struct Record {
  uint8_t type = 0;
  uint16_t epoch = 0;
  Bytes body;
};

// False: malformed.
bool read_record(Reader& in, Record* out) {
  out->type = in.u8();
  uint16_t version = in.be16();
  out->epoch = in.be16();
  in.skip(6);
  out->body = in.bytes(in.be16());
  return !in.bad() && version >> 8 == 0xfe && out->type >= kChangeCipherSpec &&
         out->type <= kApplicationData;
}

}  // namespace

DtlsScreen::Verdict DtlsScreen::check(Bytes datagram) {
  bytes_ += static_cast<uint32_t>(datagram.size());
  if (bytes_ > kMaxHandshakeBytes) return Verdict::limit;
  Reader in(datagram);
  if (in.left() == 0) return Verdict::drop;
  for (uint32_t records = 0; in.left() > 0; ++records) {
    Record r;
    if (records == kMaxRecordsPerDatagram || !read_record(in, &r)) return Verdict::drop;
    if (r.epoch != 0) continue;
    if (r.type == kAlert || r.type == kApplicationData) return Verdict::drop;
    if (r.type != kHandshake) continue;
    if (Verdict v = check_fragments(r.body); v != Verdict::pass) return v;
  }
  return Verdict::pass;
}

DtlsScreen::Verdict DtlsScreen::check_fragments(Bytes body) {
  Reader in(body);
  if (in.left() == 0) return Verdict::drop;
  while (in.left() > 0) {
    in.skip(1);
    uint32_t length = in.be24();
    uint16_t message = in.be16();
    uint32_t offset = in.be24();
    uint32_t fragment = in.be24();
    in.skip(fragment);
    if (in.bad() || message >= fragments_.size()) return Verdict::drop;
    // 24-bit values: the sum cannot wrap. An empty fragment of a non-empty message
    // says nothing and once made a stack loop (CVE-2022-29190).
    if (offset + fragment > length || (fragment == 0 && length != 0)) return Verdict::drop;
    if (length > kMaxHandshakeMessageBytes) return Verdict::drop;
    if (++fragments_[message] > kMaxFragmentsPerMessage) return Verdict::limit;
  }
  return Verdict::pass;
}

bool is_client_hello(Bytes datagram) {
  Reader in(datagram);
  Record r;
  if (!read_record(in, &r) || r.type != kHandshake || r.epoch != 0) return false;
  Reader body(r.body);
  uint8_t type = body.u8();
  body.skip(3);
  uint16_t message = body.be16();
  return !body.bad() && type == kClientHello && message == 0;
}

bool is_handshake(Bytes datagram) {
  Reader in(datagram);
  for (uint32_t n = 0; n < kMaxRecordsPerDatagram && in.left() > 0; ++n) {
    Record r;
    if (!read_record(in, &r)) return false;
    if (r.type == kChangeCipherSpec || r.type == kHandshake) return true;
  }
  return false;
}

}  // namespace spillway
