#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>

#include <map>
#include <thread>

#include "net/openssl_util.h"
#include "net/session.h"
#include "net/test_support.h"

namespace trireme::net {
namespace {

/// A client on nghttp2, plain or over TLS, driven by the test's thread.
class Http2Client {
 public:
  struct Answer {
    int status = 0;
    Headers headers;
    std::string body;
    bool closed = false;
    uint32_t error = 0;
  };

  explicit Http2Client(const Server& server, bool tls = false, bool automatic_window = true) : raw_(server.port()) {
    if (tls) {
      context_.reset(SSL_CTX_new(TLS_client_method()));
      SSL_CTX_set_alpn_protos(context_.get(), reinterpret_cast<const unsigned char*>("\x02h2"), 3);
      tls_.reset(SSL_new(context_.get()));
      SSL_set_fd(tls_.get(), raw_.descriptor());
      EXPECT_EQ(SSL_connect(tls_.get()), 1) << openssl_errors();
      const unsigned char* protocol = nullptr;
      unsigned size = 0;
      SSL_get0_alpn_selected(tls_.get(), &protocol, &size);
      EXPECT_EQ(std::string(reinterpret_cast<const char*>(protocol), size), "h2");
    }
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_option* options = nullptr;
    nghttp2_option_new(&options);
    nghttp2_option_set_no_auto_window_update(options, automatic_window ? 0 : 1);
    nghttp2_session_client_new2(&session_, callbacks, this, options);
    nghttp2_option_del(options);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, nullptr, 0);
  }
  ~Http2Client() { nghttp2_session_del(session_); }
  Http2Client(const Http2Client&) = delete;

  int32_t submit(const std::string& method, const std::string& target, std::string body = {},
                 const Headers& extra = {}) {
    std::vector<nghttp2_nv> fields = {field(":method", method), field(":scheme", "http"), field(":path", target),
                                      field(":authority", "test")};
    for (const auto& [name, value] : extra) fields.push_back(field(name, value));
    auto source = std::make_unique<Upload>(Upload{std::move(body), 0});
    nghttp2_data_provider provider{};
    provider.source.ptr = source.get();
    provider.read_callback = on_read;
    const bool has_body = !source->bytes.empty();
    const int32_t id = nghttp2_submit_request(session_, nullptr, fields.data(), fields.size(),
                                              has_body ? &provider : nullptr, nullptr);
    uploads_.push_back(std::move(source));
    return id;
  }

