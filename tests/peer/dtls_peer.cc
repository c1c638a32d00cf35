#include "tests/peer/dtls_peer.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/srtp.h>
#include <openssl/x509.h>
#include <strings.h>

#include <vector>

#include "datapath/srtp/srtp_profile.h"
#include "tests/peer/random.h"

namespace spillway::peer {
namespace {

constexpr size_t kRecordHeaderBytes = 13;  // RFC 6347 §4.1
constexpr int kMtu = 1200;

std::string openssl_error(const char* what) {
  char text[200] = "no reason given";
  if (const auto code = ERR_peek_last_error()) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return std::string(what) + ": " + text;
}

std::string fingerprint_of(X509* certificate) {
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned bytes = 0;
  X509_digest(certificate, EVP_sha256(), digest, &bytes);
  std::string out;
  for (unsigned i = 0; i < bytes; ++i) {
    static constexpr char kHex[] = "0123456789ABCDEF";
    if (i) out += ':';
    out += kHex[digest[i] >> 4];
    out += kHex[digest[i] & 15];
  }
  return out;
}

// First wait 100 ms, then doubled to at most 2 s: a lossy loopback should not cost a second.
unsigned next_timeout_us(SSL*, unsigned previous_us) {
  if (previous_us == 0) return 100'000;
  return previous_us >= 1'000'000 ? 2'000'000 : previous_us * 2;
}

}  // namespace

Result<std::unique_ptr<DtlsIdentity>> DtlsIdentity::create(std::string_view srtp) {
  const char* profiles = srtp == "any"      ? "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80"
                         : srtp == "gcm"    ? "SRTP_AEAD_AES_128_GCM"
                         : srtp == "gcm256" ? "SRTP_AEAD_AES_256_GCM"
                         : srtp == "cm"     ? "SRTP_AES128_CM_SHA1_80"
                                            : nullptr;
  if (!profiles) return Error{"SRTP profile must be any, gcm, gcm256 or cm"};
  std::unique_ptr<DtlsIdentity> id(new DtlsIdentity);
  id->key_ = EVP_EC_gen("P-256");
  id->certificate_ = X509_new();
  if (!id->key_ || !id->certificate_) return Error{openssl_error("make a certificate")};
  X509* x = id->certificate_;
  X509_set_version(x, 2);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), random_u64() >> 1);
  X509_gmtime_adj(X509_getm_notBefore(x), -86400);
  X509_gmtime_adj(X509_getm_notAfter(x), 30 * 86400);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                             reinterpret_cast<const uint8_t*>("peer"), -1, -1, 0);
  X509_set_issuer_name(x, X509_get_subject_name(x));
  X509_set_pubkey(x, id->key_);
  if (X509_sign(x, id->key_, EVP_sha256()) == 0) return Error{openssl_error("sign")};
  id->fingerprint_ = fingerprint_of(x);

  id->context_ = SSL_CTX_new(DTLS_method());
  SSL_CTX* c = id->context_;
  if (!c) return Error{openssl_error("SSL_CTX_new")};
  SSL_CTX_set_min_proto_version(c, DTLS1_2_VERSION);
  SSL_CTX_use_certificate(c, x);
  SSL_CTX_use_PrivateKey(c, id->key_);
  // Trust comes from the fingerprint in the SDP, checked when the handshake ends.
  SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                     [](int, X509_STORE_CTX*) { return 1; });
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(c, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET);
  if (SSL_CTX_set1_groups_list(c, "P-256:X25519:P-384") != 1 ||
      SSL_CTX_set_tlsext_use_srtp(c, profiles) != 0)
    return Error{openssl_error("configure DTLS")};
  return id;
}

DtlsIdentity::~DtlsIdentity() {
  SSL_CTX_free(context_);
  X509_free(certificate_);
  EVP_PKEY_free(key_);
}

DtlsPeer::DtlsPeer(const DtlsIdentity& identity, bool client, std::string remote_fingerprint,
                   Sink sink)
    : client_(client), remote_fingerprint_(std::move(remote_fingerprint)), sink_(std::move(sink)) {
  ssl_ = SSL_new(identity.context());
  in_ = BIO_new(BIO_s_mem());
  out_ = BIO_new(BIO_s_mem());
  SPILLWAY_ASSERT(ssl_ && in_ && out_);
  BIO_set_mem_eof_return(in_, -1);
  SSL_set_bio(ssl_, in_, out_);
  SSL_set_mtu(ssl_, kMtu);
  DTLS_set_timer_cb(ssl_, next_timeout_us);
  if (client_) {
    SSL_set_connect_state(ssl_);
  } else {
    SSL_set_accept_state(ssl_);
  }
}

