// A DTLS-SRTP peer made of plain OpenSSL calls, for the tests of control: shares no
// code with control/dtls.cc. One record is one datagram unless packed() is asked for.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/srtp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "control/control_api.h"
#include "datapath/base/bytes.h"

namespace spillway::test {

// A self-signed certificate and its key.
class Identity {
 public:
  enum class Kind { p256, p384, rsa2048, rsa8192, p521 };
  explicit Identity(Kind kind = Kind::p256, size_t name_bytes = 8) {
    switch (kind) {
      case Kind::p256: key_ = EVP_EC_gen("P-256"); break;
      case Kind::p384: key_ = EVP_EC_gen("P-384"); break;
      case Kind::p521: key_ = EVP_EC_gen("P-521"); break;
      case Kind::rsa2048: key_ = EVP_RSA_gen(2048); break;
      case Kind::rsa8192: key_ = EVP_RSA_gen(8192); break;
    }
    certificate_ = X509_new();
    X509_set_version(certificate_, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate_), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate_), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate_), 86400);
    X509_set_pubkey(certificate_, key_);
    X509_NAME* name = X509_get_subject_name(certificate_);
    while (name_bytes > 0) {
      size_t n = std::min<size_t>(name_bytes, 64);
      std::string text(n, 'x');
      X509_NAME_add_entry_by_txt(name, "OU", MBSTRING_ASC,
                                 reinterpret_cast<const uint8_t*>(text.data()), -1, -1, 0);
      name_bytes -= n;
    }
    X509_set_issuer_name(certificate_, name);
    X509_sign(certificate_, key_, EVP_sha256());
  }
  ~Identity() {
    X509_free(certificate_);
    EVP_PKEY_free(key_);
  }
  Identity(const Identity&) = delete;
  Identity& operator=(const Identity&) = delete;

  X509* certificate() const { return certificate_; }
  EVP_PKEY* key() const { return key_; }
  std::string pem() const {
    BIO* out = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(out, certificate_);
    PEM_write_bio_PrivateKey(out, key_, nullptr, nullptr, 0, nullptr, nullptr);
    char* data = nullptr;
    auto bytes = BIO_get_mem_data(out, &data);
    std::string text(data, static_cast<size_t>(bytes));
    BIO_free(out);
    return text;
  }
  Fingerprint fingerprint(const std::string& algorithm = "sha-256") const {
    const EVP_MD* md = algorithm == "sha-256"   ? EVP_sha256()
                       : algorithm == "sha-384" ? EVP_sha384()
                                                : EVP_sha512();
    Fingerprint f{algorithm, std::vector<uint8_t>(64)};
    unsigned bytes = 0;
    X509_digest(certificate_, md, f.digest.data(), &bytes);
    f.digest.resize(bytes);
    return f;
  }

 private:
  EVP_PKEY* key_ = nullptr;
  X509* certificate_ = nullptr;
};

using Datagrams = std::vector<std::vector<uint8_t>>;

struct PeerOptions {
  bool client = true;
  const Identity* identity = nullptr;  // nullptr: no certificate
  std::string profiles = "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM";
  long mtu = 1200;          // NOLINT: OpenSSL's type
  size_t hello_padding = 0;  // bytes of ALPN names
};

