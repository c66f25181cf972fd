#pragma once

#include <string>
#include <vector>

#include "api/types/corev1.h"
#include "base/metrics.h"
#include "controllers/runtime/controller.h"
#include "controllers/support/pods.h"

namespace trireme::controllers {

/// The finished pods to delete so that `threshold` remain: the oldest first, evicted ones before others.
std::vector<PodPointer> surplus_finished(std::vector<PodPointer> finished, size_t threshold);

/// Deletes pods that nobody else can end: those bound to nodes that are gone, those being deleted that never had a
/// node, and finished ones beyond the threshold. Driven by changes: a node's pods get a quarantine of 40 s after it
/// vanished. https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-garbage-collection
class PodGcController final : public Controller, public metrics::Source {
 public:
  explicit PodGcController(const ControllerContext& context);
  /// Keys: "node NAME", "pod NS/NAME" or "finished".
  Result<Outcome> reconcile(const std::string& key) override;
  void begin() override;
  void print_metrics(std::string& out) const override;

 private:
  Result<Outcome> collect_node(const std::string& name);
  Status collect_unscheduled(const std::string& key);
  Status collect_finished();
  /// Counts a deletion, which may have failed, by its reason in upstream's metrics.
  Status counted(const api::corev1::Pod& pod, std::string_view reason, Status removed);
  void enqueue_if_orphaned(const api::corev1::Pod& pod);

  client::Informer<api::corev1::Node>& nodes_;
  client::Informer<api::corev1::Pod>& pods_;
  metrics::Counters deletions_;
  metrics::Counters errors_;
};

}  // namespace trireme::controllers
