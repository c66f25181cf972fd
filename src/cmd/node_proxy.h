#pragma once

#include <memory>

#include "base/clock.h"
#include "base/result.h"

namespace trireme::client {
class InformerFactory;
}

namespace trireme::proxy {
class Proxy;
}

namespace trireme::cmd {

struct ClusterOptions;

/// The service proxy of a node in its process.
Result<std::unique_ptr<proxy::Proxy>> start_node_proxy(const ClusterOptions& options,
                                                       client::InformerFactory& informers,
                                                       const std::shared_ptr<Clock>& clock);

}  // namespace trireme::cmd
