#pragma once

#include <string>
#include <vector>

#include "api/types/appsv1.h"
#include "api/types/corev1.h"
#include "api/types/policyv1.h"
#include "controllers/disruption/budget_plan.h"
#include "controllers/runtime/controller.h"

namespace trireme::controllers {

/// Keeps the status of PodDisruptionBudgets, by which evictions are judged, and takes DisruptionTarget back from pods
/// that were to be deleted and live on. https://kubernetes.io/docs/concepts/workloads/pods/disruptions/
class DisruptionController final : public Controller {
 public:
  explicit DisruptionController(const ControllerContext& context);
  /// Keys: "budget NS/NAME" or "pod NS/NAME".
  Result<Outcome> reconcile(const std::string& key) override;

 private:
  using Budget = api::policyv1::PodDisruptionBudget;
  using BudgetPointer = std::shared_ptr<const Budget>;

  void enqueue_budgets_of(const api::corev1::Pod& pod);
  std::vector<BudgetPointer> budgets_of(const api::corev1::Pod& pod) const;
  std::vector<PodPointer> pods_of(const Budget& budget) const;
  Result<Outcome> sync_budget(const std::string& key);
  Result<Outcome> try_sync(const Budget& budget);
  Result<Outcome> sync_stale_condition(const std::string& key);
  /// The sum of what the pods' controllers want; `unmanaged` receives whether a pod has none.
  Result<int32_t> expected_scale(const std::vector<PodPointer>& pods, bool& unmanaged);
  Result<int32_t> scale_of(const api::corev1::Pod& pod, const api::metav1::OwnerReference& owner, std::string& uid);
  void report(const Budget& budget, const std::vector<PodPointer>& pods, bool unmanaged, const Disrupted& disrupted);
  Status write(Budget budget);

  client::Informer<Budget>& budgets_;
  client::Informer<api::corev1::Pod>& pods_;
  client::Informer<api::corev1::ReplicationController>& controllers_;
  client::Informer<api::appsv1::ReplicaSet>& replica_sets_;
  client::Informer<api::appsv1::Deployment>& deployments_;
  client::Informer<api::appsv1::StatefulSet>& stateful_sets_;
  client::EventRecorder events_;
};

}  // namespace trireme::controllers
