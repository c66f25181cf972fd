#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "cmd/pki.h"
#include "net/transport.h"

namespace trireme::cmd {

struct ClusterOptions;

/// Makes the API server's certificate anew when it lacks one of the names and addresses by which clients reach it. A
/// server that runs takes it up by itself.
Status ensure_server_certificate(const ClusterOptions& options, Pki& pki);

/// API server, controllers and scheduler in this process, on the embedded store.
class ControlPlane {
 public:
  /// Opens the store and serves; returns when requests are answered.
  static Result<std::unique_ptr<ControlPlane>> start(const ClusterOptions& options, Pki& pki,
                                                     std::shared_ptr<Clock> clock);
  virtual ~ControlPlane() = default;

  /// The port it listens on.
  virtual uint16_t port() const = 0;
  /// Calls of a component in this process that proves itself as a client certificate's subject would.
  virtual std::shared_ptr<net::Transport> transport(std::string common_name,
                                                    std::vector<std::string> organizations = {}) = 0;
  /// Makes certificates anew whose time is nearly over; connections from then on use them.
  virtual Status renew_certificates(Pki& pki) = 0;
  virtual Status start_controllers() = 0;
  virtual Status start_scheduler() = 0;
  /// Components first, then the server, then the store.
  virtual void stop() = 0;
};

}  // namespace trireme::cmd
