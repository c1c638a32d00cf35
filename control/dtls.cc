#include "control/dtls.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <sys/time.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/srtp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace spillway {

// What the BIO and the verification callback work on; reached through the SSL object.
struct DtlsHandshake::Io {
  Bytes incoming;       // the datagram being read; empty = none
  DatagramList output;
  std::span<const Fingerprint> fingerprints;
  HandshakeFailure verdict = HandshakeFailure::no_certificate;  // of the peer's certificate

  static int write(BIO* bio, const char* data, int bytes) {
    auto* io = static_cast<Io*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    io->output.add({reinterpret_cast<const uint8_t*>(data), static_cast<size_t>(bytes)});
    return bytes;
  }
  static int read(BIO* bio, char* out, int room) {
    auto* io = static_cast<Io*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (io->incoming.empty()) {
      BIO_set_retry_read(bio);
      return -1;
    }
    size_t n = std::min(io->incoming.size(), static_cast<size_t>(room));
    std::memcpy(out, io->incoming.data(), n);
    io->incoming = {};
    return static_cast<int>(n);
  }
  static long control(BIO*, int command, long, void*) {  // NOLINT: OpenSSL's signature
    switch (command) {
      case BIO_CTRL_FLUSH: return 1;
      case BIO_CTRL_DGRAM_QUERY_MTU:
      case BIO_CTRL_DGRAM_GET_FALLBACK_MTU: return kDtlsMtuBytes;
      default: return 0;
    }
  }
  static int verify(X509_STORE_CTX* store, void*);
};

namespace {

const BIO_METHOD* datagram_bio(int (*write)(BIO*, const char*, int), int (*read)(BIO*, char*, int),
                               long (*control)(BIO*, int, long, void*)) {  // NOLINT
  static const BIO_METHOD* method = [&] {
    BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "datagram");
    SPILLWAY_ASSERT(m != nullptr);
    BIO_meth_set_write(m, write);
    BIO_meth_set_read(m, read);
    BIO_meth_set_ctrl(m, control);
    return m;
  }();
  return method;
}

int io_index() {
  static int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

unsigned retransmission_us(SSL*, unsigned previous_us) {
  if (previous_us == 0) return kDtlsFirstTimeoutUs;
  return std::min(2 * previous_us, kDtlsMaxTimeoutUs);
}

const EVP_MD* digest_of(const std::string& algorithm) {
  if (algorithm == "sha-256") return EVP_sha256();
  if (algorithm == "sha-384") return EVP_sha384();
  if (algorithm == "sha-512") return EVP_sha512();
  return nullptr;
}

constexpr size_t kRecordHeaderBytes = 13;   // RFC 6347 §4.1
constexpr unsigned kMaxSendFragment = 2048;  // 512..16384

// named curves and ordinary RSA sizes only.
bool acceptable_key(X509* certificate) {
  EVP_PKEY* key = X509_get0_pubkey(certificate);
  if (!key) return false;
  if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) {
    int bits = EVP_PKEY_get_bits(key);
    return bits >= 2048 && bits <= 4096;
  }
  if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC) return false;
  char group[32] = {};
  size_t bytes = 0;
  if (EVP_PKEY_get_group_name(key, group, sizeof group, &bytes) != 1) return false;
  int nid = OBJ_sn2nid(group);
  return nid == NID_X9_62_prime256v1 || nid == NID_secp384r1;
}

HandshakeFailure judge(X509* certificate, std::span<const Fingerprint> fingerprints) {
  if (!certificate) return HandshakeFailure::no_certificate;
  if (!acceptable_key(certificate)) return HandshakeFailure::bad_certificate;
  for (const Fingerprint& f : fingerprints) {
    const EVP_MD* md = digest_of(f.algorithm);
    if (!md) continue;
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;
    if (X509_digest(certificate, md, digest, &bytes) != 1) continue;
    if (bytes == f.digest.size() && CRYPTO_memcmp(digest, f.digest.data(), bytes) == 0)
      return HandshakeFailure::none;
  }
  return HandshakeFailure::fingerprint;
}

std::string openssl_error() {
  char text[256] = "no detail";
  if (unsigned long e = ERR_get_error(); e != 0)  // NOLINT: OpenSSL's type
    ERR_error_string_n(e, text, sizeof text);
  ERR_clear_error();
  return text;
}

}  // namespace

