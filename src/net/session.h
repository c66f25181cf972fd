#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "net/output_queue.h"
#include "net/server.h"
#include "net/server_exchange.h"

/// What a version of HTTP does with the bytes of one connection. Sessions know neither sockets nor the event loop, so
/// a connection can change its session (by ALPN, by the preface, one day by an upgrade) and fuzzers can drive them.
namespace trireme::net {

/// What a session needs from its connection.
class SessionHost {
 public:
  virtual ~SessionHost() = default;
  virtual const ServerOptions& options() const = 0;
  virtual const Peer& peer() const = 0;
  /// Who exchanges report to.
  virtual std::weak_ptr<Waker> waker() = 0;
  /// Hands a complete request to the handler's workers.
  virtual void dispatch(std::shared_ptr<ServerExchange> exchange) = 0;
};

/// All calls come from the event loop.
class Session {
 public:
  /// What the session waits for: decides the connection's deadline.
  enum class Waiting {
    kIdle,       ///< For a request to begin: ServerOptions::idle_timeout.
    kReceiving,  ///< For the rest of a request: header_timeout, from `progress()`.
    kAnswering,  ///< For a handler: no limit.
  };

  virtual ~Session() = default;

  /// Takes bytes the peer sent; keeps a copy of what it cannot use yet.
  virtual void receive(std::string_view bytes) = 0;
  /// The peer will send no more.
  virtual void receive_end() = 0;
  /// An exchange called its waker.
  virtual void wake(int32_t stream) = 0;
  /// Appends what can be sent now, until `out` holds about `target` bytes.
  virtual void produce(OutputQueue& out, size_t target) = 0;

  /// False while the peer sends faster than it is served.
  virtual bool wants_input() const = 0;
  virtual Waiting waiting() const = 0;
  /// Changes whenever a deadline for kReceiving should start anew.
  virtual uint64_t progress() const = 0;
  /// Once true, the connection closes as soon as what was produced is sent; `broken` says it closes at once.
  virtual bool finished() const = 0;
  virtual bool broken() const = 0;

  /// No new requests; finished when those under way are answered.
  virtual void shut_down() = 0;
  /// The connection is gone: closes every exchange.
  virtual void disconnect() = 0;
};

std::unique_ptr<Session> new_http1_session(SessionHost& host);
std::unique_ptr<Session> new_http2_session(SessionHost& host);

/// What an HTTP/2 client sends first.
constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The reason phrase of a status code, or "Unknown".
std::string_view reason_phrase(int status);
/// The present time as a Date field's value; formatted once a second.
std::string_view http_date();
/// Whether a field can be sent as it is: no control characters, a token as name.
bool valid_field(std::string_view name, std::string_view value);
/// The server's own refusal of a request: a metav1.Status for 413, as API clients expect, else plain text.
Response refusal(int status, const ServerOptions& options);

}  // namespace trireme::net
