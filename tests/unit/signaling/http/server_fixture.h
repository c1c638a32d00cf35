// A server on a loopback port of its own, its io_context on a thread of its own.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "fake_control.h"
#include "signaling/http/server.h"
#include "tcp_client.h"

namespace spillway::test {

inline Nanos steady_now() {
  return {std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1)};
}

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    options.listen = "127.0.0.1:0";
    options.guesses_per_second_per_ip = 0;
  }
  ~ServerTest() override { shut_down(); }

  void start() {
    server = std::make_unique<HttpServer>(io, options, control, steady_now);
    const auto ok = server->start();
    ASSERT_TRUE(ok) << ok.error().text;
    port = server->bound_port();
    thread = std::thread([this] { io.run(); });
  }
  // Runs on the server's thread and waits for it.
  template <typename F>
  auto on_io(F f) {
    std::packaged_task<decltype(f())()> task(std::move(f));
    auto done = task.get_future();
    boost::asio::post(io, [&task] { task(); });
    return done.get();
  }
  void shut_down() {
    if (!thread.joinable()) return;
    on_io([this] { server.reset(); });
    guard.reset();
    thread.join();
  }
  uint64_t rejects(HttpReject reject) {
    return on_io([&] { return server->metrics().rejects(reject); });
  }
  uint64_t open_connections() {
    return on_io([&] { return server->metrics().connections_open(); });
  }
  // Polls: the server learns of a close on its own time.
  template <typename Condition>
  static bool eventually(Condition condition) {
    for (int i = 0; i < 1000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  static constexpr std::string_view kGet = "GET /whip/cam HTTP/1.1\r\nHost: a\r\n\r\n";

  boost::asio::io_context io{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard{io.get_executor()};
  HttpOptions options;
  FakeControl control;
  std::unique_ptr<HttpServer> server;
  std::thread thread;
  uint16_t port = 0;
};

}  // namespace spillway::test