int DtlsHandshake::Io::verify(X509_STORE_CTX* store, void*) {
  auto* ssl = static_cast<SSL*>(
      X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* io = static_cast<Io*>(SSL_get_ex_data(ssl, io_index()));
  io->verdict = judge(X509_STORE_CTX_get0_cert(store), io->fingerprints);
  if (io->verdict == HandshakeFailure::none) return 1;
  X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
  return 0;
}

std::string_view name_of(HandshakeFailure f) {
  constexpr std::array<std::string_view, kHandshakeFailureCount> names{
      "none",        "protocol",   "peer_alert", "no_certificate", "bad_certificate",
      "fingerprint", "no_profile", "limit",      "deadline"};
  return names[static_cast<uint8_t>(f)];
}

SrtpKeys::~SrtpKeys() {
  OPENSSL_cleanse(rx_key.data(), rx_key.size());
  OPENSSL_cleanse(rx_salt.data(), rx_salt.size());
  OPENSSL_cleanse(tx_key.data(), tx_key.size());
  OPENSSL_cleanse(tx_salt.data(), tx_salt.size());
}

Result<std::unique_ptr<DtlsContext>> DtlsContext::create(std::string_view pem) {
  ERR_clear_error();
  std::unique_ptr<DtlsContext> out(new DtlsContext);
  BIO* in = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  X509* certificate = in ? PEM_read_bio_X509(in, nullptr, nullptr, nullptr) : nullptr;
  EVP_PKEY* key = certificate ? PEM_read_bio_PrivateKey(in, nullptr, nullptr, nullptr) : nullptr;
  BIO_free(in);
  unsigned digest_bytes = 0;
  SSL_CTX* c = out->context_ = SSL_CTX_new(DTLS_method());
  bool ok = c && certificate && key && SSL_CTX_use_certificate(c, certificate) == 1 &&
            SSL_CTX_use_PrivateKey(c, key) == 1 && SSL_CTX_check_private_key(c) == 1 &&
            X509_digest(certificate, EVP_sha256(), out->fingerprint_.data(), &digest_bytes) == 1 &&
            // DTLS 1.0 is gone from RFC 8827; OpenSSL 3.0 has no 1.3.
            SSL_CTX_set_min_proto_version(c, DTLS1_2_VERSION) == 1 &&
            SSL_CTX_set_max_proto_version(c, DTLS1_2_VERSION) == 1 &&
            // RFC 8827 §6.5 first; forward secrecy always; the SHA1 suites are for
            // embedded senders without GCM.
            SSL_CTX_set_cipher_list(
                c,
                "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
                "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA") == 1 &&
            SSL_CTX_set1_groups_list(c, "P-256:X25519:P-384") == 1 &&
            // The server's order decides (RFC 5764 §4.1.2): GCM-128 costs us least.
            SSL_CTX_set_tlsext_use_srtp(
                c, "SRTP_AEAD_AES_128_GCM:SRTP_AEAD_AES_256_GCM:SRTP_AES128_CM_SHA1_80") == 0;
  X509_free(certificate);
  EVP_PKEY_free(key);
  if (!ok) return Error{"DTLS identity (PEM certificate, then key): " + openssl_error()};
  SSL_CTX_set_options(c, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
                             SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(c, 1);
  SSL_CTX_set_max_cert_list(c, kMaxCertificateBytes);
  // The write buffer's size: nothing we send exceeds the MTU.
  SSL_CTX_set_max_send_fragment(c, kMaxSendFragment);
  SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_cert_verify_callback(c, DtlsHandshake::verify_callback(), nullptr);
  return out;
}

DtlsContext::~DtlsContext() { SSL_CTX_free(context_); }

DtlsHandshake::VerifyCallback DtlsHandshake::verify_callback() { return Io::verify; }

DtlsHandshake::DtlsHandshake(const DtlsContext& context, DtlsRole role,
                             std::span<const Fingerprint> fingerprints, Nanos now)
    : role_(role), started_(now), io_(std::make_unique<Io>()) {
  io_->fingerprints = fingerprints;
  ssl_ = SSL_new(context.ssl_context());
  BIO* bio = BIO_new(datagram_bio(Io::write, Io::read, Io::control));
  SPILLWAY_ASSERT(ssl_ != nullptr && bio != nullptr);
  BIO_set_data(bio, io_.get());
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
  SSL_set_ex_data(ssl_, io_index(), io_.get());
  SSL_set_mtu(ssl_, kDtlsMtuBytes);
  DTLS_set_timer_cb(ssl_, retransmission_us);
  if (role == DtlsRole::server)
    SSL_set_accept_state(ssl_);
  else
    SSL_set_connect_state(ssl_);
}

DtlsHandshake::~DtlsHandshake() {
  SSL_free(ssl_);
  OPENSSL_cleanse(close_notify_.data(), close_notify_.size());
}

DatagramList& DtlsHandshake::output() { return io_->output; }

DtlsHandshake::State DtlsHandshake::start(Nanos now) {
  if (state_ != State::running || role_ != DtlsRole::client) return state_;
  started_ = now;
  return advance();
}

DtlsHandshake::State DtlsHandshake::receive(Bytes datagram, Nanos now) {
  if (state_ != State::running) return state_;
  if (now - started_ >= kDtlsDeadline) return fail(HandshakeFailure::deadline);
  switch (screen_.check(datagram)) {
    case DtlsScreen::Verdict::drop: return state_;
    case DtlsScreen::Verdict::limit: return fail(HandshakeFailure::limit);
    case DtlsScreen::Verdict::pass: break;
  }
  // One record at a time: OpenSSL 3.0 meets a repeated ClientHello (record version
  // DTLS 1.0 after 1.2 was chosen) by skipping its header only, and would read the rest
  // of the datagram out of step. The screen has checked the lengths.
  while (!datagram.empty() && state_ == State::running) {
    size_t bytes = kRecordHeaderBytes + load_be16(&datagram[kRecordHeaderBytes - 2]);
    io_->incoming = datagram.first(bytes);
    datagram = datagram.subspan(bytes);
    advance();
  }
  return state_;
}

DtlsHandshake::State DtlsHandshake::tick(Nanos now) {
  if (state_ != State::running) return state_;
  if (now - started_ >= kDtlsDeadline) return fail(HandshakeFailure::deadline);
  ERR_clear_error();
  // Negative: twelve timeouts in a row without an answer.
  if (DTLSv1_handle_timeout(ssl_) < 0) return fail(HandshakeFailure::deadline);
  return state_;
}

Nanos DtlsHandshake::deadline(Nanos now) const {
  if (state_ != State::running) return kNever;
  Nanos at = started_ + kDtlsDeadline;
  timeval left{};
  if (DTLSv1_get_timeout(ssl_, &left) == 1)
    at = std::min(at, now + seconds(left.tv_sec) + micros(left.tv_usec));
  return at;
}

DtlsHandshake::State DtlsHandshake::advance() {
  ERR_clear_error();
  size_t before = io_->output.count();
  int result = SSL_do_handshake(ssl_);
  io_->incoming = {};
  if (result == 1) return finish(before);
  if (SSL_get_error(ssl_, result) == SSL_ERROR_WANT_READ) return state_;
  unsigned long error = ERR_peek_last_error();  // NOLINT: OpenSSL's type
  int reason = ERR_GET_REASON(error);
  ERR_clear_error();
  if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) return fail(io_->verdict);
  if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
    return fail(HandshakeFailure::no_certificate);
  if (reason == SSL_R_EXCESSIVE_MESSAGE_SIZE)  // SSL_CTX_set_max_cert_list
    return fail(HandshakeFailure::bad_certificate);
  if (reason > SSL_AD_REASON_OFFSET) return fail(HandshakeFailure::peer_alert);
  return fail(HandshakeFailure::protocol);
}

DtlsHandshake::State DtlsHandshake::finish(size_t last_flight_from) {
  // Again, and independent of the callback: no keys without the right certificate.
  X509* certificate = SSL_get1_peer_certificate(ssl_);
  HandshakeFailure verdict = judge(certificate, io_->fingerprints);
  X509_free(certificate);
  if (verdict != HandshakeFailure::none) return fail(verdict);

  const SRTP_PROTECTION_PROFILE* profile = SSL_get_selected_srtp_profile(ssl_);
  if (!profile) return fail(HandshakeFailure::no_profile);
  keys_.profile = static_cast<SrtpProfile>(profile->id);
  size_t key = keys_.profile == SrtpProfile::aead_aes_256_gcm ? 32 : 16;
  size_t salt = keys_.profile == SrtpProfile::aes128_cm_hmac_sha1_80 ? 14 : 12;

  // client key | server key | client salt | server salt (RFC 5764 §4.2)
  constexpr std::string_view kLabel = "EXTRACTOR-dtls_srtp";
  uint8_t material[2 * (32 + 16)];
  bool exported = SSL_export_keying_material(ssl_, material, 2 * (key + salt), kLabel.data(),
                                             kLabel.size(), nullptr, 0, 0) == 1;
  if (exported) {
    size_t server = role_ == DtlsRole::server ? 1 : 0;  // whose half is ours
    std::copy_n(material + server * key, key, keys_.tx_key.data());
    std::copy_n(material + (1 - server) * key, key, keys_.rx_key.data());
    std::copy_n(material + 2 * key + server * salt, salt, keys_.tx_salt.data());
    std::copy_n(material + 2 * key + (1 - server) * salt, salt, keys_.rx_salt.data());
  }
  OPENSSL_cleanse(material, sizeof material);
  if (!exported) return fail(HandshakeFailure::protocol);

  if (role_ == DtlsRole::server)
    for (size_t i = last_flight_from; i < io_->output.count(); ++i)
      last_flight_.add(io_->output[i]);
  // The alert that will end this association, encoded while there is still a cipher.
  DatagramList flight = std::move(io_->output);
  io_->output = {};
  SSL_shutdown(ssl_);
  ERR_clear_error();
  if (io_->output.count() == 1 && io_->output.bytes() <= close_notify_.size()) {
    close_notify_bytes_ = io_->output.bytes();
    std::copy_n(io_->output[0].data(), close_notify_bytes_, close_notify_.data());
  }
  io_->output = std::move(flight);
  SSL_free(ssl_);
  ssl_ = nullptr;
  return state_ = State::done;
}

DtlsHandshake::State DtlsHandshake::fail(HandshakeFailure why) {
  failure_ = why;
  // Only a peer that got as far as its certificate is told; see the header.
  if (why != HandshakeFailure::fingerprint && why != HandshakeFailure::bad_certificate &&
      why != HandshakeFailure::no_certificate)
    io_->output.clear();
  SSL_free(ssl_);
  ssl_ = nullptr;
  return state_ = State::failed;
}

}  // namespace spillway
