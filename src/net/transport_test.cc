#include "net/transport.h"

#include <sys/un.h>

#include <atomic>
#include <thread>

#include "net/test_support.h"

namespace trireme::net {
namespace {

void greet(const std::shared_ptr<Exchange>& exchange) {
  const auto& certificate = exchange->request().peer.certificate;
  std::string who = certificate ? certificate->common_name : "nobody";
  if (certificate) {
    for (const std::string& organization : certificate->organizations) who += "," + organization;
  }
  exchange->respond(200, {{"Content-Type", "text/plain"}}, std::move(who));
}

/// A listener whose connections the test answers by hand.
class RawListener {
 public:
  explicit RawListener(const std::string& unix_path = {}) {
    if (unix_path.empty()) {
      descriptor_ = ::socket(AF_INET, SOCK_STREAM, 0);
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      socklen_t size = sizeof address;
      EXPECT_EQ(::bind(descriptor_, reinterpret_cast<sockaddr*>(&address), size), 0);
      ::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &size);
      port_ = ntohs(address.sin_port);
    } else {
      descriptor_ = ::socket(AF_UNIX, SOCK_STREAM, 0);
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      unix_path.copy(address.sun_path, sizeof address.sun_path - 1);
      EXPECT_EQ(::bind(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    }
    ::listen(descriptor_, 16);
  }
  ~RawListener() { ::close(descriptor_); }

  int accept() const { return ::accept(descriptor_, nullptr, nullptr); }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  /// Reads one request's head from `connection`.
  static std::string read_head(int connection) {
    std::string head;
    char c;
    while (!head.ends_with("\r\n\r\n") && ::recv(connection, &c, 1, 0) == 1) head.push_back(c);
    return head;
  }
  static void send(int connection, std::string_view text) {
    EXPECT_EQ(::send(connection, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }

 private:
  int descriptor_;
  uint16_t port_ = 0;
};

TEST(HttpTransport, BadOptions) {
  for (const char* bad :
       {"", "ftp://x", "http://", "http://a:b", "https://[::1", "unix://x", "http://a b", "http://u@h"}) {
    EXPECT_FALSE(http_transport({.base_url = bad}).ok()) << bad;
  }
  EXPECT_FALSE(http_transport({.base_url = "https://x", .tls = {.ca_pem = "junk"}}).ok());
  EXPECT_FALSE(http_transport({.base_url = "https://x", .tls = {.certificate_pem = "junk"}}).ok());
}

TEST(HttpTransport, TlsKnowsItsPeers) {
  const TestCertificates test;
  const TemporaryDirectory directory;
  FunctionHandler handler(greet);
  const auto server = start_server(handler, {.tls = test.server_options(directory)});
  const CertifiedKey stranger = test.issue(test.make_authority("test-ca"), {.common_name = "mallory"});
  const CertifiedKey expired = test.issue(test.authority, {.common_name = "late",
                                                           .not_before = test.now - std::chrono::hours(2),
                                                           .not_after = test.now - std::chrono::hours(1)});
  const struct {
    CertifiedKey key;
    std::string expected;
  } cases[] = {{{}, "nobody"},
               {test.client, "alice,dev,ops"},
               {test.server, "nobody"},  // not for clients
               {stranger, "nobody"},
               {expired, "nobody"}};
  for (const auto& [key, expected] : cases) {
    const auto transport = connect({.base_url = url(*server, "https"),
                                    .tls = {.ca_pem = test.authority.certificate_pem,
                                            .certificate_pem = key.certificate_pem,
                                            .key_pem = key.key_pem}});
    for (int i = 0; i < 2; ++i) {
      const auto response = transport->round_trip({});
      ASSERT_TRUE(response.ok()) << response.status().to_string();
      EXPECT_EQ(response.value().body, expected);
    }
  }
}

TEST(HttpTransport, TlsRefusesWrongServers) {
  const TestCertificates test;
  const TemporaryDirectory directory;
  FunctionHandler handler(greet);
  const auto server = start_server(handler, {.tls = test.server_options(directory)});
  const std::string other = test.make_authority("test-ca").certificate_pem;
  const std::string& right = test.authority.certificate_pem;
  const struct {
    TlsClientOptions tls;
    bool good;
  } cases[] = {{{.ca_pem = right}, true},
               {{.ca_pem = other}, false},
               {{.ca_pem = right, .server_name = "localhost"}, true},
               {{.ca_pem = right, .server_name = "other.example"}, false},
               {{.ca_pem = right, .server_name = "127.0.0.2"}, false},
               {{.ca_pem = right, .server_name = "server"}, false},  // the common name does not count
               {{.insecure_skip_verify = true}, true},
               {{}, false}};
  int i = 0;
  for (const auto& [tls, good] : cases) {
    const auto response = connect({.base_url = url(*server, "https"), .tls = tls})->round_trip({});
    EXPECT_EQ(response.ok(), good) << "case " << i << ": " << response.status().to_string();
    EXPECT_EQ(response.status().is(Reason::kServiceUnavailable), !good);
    ++i;
  }
  // Plain HTTP to a TLS port and the reverse fail, and the server lives on.
  EXPECT_FALSE(connect({.base_url = url(*server)})->round_trip({}).ok());
  EXPECT_TRUE(connect({.base_url = url(*server, "https"), .tls = {.ca_pem = right}})->round_trip({}).ok());
}

TEST(HttpTransport, ServerReloadsItsCertificate) {
  TestCertificates test;
  const TemporaryDirectory directory;
  FunctionHandler handler(greet);
  const auto server = start_server(handler, {.tls = test.server_options(directory)});
  const std::string old_authority = test.authority.certificate_pem;
  const auto reaches = [&](const std::string& authority) {
    return connect({.base_url = url(*server, "https"), .tls = {.ca_pem = authority}})->round_trip({}).ok();
  };
  EXPECT_TRUE(reaches(old_authority));
  test.authority = test.make_authority("new-ca");
  test.server = test.issue(test.authority, {.common_name = "server", .ip_addresses = {"127.0.0.1"}});
  test.server_options(directory);
  // The server looks at its files once a second at most.
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!reaches(test.authority.certificate_pem)) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_FALSE(reaches(old_authority));
}

TEST(HttpTransport, StreamsOverTls) {
  const TestCertificates test;
  const TemporaryDirectory directory;
  Slot<std::shared_ptr<Exchange>> started;
  Event closed;
  FunctionHandler handler([&](std::shared_ptr<Exchange> exchange) {
    exchange->on_closed([&] { closed.set(); });
    exchange->start(200, {});
    started.put(std::move(exchange));
  });
  const auto server = start_server(handler, {.tls = test.server_options(directory)});
  const auto transport =
      connect({.base_url = url(*server, "https"), .tls = {.ca_pem = test.authority.certificate_pem}});
  auto stream = transport->open({.target = "/watch"});
  ASSERT_TRUE(stream.ok()) << stream.status().to_string();
  const auto exchange = started.take();
  for (int i = 0; i < 5; ++i) {
    const std::string event = "event " + std::to_string(i);
    exchange->write(share(event));
    EXPECT_EQ(*stream.value()->read({}), event);
  }
  EXPECT_TRUE(stream.value()->read({}, std::chrono::milliseconds(5)).status().is(Reason::kTimeout));
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  EXPECT_TRUE(stream.value()->read(stop.get_token()).status().is(Reason::kTimeout));
  // A block larger than sockets hold, read slowly, arrives whole.
  std::string block;
  for (int i = 0; block.size() < (8 << 20); ++i) block += std::to_string(i);
  exchange->write(share(block));
  std::string got;
  while (got.size() < block.size()) {
    auto part = stream.value()->read({});
    ASSERT_TRUE(part.ok());
    got += part.value();
  }
  EXPECT_TRUE(got == block);
  stream.value().reset();
  EXPECT_TRUE(closed.wait());
}

TEST(HttpTransport, FinishedStreamsAndTheirEnds) {
  FunctionHandler handler([](const std::shared_ptr<Exchange>& exchange) {
    exchange->start(200, {});
    exchange->write(share("a"));
    exchange->request().target == "/cut" ? exchange->abort() : exchange->finish();
  });
  const auto server = start_server(handler);
  const auto transport = connect({.base_url = url(*server)});
  const auto whole = transport->round_trip({.target = "/whole"});
  ASSERT_TRUE(whole.ok());
  EXPECT_EQ(whole.value().body, "a");
  EXPECT_FALSE(transport->round_trip({.target = "/cut"}).ok());
  const auto head = transport->round_trip({.method = "HEAD", .target = "/whole"});
  ASSERT_TRUE(head.ok());
  EXPECT_EQ(head.value().body, "");
}

TEST(HttpTransport, TimeoutsAndStopsInterruptARoundTrip) {
  Slot<std::shared_ptr<Exchange>> held;
  FunctionHandler handler([&](std::shared_ptr<Exchange> exchange) { held.put(std::move(exchange)); });
  const auto server = start_server(handler);
  const auto impatient = connect({.base_url = url(*server), .timeout = std::chrono::milliseconds(20)});
  EXPECT_TRUE(impatient->round_trip({}).status().is(Reason::kTimeout));
  EXPECT_TRUE(impatient->open({}).status().is(Reason::kTimeout));
  const auto patient = connect({.base_url = url(*server)});
  std::stop_source stop;
  std::jthread stopper([&] {
    held.take();
    held.take();
    held.take();  // the third request has arrived
    stop.request_stop();
  });
  EXPECT_TRUE(patient->round_trip({}, stop.get_token()).status().is(Reason::kTimeout));
  EXPECT_TRUE(patient->round_trip({}, stop.get_token()).status().is(Reason::kTimeout));
}

TEST(HttpTransport, UnreachableAndHostileServers) {
  std::string closed_url;
  {
    const RawListener listener;
    closed_url = listener.url();
  }
  EXPECT_TRUE(connect({.base_url = closed_url})->round_trip({}).status().is(Reason::kServiceUnavailable));

  const struct {
    std::string answer;
    bool good;
  } cases[] = {
      {"", false},
      {"nonsense\r\n\r\n", false},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", false},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", false},
      {"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + std::string(2000, 'x'), false},  // over the limit
      {"HTTP/1.1 200 OK\r\nX: " + std::string(300000, 'x') + "\r\n\r\n", false},
      {"HTTP/1.1 200 OK\r\n\r\nuntil the end", true},
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", true},
      {"HTTP/1.1 204 No Content\r\n\r\n", true},
  };
  for (const auto& [answer, good] : cases) {
    const RawListener listener;
    std::jthread peer([&, text = answer] {
      const int connection = listener.accept();
      RawListener::read_head(connection);
      ::send(connection, text.data(), text.size(), MSG_NOSIGNAL);
      ::close(connection);
    });
    const auto response = connect({.base_url = listener.url(), .max_response_bytes = 1000})->round_trip({});
    EXPECT_EQ(response.ok(), good) << answer.substr(0, 100) << " " << response.status().to_string();
  }
}

TEST(HttpTransport, RetriesOnlyWhatIsSafeOnAStaleConnection) {
  const RawListener listener;
  Event may_close;
  std::atomic<int> connections = 0;
  constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  std::jthread peer([&] {
    // Each connection answers one request, reads the next and hangs up without an answer.
    for (int i = 0; i < 3; ++i) {
      const int connection = listener.accept();
      ++connections;
      RawListener::read_head(connection);
      RawListener::send(connection, kAnswer);
      if (i < 2) RawListener::read_head(connection);
      ::close(connection);
    }
  });
  const auto transport = connect({.base_url = listener.url()});
  EXPECT_TRUE(transport->round_trip({}).ok());                   // connection 1
  EXPECT_TRUE(transport->round_trip({}).ok());                   // 1 hangs up, retried on 2
  EXPECT_FALSE(transport->round_trip({.method = "POST"}).ok());  // 2 hangs up; may have been processed
  EXPECT_TRUE(transport->round_trip({.method = "POST"}).ok());   // 3
  EXPECT_EQ(connections, 3);
}

TEST(HttpTransport, UnixSocketAndRefusedRequests) {
  const TemporaryDirectory directory;
  const std::string path = directory.path("s");
  const RawListener listener(path);
  std::string head;
  std::jthread peer([&] {
    const int connection = listener.accept();
    head = RawListener::read_head(connection);
    RawListener::send(connection, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    ::close(connection);
  });
  const auto transport = connect({.base_url = "unix://" + path});
  EXPECT_FALSE(transport->round_trip({.target = "/a b"}).ok());
  EXPECT_FALSE(transport->round_trip({.target = "a"}).ok());
  EXPECT_FALSE(transport->round_trip({.method = "GET /x"}).ok());
  EXPECT_FALSE(transport->round_trip({.headers = {{"A", "b\r\nc"}}}).ok());
  const auto response = transport->round_trip({.target = "/x"});
  ASSERT_TRUE(response.ok()) << response.status().to_string();
  EXPECT_EQ(response.value().body, "ok");
  peer.join();
  EXPECT_TRUE(head.starts_with("GET /x HTTP/1.1\r\nHost: localhost\r\n")) << head;
}

}  // namespace
}  // namespace trireme::net
