#pragma once

#include <functional>
#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

#include "dns/loop.h"
#include "dns/metrics.h"
#include "dns/responder.h"

namespace trireme::dns {

struct TcpOptions {
  size_t max_connections = 512;  ///< The one that was silent longest makes room for a new one.
  size_t max_pending = 32;       ///< Forwarded queries of one connection under way; it is not read further meanwhile.
  size_t max_unsent =
      256 * 1024;  ///< Bytes of responses that a client has not taken; it is not read further meanwhile.
  Duration idle_timeout = std::chrono::seconds(10);
};

/// DNS over TCP (RFC 7766): several queries a connection, answered as they are ready. Lives on the loop's thread.
class TcpServer {
 public:
  TcpServer(Loop& loop, Responder& responder, TcpOptions options);
  ~TcpServer();

  /// Takes a listening socket.
  bool listen(OwnedFd socket, bool v6);
  size_t connections() const { return connections_.size(); }
  const Metrics& metrics() const { return metrics_; }

 private:
  struct Connection;
  void accept(int listener, bool v6);
  void on_ready(const std::shared_ptr<Connection>& connection, uint32_t events);
  void serve(const std::shared_ptr<Connection>& connection);
  void send(Connection& connection, Bytes response);
  bool flush(Connection& connection);
  void update_interest(Connection& connection);
  void close(uint64_t id);
  void sweep();

  Loop& loop_;
  Responder& responder_;
  const TcpOptions options_;
  Metrics metrics_;
  std::vector<OwnedFd> listeners_;
  std::unordered_map<uint64_t, std::shared_ptr<Connection>> connections_;
  std::list<uint64_t> by_use_;  ///< The longest silent first.
  uint64_t last_id_ = 0;
  Loop::TimerId sweeper_ = 0;
  std::vector<uint8_t> scratch_;
  uint32_t rotation_ = 0;
};

}  // namespace trireme::dns
