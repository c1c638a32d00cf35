// HTTP/1.1 framing: what is a request, what is smuggling, what is too much.
#include "signaling/http/request_reader.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace spillway::test {
namespace {

using Status = RequestReader::Status;

const std::string kHost = "Host: a\r\n";

TEST(RequestReader, ReadsARequestWhateverThePiecesItComesIn) {
  const std::string text = "POST /whip/cam?x=1 HTTP/1.1\r\n" + kHost +
                           "Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nhello";
  for (size_t piece = 1; piece <= text.size(); ++piece) {
    RequestReader reader{HttpLimits{}};
    Status status = Status::need_more;
    for (size_t at = 0; at < text.size(); at += piece) {
      ASSERT_EQ(status, Status::need_more) << piece;
      status = reader.feed(std::string_view(text).substr(at, piece));
    }
    ASSERT_EQ(status, Status::complete) << piece;
    const HttpRequest request = reader.request();
    EXPECT_EQ(request.method, HttpMethod::post);
    EXPECT_EQ(request.target, "/whip/cam?x=1");
    EXPECT_EQ(request.path(), "/whip/cam");
    EXPECT_EQ(request.header("content-type"), "application/sdp");
    EXPECT_EQ(request.body, "hello");
    EXPECT_TRUE(reader.keep_alive());
  }
}

TEST(RequestReader, ReadsChunkedBodiesWhateverThePieces) {
  const std::string text = "POST / HTTP/1.1\r\n" + kHost +
                           "Transfer-Encoding: Chunked\r\n\r\n5;ext=1\r\nhello\r\n"
                           "6\r\n world\r\n0\r\n\r\n";
  for (size_t piece = 1; piece <= text.size(); ++piece) {
    RequestReader reader{HttpLimits{}};
    for (size_t at = 0; at < text.size(); at += piece)
      reader.feed(std::string_view(text).substr(at, piece));
    ASSERT_EQ(reader.status(), Status::complete) << piece << reader.error_reason();
    EXPECT_EQ(reader.request().body, "hello world");
  }
}

TEST(RequestReader, SmugglingTable) {
  const std::string post = "POST / HTTP/1.1\r\n";
  const std::string chunked = post + kHost + "Transfer-Encoding: chunked\r\n\r\n";
  const std::pair<const char*, std::string> cases[] = {
      {"CL and TE",
       post + kHost + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"TE and CL",
       post + kHost + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"},
      {"two CL, different", post + kHost + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"},
      {"two CL, same", post + kHost + "Content-Length: 1\r\nContent-Length: 1\r\n\r\na"},
      {"CL list", post + kHost + "Content-Length: 1, 1\r\n\r\na"},
      {"CL negative", post + kHost + "Content-Length: -1\r\n\r\n"},
      {"CL plus", post + kHost + "Content-Length: +1\r\n\r\na"},
      {"CL hex", post + kHost + "Content-Length: 0x1\r\n\r\na"},
      {"CL empty", post + kHost + "Content-Length: \r\n\r\n"},
      {"CL overflow", post + kHost + "Content-Length: 18446744073709551617\r\n\r\n"},
      {"CL with blanks inside", post + kHost + "Content-Length: 1 0\r\n\r\na"},
      {"TE gzip", post + kHost + "Transfer-Encoding: gzip\r\n\r\n"},
      {"TE gzip, chunked", post + kHost + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
      {"TE chunked, identity", post + kHost + "Transfer-Encoding: chunked, identity\r\n\r\n"},
      {"TE twice",
       post + kHost + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"TE xchunked", post + kHost + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"},
      {"TE with vertical tab", post + kHost +
                                   "Transfer-Encoding: \x0b"
                                   "chunked\r\n\r\n0\r\n\r\n"},
      {"TE in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"blank before colon", post + kHost + "Content-Length : 1\r\n\r\na"},
      {"blank before name", post + kHost + " Content-Length: 1\r\n\r\na"},
      {"folded line", post + kHost + "X: a\r\n b\r\n\r\n"},
      {"folded first line", post + " Host: a\r\n\r\n"},
      {"no colon", post + kHost + "garbage\r\n\r\n"},
      {"empty name", post + kHost + ": x\r\n\r\n"},
      {"bare LF", "POST / HTTP/1.1\nHost: a\n\n\r\n\r\n"},
      {"bare CR in value", post + kHost + "X: a\rb\r\n\r\n"},
      {"NUL in value", post + kHost + "X: a" + std::string(1, '\0') + "b\r\n\r\n"},
      {"no Host", post + "\r\n"},
      {"two Hosts", post + kHost + kHost + "\r\n"},
      {"HTTP/2.0", "POST / HTTP/2.0\r\n" + kHost + "\r\n"},
      {"HTTP/0.9", "GET /\r\n\r\n"},
      {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
      {"TLS ClientHello", std::string("\x16\x03\x01\x02\x00\x01", 6)},
      {"blanks before target", "POST  / HTTP/1.1\r\n" + kHost + "\r\n"},
      {"relative target", "POST x HTTP/1.1\r\n" + kHost + "\r\n"},
      {"star for POST", "POST * HTTP/1.1\r\n" + kHost + "\r\n"},
      {"8-bit target", "POST /\xff HTTP/1.1\r\n" + kHost + "\r\n"},
      {"chunk size -2", chunked + "-2\r\nab\r\n0\r\n\r\n"},
      {"chunk size 0x2", chunked + "0x2\r\nab\r\n0\r\n\r\n"},
      {"chunk size empty", chunked + "\r\nab\r\n0\r\n\r\n"},
      {"chunk size overflow", chunked + "10000000000000001\r\nab\r\n0\r\n\r\n"},
      {"chunk longer than its size", chunked + "1\r\nab\r\n0\r\n\r\n"},
      {"chunk with bare LF", chunked + "1\na\r\n0\r\n\r\n"},
      {"trailer", chunked + "1\r\na\r\n0\r\nX-Evil: 1\r\n\r\n"},
      {"trailer Content-Length", chunked + "0\r\nContent-Length: 7\r\n\r\n"},
  };
  for (const auto& [name, text] : cases) {
    RequestReader reader{HttpLimits{}};
    ASSERT_EQ(reader.feed(text), Status::failed) << name;
    EXPECT_EQ(reader.error_status(), 400) << name << ": " << reader.error_reason();
    EXPECT_FALSE(reader.error_reason().empty()) << name;
    EXPECT_EQ(reader.next(), Status::failed) << name << ": nothing may follow";
  }
}

TEST(RequestReader, LimitsAre431And413) {
  HttpLimits limits;
  const auto status_of = [&](const std::string& text) {
    RequestReader reader(limits);
    return reader.feed(text) == Status::failed ? reader.error_status() : uint16_t{0};
  };
  const std::string start = "POST / HTTP/1.1\r\n" + kHost;
  EXPECT_EQ(status_of(start + "X: " + std::string(9000, 'a')), 431);  // no end in sight
  EXPECT_EQ(status_of(start + "X: " + std::string(9000, 'a') + "\r\n\r\n"), 431);
  EXPECT_EQ(status_of("GET /" + std::string(9000, 'a')), 431);
  std::string many = start;
  for (int i = 0; i < 200; ++i) many += "a: b\r\n";
  EXPECT_EQ(status_of(many + "\r\n"), 431);

  EXPECT_EQ(status_of(start + "Content-Length: 65537\r\n\r\n"), 413);  // before the body comes
  EXPECT_EQ(status_of(start + "Content-Length: 65536\r\n\r\n" + std::string(65536, 'a')), 0);
  EXPECT_EQ(status_of(start + "Transfer-Encoding: chunked\r\n\r\n10001\r\n"), 413);
  std::string tiny = start + "Transfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 70'000; ++i) tiny += "1\r\na\r\n";
  EXPECT_EQ(status_of(tiny), 413);
  EXPECT_EQ(status_of(start + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(300'000, 'x')),
            413);
  EXPECT_EQ(
      status_of(start + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + std::string(300'000, 'x')),
      413);
}

TEST(RequestReader, ExactlyTheHeaderLimitFits) {
  HttpLimits limits;
  std::string text = "GET / HTTP/1.1\r\n" + kHost + "X: ";
  text += std::string(limits.header_bytes_max - text.size() - 4, 'a') + "\r\n\r\n";
  ASSERT_EQ(text.size(), limits.header_bytes_max);
  RequestReader reader(limits);
  EXPECT_EQ(reader.feed(text), Status::complete) << reader.error_reason();
  RequestReader one_more(limits);
  text.insert(text.size() - 4, "a");
  EXPECT_EQ(one_more.feed(text), Status::failed);
}

TEST(RequestReader, BufferedRequestsComeOneByOne) {
  RequestReader reader{HttpLimits{}};
  const std::string one = "GET /1 HTTP/1.1\r\n" + kHost + "\r\n";
  const std::string two = "POST /2 HTTP/1.1\r\n" + kHost + "Content-Length: 2\r\n\r\nhi";
  ASSERT_EQ(reader.feed(one + "\r\n" + two + "GET /3 HT"), Status::complete);
  EXPECT_EQ(reader.request().target, "/1");
  ASSERT_EQ(reader.next(), Status::complete);
  EXPECT_EQ(reader.request().target, "/2");
  EXPECT_EQ(reader.request().body, "hi");
  ASSERT_EQ(reader.next(), Status::need_more);
  EXPECT_TRUE(reader.started());
  ASSERT_EQ(reader.feed("TP/1.1\r\n" + kHost + "\r\n"), Status::complete);
  EXPECT_EQ(reader.request().target, "/3");
  ASSERT_EQ(reader.next(), Status::need_more);
  EXPECT_FALSE(reader.started());
}

TEST(RequestReader, ExpectContinueIsReportedOnce) {
  RequestReader reader{HttpLimits{}};
  EXPECT_EQ(reader.feed("POST / HTTP/1.1\r\n" + kHost +
                        "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"),
            Status::need_more);
  EXPECT_TRUE(reader.take_expect_continue());
  EXPECT_FALSE(reader.take_expect_continue());
  EXPECT_EQ(reader.feed("hi"), Status::complete);

  RequestReader impatient{HttpLimits{}};
  impatient.feed("POST / HTTP/1.1\r\n" + kHost +
                 "Content-Length: 2\r\nExpect: 100-continue\r\n\r\nhi");
  EXPECT_EQ(impatient.status(), Status::complete);
  EXPECT_FALSE(impatient.take_expect_continue());

  RequestReader other{HttpLimits{}};
  other.feed("POST / HTTP/1.1\r\n" + kHost + "Content-Length: 2\r\nExpect: magic\r\n\r\n");
  ASSERT_EQ(other.status(), Status::failed);
  EXPECT_EQ(other.error_status(), 417);
}

TEST(RequestReader, ConnectionPersistence) {
  const auto keeps = [](const std::string& text) {
    RequestReader reader{HttpLimits{}};
    EXPECT_EQ(reader.feed(text), Status::complete) << reader.error_reason();
    return reader.keep_alive();
  };
  EXPECT_TRUE(keeps("GET / HTTP/1.1\r\n" + kHost + "\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.1\r\n" + kHost + "Connection: close\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.0\r\n\r\n"));
  EXPECT_TRUE(keeps("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
}

TEST(RequestReader, MethodsAndTargetForms) {
  const auto read = [](const std::string& line) {
    RequestReader reader{HttpLimits{}};
    EXPECT_EQ(reader.feed(line + " HTTP/1.1\r\n" + kHost + "\r\n"), Status::complete) << line;
    const HttpRequest request = reader.request();
    return std::pair{request.method, std::string(request.target)};
  };
  using P = std::pair<HttpMethod, std::string>;
  EXPECT_EQ(read("GET /a"), (P{HttpMethod::get, "/a"}));
  EXPECT_EQ(read("HEAD /a"), (P{HttpMethod::head, "/a"}));
  EXPECT_EQ(read("PATCH /a"), (P{HttpMethod::patch, "/a"}));
  EXPECT_EQ(read("DELETE /a"), (P{HttpMethod::del, "/a"}));
  EXPECT_EQ(read("OPTIONS *"), (P{HttpMethod::options, "*"}));
  EXPECT_EQ(read("PUT /a"), (P{HttpMethod::other, "/a"}));
  EXPECT_EQ(read("FROBNICATE /a"), (P{HttpMethod::other, "/a"}));
  EXPECT_EQ(read("GET http://h:1/a?b"), (P{HttpMethod::get, "/a?b"}));
  EXPECT_EQ(read("GET http://h"), (P{HttpMethod::get, "/"}));
}

// Aim: no input, however cut, makes the reader crash, hang or hold more than a
// request's worth of bytes.
TEST(RequestReader, RandomMutationsNeverBreakIt) {
  const std::string seedtext =
      "POST /whip/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
      "chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
      "POST /whip/b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: "
      "b\r\n\r\n";
  std::mt19937 random(20261121);
  for (int round = 0; round < 20'000; ++round) {
    std::string text = seedtext;
    const int changes = 1 + static_cast<int>(random() % 4);
    for (int i = 0; i < changes; ++i) {
      const size_t at = random() % text.size();
      switch (random() % 3) {
        case 0:
          text[at] = static_cast<char>(random());
          break;
        case 1:
          text.erase(at, 1 + random() % 8);
          break;
        default:
          text.insert(at, 1 + random() % 3, "\r\n:;0 \tf"[random() % 8]);
          break;
      }
      if (text.empty()) text = "x";
    }
    RequestReader reader{HttpLimits{}};
    size_t at = 0;
    int requests = 0;
    while (at < text.size() && reader.status() != Status::failed) {
      const size_t piece = 1 + random() % 64;
      Status status = reader.feed(std::string_view(text).substr(at, piece));
      at += piece;
      while (status == Status::complete) {
        (void)reader.request();
        ASSERT_LT(++requests, 100);
        status = reader.next();
      }
    }
  }
}

}  // namespace
}  // namespace spillway::test
