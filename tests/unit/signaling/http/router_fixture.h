// A router without sockets: requests as values, a virtual clock, two offers.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fake_control.h"
#include "signaling/http/router.h"

namespace spillway::test {

// What a browser sends, cut down. `direction` of both m-lines.
inline std::string offer_sdp(std::string_view direction, std::string_view extra_video = {}) {
  std::string sdp =
      "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
      "a=group:BUNDLE 0 1\r\n"
      "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n"
      "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=ice-options:trickle\r\n"
      "a=fingerprint:sha-256 "
      "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:"
      "EE:FF\r\n"
      "a=setup:actpass\r\na=mid:0\r\n";
  sdp.append("a=").append(direction).append("\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n");
  sdp +=
      "a=rtcp-fb:111 nack\r\n"  // C8
      "a=fmtp:111 minptime=10;useinbandfec=1\r\n"
      "m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\n"
      "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=ice-options:trickle\r\n"
      "a=fingerprint:sha-256 "
      "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:"
      "EE:FF\r\n"
      "a=setup:actpass\r\na=mid:1\r\n";
  sdp.append("a=").append(direction).append("\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\n");
  sdp +=
      "a=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n";
  sdp += extra_video;
  return sdp;
}

inline std::string fragment(std::string_view ufrag, std::string_view pwd) {
  std::string text;
  text.append("a=ice-ufrag:").append(ufrag).append("\r\na=ice-pwd:").append(pwd).append("\r\n");
  text +=
      "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
      "a=candidate:1 1 udp 2130706431 198.51.100.1 39132 typ host\r\na=end-of-candidates\r\n";
  return text;
}

class RouterTest : public ::testing::Test {
 protected:
  using Headers = std::vector<std::pair<std::string, std::string>>;

  RouterTest() { options.posts_per_second = options.posts_per_second_per_ip = 0; }

  HttpResponse send(HttpMethod method, std::string target, Headers headers = {},
                    std::string body = {}) {
    if (!router)
      router = std::make_unique<ApiRouter>(options, control, metrics, [this] { return now; });
    HttpRequest request;
    request.method = method;
    request.target = target;
    for (const auto& [name, value] : headers) request.headers.emplace_back(name, value);
    request.body = body;
    request.peer = peer;
    return router->handle(request);
  }
  HttpResponse post_whip(std::string path = "/whip/cam", Headers more = {}) {
    return post(std::move(path), offer_sdp("sendonly"), std::move(more));
  }
  HttpResponse post_whep(std::string path = "/whep/cam", Headers more = {}) {
    return post(std::move(path), offer_sdp("recvonly"), std::move(more));
  }
  HttpResponse post(std::string path, std::string body, Headers more = {}) {
    more.emplace_back("Content-Type", "application/sdp");
    return send(HttpMethod::post, std::move(path), std::move(more), std::move(body));
  }
  HttpResponse patch(const std::string& url, std::string body, Headers more = {},
                     std::string type = "application/trickle-ice-sdpfrag") {
    more.emplace_back("Content-Type", std::move(type));
    return send(HttpMethod::patch, url, std::move(more), std::move(body));
  }
  // A session made by POST; its URL.
  std::string session(bool publisher = true) {
    const HttpResponse made = publisher ? post_whip() : post_whep();
    EXPECT_EQ(made.status, 201) << made.body;
    return std::string(made.header("Location").value_or("/w/none"));
  }
  static std::string header(const HttpResponse& response, std::string_view name) {
    return std::string(response.header(name).value_or("(absent)"));
  }
  static std::string type_of(const HttpResponse& response) {
    const std::string_view mark = "\"type\":\"urn:spillway:problem:";
    const auto at = response.body.find(mark);
    if (at == std::string::npos) return "(no problem type)";
    const auto from = at + mark.size();
    return response.body.substr(from, response.body.find('"', from) - from);
  }

  HttpOptions options;
  FakeControl control;
  HttpMetrics metrics;
  Nanos now = seconds(1000);
  IpAddress peer = IpAddress::v4(203, 0, 113, 9);
  std::unique_ptr<ApiRouter> router;
};

}  // namespace spillway::test
