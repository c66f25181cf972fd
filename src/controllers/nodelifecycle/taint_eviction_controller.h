#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "api/types/corev1.h"
#include "base/metrics.h"
#include "controllers/runtime/controller.h"
#include "controllers/support/pods.h"

namespace trireme::controllers {

/// How long the pod may stay on a node with these taints, counted from when each was added: nothing when for ever, zero
/// when a NoExecute taint is not tolerated at all.
std::optional<Duration> tolerated_for(const api::corev1::Pod& pod, const std::vector<api::corev1::Taint>& taints);

/// Deletes pods from nodes whose NoExecute taints they do not tolerate (any longer). Keys are those of pods; a pod that
/// may stay for a while has a timer, others cost nothing.
class TaintEvictionController final : public Controller, public metrics::Source {
 public:
  explicit TaintEvictionController(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;
  void print_metrics(std::string& out) const override;

 private:
  Status evict(const api::corev1::Pod& pod);
  WallTime tainted_since(const api::corev1::Pod& pod, const std::vector<api::corev1::Taint>& taints);

  client::Informer<api::corev1::Node>& nodes_;
  client::Informer<api::corev1::Pod>& pods_;
  client::EventRecorder events_;
  std::mutex mutex_;
  metrics::Counters deletions_;
  metrics::Histograms deletion_latency_;
  std::map<std::string, WallTime> pending_;  ///< By the UID of a pod under a deadline: since when.
};

}  // namespace trireme::controllers
