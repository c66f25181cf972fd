#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "net/http.h"
#include "net/tls.h"

/// The calling side of HTTP: blocking, on the caller's thread.
namespace trireme::net {

/// A response whose body is read as it arrives (watches, logs). Used by one thread at a time.
class ResponseStream {
 public:
  virtual ~ResponseStream() = default;
  virtual int status() const = 0;
  virtual const Headers& headers() const = 0;
  /// The next bytes of the body, empty at its end. Blocks until there are some, a stop is requested
  /// (Timeout), or `idle_timeout` passes without any (Timeout; zero: never).
  virtual Result<std::string> read(std::stop_token stop, Duration idle_timeout = Duration::zero()) = 0;
  /// `read` of what is there already; nothing when that is nothing. For callers that must not block. InternalError
  /// from transports that cannot tell.
  virtual Result<std::optional<std::string>> try_read() {
    return Status::internal("this stream cannot be read without waiting");
  }
  /// `read` and `try_read` of a stream of parts: those that wait, or an empty list at the end. Only from transports
  /// that are `local`.
  virtual Result<std::vector<LocalPart>> read_parts(std::stop_token, Duration = Duration::zero()) {
    return Status::internal("this stream has no parts");
  }
  virtual Result<std::optional<std::vector<LocalPart>>> try_read_parts() {
    return Status::internal("this stream has no parts");
  }
  /// `callback` is called, on any thread, whenever something may have come since the last read: it may only take note.
  /// At once when something is there. Only from transports that are `local`.
  virtual void on_arrival(std::function<void()> /*callback*/) {}
};

/// Sends requests. Thread-safe. Failures (ServiceUnavailable, Timeout) mean no HTTP answer came; an answer with an
/// error status is a Response.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual Result<Response> round_trip(const Request& request, std::stop_token stop = {}) = 0;
  virtual Result<std::unique_ptr<ResponseStream>> open(const Request& request, std::stop_token stop = {}) = 0;
  /// Whether the handler is in this process, so that answers may have `LocalPart`s.
  virtual bool local() const { return false; }
};

struct HttpTransportOptions {
  std::string base_url;  ///< "https://127.0.0.1:6443"; the request's target is appended.
  TlsClientOptions tls;
  Duration connect_timeout = std::chrono::seconds(10);
  Duration timeout = std::chrono::seconds(60);  ///< For a whole round trip; `open` applies it to the headers only.
  size_t max_response_bytes = size_t{1} << 30;
  size_t max_idle_connections = 8;
};

/// HTTP/1.1 over TCP, TLS, or a Unix socket ("unix:///path"), with kept-alive connections.
Result<std::unique_ptr<Transport>> http_transport(HttpTransportOptions options);

/// Calls `handler` in this process as `peer`, through the same authentication as a connection. `handler` must outlive
/// the transport. Requests run on the calling thread; streams are pushed by whichever thread writes them.
std::unique_ptr<Transport> in_process_transport(Handler& handler, Peer peer);

}  // namespace trireme::net
