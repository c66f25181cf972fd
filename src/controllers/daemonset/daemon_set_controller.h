#pragma once

#include <map>
#include <mutex>
#include <string>

#include "api/types/appsv1.h"
#include "api/types/corev1.h"
#include "controllers/runtime/controller.h"
#include "controllers/support/owned_pods.h"
#include "controllers/support/write_fence.h"

namespace trireme::controllers {

/// How long to wait before a pod that failed on a node is killed once more: from a second, doubling, to fifteen
/// minutes; forgotten after twice that. Thread-safe.
class FailedPodBackoff {
 public:
  /// Zero: now is the time, and it is counted. Otherwise how long is left.
  Duration take(const std::string& key, Duration now);

 private:
  struct Entry {
    Duration delay;
    Duration last;
  };
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;
};

/// Keeps one pod of a DaemonSet on every node that is eligible.
/// https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/
class DaemonSetController final : public Controller {
 public:
  explicit DaemonSetController(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;

 private:
  class Pass;
  using SetPointer = std::shared_ptr<const api::appsv1::DaemonSet>;
  using NodePointer = std::shared_ptr<const api::corev1::Node>;
  void on_node(const NodePointer& before, const NodePointer& after);

  client::Informer<api::appsv1::DaemonSet>& sets_;
  client::Informer<api::corev1::Pod>& pods_;
  client::Informer<api::corev1::Node>& nodes_;
  client::Informer<api::appsv1::ControllerRevision>& revisions_;
  client::EventRecorder events_;
  const OwnerFinder<api::appsv1::DaemonSet> finder_;
  WriteFence fence_;            ///< Of pods.
  WriteFence revisions_fence_;  ///< Lest two revisions get the same number.
  FailedPodBackoff backoff_;
};

}  // namespace trireme::controllers
