#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "dns/loop.h"
#include "dns/responder.h"

namespace trireme::dns {

/// A datagram or listening socket on `endpoint`, which need not be an address of this machine yet. `port` 0 picks one.
Result<OwnedFd> bind_socket(const Endpoint& endpoint, int kind);
/// Where it is bound.
Endpoint bound_endpoint(int fd, const Endpoint& endpoint);

/// One thread with a socket of its own for each address; the kernel spreads clients over the workers. Takes and sends
/// datagrams in batches, and allocates nothing for a cluster name.
class UdpWorker {
 public:
  UdpWorker(std::vector<OwnedFd> sockets, std::vector<bool> v6, Responder& responder, std::shared_ptr<Clock> clock);
  ~UdpWorker();

  void start();
  /// Stops the thread; the sockets stay open until destruction, for replies that are on their way.
  void stop();
  const Metrics& metrics() const { return metrics_; }

 private:
  struct Batch;
  void run();
  /// False when nothing had come.
  bool serve(int fd, bool v6, Batch& batch);

  const std::vector<OwnedFd> sockets_;
  const std::vector<bool> v6_;
  Responder& responder_;
  const std::shared_ptr<Clock> clock_;
  OwnedFd wake_;
  Metrics metrics_;
  uint32_t rotation_ = 0;
  std::thread thread_;
};

}  // namespace trireme::dns
