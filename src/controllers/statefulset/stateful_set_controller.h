#pragma once

#include <string>

#include "api/types/appsv1.h"
#include "api/types/corev1.h"
#include "controllers/runtime/controller.h"
#include "controllers/support/owned_pods.h"
#include "controllers/support/write_fence.h"

namespace trireme::controllers {

/// Keeps the pods of StatefulSets: each with a name, a place in the order and claims of its own, which outlive it.
/// https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/
class StatefulSetController final : public Controller {
 public:
  explicit StatefulSetController(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;

 private:
  class Pass;
  using SetPointer = std::shared_ptr<const api::appsv1::StatefulSet>;

  client::Informer<api::appsv1::StatefulSet>& sets_;
  client::Informer<api::corev1::Pod>& pods_;
  client::Informer<api::corev1::PersistentVolumeClaim>& claims_;
  client::Informer<api::appsv1::ControllerRevision>& revisions_;
  client::EventRecorder events_;
  const OwnerFinder<api::appsv1::StatefulSet> finder_;
  WriteFence fence_;            ///< Of pods.
  WriteFence revisions_fence_;  ///< Lest two revisions get the same number.
};

}  // namespace trireme::controllers
