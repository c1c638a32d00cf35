#include "control/launcher/dtls_identity.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <memory>
#include <string>

#include "control/launcher/sealed_file.h"

namespace spillway {
namespace {

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* p) const {
    Free(p);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Output = std::unique_ptr<BIO, Deleter<BIO_free_all>>;

constexpr int64_t kDaySeconds = 24 * 60 * 60;

Error openssl_error(const std::string& what) {
  char text[256] = "";
  ERR_error_string_n(ERR_get_error(), text, sizeof text);
  return {"DTLS certificate: " + what + ": " + text};
}

}  // namespace

Result<UniqueFd> make_dtls_identity() {
  const Key key(EVP_EC_gen("P-256"));
  if (!key) return openssl_error("generate key");
  const Certificate certificate(X509_new());
  uint64_t serial = 0;
  if (!certificate || RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) != 1)
    return openssl_error("allocate");
  X509* x = certificate.get();
  X509_NAME* name = X509_get_subject_name(x);
  const bool filled =
      X509_set_version(x, X509_VERSION_3) == 1 &&
      ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), serial >> 1) == 1 &&
      // A day back: clocks of peers differ.
      X509_gmtime_adj(X509_getm_notBefore(x), -kDaySeconds) != nullptr &&
      X509_gmtime_adj(X509_getm_notAfter(x), kIdentityDays * kDaySeconds) != nullptr &&
      X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                 reinterpret_cast<const unsigned char*>("spillway"), -1, -1,
                                 0) == 1 &&
      X509_set_issuer_name(x, name) == 1 && X509_set_pubkey(x, key.get()) == 1 &&
      X509_sign(x, key.get(), EVP_sha256()) > 0;
  if (!filled) return openssl_error("fill and sign");

  // BIO_s_secmem wipes its memory when freed.
  const Output out(BIO_new(BIO_s_secmem()));
  if (!out || PEM_write_bio_X509(out.get(), x) != 1 ||
      PEM_write_bio_PKCS8PrivateKey(out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) !=
          1)
    return openssl_error("write PEM");
  char* data = nullptr;
  const long bytes = BIO_get_mem_data(out.get(), &data);
  return make_sealed_file("spillway-dtls", {data, static_cast<size_t>(bytes)});
}

}  // namespace spillway
