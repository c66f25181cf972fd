#pragma once

#include <map>
#include <mutex>
#include <string>

#include "api/types/coordinationv1.h"
#include "api/types/corev1.h"
#include "base/metrics.h"
#include "controllers/nodelifecycle/node_health.h"
#include "controllers/runtime/controller.h"

namespace trireme::controllers {

/// Watches the nodes' heartbeats (leases and status): a node that falls silent becomes Unknown after the grace period,
/// gets taints, and its pods are no longer Ready. Keys are names of nodes; between heartbeats nothing runs but one
/// timer per node, which is due when the grace would be over.
/// https://kubernetes.io/docs/concepts/architecture/nodes/#node-heartbeats
class NodeLifecycleController final : public Controller, public metrics::Source {
 public:
  explicit NodeLifecycleController(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;
  void print_metrics(std::string& out) const override;

 private:
  using NodePointer = std::shared_ptr<const api::corev1::Node>;
  struct Known {
    Duration heard{};   ///< Monotonic time of the last sign of life.
    std::string ready;  ///< The Ready status that was acted on.
  };
  void heard_from(const std::string& node);
  void forget(const std::string& node);
  /// How long until the node must be called silent; zero or less when it must.
  Duration silence_left(const api::corev1::Node& node);
  std::map<std::string, ZoneHealth> zones() const;
  void note_readiness(const NodePointer& node);
  /// Whether the NoExecute taint may be set now; else `wait` tells when to ask again (zero: when another node changes).
  bool may_evict(const api::corev1::Node& node, Duration& wait);
  Result<Outcome> sync(const NodePointer& node);
  Status write_taints(const NodePointer& node, bool execute);
  Status mark_pods_not_ready(const std::string& node);

  client::Informer<api::corev1::Node>& nodes_;
  client::Informer<api::coordinationv1::Lease>& leases_;
  client::Informer<api::corev1::Pod>& pods_;
  client::EventRecorder events_;
  const EvictionRates rates_;
  metrics::Counters evictions_;
  metrics::Histograms update_duration_;
  std::mutex mutex_;
  std::map<std::string, Known> known_;
  std::map<std::string, Duration> next_eviction_;  ///< By zone: when the next node may be tainted NoExecute.
};

}  // namespace trireme::controllers
