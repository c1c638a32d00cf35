#include "signaling/http/tls_context.h"

#include <openssl/ssl.h>

namespace spillway {

namespace {

// One protocol is offered; a client that lists others only goes on without ALPN
// and finds out from our HTTP/1.1 answer.
int select_http_1_1(SSL*, const unsigned char** out, unsigned char* out_bytes,
                    const unsigned char* in, unsigned in_bytes, void*) {
  static constexpr unsigned char kProtocols[] = "\x08http/1.1";
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_bytes, kProtocols, sizeof kProtocols - 1, in, in_bytes) !=
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_NOACK;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

Result<std::shared_ptr<boost::asio::ssl::context>> load_tls_context(
    const std::string& certificate_file, const std::string& key_file) {
  namespace ssl = boost::asio::ssl;
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  SSL_CTX* const raw = context->native_handle();
  SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  SSL_CTX_set_options(raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  // Idle connections give their record buffers back (~34 KiB each).
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_alpn_select_cb(raw, select_http_1_1, nullptr);

  boost::system::error_code ec;
  context->use_certificate_chain_file(certificate_file, ec);
  if (ec)
    return Error{"TLS certificate " + certificate_file + ": " + ec.message() +
                     "; it must be a readable PEM chain, the server's own first",
                 0};
  context->use_private_key_file(key_file, ssl::context::pem, ec);
  if (ec)
    return Error{"TLS key " + key_file + ": " + ec.message() +
                     "; it must be the readable PEM key of " + certificate_file,
                 0};
  if (SSL_CTX_check_private_key(raw) != 1)
    return Error{"TLS key " + key_file + " does not belong to " + certificate_file, 0};
  return context;
}

}  // namespace spillway
