#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "net/transport.h"

namespace trireme::ingress {
class IngressController;
}

namespace trireme::cmd {

struct ClusterOptions;

/// Ingresses served by this node: nginx and what configures it. `transport` is to the API server, as somebody with the
/// rights of the role system:trireme-ingress; without them it is tried again until they are given.
Result<std::unique_ptr<ingress::IngressController>> start_node_ingress(const ClusterOptions& options,
                                                                       std::shared_ptr<net::Transport> transport,
                                                                       std::shared_ptr<Clock> clock);

/// The command by which an administrator lets a joined node serve Ingresses; empty when it may, or when it cannot be
/// asked.
std::string missing_ingress_grant(const ClusterOptions& options, std::shared_ptr<net::Transport> transport);

}  // namespace trireme::cmd
