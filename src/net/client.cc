#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <mutex>

#include "net/client_connection.h"
#include "net/session.h"
#include "net/transport.h"

namespace trireme::net {
namespace {

namespace http = boost::beast::http;
using boost::beast::error_code;
using boost::beast::string_view;

constexpr size_t kReadSize = 64 * 1024;
constexpr std::uint32_t kMaxHead = 256 * 1024;

/// Beast's parser, collecting a head and the bytes of the body that were read since they were last taken.
class ResponseParser final : public http::basic_parser<false> {
 public:
  explicit ResponseParser(bool no_body) {
    eager(true);
    header_limit(kMaxHead);
    body_limit(boost::none);  // counted by the caller
    if (no_body) skip(true);
  }

  int status = 0;
  Headers headers;
  std::string body;

 private:
  void on_request_impl(http::verb, string_view, string_view, int, error_code&) override {}
  void on_response_impl(int code, string_view, int, error_code&) override { status = code; }
  void on_field_impl(http::field, string_view name, string_view value, error_code&) override {
    if (!in_body_) headers.add(std::string(name), std::string(value));
  }
  void on_header_impl(error_code&) override { in_body_ = true; }
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  size_t on_body_impl(string_view part, error_code&) override {
    body.append(part.data(), part.size());
    return part.size();
  }
  void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
  size_t on_chunk_body_impl(std::uint64_t, string_view part, error_code&) override {
    body.append(part.data(), part.size());
    return part.size();
  }
  void on_finish_impl(error_code&) override {}

  bool in_body_ = false;
};

/// One request's exchange on a connection: sends it, then reads the answer piece by piece.
class Call {
 public:
  Call(std::unique_ptr<ClientConnection> connection, bool no_body)
      : connection_(std::move(connection)), no_body_(no_body) {}

  /// Sends the request and reads the answer's head. `untouched` tells, after a failure, that not one byte of an answer
  /// arrived.
  Status exchange(OutputQueue& request, const Patience& patience, bool& untouched) {
    untouched = true;
    size_t sent = 0;
    // A server may answer and close before it has read everything: look for its answer before giving up.
    const Status written = connection_->write(request, patience, sent);
    if (!written.ok() && (sent == 0 || written.is(Reason::kTimeout))) return written;
    for (;;) {
      parser_ = std::make_unique<ResponseParser>(no_body_);
      while (!parser_->is_header_done()) {
        const Status status = feed(patience);
        if (received_ > 0) untouched = false;
        if (!status.ok()) return written.ok() ? status : written;
        if (ended_ && !parser_->is_header_done()) return Status::unavailable("connection closed before an answer");
      }
      const bool interim = parser_->status >= 100 && parser_->status < 200 && parser_->status != 101;
      if (!interim) break;
    }
    request_sent_ = written.ok();
    return {};
  }

  /// The next bytes of the body, empty at its end.
  Result<std::string> next(const Patience& patience) {
    while (parser_->body.empty() && !parser_->is_done()) {
      if (ended_) return Status::unavailable("connection closed in the middle of an answer");
      TRY(feed(patience));
    }
    return std::exchange(parser_->body, {});
  }

  bool done() const { return parser_->is_done() && parser_->body.empty(); }
  ResponseParser& parser() { return *parser_; }

  /// The connection, when it can serve another request; else null.
  std::unique_ptr<ClientConnection> release() {
    const bool clean =
        request_sent_ && !ended_ && parser_ && parser_->is_done() && parser_->keep_alive() && input_.empty();
    return clean ? std::move(connection_) : nullptr;
  }

