#pragma once

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "api/types/policyv1.h"
#include "scheduler/cycle.h"
#include "scheduler/registry.h"

namespace trireme::scheduler {

/// Finds the node on which a pod that fits nowhere could take the place of less important pods.
/// https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/
class Preemption {
 public:
  using Budgets = std::vector<std::shared_ptr<const api::policyv1::PodDisruptionBudget>>;

  /// `budgets` lists a namespace's. What is passed outlives it.
  Preemption(const Cache& cache, const Nominations& nominations, std::function<Budgets(const std::string& ns)> budgets,
             uint64_t seed, PreemptionArgs args = {}, const std::vector<std::unique_ptr<Extender>>* extenders = nullptr)
      : cache_(cache),
        nominations_(nominations),
        budgets_(std::move(budgets)),
        random_(seed),
        args_(args),
        extenders_(extenders) {}

  /// `filters` refused every node, as `refusal` tells; they are left as they were.
  Rescue plan(PodFilters& filters, const Refusal& refusal);

 private:
  struct Candidate {
    const NodeInfo* node = nullptr;
    std::vector<PodInfoPointer> victims;
    size_t violations = 0;  ///< Victims whose disruption budgets allow no more.
  };
  /// Why pods must not be preempted for this one now; empty when they may.
  std::string forbidden(const PodInfo& pod, const Refusal& refusal) const;
  /// Fills `candidate`, or `reasons` when removing pods does not help.
  bool try_node(PodFilters& filters, const NodeInfo& node, Candidate& candidate, Reasons& reasons) const;
  /// Splits off those whose budgets would be violated if all were removed; keeps the order.
  std::vector<PodInfoPointer> take_protected(std::vector<PodInfoPointer>& pods) const;
  /// Leaves the candidates that the extenders agree with.
  Status ask_extenders(const PodInfo& pod, std::vector<Candidate>& candidates) const;
  static const Candidate& best(const std::vector<Candidate>& candidates);

  const Cache& cache_;
  const Nominations& nominations_;
  std::function<Budgets(const std::string&)> budgets_;
  std::mt19937_64 random_;
  PreemptionArgs args_;
  const std::vector<std::unique_ptr<Extender>>* extenders_;
};

/// Preemption as the plugin DefaultPreemption. Null without informers.
std::shared_ptr<Plugin> default_preemption(const PluginContext& context);

}  // namespace trireme::scheduler