DtlsPeer::~DtlsPeer() {
  SSL_free(ssl_);
  send_key_.wipe();
  receive_key_.wipe();
}

void DtlsPeer::start() {
  if (state_ != DtlsState::idle) return;
  state_ = DtlsState::handshake;
  advance();
}

void DtlsPeer::advance() {
  ERR_clear_error();
  const int r = SSL_do_handshake(ssl_);
  drain();
  if (r == 1) {
    finish();
  } else if (SSL_get_error(ssl_, r) == SSL_ERROR_SSL) {
    fail(openssl_error("DTLS handshake"));
  }
  ERR_clear_error();
}

void DtlsPeer::receive(Bytes datagram) {
  if (state_ == DtlsState::idle || state_ == DtlsState::closed || state_ == DtlsState::failed)
    return;
  BIO_write(in_, datagram.data(), static_cast<int>(datagram.size()));
  if (state_ == DtlsState::handshake) {
    advance();
  } else {
    // Answers a retransmitted last flight of the other end, and sees close_notify.
    uint8_t scratch[1500];
    const int r = SSL_read(ssl_, scratch, sizeof scratch);
    if (r <= 0 && SSL_get_error(ssl_, r) == SSL_ERROR_ZERO_RETURN) state_ = DtlsState::closed;
    ERR_clear_error();
    drain();
  }
  // A datagram is consumed whole or not at all; leftovers must not join the next.
  BIO_reset(in_);
}

void DtlsPeer::tick() {
  if (state_ != DtlsState::handshake) return;
  if (DTLSv1_handle_timeout(ssl_) < 0) fail(openssl_error("DTLS retransmission"));
  drain();
}

void DtlsPeer::close() {
  if (state_ != DtlsState::connected) return;
  SSL_shutdown(ssl_);
  ERR_clear_error();
  drain();
  state_ = DtlsState::closed;
}

// The memory BIO joined what OpenSSL wrote; records say where they end, and as many as
// fit share a datagram.
void DtlsPeer::drain() {
  char* memory = nullptr;
  const auto bytes = BIO_get_mem_data(out_, &memory);
  if (bytes <= 0) return;
  const Bytes all(reinterpret_cast<const uint8_t*>(memory), static_cast<size_t>(bytes));
  size_t from = 0, at = 0;
  while (at + kRecordHeaderBytes <= all.size()) {
    const size_t record = kRecordHeaderBytes + load_be16(&all[at + 11]);
    if (record > all.size() - at) break;
    if (at > from && at + record - from > kMtu) {
      sink_(all.subspan(from, at - from));
      from = at;
    }
    at += record;
  }
  if (at > from) sink_(all.subspan(from, at - from));
  BIO_reset(out_);
}

void DtlsPeer::finish() {
  X509* certificate = SSL_get1_peer_certificate(ssl_);
  const std::string seen = certificate ? fingerprint_of(certificate) : "";
  X509_free(certificate);
  if (seen.empty() || strcasecmp(seen.c_str(), remote_fingerprint_.c_str()) != 0)
    return fail("the certificate is not the one of the SDP answer");
  const SRTP_PROTECTION_PROFILE* chosen = SSL_get_selected_srtp_profile(ssl_);
  if (!chosen) return fail("no SRTP profile was agreed on");
  profile_ = static_cast<SrtpProfile>(chosen->id);
  const size_t key = srtp_key_bytes(profile_);
  const size_t salt = srtp_salt_bytes(profile_);
  if (key == 0) return fail("unknown SRTP profile");
  // RFC 5764 §4.2: client key, server key, client salt, server salt.
  std::vector<uint8_t> block(2 * (key + salt));
  static constexpr char kLabel[] = "EXTRACTOR-dtls_srtp";
  if (SSL_export_keying_material(ssl_, block.data(), block.size(), kLabel, sizeof kLabel - 1,
                                 nullptr, 0, 0) != 1)
    return fail(openssl_error("key export"));
  SrtpMasterKey& of_client = client_ ? send_key_ : receive_key_;
  SrtpMasterKey& of_server = client_ ? receive_key_ : send_key_;
  of_client.profile = of_server.profile = profile_;
  std::memcpy(of_client.key, block.data(), key);
  std::memcpy(of_server.key, block.data() + key, key);
  std::memcpy(of_client.salt, block.data() + 2 * key, salt);
  std::memcpy(of_server.salt, block.data() + 2 * key + salt, salt);
  explicit_bzero(block.data(), block.size());
  state_ = DtlsState::connected;
}

void DtlsPeer::fail(std::string why) {
  state_ = DtlsState::failed;
  error_ = std::move(why);
}

}  // namespace spillway::peer