 private:
  /// Parses what is at hand; reads when that is not enough for a step.
  Status feed(const Patience& patience) {
    // One buffer a thread: a connection that waits for a watch's next event holds none.
    static thread_local std::array<char, kReadSize> buffer;
    if (!input_.empty() && !starved_) {
      size_t used = 0;
      const Status status = parse(input_, used);
      input_.erase(0, used);
      return status;
    }
    TRY_ASSIGN(const size_t count, connection_->read(buffer.data(), buffer.size(), patience));
    received_ += count;
    starved_ = false;
    if (count == 0) return end();
    std::string_view bytes(buffer.data(), count);
    size_t used = 0;
    if (input_.empty()) {
      const Status status = parse(bytes, used);
      input_.assign(bytes.substr(used));
      return status;
    }
    input_.append(bytes);
    const Status status = parse(input_, used);
    input_.erase(0, used);
    return status;
  }

  Status parse(std::string_view bytes, size_t& used) {
    error_code error;
    used = parser_->put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
    starved_ = error == http::error::need_more;
    return error && !starved_ ? malformed(error) : Status();
  }

  Status end() {
    ended_ = true;
    if (!parser_->is_header_done() || !parser_->need_eof()) return {};
    error_code error;
    parser_->put_eof(error);
    return error ? malformed(error) : Status();
  }

  static Status malformed(const error_code& error) {
    return Status::unavailable("malformed answer: " + error.message());
  }

  std::unique_ptr<ClientConnection> connection_;
  const bool no_body_;
  std::unique_ptr<ResponseParser> parser_;
  std::string input_;  // received, not parsed
  size_t received_ = 0;
  bool starved_ = false;  // the parser needs more than `input_`
  bool ended_ = false;
  bool request_sent_ = false;
};

/// Idle connections, the one used last on top.
class Pool {
 public:
  explicit Pool(size_t most) : most_(most) {}

  std::unique_ptr<ClientConnection> take() {
    for (;;) {
      std::unique_ptr<ClientConnection> connection;
      {
        std::lock_guard lock(mutex_);
        if (idle_.empty()) return nullptr;
        connection = std::move(idle_.back());
        idle_.pop_back();
      }
      if (connection->reusable()) return connection;
    }
  }

  void give(std::unique_ptr<ClientConnection> connection) {
    if (!connection) return;
    std::lock_guard lock(mutex_);
    if (idle_.size() >= most_) idle_.erase(idle_.begin());
    if (most_ > 0) idle_.push_back(std::move(connection));
  }

 private:
  const size_t most_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<ClientConnection>> idle_;
};

class HttpStream final : public ResponseStream {
 public:
  HttpStream(std::shared_ptr<Pool> pool, std::unique_ptr<Call> call)
      : pool_(std::move(pool)), call_(std::move(call)), status_(call_->parser().status) {}
  ~HttpStream() override {
    if (call_->done()) pool_->give(call_->release());
  }

  int status() const override { return status_; }
  const Headers& headers() const override { return call_->parser().headers; }
  Result<std::string> read(std::stop_token stop, Duration idle_timeout) override {
    return call_->next(Patience::for_duration(idle_timeout, std::move(stop)));
  }

 private:
  const std::shared_ptr<Pool> pool_;
  const std::unique_ptr<Call> call_;
  const int status_;
};

class HttpTransport final : public Transport {
 public:
  HttpTransport(HttpTransportOptions options, Endpoint endpoint, std::unique_ptr<TlsClientContext> tls)
      : options_(std::move(options)),
        endpoint_(std::move(endpoint)),
        tls_(std::move(tls)),
        pool_(std::make_shared<Pool>(options_.max_idle_connections)) {}

  Result<Response> round_trip(const Request& request, std::stop_token stop) override {
    const Patience patience = Patience::for_duration(options_.timeout, std::move(stop));
    TRY_ASSIGN(const std::unique_ptr<Call> call, send(request, patience));
    Response response;
    while (!call->done()) {
      TRY_ASSIGN(std::string part, call->next(patience));
      if (response.body.size() + part.size() > options_.max_response_bytes) {
        return Status::unavailable("the answer exceeds " + std::to_string(options_.max_response_bytes) + " bytes");
      }
      if (response.body.empty()) {
        response.body = std::move(part);
      } else {
        response.body += part;
      }
    }
    response.status = call->parser().status;
    response.headers = std::move(call->parser().headers);
    pool_->give(call->release());
    return response;
  }

