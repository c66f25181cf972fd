#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "api/types/corev1.h"
#include "base/metrics.h"
#include "controllers/nodeipam/cidr_pool.h"
#include "controllers/runtime/controller.h"

namespace trireme::controllers {

/// Gives every node its share of the cluster's pod addresses: spec.podCIDR and spec.podCIDRs, one range a family.
/// Keys are names of nodes. Does nothing unless --allocate-node-cidrs is set.
/// https://kubernetes.io/docs/reference/command-line-tools-reference/kube-controller-manager/ (--cluster-cidr)
class NodeIpamController final : public Controller, public metrics::Source {
 public:
  explicit NodeIpamController(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;
  void print_metrics(std::string& out) const override;

 private:
  void note(const api::corev1::Node& node);
  void forget(const std::string& name);
  /// One range of every pool, or nothing when a pool has none left.
  std::vector<std::string> allocate();
  void release(const std::vector<std::string>& ranges);

  client::Informer<api::corev1::Node>& nodes_;
  client::EventRecorder events_;
  metrics::Counters allocations_;
  metrics::Counters releases_;
  mutable std::mutex mutex_;
  std::vector<CidrPool> pools_;
  std::map<std::string, std::vector<std::string>> held_;  ///< By node: what was seen in its spec.
};

}  // namespace trireme::controllers