  void flush() {
    const uint8_t* data = nullptr;
    ssize_t size;
    while ((size = nghttp2_session_mem_send(session_, &data)) > 0) {
      const std::string_view bytes(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
      tls_ ? static_cast<void>(SSL_write(tls_.get(), bytes.data(), static_cast<int>(size))) : raw_.send(bytes);
    }
  }

  /// Sends and receives until `done`; false when the connection ended first.
  bool run_until(const std::function<bool()>& done) {
    for (;;) {
      flush();
      if (done()) return true;
      uint8_t buffer[16384];
      const ssize_t count =
          tls_ ? SSL_read(tls_.get(), buffer, sizeof buffer) : ::recv(raw_.descriptor(), buffer, sizeof buffer, 0);
      if (count <= 0) return done();
      if (nghttp2_session_mem_recv(session_, buffer, static_cast<size_t>(count)) < 0) return false;
    }
  }

  const Answer& wait(int32_t id) {
    EXPECT_TRUE(run_until([&] { return answers[id].closed; })) << "stream " << id;
    return answers[id];
  }

  nghttp2_session* session() { return session_; }
  RawClient& raw() { return raw_; }

  std::map<int32_t, Answer> answers;
  bool goaway = false;
  uint32_t goaway_error = 0;

 private:
  struct Upload {
    std::string bytes;
    size_t sent;
  };

  static nghttp2_nv field(std::string_view name, std::string_view value) {
    const auto bytes = [](std::string_view text) {
      return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(text.data()));
    };
    return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
  }
  static Http2Client& self(void* user) { return *static_cast<Http2Client*>(user); }
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                       const uint8_t* value, size_t value_size, uint8_t, void* user) {
    Answer& answer = self(user).answers[frame->hd.stream_id];
    const std::string key(reinterpret_cast<const char*>(name), name_size);
    const std::string text(reinterpret_cast<const char*>(value), value_size);
    if (key == ":status") {
      answer.status = std::stoi(text);
    } else {
      answer.headers.add(key, text);
    }
    return 0;
  }
  static int on_data(nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size, void* user) {
    self(user).answers[id].body.append(reinterpret_cast<const char*>(data), size);
    return 0;
  }
  static int on_close(nghttp2_session*, int32_t id, uint32_t error, void* user) {
    self(user).answers[id].closed = true;
    self(user).answers[id].error = error;
    return 0;
  }
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type == NGHTTP2_GOAWAY) {
      self(user).goaway = true;
      self(user).goaway_error = frame->goaway.error_code;
    }
    return 0;
  }
  static ssize_t on_read(nghttp2_session*, int32_t, uint8_t* buffer, size_t length, uint32_t* flags,
                         nghttp2_data_source* source, void*) {
    auto& upload = *static_cast<Upload*>(source->ptr);
    const size_t count = upload.bytes.copy(reinterpret_cast<char*>(buffer), length, upload.sent);
    upload.sent += count;
    if (upload.sent == upload.bytes.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(count);
  }

  RawClient raw_;
  SslContextPtr context_;
  SslPtr tls_;
  nghttp2_session* session_ = nullptr;
  std::vector<std::unique_ptr<Upload>> uploads_;
};

void echo(const std::shared_ptr<Exchange>& exchange) {
  const Request& request = exchange->request();
  const std::string line = request.method + " " + request.target + " " + std::string(request.headers.get("host")) + " ";
  exchange->respond(200, {{"X-Test", "yes"}, {"Connection", "close"}}, line + exchange->take_body());
}

class Http2Server : public ::testing::TestWithParam<bool> {};

TEST_P(Http2Server, AnswersRequests) {
  const TestCertificates test;
  const TemporaryDirectory directory;
  FunctionHandler handler(echo);
  ServerOptions options;
  if (GetParam()) options.tls = test.server_options(directory);
  const auto server = start_server(handler, std::move(options));
  Http2Client client(*server, GetParam());
  const int32_t get = client.submit("GET", "/a?b=c");
  const int32_t post = client.submit("POST", "/p", "body");
  const int32_t head = client.submit("HEAD", "/h");
  EXPECT_EQ(client.wait(get).status, 200);
  EXPECT_EQ(client.wait(get).body, "GET /a?b=c test ");
  EXPECT_EQ(client.wait(get).headers.get("x-test"), "yes");
  EXPECT_EQ(client.wait(get).headers.get("content-length"), "16");
  EXPECT_FALSE(client.wait(get).headers.get("date").empty());
  EXPECT_EQ(client.wait(post).body, "POST /p test body");
  EXPECT_EQ(client.wait(head).body, "");
  EXPECT_EQ(client.wait(head).headers.get("content-length"), "13");
}

TEST_P(Http2Server, BigBodiesBothWays) {
  const TestCertificates test;
  const TemporaryDirectory directory;
  FunctionHandler handler([](const std::shared_ptr<Exchange>& exchange) {
    std::string body = exchange->take_body();
    exchange->respond(200, {}, std::move(body));
  });
  ServerOptions options{.max_body_bytes = 32 << 20};
  if (GetParam()) options.tls = test.server_options(directory);
  const auto server = start_server(handler, std::move(options));
  Http2Client client(*server, GetParam());
  std::string body;
  for (int i = 0; body.size() < (5 << 20); ++i) body += std::to_string(i);
  const int32_t first = client.submit("POST", "/1", body);
  const int32_t second = client.submit("POST", "/2", body + "x");
  EXPECT_TRUE(client.wait(first).body == body);
  EXPECT_TRUE(client.wait(second).body == body + "x");
}