class DtlsPeer {
 public:
  explicit DtlsPeer(const PeerOptions& o) {
    context_ = SSL_CTX_new(DTLS_method());
    if (o.identity) {
      SSL_CTX_use_certificate(context_, o.identity->certificate());
      SSL_CTX_use_PrivateKey(context_, o.identity->key());
    }
    if (!o.profiles.empty()) SSL_CTX_set_tlsext_use_srtp(context_, o.profiles.c_str());
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, [](int, X509_STORE_CTX*) { return 1; });
    ssl_ = SSL_new(context_);
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(in_, -1);
    SSL_set_bio(ssl_, in_, out_);
    SSL_set_options(ssl_, SSL_OP_NO_QUERY_MTU);
    SSL_set_mtu(ssl_, o.mtu);
    DTLS_set_timer_cb(ssl_, [](SSL*, unsigned) -> unsigned { return 50'000; });
    if (o.hello_padding > 0) {
      std::vector<uint8_t> alpn;
      while (alpn.size() < o.hello_padding) {
        alpn.push_back(100);
        alpn.insert(alpn.end(), 100, 'a');
      }
      SSL_set_alpn_protos(ssl_, alpn.data(), static_cast<unsigned>(alpn.size()));
    }
    if (o.client)
      SSL_set_connect_state(ssl_);
    else
      SSL_set_accept_state(ssl_);
  }
  ~DtlsPeer() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  DtlsPeer(const DtlsPeer&) = delete;
  DtlsPeer& operator=(const DtlsPeer&) = delete;

  void step() {
    ERR_clear_error();
    int r = SSL_do_handshake(ssl_);
    if (r <= 0 && SSL_get_error(ssl_, r) == SSL_ERROR_SSL) {
      failed_ = true;
      error_ = ERR_reason_error_string(ERR_peek_last_error());
    }
    ERR_clear_error();
  }
  void receive(Bytes datagram) {
    BIO_write(in_, datagram.data(), static_cast<int>(datagram.size()));
    if (SSL_is_init_finished(ssl_)) {
      uint8_t scratch[64];
      int r = SSL_read(ssl_, scratch, sizeof scratch);
      if (r <= 0 && SSL_get_error(ssl_, r) == SSL_ERROR_ZERO_RETURN) closed_ = true;
    } else {
      step();
    }
  }
  void timeout() {
    ERR_clear_error();
    if (DTLSv1_handle_timeout(ssl_) < 0) failed_ = true;
  }
  void renegotiate() {
    SSL_renegotiate(ssl_);
    step();
  }
  // What was written since the last call, one record per datagram.
  Datagrams take() {
    Datagrams out;
    char* data = nullptr;
    auto bytes = static_cast<size_t>(BIO_get_mem_data(out_, &data));
    size_t at = 0;
    while (at + 13 <= bytes) {
      size_t n = 13 + load_be16(reinterpret_cast<uint8_t*>(data) + at + 11);
      out.emplace_back(data + at, data + std::min(at + n, bytes));
      at += n;
    }
    (void)BIO_reset(out_);
    return out;
  }
  // The same, as many records in one datagram as fit.
  Datagrams packed(size_t mtu = 1200) {
    Datagrams out;
    for (auto& record : take()) {
      if (!out.empty() && out.back().size() + record.size() <= mtu)
        out.back().insert(out.back().end(), record.begin(), record.end());
      else
        out.push_back(std::move(record));
    }
    return out;
  }

  bool done() const { return SSL_is_init_finished(ssl_) == 1; }
  bool failed() const { return failed_; }
  bool closed() const { return closed_; }  // close_notify came
  const std::string& error() const { return error_; }
  SSL* ssl() const { return ssl_; }

  struct Keys {
    std::vector<uint8_t> client_key, server_key, client_salt, server_salt;
    unsigned long profile = 0;  // NOLINT: OpenSSL's type
  };
  Keys keys() const {
    const SRTP_PROTECTION_PROFILE* p = SSL_get_selected_srtp_profile(ssl_);
    if (!p) throw std::runtime_error("no profile");
    size_t key = p->id == SRTP_AEAD_AES_256_GCM ? 32 : 16;
    size_t salt = p->id == SRTP_AES128_CM_SHA1_80 ? 14 : 12;
    std::vector<uint8_t> all(2 * (key + salt));
    if (SSL_export_keying_material(ssl_, all.data(), all.size(), "EXTRACTOR-dtls_srtp", 19,
                                   nullptr, 0, 0) != 1)
      throw std::runtime_error("export");
    auto cut = [&, at = all.begin()](size_t n) mutable {
      auto begin = at;
      at += static_cast<std::ptrdiff_t>(n);
      return std::vector<uint8_t>(begin, at);
    };
    Keys k;
    k.client_key = cut(key);
    k.server_key = cut(key);
    k.client_salt = cut(salt);
    k.server_salt = cut(salt);
    k.profile = p->id;
    return k;
  }

 private:
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
  BIO* in_ = nullptr;
  BIO* out_ = nullptr;
  bool failed_ = false;
  bool closed_ = false;
  std::string error_;
};

}  // namespace spillway::test
