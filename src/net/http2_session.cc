#include <fmt/format.h>
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <charconv>
#include <unordered_map>
#include <vector>

#include "base/log.h"
#include "net/session.h"

namespace trireme::net {
namespace {

constexpr uint32_t kMaxStreams = 1000;          // as upstream's server
constexpr uint32_t kStreamWindow = 256 * 1024;  // of a request's body
constexpr int32_t kConnectionWindow = 1024 * 1024;
constexpr size_t kMaxUnfinishedBodies = 64 * 1024 * 1024;  // of all requests still arriving on one connection
constexpr size_t kMostIgnored = 16 * 1024 * 1024;          // of a refused body
// A client may reset this many streams at once, and this many a second: more is CVE-2023-44487, not a client.
constexpr uint64_t kResetBurst = 1000;
constexpr uint64_t kResetRate = 33;

std::string_view view(const uint8_t* data, size_t size) { return {reinterpret_cast<const char*>(data), size}; }

bool is_connection_field(std::string_view name) {
  return name == "connection" || name == "transfer-encoding" || name == "keep-alive" || name == "upgrade" ||
         name == "proxy-connection";
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

/// One connection speaking HTTP/2: nghttp2 keeps the protocol, this class the requests.
class Http2Session final : public Session {
 public:
  explicit Http2Session(SessionHost& host) : host_(host) {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_send_callback(callbacks, on_send);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_option* options = nullptr;
    nghttp2_option_new(&options);
    nghttp2_option_set_no_closed_streams(options, 1);
    nghttp2_option_set_stream_reset_rate_limit(options, kResetBurst, kResetRate);
    const int created = nghttp2_session_server_new2(&session_, callbacks, this, options);
    nghttp2_option_del(options);
    nghttp2_session_callbacks_del(callbacks);
    if (created != 0) {
      session_ = nullptr;
      broken_ = true;
      return;
    }
    const auto header_limit = static_cast<uint32_t>(std::min<size_t>(host_.options().max_header_bytes, UINT32_MAX));
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, kMaxStreams},
                                               {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow},
                                               {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, header_limit}};
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
    nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
  }

  ~Http2Session() override { nghttp2_session_del(session_); }
  Http2Session(const Http2Session&) = delete;
  Http2Session& operator=(const Http2Session&) = delete;

  void receive(std::string_view bytes) override {
    if (broken_ || failed_) return;
    ++progress_;
    const ssize_t used =
        nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    if (used >= 0) return;
    log::debug("HTTP/2 connection failed",
               {{"peer", host_.peer().address}, {"error", nghttp2_strerror(static_cast<int>(used))}});
    failed_ = true;
    nghttp2_session_terminate_session(session_, NGHTTP2_PROTOCOL_ERROR);
  }

  void receive_end() override { broken_ = true; }

  void wake(int32_t id) override {
    const auto found = streams_.find(id);
    if (found == streams_.end()) return;
    Stream& stream = found->second;
    stream.exchange->acknowledge_wake();
    if (stream.exchange->available(0).aborted) {
      nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_INTERNAL_ERROR);
    } else if (stream.answered) {
      nghttp2_session_resume_data(session_, id);
    } else if (const auto head = stream.exchange->take_head()) {
      submit_head(id, stream, *head);
    }
  }

  void produce(OutputQueue& out, size_t target) override {
    if (broken_) return;
    out_ = &out;
    target_ = target;
    if (nghttp2_session_send(session_) != 0) broken_ = true;
    out_ = nullptr;
  }

  bool wants_input() const override { return true; }  // flow control holds the peer back
  Waiting waiting() const override {
    if (streams_.empty()) return Waiting::kIdle;
    // A stalled upload must not end the watches beside it.
    return arriving_ == streams_.size() ? Waiting::kReceiving : Waiting::kAnswering;
  }
  uint64_t progress() const override { return progress_; }
  bool finished() const override {
    if (broken_ || nghttp2_session_want_write(session_) != 0) return broken_;
    return failed_ || (shutting_down_ && streams_.empty()) || nghttp2_session_want_read(session_) == 0;
  }
  bool broken() const override { return broken_; }