INSTANTIATE_TEST_SUITE_P(Transports, Http2Server, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Tls" : "Plain"; });

TEST(Http2Streams, ManyStreamsAtOnceOnOneConnection) {
  constexpr int kStreams = 300;
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<Exchange>> open;
  FunctionHandler handler([&](std::shared_ptr<Exchange> exchange) {
    std::lock_guard lock(mutex);
    exchange->start(200, {});
    exchange->write(share("first;"));
    open[exchange->request().target] = std::move(exchange);
  });
  const auto server = start_server(handler);
  Http2Client client(*server);
  std::vector<int32_t> ids;
  for (int i = 0; i < kStreams; ++i) ids.push_back(client.submit("GET", "/" + std::to_string(i)));
  ASSERT_TRUE(client.run_until([&] {
    return std::all_of(ids.begin(), ids.end(), [&](int32_t id) { return client.answers[id].body == "first;"; });
  }));
  std::jthread writer([&] {
    std::lock_guard lock(mutex);
    for (auto& [target, exchange] : open) {
      exchange->write(share(target));
      exchange->finish();
    }
  });
  for (int i = 0; i < kStreams; ++i) EXPECT_EQ(client.wait(ids[i]).body, "first;/" + std::to_string(i));
}

TEST(Http2Streams, FlowControlHoldsTheWriterBackPerStream) {
  Slot<std::shared_ptr<Exchange>> started;
  FunctionHandler handler([&](std::shared_ptr<Exchange> exchange) {
    if (exchange->request().target != "/stream") return echo(exchange);
    exchange->start(200, {});
    started.put(std::move(exchange));
  });
  const auto server = start_server(handler);
  Http2Client client(*server, /*tls=*/false, /*automatic_window=*/false);
  const int32_t id = client.submit("GET", "/stream");
  client.flush();
  const auto exchange = started.take();
  // The client's windows hold 65,535 bytes: the rest waits here, and the producer can see it.
  exchange->write(share(std::string(60'000, 'x')));
  ASSERT_TRUE(client.run_until([&] { return client.answers[id].body.size() == 60'000; }));
  exchange->write(share(std::string(200'000, 'y')));
  ASSERT_TRUE(client.run_until([&] { return client.answers[id].body.size() == 65'535; }));
  EXPECT_EQ(exchange->write(share("z")), 260'000u - 65'535u + 1);
  Event drained;
  exchange->on_drained([&] { drained.set(); });
  // Another stream is not held up by this one's window.
  nghttp2_session_set_local_window_size(client.session(), NGHTTP2_FLAG_NONE, 0, 1 << 20);
  const int32_t other = client.submit("GET", "/other");
  EXPECT_EQ(client.wait(other).status, 200);
  EXPECT_FALSE(drained.is_set());
  nghttp2_session_set_local_window_size(client.session(), NGHTTP2_FLAG_NONE, id, 1 << 20);
  ASSERT_TRUE(client.run_until([&] { return client.answers[id].body.size() == 260'001; }));
  EXPECT_TRUE(drained.wait());
  exchange->finish();
  EXPECT_EQ(client.wait(id).error, NGHTTP2_NO_ERROR);
}

TEST(Http2Streams, AbortResetsAndResetCloses) {
  Slot<std::shared_ptr<Exchange>> started;
  Event closed;
  FunctionHandler handler([&](std::shared_ptr<Exchange> exchange) {
    exchange->start(200, {});
    exchange->write(share("half"));
    started.put(std::move(exchange));
  });
  const auto server = start_server(handler);
  Http2Client client(*server);
  const int32_t aborted = client.submit("GET", "/1");
  client.flush();
  started.take()->abort();
  EXPECT_EQ(client.wait(aborted).error, NGHTTP2_INTERNAL_ERROR);

  const int32_t reset = client.submit("GET", "/2");
  client.flush();
  const auto exchange = started.take();
  exchange->on_closed([&] { closed.set(); });
  nghttp2_submit_rst_stream(client.session(), NGHTTP2_FLAG_NONE, reset, NGHTTP2_CANCEL);
  client.flush();
  EXPECT_TRUE(closed.wait());
  EXPECT_EQ(exchange->write(share("late")), 0u);

  const int32_t dropped = client.submit("GET", "/3");
  client.flush();
  started.take();  // and forgotten
  EXPECT_EQ(client.wait(dropped).error, NGHTTP2_INTERNAL_ERROR);
}

TEST(Http2Streams, LimitsAndBadRequests) {
  FunctionHandler handler(echo);
  const auto server = start_server(handler, {.max_body_bytes = 1000, .max_header_bytes = 2000});
  Http2Client client(*server);
  const int32_t announced = client.submit("POST", "/1", std::string(2000, 'x'), {{"content-length", "2000"}});
  const int32_t streamed = client.submit("POST", "/2", std::string(200'000, 'x'));
  const int32_t long_head = client.submit("GET", "/3", {}, {{"x", std::string(3000, 'x')}});
  const int32_t lying = client.submit("POST", "/4", "abc", {{"content-length", "4"}});
  const int32_t good = client.submit("GET", "/5", {}, {{"cookie", "a"}, {"cookie", "b"}});
  EXPECT_EQ(client.wait(announced).status, 413);
  EXPECT_NE(client.wait(announced).body.find("RequestEntityTooLarge"), std::string::npos);
  EXPECT_EQ(client.wait(streamed).status, 413);
  EXPECT_EQ(client.wait(long_head).status, 431);
  EXPECT_EQ(client.wait(lying).error, NGHTTP2_PROTOCOL_ERROR);
  EXPECT_EQ(client.wait(good).status, 200);
}

TEST(Http2Streams, RapidResetEndsTheConnection) {
  FunctionHandler handler(echo);
  const auto server = start_server(handler, {.workers = 1});
  Http2Client client(*server);
  for (int i = 0; i < 5000; ++i) {
    const int32_t id = client.submit("GET", "/");
    client.flush();
    nghttp2_submit_rst_stream(client.session(), NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    client.flush();
  }
  client.run_until([&] { return client.goaway; });
  EXPECT_TRUE(client.goaway);
  EXPECT_NE(client.goaway_error, NGHTTP2_NO_ERROR);
  Http2Client other(*server);
  EXPECT_EQ(other.wait(other.submit("GET", "/")).status, 200);
}

TEST(Http2Streams, GarbageEndsTheConnection) {
  FunctionHandler handler(echo);
  const auto server = start_server(handler);
  RawClient client(server->port());
  client.send(kHttp2Preface);
  client.send("this is no frame at all, but long enough to look like one");
  const std::string all = client.read_all();
  EXPECT_FALSE(all.empty());
  RawClient partial(server->port());
  partial.send("PRI * HT");
  partial.send("TP/1.1\r\nHost: x\r\n\r\n");  // not the preface after all, and no target either
  EXPECT_FALSE(partial.read_until("\r\n\r\n").empty());
}

TEST(Http2Streams, ShutdownSaysGoawayAndLetsStreamsFinish) {
  Slot<std::shared_ptr<Exchange>> started;
  FunctionHandler handler([&](std::shared_ptr<Exchange> exchange) { started.put(std::move(exchange)); });
  auto server = start_server(handler);
  Http2Client client(*server);
  const int32_t id = client.submit("GET", "/");
  client.flush();
  auto exchange = started.take();
  std::jthread stopper([&] { server->shutdown(kPatience); });
  ASSERT_TRUE(client.run_until([&] { return client.goaway; }));
  EXPECT_EQ(client.goaway_error, NGHTTP2_NO_ERROR);
  exchange->respond(200, {}, std::string("last"));
  EXPECT_EQ(client.wait(id).body, "last");
  EXPECT_FALSE(client.run_until([] { return false; }));  // the server closes
  client.raw().close();
}

}  // namespace
}  // namespace trireme::net
