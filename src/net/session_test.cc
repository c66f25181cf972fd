#include "net/session.h"

#include <nghttp2/nghttp2.h>

#include <random>

#include "net/test_support.h"

namespace trireme::net {
namespace {

/// A connection without a socket: answers every request at once.
class FakeHost final : public SessionHost, public Waker, public std::enable_shared_from_this<FakeHost> {
 public:
  const ServerOptions& options() const override { return options_; }
  const Peer& peer() const override { return peer_; }
  std::weak_ptr<Waker> waker() override { return weak_from_this(); }
  void dispatch(std::shared_ptr<ServerExchange> exchange) override {
    ++requests;
    const auto handle = ServerExchange::for_handler(std::move(exchange));
    const std::string& target = handle->request().target;
    if (target == "/drop") return;
    handle->start(200, {});
    handle->write(share(handle->request().method));
    handle->write(share(handle->take_body()));
    handle->finish();
  }
  void wake(int32_t stream) override { woken.push_back(stream); }

  std::vector<int32_t> woken;
  int requests = 0;

 private:
  ServerOptions options_{.max_body_bytes = 4096, .max_header_bytes = 4096};
  Peer peer_;
};

/// Feeds `input` in pieces of random size and returns all that the session sends.
std::string drive(Session& session, FakeHost& host, std::string_view input, std::mt19937& random) {
  std::string sent;
  const auto produce = [&] {
    while (!host.woken.empty()) {
      const auto woken = std::exchange(host.woken, {});
      for (const int32_t stream : woken) session.wake(stream);
      OutputQueue out;
      session.produce(out, 1 << 16);
      std::string bytes(out.size(), '\0');
      out.copy(bytes.data(), bytes.size());
      sent += bytes;
    }
    OutputQueue out;
    session.produce(out, 1 << 16);
    std::string bytes(out.size(), '\0');
    out.copy(bytes.data(), bytes.size());
    sent += bytes;
  };
  while (!input.empty() && !session.finished() && !session.broken()) {
    const size_t size = std::min<size_t>(input.size(), std::uniform_int_distribution<size_t>(1, 200)(random));
    session.receive(input.substr(0, size));
    input.remove_prefix(size);
    produce();
  }
  session.receive_end();
  produce();
  session.disconnect();
  return sent;
}

/// Some bytes changed, repeated, cut out or put in.
std::string mutate(std::string bytes, std::mt19937& random) {
  const auto at = [&] { return std::uniform_int_distribution<size_t>(0, bytes.size())(random); };
  for (int edits = std::uniform_int_distribution<int>(1, 8)(random); edits > 0 && !bytes.empty(); --edits) {
    const size_t position = std::min(at(), bytes.size() - 1);
    switch (random() % 4) {
      case 0:
        bytes[position] = static_cast<char>(random());
        break;
      case 1:
        bytes.erase(position, random() % 16);
        break;
      case 2:
        bytes.insert(position, bytes.substr(at() / 2, random() % 64));
        break;
      default:
        bytes[position] = static_cast<char>(bytes[position] ^ (1 << (random() % 8)));
        break;
    }
  }
  return bytes;
}

TEST(Http1Session, SurvivesMutatedInput) {
  const std::string seed =
      "GET /a HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n"
      "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello"
      "PUT /drop HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwiki\r\n5;a=b\r\npedia\r\n0\r\nT: "
      "1\r\n\r\n"
      "HEAD /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  std::mt19937 random(1);
  {
    const auto host = std::make_shared<FakeHost>();
    const auto session = new_http1_session(*host);
    drive(*session, *host, seed, random);
    EXPECT_EQ(host->requests, 4);
    EXPECT_TRUE(session->finished());
  }
  for (int i = 0; i < 3000; ++i) {
    const auto host = std::make_shared<FakeHost>();
    const auto session = new_http1_session(*host);
    drive(*session, *host, mutate(seed, random), random);
    EXPECT_LE(host->requests, 10);
  }
}

/// What an nghttp2 client sends for a few requests.
std::string http2_client_bytes() {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session* session = nullptr;
  nghttp2_session_client_new(&session, callbacks, nullptr);
  nghttp2_session_callbacks_del(callbacks);
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, nullptr, 0);
  const auto field = [](std::string_view name, std::string_view value) {
    const auto bytes = [](std::string_view text) {
      return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(text.data()));
    };
    return nghttp2_nv{bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
  };
  std::string body = "hello";
  nghttp2_data_provider provider{};
  provider.source.ptr = &body;
  provider.read_callback = [](nghttp2_session*, int32_t, uint8_t* buffer, size_t, uint32_t* flags,
                              nghttp2_data_source* source, void*) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(static_cast<std::string*>(source->ptr)->copy(reinterpret_cast<char*>(buffer), 5));
  };
  for (const char* path : {"/a", "/drop", "/c"}) {
    const nghttp2_nv fields[] = {field(":method", "POST"), field(":scheme", "http"), field(":path", path),
                                 field(":authority", "x"), field("accept", "*/*")};
    nghttp2_submit_request(session, nullptr, fields, std::size(fields), &provider, nullptr);
  }
  nghttp2_submit_ping(session, NGHTTP2_FLAG_NONE, nullptr);
  std::string all;
  const uint8_t* data = nullptr;
  for (ssize_t size; (size = nghttp2_session_mem_send(session, &data)) > 0;) {
    all.append(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
  }
  nghttp2_session_del(session);
  return all;
}

TEST(Http2Session, SurvivesMutatedInput) {
  const std::string seed = http2_client_bytes();
  std::mt19937 random(2);
  {
    const auto host = std::make_shared<FakeHost>();
    const auto session = new_http2_session(*host);
    EXPECT_FALSE(drive(*session, *host, seed, random).empty());
    EXPECT_EQ(host->requests, 3);
  }
  for (int i = 0; i < 3000; ++i) {
    const auto host = std::make_shared<FakeHost>();
    const auto session = new_http2_session(*host);
    // The preface stays whole: behind a broken one nothing is reached.
    const std::string preface(kHttp2Preface);
    drive(*session, *host, preface + mutate(seed.substr(preface.size()), random), random);
    EXPECT_LE(host->requests, 10);
  }
}

TEST(Http1Session, TellsWhatItWaitsFor) {
  const auto host = std::make_shared<FakeHost>();
  const auto session = new_http1_session(*host);
  EXPECT_EQ(session->waiting(), Session::Waiting::kIdle);
  session->receive("GET / HT");
  EXPECT_EQ(session->waiting(), Session::Waiting::kReceiving);
  const uint64_t progress = session->progress();
  session->receive("TP/1.1\r\n");
  EXPECT_EQ(session->progress(), progress) << "a head must be complete in time, however it trickles in";
  session->receive("Host: x\r\n\r\n");
  EXPECT_EQ(session->waiting(), Session::Waiting::kAnswering);
  session->wake(0);
  OutputQueue out;
  session->produce(out, 1 << 16);
  EXPECT_EQ(session->waiting(), Session::Waiting::kIdle);
  session->shut_down();
  EXPECT_TRUE(session->finished());
}

}  // namespace
}  // namespace trireme::net
