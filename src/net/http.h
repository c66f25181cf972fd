#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

/// HTTP messages as handlers and clients see them, whatever version of the protocol carries them.
namespace trireme::net {

/// Header fields in order; names compare without regard to case.
class Headers {
 public:
  Headers() = default;
  Headers(std::initializer_list<std::pair<std::string, std::string>> fields) : fields_(fields) {}

  /// The first value of `name`, or empty.
  std::string_view get(std::string_view name) const;
  bool has(std::string_view name) const;
  /// Every value of `name`, in order.
  std::vector<std::string_view> all(std::string_view name) const;
  void add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }
  /// Replaces all values of `name`.
  void set(std::string_view name, std::string value);
  void remove(std::string_view name);

  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }
  size_t size() const { return fields_.size(); }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

/// The verified client certificate's subject: what the X.509 authenticator needs.
struct CertificateSubject {
  std::string common_name;
  std::vector<std::string> organizations;
};

/// Who is at the other end of a connection.
struct Peer {
  std::string address;                            ///< "127.0.0.1:41234"; empty for in-process callers.
  std::optional<CertificateSubject> certificate;  ///< Only when it chains to the server's client CA.
};

struct Request {
  std::string method = "GET";
  std::string target = "/";  ///< Path and query as sent: "/api/v1/pods?limit=5".
  Headers headers;
  std::string body;
  Peer peer;

  /// The target's path, still percent-encoded; and its query without the '?'.
  std::string_view path() const;
  std::string_view query() const;
};

/// In an Accept header: the client takes `LocalPart`s; as a Content-Type: a stream of them. Never seen on a socket.
inline constexpr std::string_view kLocalMediaType = "application/vnd.trireme.local";

/// A thing that is handed over as it is, in place of its bytes, where both ends of an exchange are in one process.
/// What it is, sender and receiver agree on: this layer only carries it.
struct LocalPart {
  std::string_view label;      ///< Static text.
  const void* type = nullptr;  ///< Tells what `value` points to.
  std::shared_ptr<const void> value;
};

struct Response {
  int status = 200;
  Headers headers;
  std::string body;
  std::vector<LocalPart> parts;  ///< Only from in-process transports.
};

/// "a=b&c=%20" into pairs, decoded. Order kept; a key without '=' has an empty value.
std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query);
/// Percent-decoding of one path segment or path; BadRequest on a malformed escape.
Result<std::string> percent_decode(std::string_view text);
std::string percent_encode(std::string_view text);

/// One request under way and the means to answer it. Thread-safe: any thread may answer, at any time.
///
/// Either `respond` once, or `start`, any number of `write`s, and `finish`. An exchange that is dropped unanswered
/// is answered with 500. Writing after the peer has gone is harmless.
class Exchange {
 public:
  virtual ~Exchange() = default;

  virtual const Request& request() const = 0;
  /// The request's body, moved out (it may be megabytes).
  virtual std::string take_body() = 0;

  /// A whole answer, sent from shared pieces without copying them together.
  virtual void respond(int status, Headers headers, std::vector<SharedBytes> body) = 0;
  void respond(int status, Headers headers, std::string body);

  virtual void start(int status, Headers headers) = 0;
  /// Queues bytes of a streamed body; never blocks. Returns how many bytes now wait to be sent: a producer stops at
  /// its own limit and goes on at `on_drained`.
  virtual size_t write(SharedBytes bytes) = 0;
  virtual void finish() = 0;
  /// Drops the connection or stream at once (a producer that failed half-way must not look finished).
  virtual void abort() = 0;

  /// Whether the peer is in this process and can be given `LocalPart`s. The next two are only for those that can.
  virtual bool local() const { return false; }
  /// `respond` with parts behind the body.
  virtual void respond_local(int status, Headers headers, std::vector<SharedBytes> body, std::vector<LocalPart> parts);
  /// `write` of a part; a part counts as `kLocalPartSize` bytes. A stream has either bytes or parts.
  virtual size_t write_local(LocalPart part);
  static constexpr size_t kLocalPartSize = 256;

  virtual bool closed() const = 0;
  /// Called once when the peer has gone or the exchange was finished; at once if that has happened already.
  virtual void on_closed(std::function<void()> callback) = 0;
  /// Called each time the queue runs empty after a `write`.
  virtual void on_drained(std::function<void()> callback) = 0;
};

/// Answers requests; called on a worker thread, concurrently. May keep the exchange and answer later.
class Handler {
 public:
  virtual ~Handler() = default;
  virtual void handle(std::shared_ptr<Exchange> exchange) = 0;
};

}  // namespace trireme::net