  Result<std::unique_ptr<ResponseStream>> open(const Request& request, std::stop_token stop) override {
    TRY_ASSIGN(std::unique_ptr<Call> call, send(request, Patience::for_duration(options_.timeout, std::move(stop))));
    return std::unique_ptr<ResponseStream>(std::make_unique<HttpStream>(pool_, std::move(call)));
  }

 private:
  /// Sends `request` and waits for the answer's head.
  Result<std::unique_ptr<Call>> send(const Request& request, const Patience& patience) {
    TRY_ASSIGN(const std::string head, head_of(request));
    const SharedBytes body = request.body.empty() ? nullptr : share(request.body);
    // A reused connection may have been closed by the server at the moment of sending. Then, once, a request goes out
    // anew: one that changes nothing, whatever became of the first.
    const bool repeatable = request.method == "GET" || request.method == "HEAD" || request.method == "OPTIONS";
    for (bool fresh = false;; fresh = true) {
      std::unique_ptr<ClientConnection> connection = fresh ? nullptr : pool_->take();
      const bool reused = connection != nullptr;
      if (!reused) {
        Patience connecting = Patience::for_duration(options_.connect_timeout, patience.stop);
        if (patience.deadline && (!connecting.deadline || *patience.deadline < *connecting.deadline)) {
          connecting.deadline = patience.deadline;
        }
        TRY_ASSIGN(connection, ClientConnection::open(endpoint_, tls_.get(), connecting));
      }
      OutputQueue out;
      out.append(head);
      if (body) out.append(body, 0, body->size());
      const size_t total = out.size();
      auto call = std::make_unique<Call>(std::move(connection), request.method == "HEAD");
      bool untouched = false;
      const Status status = call->exchange(out, patience, untouched);
      if (status.ok()) return call;
      const bool unsent = out.size() == total;
      if (!reused || !untouched || status.is(Reason::kTimeout) || !(repeatable || unsent)) return status;
    }
  }

  Result<std::string> head_of(const Request& request) const {
    const auto bad = [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f; };
    const std::string& target = request.target;
    if (!valid_field(request.method, "") || target.empty() || target.front() != '/' ||
        std::any_of(target.begin(), target.end(), bad)) {
      return Status::bad_request("invalid request line \"" + request.method + " " + target + "\"");
    }
    std::string head = fmt::format("{} {}{} HTTP/1.1\r\n", request.method, endpoint_.base_path, target);
    if (!request.headers.has("Host")) head += fmt::format("Host: {}\r\n", endpoint_.authority);
    for (const auto& [name, value] : request.headers) {
      if (!valid_field(name, value)) return Status::bad_request("invalid header field \"" + name + "\"");
      if (boost::beast::iequals(name, "Content-Length") || boost::beast::iequals(name, "Transfer-Encoding")) continue;
      head.append(name).append(": ").append(value).append("\r\n");
    }
    const bool announces =
        !request.body.empty() || request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
    if (announces) head += fmt::format("Content-Length: {}\r\n", request.body.size());
    head += "\r\n";
    return head;
  }

  const HttpTransportOptions options_;
  const Endpoint endpoint_;
  const std::unique_ptr<TlsClientContext> tls_;
  const std::shared_ptr<Pool> pool_;  // streams give their connections back, perhaps after the transport is gone
};

}  // namespace

Result<std::unique_ptr<Transport>> http_transport(HttpTransportOptions options) {
  TRY_ASSIGN(Endpoint endpoint, parse_base_url(options.base_url));
  std::unique_ptr<TlsClientContext> tls;
  if (endpoint.tls) {
    TRY_ASSIGN(tls, TlsClientContext::create(options.tls));
  }
  return std::unique_ptr<Transport>(
      std::make_unique<HttpTransport>(std::move(options), std::move(endpoint), std::move(tls)));
}

}  // namespace trireme::net
