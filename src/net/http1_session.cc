#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <cctype>
#include <optional>

#include "net/session.h"

namespace trireme::net {
namespace {

namespace http = boost::beast::http;
using boost::beast::error_code;
using boost::beast::string_view;

// While a request is answered, this much of the pipelined rest is read ahead; it also bounds what is kept.
constexpr size_t kReadAhead = 64 * 1024;
// The most one chunk of a streamed body holds, so that a slow reader's connection keeps little in its own queue.
constexpr size_t kMostChunk = 256 * 1024;

/// Beast's parser, filling a Request.
class RequestParser final : public http::basic_parser<true> {
 public:
  explicit RequestParser(const ServerOptions& options) {
    eager(true);
    header_limit(static_cast<std::uint32_t>(std::min<size_t>(options.max_header_bytes, UINT32_MAX)));
    body_limit(options.max_body_bytes);
  }

  Request request;
  int version = 11;
  bool has_transfer_encoding = false;
  bool expects_continue = false;
  size_t hosts = 0;

 private:
  void on_request_impl(http::verb, string_view method, string_view target, int parsed_version, error_code&) override {
    request.method.assign(method.data(), method.size());
    request.target.assign(target.data(), target.size());
    version = parsed_version;
  }
  void on_response_impl(int, string_view, int, error_code&) override {}
  void on_field_impl(http::field name, string_view name_text, string_view value, error_code&) override {
    if (in_body_) return;  // trailers must not pose as headers
    if (name == http::field::transfer_encoding) has_transfer_encoding = true;
    if (name == http::field::expect && boost::beast::iequals(value, "100-continue")) expects_continue = true;
    if (name == http::field::host) ++hosts;
    request.headers.add(std::string(name_text), std::string(value));
  }
  void on_header_impl(error_code&) override { in_body_ = true; }
  void on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code&) override {
    // Memory follows what arrives, not what is announced; a small announced body is worth one allocation.
    if (length) request.body.reserve(std::min<std::uint64_t>(*length, kReadAhead));
  }
  size_t on_body_impl(string_view part, error_code&) override {
    request.body.append(part.data(), part.size());
    return part.size();
  }
  void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
  size_t on_chunk_body_impl(std::uint64_t, string_view part, error_code&) override {
    request.body.append(part.data(), part.size());
    return part.size();
  }
  void on_finish_impl(error_code&) override {}

  bool in_body_ = false;
};

/// The status that tells a client what was wrong with its bytes.
int status_of(const error_code& error) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow) return 431;
  if (error == http::error::body_limit) return 413;
  if (error == http::error::bad_version) return 505;
  return 400;
}

/// One connection speaking HTTP/1.x: a request at a time, pipelined ones wait in `input_`.
class Http1Session final : public Session {
 public:
  explicit Http1Session(SessionHost& host) : host_(host) {}

  void receive(std::string_view bytes) override {
    if (closing_) return;  // lingering: nothing more is served
    if (input_.empty()) {
      bytes.remove_prefix(parse(bytes));
      input_.assign(bytes);
    } else {
      input_.append(bytes);
      parse_input();
    }
  }

  void receive_end() override {
    input_ended_ = true;
    if (!exchange_) {
      closing_ = true;
      return;
    }
    // A client may half-close after its request; one that is being streamed to has gone.
    if (streaming_) broken_ = true;
  }

  void wake(int32_t) override {
    if (!exchange_) return;
    exchange_->acknowledge_wake();
    if (exchange_->available(0).aborted) broken_ = true;
  }

  void produce(OutputQueue& out, size_t target) override {
    if (!preamble_.empty()) {
      out.append(preamble_);
      preamble_.clear();
    }
    while (exchange_ && !broken_ && out.size() < target) {
      if (!head_sent_ && !produce_head(out)) return;
      if (!produce_body(out, target)) return;
      finish_exchange();
      parse_input();
      if (!preamble_.empty()) {
        out.append(preamble_);
        preamble_.clear();
      }
    }
  }

  bool wants_input() const override { return !exchange_ || input_.size() < kReadAhead; }
  Waiting waiting() const override {
    if (exchange_) return Waiting::kAnswering;
    return parser_ || !input_.empty() ? Waiting::kReceiving : Waiting::kIdle;
  }
  uint64_t progress() const override { return progress_; }
  bool finished() const override { return closing_ && !exchange_; }
  bool broken() const override { return broken_; }

  void shut_down() override {
    last_request_ = true;
    if (!exchange_ && !parser_ && input_.empty()) closing_ = true;
  }

  void disconnect() override {
    if (exchange_) exchange_->close();
    exchange_.reset();
    closing_ = true;
  }

 private:
  void parse_input() {
    if (input_.empty() || exchange_ || closing_) return;
    input_.erase(0, parse(input_));
    if (input_.empty()) std::string().swap(input_);
  }

  /// Parses requests until one is complete (and dispatched) or bytes are missing; returns how many bytes were used.
  size_t parse(std::string_view bytes) {
    size_t used = 0;
    while (!exchange_ && !closing_ && used < bytes.size()) {
      if (!parser_) {
        // Empty lines before a request are to be ignored (RFC 9112, 2.2).
        while (used < bytes.size() && (bytes[used] == '\r' || bytes[used] == '\n')) ++used;
        if (used == bytes.size()) break;
        parser_.emplace(host_.options());
        ++progress_;
      }
      const bool head_was_done = parser_->is_header_done();
      error_code error;
      const size_t count = parser_->put(boost::asio::const_buffer(bytes.data() + used, bytes.size() - used), error);
      used += count;
      if (error && error != http::error::need_more) {
        refuse(status_of(error));
        return bytes.size();
      }
      if (parser_->is_header_done()) {
        if (head_was_done) ++progress_;
        if (!head_was_done && !check_head(bytes.size() == used)) return bytes.size();
      }
      if (parser_->is_done()) {
        dispatch();
      } else if (error || count == 0) {
        break;
      }
    }
    return used;
  }

