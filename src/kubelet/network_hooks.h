#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace trireme::api::corev1 {
struct Pod;
}

namespace trireme::kubelet {

/// What the node does about a pod's network besides the runtime's plugins. Called from any worker's thread; each may be
/// empty.
struct NetworkHooks {
  /// Whether the runtime can make networks, as it said last; the agent sets this itself. A failure keeps pods with a
  /// network of their own from getting a sandbox, without the runtime being asked for one.
  std::function<Status()> ready;
  /// The pod's sandbox has these addresses and nothing runs in it yet. Containers start when this has returned well;
  /// after a failure it is called again. A restarted agent calls it for the sandboxes that it finds, before it starts
  /// anything in them.
  std::function<Status(const std::shared_ptr<const api::corev1::Pod>& pod, const std::vector<std::string>& ips)> admit;
  /// Nothing of the pod is left.
  std::function<void(const api::corev1::Pod& pod)> forget;
};

}  // namespace trireme::kubelet
