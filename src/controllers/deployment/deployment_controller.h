#pragma once

#include <string>

#include "api/types/appsv1.h"
#include "client/event_recorder.h"
#include "client/informer.h"
#include "controllers/runtime/controller.h"
#include "controllers/support/pods.h"

namespace trireme::controllers {

/// Keeps the replica sets of Deployments: one for the template asked for, the others scaled down step by step and kept
/// as history. https://kubernetes.io/docs/concepts/workloads/controllers/deployment/
class DeploymentController final : public Controller {
 public:
  explicit DeploymentController(const ControllerContext& context);

  Result<Outcome> reconcile(const std::string& key) override;

 private:
  class Pass;
  using Deployment = api::appsv1::Deployment;
  using ReplicaSet = api::appsv1::ReplicaSet;
  void on_set(const std::shared_ptr<const ReplicaSet>& before, const std::shared_ptr<const ReplicaSet>& after);
  void on_pod(const PodPointer& before, const PodPointer& after);
  /// The Deployment that controls the set; null when none does.
  std::shared_ptr<const Deployment> owner_of(const ReplicaSet& set) const;
  void enqueue_owner(const ReplicaSet& set);

  client::Informer<Deployment>& deployments_;
  client::Informer<ReplicaSet>& sets_;
  client::Informer<api::corev1::Pod>& pods_;
  client::EventRecorder events_;
};

}  // namespace trireme::controllers
