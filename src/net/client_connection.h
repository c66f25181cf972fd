#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "net/socket_stream.h"
#include "net/tls_context.h"

struct sockaddr;

namespace trireme::net {

/// Until when, and how long no longer, a blocking call may wait.
struct Patience {
  std::optional<std::chrono::steady_clock::time_point> deadline;
  std::stop_token stop;

  static Patience for_duration(Duration duration, std::stop_token stop);
};

/// Where a transport connects to.
struct Endpoint {
  bool tls = false;
  std::string host;  ///< Without brackets; empty for a Unix socket.
  std::string port;
  std::string unix_path;
  std::string authority;  ///< The Host field's value.
  std::string base_path;  ///< Goes before each request's target, without a trailing '/'.
};

/// "http://host:port/base", "https://[::1]:6443", "unix:///run/x.sock"; BadRequest for anything else.
Result<Endpoint> parse_base_url(const std::string& url);

/// A client's connection with blocking calls. A stop request wakes them at once, through an eventfd. One thread at a
/// time.
class ClientConnection {
 public:
  /// Connects to the first address that answers, and shakes hands. `tls` is null for plain connections.
  static Result<std::unique_ptr<ClientConnection>> open(const Endpoint& endpoint, const TlsClientContext* tls,
                                                        const Patience& patience);
  ~ClientConnection();
  ClientConnection(const ClientConnection&) = delete;
  ClientConnection& operator=(const ClientConnection&) = delete;

  /// Sends all of `queue`; `sent` tells how much went out before a failure.
  Status write(OutputQueue& queue, const Patience& patience, size_t& sent);
  /// Waits for bytes; 0 at the end of input.
  Result<size_t> read(char* buffer, size_t capacity, const Patience& patience);
  /// Whether a connection that was idle still stands with nothing unexpected received.
  bool reusable();

 private:
  ClientConnection(int descriptor, int wake) : descriptor_(descriptor), wake_(wake) {}
  Status connect_to(const sockaddr* address, unsigned length, const Patience& patience);
  /// Blocks until the socket is ready for `events`.
  Status wait(short events, const Patience& patience);  // NOLINT: poll's type

  int descriptor_;
  int wake_;  // becomes readable at a stop request
  SocketStream stream_;
};

}  // namespace trireme::net
