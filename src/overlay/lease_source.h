#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "base/result.h"
#include "overlay/config.h"
#include "overlay/lease.h"

namespace trireme::overlay {

/// Who says which subnet a node has, and tells the nodes of each other: the nodes' objects, or etcd. Thread-safe.
class LeaseSource {
 public:
  virtual ~LeaseSource() = default;

  /// From now on `changed` is called, on any thread, whenever one of the answers below may have changed; it only takes
  /// note.
  virtual Status start(std::function<void()> changed) = 0;
  virtual void stop() = 0;

  virtual Result<NetworkConfig> config() = 0;
  /// What was announced of this node before: its VTEPs' addresses are kept. Nothing when there is nothing.
  virtual std::optional<Lease> announced(const Lease& mine) = 0;
  /// This node's subnets, after its addresses were announced as they stand in `mine`. Nothing while the node has no
  /// subnets yet. Cheap when nothing has changed.
  virtual Result<std::optional<Lease>> acquire(const NetworkConfig& config, const Lease& mine) = 0;
  virtual std::vector<Lease> others(const NetworkConfig& config) = 0;
  /// The ways to the others stand.
  virtual Status complete() = 0;
};

}  // namespace trireme::overlay
