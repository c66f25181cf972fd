#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "net/http.h"
#include "net/tls.h"

namespace trireme::net {

struct ServerOptions {
  std::string address = "127.0.0.1";  ///< IPv4, IPv6, or "::" for both.
  uint16_t port = 0;                  ///< 0: any free port; see Server::port.
  std::optional<TlsServerOptions> tls;
  int workers = 4;                          ///< Threads that run handlers.
  size_t max_body_bytes = 3 * 1024 * 1024;  ///< Larger bodies are answered 413.
  size_t max_header_bytes = 64 * 1024;
  size_t max_connections = 20'000;
  Duration header_timeout = std::chrono::seconds(30);  ///< To receive a request's head, and its body's progress.
  Duration idle_timeout = std::chrono::seconds(120);
};

/// Serves HTTP/1.1 and HTTP/2 (ALPN h2; prior knowledge on plain text) with one event loop and a pool of workers.
/// Destruction stops accepting, closes every connection and joins the threads.
class Server {
 public:
  /// `handler` must outlive the server.
  static Result<std::unique_ptr<Server>> start(ServerOptions options, Handler& handler);
  virtual ~Server() = default;
  virtual uint16_t port() const = 0;
  /// Stops accepting, lets requests under way finish for `grace`, then closes what remains.
  virtual void shutdown(Duration grace) = 0;
};

}  // namespace trireme::net
