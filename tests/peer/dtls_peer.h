// DTLS 1.2 with use_srtp (RFC 5764) on OpenSSL, one object per session. Written
// without a look at the server's: two ends of one mind would be wrong together.
//
// One owner thread. The identity (one self-signed P-256 certificate per process) is
// shared by all sessions. Datagrams go to the sink inside the call that caused them.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "datapath/base/bytes.h"
#include "datapath/base/media.h"
#include "datapath/base/result.h"
#include "datapath/srtp/srtp_keys.h"

namespace spillway::peer {

// What one process has once: key, certificate, SSL_CTX.
class DtlsIdentity {
 public:
  // srtp: "any" (GCM-128 and CM), "gcm", "gcm256" or "cm".
  static Result<std::unique_ptr<DtlsIdentity>> create(std::string_view srtp);
  ~DtlsIdentity();
  DtlsIdentity(const DtlsIdentity&) = delete;
  DtlsIdentity& operator=(const DtlsIdentity&) = delete;

  // "AB:CD:..." of SHA-256, as in a=fingerprint.
  const std::string& fingerprint() const { return fingerprint_; }
  SSL_CTX* context() const { return context_; }

 private:
  DtlsIdentity() = default;
  EVP_PKEY* key_ = nullptr;
  X509* certificate_ = nullptr;
  SSL_CTX* context_ = nullptr;
  std::string fingerprint_;
};

enum class DtlsState : uint8_t { idle, handshake, connected, closed, failed };

class DtlsPeer {
 public:
  using Sink = std::function<void(Bytes datagram)>;

  // remote_fingerprint: SHA-256 as in SDP, compared without case when the handshake ends.
  DtlsPeer(const DtlsIdentity& identity, bool client, std::string remote_fingerprint, Sink sink);
  ~DtlsPeer();
  DtlsPeer(const DtlsPeer&) = delete;
  DtlsPeer& operator=(const DtlsPeer&) = delete;

  void start();  // a client sends its ClientHello
  void receive(Bytes datagram);
  void tick();   // retransmissions, at least every 50 ms
  void close();  // sends close_notify

  DtlsState state() const { return state_; }
  const std::string& error() const { return error_; }
  // Valid when connected.
  SrtpProfile profile() const { return profile_; }
  const SrtpMasterKey& send_key() const { return send_key_; }
  const SrtpMasterKey& receive_key() const { return receive_key_; }

 private:
  void advance();
  void drain();
  void finish();
  void fail(std::string why);

  SSL* ssl_ = nullptr;
  BIO* in_ = nullptr;   // owned by ssl_
  BIO* out_ = nullptr;  // owned by ssl_
  bool client_;
  std::string remote_fingerprint_;
  Sink sink_;
  DtlsState state_ = DtlsState::idle;
  std::string error_;
  SrtpProfile profile_ = SrtpProfile::none;
  SrtpMasterKey send_key_;
  SrtpMasterKey receive_key_;
};

}  // namespace spillway::peer
