#pragma once

#include <string>

#include "controllers/replicas/replica_manager.h"
#include "controllers/runtime/controller.h"
#include "controllers/support/owned_pods.h"

namespace trireme::controllers {

/// ReplicationController and ReplicaSet: the same controller over two kinds. `T` is instantiated for both in the
/// source. https://kubernetes.io/docs/concepts/workloads/controllers/replicationcontroller/
template <typename T>
class ReplicaController final : public Controller, public metrics::Source {
 public:
  /// `component` signs the events.
  ReplicaController(const ControllerContext& context, std::string name, std::string component);

  Result<Outcome> reconcile(const std::string& key) override;
  /// Of ReplicaSets only: upstream has one metric for both kinds.
  void print_metrics(std::string& out) const override;

 private:
  using Pointer = std::shared_ptr<const T>;
  /// The pods of all that have the same controller (a Deployment's replica sets), this one's among them.
  std::vector<PodPointer> related(const T& object) const;
  Status write_status(T object, const ReplicaCounts& counts, const ReplicaManager::Scaling& scaling);

  client::Informer<T>& owners_;
  client::Informer<api::corev1::Pod>& pods_;
  const OwnerFinder<T> finder_;
  ReplicaManager manager_;
};

}  // namespace trireme::controllers
