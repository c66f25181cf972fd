#include "net/server.h"

#include <atomic>
#include <thread>

#include "net/test_support.h"

namespace trireme::net {
namespace {

/// Answers with the method, target and body it got.
void echo(const std::shared_ptr<Exchange>& exchange) {
  const std::string line = exchange->request().method + " " + exchange->request().target + " ";
  exchange->respond(200, {{"Content-Type", "text/plain"}}, line + exchange->take_body());
}

TEST(Http1Server, AnswersWithLengthAndKeepsAlive) {
  FunctionHandler handler(echo);
  const auto server = start_server(handler);
  RawClient client(server->port());
  for (int i = 0; i < 3; ++i) {
    client.send("GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n");
    const std::string head = client.read_until("\r\n\r\n");
    EXPECT_TRUE(head.starts_with("HTTP/1.1 200 OK\r\n")) << head;
    EXPECT_NE(head.find("Content-Length: 9\r\n"), std::string::npos) << head;
    EXPECT_NE(head.find("Date: "), std::string::npos) << head;
    EXPECT_EQ(client.read_until("GET /a?b "), "GET /a?b ");
  }
}

TEST(Http1Server, PipelinedAnswersKeepTheirOrder) {
  Slot<std::shared_ptr<Exchange>> waiting;
  FunctionHandler handler([&](std::shared_ptr<Exchange> exchange) {
    if (exchange->request().target == "/1") return waiting.put(std::move(exchange));
    echo(exchange);
  });
  const auto server = start_server(handler);
  RawClient client(server->port());
  client.send(
      "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\n"
      "Host: x\r\nConnection: close\r\n\r\n");
  waiting.take()->respond(200, {}, std::string("first"));
  const std::string all = client.read_all();
  const size_t first = all.find("first");
  const size_t second = all.find("POST /2 abc");
  const size_t third = all.find("GET /3 ");
  ASSERT_NE(third, std::string::npos) << all;
  EXPECT_LT(first, second);
  EXPECT_LT(second, third);
  EXPECT_NE(all.find("Connection: close"), std::string::npos);
}

TEST(Http1Server, MalformedInput) {
  FunctionHandler handler(echo);
  const auto server = start_server(handler, {.max_body_bytes = 100, .max_header_bytes = 1000});
  const struct {
    std::string input;
    int status;
  } cases[] = {
      {"garbage\r\n\r\n", 400},
      {"GET /\r\n\r\n", 400},
      {"GET / HTTP/9.9\r\n\r\n", 505},
      {"GET / HTTP/1.1\r\n\r\n", 400},                        // no Host
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},  // two of them
      {"GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
      {std::string("GET / HTTP/1.1\r\nHost: a\r\nX: a") + '\0' + "b\r\n\r\n", 400},
      {"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n", 413},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" + std::string(101, 'x') +
           "\r\n0\r\n\r\n",
       413},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(2000, 'x') + "\r\n\r\n", 431},
  };
  for (const auto& test : cases) {
    RawClient client(server->port());
    client.send(test.input);
    const std::string all = client.read_all();
    EXPECT_TRUE(all.starts_with("HTTP/1.1 " + std::to_string(test.status) + " ")) << test.input << "\n" << all;
    EXPECT_NE(all.find("Connection: close"), std::string::npos) << test.input;
  }
}