  void shut_down() override {
    if (broken_ || std::exchange(shutting_down_, true)) return;
    nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_),
                          NGHTTP2_NO_ERROR, nullptr, 0);
  }

  void disconnect() override {
    broken_ = true;
    const auto streams = std::move(streams_);
    streams_.clear();
    for (const auto& [id, stream] : streams) {
      if (stream.exchange) stream.exchange->close();
    }
  }

 private:
  struct Stream {
    Request request;  // until it is complete
    size_t header_bytes = 0;
    size_t ignored = 0;  // bytes of a refused body
    bool head_complete = false;
    bool too_large = false;  // of its head
    bool arriving = true;
    bool head_request = false;
    bool answered = false;                     // its response was submitted
    std::shared_ptr<ServerExchange> exchange;  // once dispatched or refused
  };

  static Http2Session& self(void* user) { return *static_cast<Http2Session*>(user); }
  Stream* find(int32_t id) {
    const auto found = streams_.find(id);
    return found == streams_.end() ? nullptr : &found->second;
  }

  // --- Requests.

  static int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
      self(user).streams_.try_emplace(frame->hd.stream_id);
      ++self(user).arriving_;
    }
    return 0;
  }

  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name_data, size_t name_size,
                       const uint8_t* value_data, size_t value_size, uint8_t, void* user) {
    Stream* stream = self(user).find(frame->hd.stream_id);
    if (stream == nullptr || stream->head_complete) return 0;  // trailers must not pose as headers
    const std::string_view name = view(name_data, name_size);
    const std::string_view value = view(value_data, value_size);
    stream->header_bytes += name_size + value_size + 32;  // counted as RFC 9113, 6.5.2 does
    if (stream->header_bytes > self(user).host_.options().max_header_bytes) {
      stream->too_large = true;
      return 0;
    }
    Request& request = stream->request;
    if (name == ":method") {
      request.method = value;
    } else if (name == ":path") {
      request.target = value;
    } else if (name == ":authority") {
      request.headers.add("host", std::string(value));
    } else if (name == "cookie" && request.headers.has("cookie")) {
      request.headers.set("cookie", std::string(request.headers.get("cookie")) + "; " + std::string(value));
    } else if (name.front() != ':' && !(name == "host" && request.headers.has("host"))) {
      request.headers.add(std::string(name), std::string(value));
    }
    return 0;
  }

  static int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    Http2Session& me = self(user);
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    Stream* stream = me.find(frame->hd.stream_id);
    if (stream == nullptr) return 0;
    const bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (frame->hd.type == NGHTTP2_HEADERS && !stream->head_complete) {
      stream->head_complete = true;
      stream->head_request = stream->request.method == "HEAD";
      me.check_head(session, frame->hd.stream_id, *stream, end);
    }
    if (end) me.request_complete(frame->hd.stream_id, *stream);
    return 0;
  }

  void check_head(nghttp2_session* session, int32_t id, Stream& stream, bool end) {
    if (stream.too_large) return refuse(id, stream, 431);
    if (stream.request.method == "CONNECT" || stream.request.target.empty()) return refuse(id, stream, 400);
    const std::string_view announced = stream.request.headers.get("content-length");
    uint64_t length = 0;
    std::from_chars(announced.data(), announced.data() + announced.size(), length);
    if (length > host_.options().max_body_bytes) return refuse(id, stream, 413);
    if (!end && lower(stream.request.headers.get("expect")) == "100-continue") {
      nghttp2_nv status = field(":status", "100");
      nghttp2_submit_headers(session, NGHTTP2_FLAG_NONE, id, nullptr, &status, 1, nullptr);
    }
  }

  static int on_data(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* data, size_t size, void* user) {
    Http2Session& me = self(user);
    Stream* stream = me.find(id);
    if (stream == nullptr) return 0;
    if (stream->exchange) {
      // Refused: what still comes is dropped, for some clients lose an answer that a reset follows too closely. One
      // that never ends is told to stop (RFC 9113, 8.1).
      stream->ignored += size;
      if (stream->ignored > kMostIgnored) nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR);
      return 0;
    }
    if (stream->request.body.size() + size > me.host_.options().max_body_bytes) {
      me.refuse(id, *stream, 413);
    } else if (me.arriving_bytes_ + size > std::max(kMaxUnfinishedBodies, me.host_.options().max_body_bytes)) {
      nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_ENHANCE_YOUR_CALM);
    } else {
      stream->request.body.append(view(data, size));
      me.arriving_bytes_ += size;
    }
    return 0;
  }

  void request_complete(int32_t id, Stream& stream) {
    if (!std::exchange(stream.arriving, false)) return;
    --arriving_;
    if (stream.exchange) return;  // refused
    take_request(id, stream);
    host_.dispatch(stream.exchange);
  }

  void take_request(int32_t id, Stream& stream) {
    arriving_bytes_ -= stream.request.body.size();
    Request request = std::move(stream.request);
    stream.request = {};
    request.peer = host_.peer();
    stream.exchange = std::make_shared<ServerExchange>(std::move(request), host_.waker(), id);
  }

  /// Answers in the server's own name; the rest of the request is ignored.
  void refuse(int32_t id, Stream& stream, int status) {
    take_request(id, stream);
    Response answer = refusal(status, host_.options());
    stream.exchange->take_body();
    stream.exchange->respond(answer.status, std::move(answer.headers), std::move(answer.body));
  }

  static int on_stream_close(nghttp2_session*, int32_t id, uint32_t, void* user) {
    Http2Session& me = self(user);
    auto node = me.streams_.extract(id);
    if (node.empty()) return 0;
    Stream& stream = node.mapped();
    if (stream.arriving) --me.arriving_;
    if (stream.exchange) {
      stream.exchange->close();
    } else {
      me.arriving_bytes_ -= stream.request.body.size();
    }
    return 0;
  }

  // --- Answers.

  static nghttp2_nv field(std::string_view name, std::string_view value) {
    const auto bytes = [](std::string_view text) {
      return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(text.data()));  // nghttp2 copies them
    };
    return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
  }

  void submit_head(int32_t id, Stream& stream, const ServerExchange::Head& head) {
    stream.answered = true;
    const bool bodiless = head.status == 204 || head.status == 304;
    const std::string status = std::to_string(head.status);
    const std::string length = head.length ? std::to_string(*head.length) : std::string();
    std::vector<std::string> names;
    names.reserve(head.headers.size());
    std::vector<nghttp2_nv> fields;
    fields.reserve(head.headers.size() + 3);
    fields.push_back(field(":status", status));
    bool has_date = false;
    bool has_length = false;
    for (const auto& [name, value] : head.headers) {
      std::string& lowered = names.emplace_back(lower(name));
      const bool is_length = lowered == "content-length";
      if (!valid_field(lowered, value) || is_connection_field(lowered) || (is_length && !stream.head_request)) continue;
      has_date = has_date || lowered == "date";
      has_length = has_length || is_length;
      fields.push_back(field(lowered, value));
    }
    if (!has_date) fields.push_back(field("date", http_date()));
    if (head.length && !bodiless && !has_length) fields.push_back(field("content-length", length));
    nghttp2_data_provider body{};
    body.source.ptr = stream.exchange.get();
    body.read_callback = on_read;
    const bool has_body = !bodiless && !stream.head_request && !(head.length && *head.length == 0);
    if (nghttp2_submit_response(session_, id, fields.data(), fields.size(), has_body ? &body : nullptr) != 0) {
      nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_INTERNAL_ERROR);
    }
  }

  /// nghttp2 asks how much of a body could go out now.
  static ssize_t on_read(nghttp2_session*, int32_t, uint8_t*, size_t length, uint32_t* flags,
                         nghttp2_data_source* source, void*) {
    const auto part = static_cast<ServerExchange*>(source->ptr)->available(length);
    if (part.aborted) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // resets the stream
    if (part.bytes == 0 && !part.end) return NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (part.end) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(part.bytes);
  }

  static int on_send_data(nghttp2_session*, nghttp2_frame*, const uint8_t* frame_header, size_t length,
                          nghttp2_data_source* source, void* user) {
    constexpr size_t kFrameHeader = 9;
    Http2Session& me = self(user);
    if (me.out_->size() >= me.target_) return NGHTTP2_ERR_WOULDBLOCK;
    me.out_->append(view(frame_header, kFrameHeader));
    static_cast<ServerExchange*>(source->ptr)->take(length, *me.out_);
    return 0;
  }

  static ssize_t on_send(nghttp2_session*, const uint8_t* data, size_t size, int, void* user) {
    Http2Session& me = self(user);
    if (me.out_->size() >= me.target_) return NGHTTP2_ERR_WOULDBLOCK;
    me.out_->append(view(data, size));
    return static_cast<ssize_t>(size);
  }

  SessionHost& host_;
  nghttp2_session* session_ = nullptr;
  std::unordered_map<int32_t, Stream> streams_;
  size_t arriving_ = 0;         // streams whose request is incomplete
  size_t arriving_bytes_ = 0;   // of their bodies
  OutputQueue* out_ = nullptr;  // during `produce`
  size_t target_ = 0;
  uint64_t progress_ = 0;
  bool shutting_down_ = false;
  bool failed_ = false;  // closes when the farewell is sent
  bool broken_ = false;
};

}  // namespace

std::unique_ptr<Session> new_http2_session(SessionHost& host) { return std::make_unique<Http2Session>(host); }

}  // namespace trireme::net