  /// After the head: refuses what Beast lets pass but must not be guessed at, and answers Expect.
  bool check_head(bool body_is_missing) {
    ++progress_;
    const RequestParser& parser = *parser_;
    if ((parser.has_transfer_encoding && (!parser.chunked() || parser.version < 11)) ||
        (parser.version >= 11 && parser.hosts != 1) || parser.hosts > 1) {
      refuse(400);
      return false;
    }
    if (parser.expects_continue && parser.version >= 11 && body_is_missing && !parser.is_done()) {
      preamble_ += "HTTP/1.1 100 Continue\r\n\r\n";
    }
    return true;
  }

  void dispatch() {
    keep_alive_ = parser_->keep_alive() && !last_request_;
    version_ = parser_->version;
    Request request = std::move(parser_->request);
    parser_.reset();
    head_request_ = request.method == "HEAD";
    head_sent_ = streaming_ = chunked_ = false;
    request.peer = host_.peer();
    exchange_ = std::make_shared<ServerExchange>(std::move(request), host_.waker(), 0);
    host_.dispatch(exchange_);
  }

  /// Answers in the server's own name and closes.
  void refuse(int status) {
    const Response answer = refusal(status, host_.options());
    preamble_ += fmt::format(
        "HTTP/1.1 {} {}\r\nDate: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}", status,
        reason_phrase(status), http_date(), answer.headers.get("Content-Type"), answer.body.size(), answer.body);
    parser_.reset();
    std::string().swap(input_);
    closing_ = true;
  }

  bool produce_head(OutputQueue& out) {
    const auto head = exchange_->take_head();
    if (!head) return false;
    head_sent_ = true;
    streaming_ = !head->length;
    if (streaming_ && input_ended_) {
      broken_ = true;
      return false;
    }
    const bool bodiless = head->status == 204 || head->status == 304 || head->status < 200;
    no_body_ = bodiless || head_request_;
    keep_alive_ = keep_alive_ && !last_request_ && !input_ended_ && !head->headers.has("Connection");
    std::string text;
    text.reserve(256);
    fmt::format_to(std::back_inserter(text), "HTTP/1.1 {} {}\r\n", head->status, reason_phrase(head->status));
    for (const auto& [name, value] : head->headers) {
      if (!valid_field(name, value) || is_framing(name, head_request_)) continue;
      text.append(name).append(": ").append(value).append("\r\n");
    }
    if (!head->headers.has("Date")) text.append("Date: ").append(http_date()).append("\r\n");
    if (head->length && !bodiless) {
      // A HEAD answer announces the length a GET would have, which its handler may know better than we do.
      if (!head_request_ || !head->headers.has("Content-Length")) {
        fmt::format_to(std::back_inserter(text), "Content-Length: {}\r\n", *head->length);
      }
    } else if (streaming_ && !bodiless) {
      chunked_ = version_ >= 11;
      if (chunked_) {
        text += "Transfer-Encoding: chunked\r\n";
      } else {
        keep_alive_ = false;
      }
    }
    if (!keep_alive_) {
      text += "Connection: close\r\n";
    } else if (version_ < 11) {
      text += "Connection: keep-alive\r\n";
    }
    text += "\r\n";
    out.append(text);
    return true;
  }

  /// Fields that this session writes itself.
  static bool is_framing(std::string_view name, bool head_request) {
    const auto is = [&](std::string_view other) {
      return boost::beast::iequals({name.data(), name.size()}, {other.data(), other.size()});
    };
    return is("Transfer-Encoding") || is("Connection") || is("Keep-Alive") || (is("Content-Length") && !head_request);
  }

  /// True when the body is complete.
  bool produce_body(OutputQueue& out, size_t target) {
    for (;;) {
      if (out.size() >= target) return false;
      const auto part = exchange_->available(kMostChunk);
      if (part.aborted) {
        broken_ = true;
        return false;
      }
      if (no_body_) {
        OutputQueue dropped;
        exchange_->take(part.bytes, dropped);
      } else if (part.bytes > 0) {
        if (chunked_) out.append(fmt::format("{:x}\r\n", part.bytes));
        exchange_->take(part.bytes, out);
        if (chunked_) out.append("\r\n");
      }
      if (part.end) {
        if (chunked_ && !no_body_) out.append("0\r\n\r\n");
        return true;
      }
      if (part.bytes == 0) return false;
    }
  }

  void finish_exchange() {
    // Released before the callbacks run, which may release the rest of the request.
    const auto done = std::move(exchange_);
    exchange_.reset();
    ++progress_;
    if (!keep_alive_ || input_ended_) closing_ = true;
    done->close();
  }

  SessionHost& host_;
  std::optional<RequestParser> parser_;
  std::string input_;     // received, not parsed yet
  std::string preamble_;  // interim answers and refusals, sent before the exchange's answer
  std::shared_ptr<ServerExchange> exchange_;
  uint64_t progress_ = 0;

  // Of the request being answered.
  int version_ = 11;
  bool keep_alive_ = true;
  bool head_request_ = false;
  bool head_sent_ = false;
  bool streaming_ = false;
  bool chunked_ = false;
  bool no_body_ = false;

  bool last_request_ = false;  // shutting down
  bool input_ended_ = false;
  bool closing_ = false;
  bool broken_ = false;
};

}  // namespace

std::unique_ptr<Session> new_http1_session(SessionHost& host) { return std::make_unique<Http1Session>(host); }

}  // namespace trireme::net