TEST(Http1Server, ExpectContinueHeadAndOldVersion) {
  FunctionHandler handler(echo);
  const auto server = start_server(handler);
  RawClient client(server->port());
  client.send("PUT /p HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("hi");
  EXPECT_TRUE(client.read_until("PUT /p hi").ends_with("PUT /p hi"));
  client.send("HEAD /h HTTP/1.1\r\nHost: x\r\n\r\nGET /g HTTP/1.0\r\n\r\n");
  const std::string all = client.read_all();
  EXPECT_NE(all.find("Content-Length: 8\r\n"), std::string::npos) << all;  // "HEAD /h "
  EXPECT_EQ(all.find("HEAD /h "), std::string::npos) << all;
  EXPECT_TRUE(all.ends_with("GET /g ")) << all;
}

TEST(Http1Server, ChunkedRequestAndByteByByte) {
  FunctionHandler handler(echo);
  const auto server = start_server(handler);
  RawClient client(server->port());
  const std::string request =
      "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nX-Trailer: "
      "1\r\n\r\n";
  for (const char c : request) client.send(std::string(1, c));
  EXPECT_TRUE(client.read_until("POST /c abcde").ends_with("POST /c abcde"));
}

TEST(Http1Server, UnansweredIs500AndUnfinishedIsCut) {
  FunctionHandler handler([](const std::shared_ptr<Exchange>& exchange) {
    if (exchange->request().target == "/throw") throw std::runtime_error("on purpose");
    if (exchange->request().target == "/half") {
      exchange->start(200, {});
      exchange->write(share("half"));
    }
  });
  const auto server = start_server(handler);
  for (const char* target : {"/none", "/throw"}) {
    RawClient client(server->port());
    client.send(std::string("GET ") + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_TRUE(client.read_all().starts_with("HTTP/1.1 500 ")) << target;
  }
  RawClient client(server->port());
  client.send("GET /half HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.read_all().find("0\r\n\r\n"), std::string::npos);
}

TEST(Http1Server, ResponseFieldsCannotBeInjected) {
  FunctionHandler handler([](const std::shared_ptr<Exchange>& exchange) {
    exchange->respond(200, {{"A", "x\r\nEvil: 1"}, {"B:", "y"}, {"Good", "z"}}, std::string());
  });
  const auto server = start_server(handler);
  RawClient client(server->port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string head = client.read_until("\r\n\r\n");
  EXPECT_EQ(head.find("Evil"), std::string::npos);
  EXPECT_EQ(head.find("B:"), std::string::npos);
  EXPECT_NE(head.find("Good: z\r\n"), std::string::npos);
}

TEST(Http1Server, StreamsWithBackPressureAndSeesThePeerGo) {
  Slot<std::shared_ptr<Exchange>> started;
  Event drained;
  Event closed;
  FunctionHandler handler([&](std::shared_ptr<Exchange> exchange) {
    exchange->on_closed([&] { closed.set(); });
    exchange->start(200, {{"Content-Type", "application/json"}});
    started.put(std::move(exchange));
  });
  const auto server = start_server(handler);
  RawClient client(server->port(), /*receive_buffer=*/16 * 1024);
  client.send("GET /watch HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto exchange = started.take();
  ASSERT_TRUE(exchange);
  EXPECT_NE(client.read_until("\r\n\r\n").find("Transfer-Encoding: chunked"), std::string::npos);
  exchange->write(share("event\n"));
  EXPECT_EQ(client.read_until("event\n\r\n"), "6\r\nevent\n\r\n");

  // A reader that does not read: what is written stays queued, by reference.
  const SharedBytes block = share(std::string(1 << 20, 'x'));
  size_t queued = 0;
  size_t written = 0;
  while (queued < (size_t{32} << 20)) {
    queued = exchange->write(block);
    written += block->size();
    ASSERT_LT(written, size_t{256} << 20);
  }
  EXPECT_GT(block.use_count(), 30);
  exchange->on_drained([&] { drained.set(); });
  while (!drained.is_set()) ASSERT_TRUE(client.read_some());
  EXPECT_TRUE(drained.wait());
  EXPECT_FALSE(closed.is_set());
  client.close();
  EXPECT_TRUE(closed.wait());
  EXPECT_TRUE(exchange->closed());
  EXPECT_EQ(exchange->write(block), 0u);
}

TEST(Http1Server, BigBodiesBothWays) {
  FunctionHandler handler([](const std::shared_ptr<Exchange>& exchange) {
    std::string body = exchange->take_body();
    exchange->respond(200, {}, std::move(body));
  });
  const auto server = start_server(handler, {.max_body_bytes = 64 << 20});
  std::string body;
  for (int i = 0; body.size() < (20 << 20); ++i) body += std::to_string(i) + ",";
  const auto response =
      connect({.base_url = url(*server)})->round_trip({.method = "POST", .target = "/", .body = body});
  ASSERT_TRUE(response.ok()) << response.status().to_string();
  EXPECT_TRUE(response.value().body == body);
}

TEST(Server, HeaderTimeoutAndIdleTimeout) {
  FunctionHandler handler(echo);
  const auto server = start_server(
      handler, {.header_timeout = std::chrono::milliseconds(50), .idle_timeout = std::chrono::milliseconds(80)});
  RawClient silent(server->port());
  EXPECT_EQ(silent.read_all(), "");
  RawClient slow(server->port());
  slow.send("GET / HTTP/1.1\r\nHo");
  EXPECT_EQ(slow.read_all(), "");
  RawClient body(server->port());
  body.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_EQ(body.read_all(), "");
  RawClient idle(server->port());
  idle.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(idle.read_all().starts_with("HTTP/1.1 200"));
}

TEST(Server, MaxConnectionsHoldsTheRestBack) {
  FunctionHandler handler(echo);
  const auto server = start_server(handler, {.max_connections = 2});
  const std::string request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  RawClient first(server->port());
  first.send(request);
  first.read_until("GET / ");
  RawClient second(server->port());
  second.send(request);
  second.read_until("GET / ");
  RawClient third(server->port());
  third.send(request);
  char byte;
  EXPECT_EQ(::recv(third.descriptor(), &byte, 1, MSG_DONTWAIT), -1);
  first.close();
  EXPECT_TRUE(third.read_until("GET / ").ends_with("GET / "));
}

TEST(Server, ShutdownLetsRequestsFinishAndCutsStreams) {
  Slot<std::shared_ptr<Exchange>> started;
  Event stream_closed;
  FunctionHandler handler([&](std::shared_ptr<Exchange> exchange) {
    if (exchange->request().target == "/stream") {
      exchange->on_closed([&] { stream_closed.set(); });
      exchange->start(200, {});
    }
    started.put(std::move(exchange));
  });
  auto server = start_server(handler);
  RawClient stream(server->port());
  stream.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto stream_exchange = started.take();
  RawClient idle(server->port());
  RawClient client(server->port());
  client.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
  auto slow = started.take();
  std::jthread stopper([&] { server->shutdown(std::chrono::milliseconds(300)); });
  EXPECT_EQ(idle.read_all(), "");  // the server has begun to shut down
  slow->respond(200, {}, std::string("done"));
  const std::string answer = client.read_all();
  EXPECT_TRUE(answer.ends_with("done")) << answer;
  EXPECT_NE(answer.find("Connection: close"), std::string::npos);
  EXPECT_TRUE(stream_closed.wait());
  stopper.join();
  server.reset();
  stream_exchange->write(share("late"));  // harmless
}

TEST(Server, ManyClientsAtOnce) {
  FunctionHandler handler(echo);
  const auto server = start_server(handler);
  const auto transport = connect({.base_url = url(*server)});
  std::atomic<int> good = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 16; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 50; ++i) {
          const std::string body = std::to_string(t) + ":" + std::to_string(i);
          const auto response = transport->round_trip({.method = "POST", .target = "/m", .body = body});
          if (response.ok() && response.value().body == "POST /m " + body) ++good;
        }
      });
    }
  }
  EXPECT_EQ(good, 800);
}

TEST(Server, RefusesWhatItCannotListenOn) {
  FunctionHandler handler(echo);
  const auto server = start_server(handler);
  EXPECT_FALSE(Server::start({.port = server->port()}, handler).ok());
  EXPECT_FALSE(Server::start({.address = "nonsense"}, handler).ok());
  EXPECT_FALSE(
      Server::start({.tls = TlsServerOptions{.certificate_file = "/none", .key_file = "/none"}}, handler).ok());
}

}  // namespace
}  // namespace trireme::net
