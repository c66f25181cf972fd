#pragma once

#include <cstdint>
#include <memory>

#include "base/result.h"
#include "kubelet/pods/node_services.h"
#include "kubelet/pods/pod_manager.h"

namespace trireme::kubelet {

/// The kubelet's HTTPS API, which the API server calls: logs, pods, statistics, health. Only verified client
/// certificates of the group system:masters, or of a name in `server_allowed_names`, are let in.
class KubeletServer {
 public:
  static Result<std::unique_ptr<KubeletServer>> start(NodeServices& node, PodManager& pods);
  virtual ~KubeletServer() = default;
  virtual uint16_t port() const = 0;
  /// Closes every connection; streams end.
  virtual void stop() = 0;
};

}  // namespace trireme::kubelet
