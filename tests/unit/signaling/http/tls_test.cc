// TLS on the listener, with a certificate made for the test (H34).
#include <gmock/gmock.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cstdio>

#include "server_fixture.h"

namespace spillway::test {
namespace {

using ::testing::HasSubstr;

// Two files in the test's temporary directory, removed with it.
struct Certificate {
  explicit Certificate(const std::string& name)
      : certificate(::testing::TempDir() + name + ".crt"),
        key(::testing::TempDir() + name + ".key") {
    EVP_PKEY* const pair = EVP_EC_gen("P-256");
    X509* const x = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, pair);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_sign(x, pair, EVP_sha256());
    std::FILE* f = std::fopen(certificate.c_str(), "w");
    PEM_write_X509(f, x);
    std::fclose(f);
    f = std::fopen(key.c_str(), "w");
    PEM_write_PrivateKey(f, pair, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(f);
    X509_free(x);
    EVP_PKEY_free(pair);
  }
  ~Certificate() {
    std::remove(certificate.c_str());
    std::remove(key.c_str());
  }
  std::string certificate, key;
};

class TlsTest : public ServerTest {
 protected:
  TlsTest() : pair_("spillway_tls_test_" + std::to_string(::getpid())) {
    options.tls_certificate = pair_.certificate;
    options.tls_key = pair_.key;
  }
  Certificate pair_;
};

TEST_F(TlsTest, HandshakeKeepAliveAndAlpn) {
  start();
  TcpClient client(port);
  ASSERT_TRUE(client.start_tls());
  EXPECT_EQ(client.tls_version(), "TLSv1.3");
  EXPECT_EQ(client.alpn(), "http/1.1");
  EXPECT_EQ(client.request(kGet)->status, 204);
  EXPECT_EQ(client.request(kGet)->status, 204);
  const auto last = client.request("GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(last->status, 404);
  EXPECT_TRUE(client.closed_by_server());
}

TEST_F(TlsTest, Tls12IsTakenTls11IsNot) {
  start();
  TcpClient good(port);
  ASSERT_TRUE(good.start_tls(TLS1_2_VERSION));
  EXPECT_EQ(good.request(kGet)->status, 204);
  TcpClient old(port);
  EXPECT_FALSE(old.start_tls(TLS1_1_VERSION));
  EXPECT_TRUE(eventually([&] { return rejects(HttpReject::tls_handshake) == 1; }));
}

TEST_F(TlsTest, PlainHttpOnATlsPortIsClosedAndAStalledHandshakeTimesOut) {
  options.limits.request_deadline = millis(300);
  start();
  TcpClient plain(port);
  plain.send(kGet);
  EXPECT_TRUE(plain.closed_by_server());
  TcpClient stalled(port);
  stalled.send("\x16\x03\x01");
  EXPECT_TRUE(stalled.closed_by_server());
  EXPECT_TRUE(eventually([&] {
    return rejects(HttpReject::tls_handshake) == 1 && rejects(HttpReject::request_deadline) == 1;
  }));
}

TEST_F(TlsTest, RefusalsReachAClientThatIsStillSending) {
  start();
  TcpClient client(port);
  ASSERT_TRUE(client.start_tls());
  client.send("POST /whip/cam HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" +
              std::string(100'000, 'a'));
  const auto r = client.read_response();
  ASSERT_TRUE(r);
  EXPECT_EQ(r->status, 413);
}

TEST_F(TlsTest, StartRefusesAbsentAndForeignKeys) {
  const Certificate other("spillway_tls_other_" + std::to_string(::getpid()));
  options.tls_key = other.key;
  HttpServer foreign(io, options, control, steady_now);
  const auto r = foreign.start();
  ASSERT_FALSE(r);
  EXPECT_THAT(r.error().text, HasSubstr(other.key));
  options.tls_certificate = "/nonexistent.crt";
  HttpServer absent(io, options, control, steady_now);
  const auto a = absent.start();
  ASSERT_FALSE(a);
  EXPECT_THAT(a.error().text, HasSubstr("/nonexistent.crt"));
}

}  // namespace
}  // namespace spillway::test
