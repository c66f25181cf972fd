#include "scheduler/preemption.h"

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>

#include "scheduler/extender.h"

namespace trireme::scheduler {
namespace {

using api::corev1::Pod;

/// Seconds since 1970; a pod that has not started counts as the newest.
int64_t start_of(const PodInfo& pod) {
  const auto& start = pod.pod->status.start_time;
  return start && *start ? start->unix_seconds() : std::numeric_limits<int64_t>::max();
}

bool more_important(const PodInfoPointer& a, const PodInfoPointer& b) {
  if (a->priority != b->priority) return a->priority > b->priority;
  return start_of(*a) < start_of(*b);
}

bool ending_by_preemption(const Pod& pod) {
  return pod.metadata.deletion_timestamp && std::ranges::any_of(pod.status.conditions, [](const auto& condition) {
           return condition.type == api::corev1::kDisruptionTarget && condition.status == api::corev1::kConditionTrue &&
                  condition.reason == api::corev1::kPodReasonPreemptionByScheduler;
         });
}

/// Enough to choose from: by default a tenth of the nodes, at least a hundred.
size_t candidates_to_find(size_t nodes, const PreemptionArgs& args) {
  const size_t share = nodes * static_cast<size_t>(args.min_candidate_nodes_percentage) / 100;
  return std::min(nodes, std::max<size_t>(static_cast<size_t>(args.min_candidate_nodes_absolute), share));
}

}  // namespace

std::string Preemption::forbidden(const PodInfo& pod, const Refusal& refusal) const {
  if (pod.pod->spec.preemption_policy == api::corev1::kPreemptNever)
    return "not eligible due to preemptionPolicy=Never.";
  const std::string promised = nominations_.node_of(pod.uid());
  if (promised.empty()) return {};
  const NodeInfo* node = cache_.node(promised);
  // A promise that cannot come true any more does not bind.
  if (!node || std::ranges::count(refusal.resolvable, node) == 0) return {};
  const bool ending = std::ranges::any_of(node->pods, [&](const PodInfoPointer& each) {
    return each->priority < pod.priority && ending_by_preemption(*each->pod);
  });
  return ending ? "not eligible due to a terminating pod on the nominated node." : std::string();
}

std::vector<PodInfoPointer> Preemption::take_protected(std::vector<PodInfoPointer>& pods) const {
  struct Budget {
    std::shared_ptr<const api::policyv1::PodDisruptionBudget> object;
    api::LabelSelector selector;
    int64_t left;
  };
  std::map<std::string, std::vector<Budget>> by_namespace;
  std::vector<PodInfoPointer> protected_pods;
  std::vector<PodInfoPointer> others;
  for (PodInfoPointer& each : pods) {
    const auto& metadata = each->pod->metadata;
    const auto [found, added] = by_namespace.try_emplace(metadata.namespace_);
    if (added) {
      for (auto& object : budgets_(metadata.namespace_)) {
        if (!object->spec.selector) continue;
        auto selector = api::LabelSelector::from(*object->spec.selector);
        if (!selector.ok() || selector->empty()) continue;
        const int64_t left = object->status.disruptions_allowed;
        found->second.push_back({std::move(object), std::move(*selector), left});
      }
    }
    bool violates = false;
    for (Budget& budget : found->second) {
      if (metadata.labels.empty() || !budget.selector.matches(metadata.labels)) continue;
      // Counted already when its eviction was allowed.
      if (budget.object->status.disrupted_pods.contains(metadata.name)) continue;
      if (--budget.left < 0) violates = true;
    }
    (violates ? protected_pods : others).push_back(std::move(each));
  }
  pods = std::move(others);
  return protected_pods;
}

bool Preemption::try_node(PodFilters& filters, const NodeInfo& node, Candidate& candidate, Reasons& reasons) const {
  std::vector<PodInfoPointer> removed;
  if (node.lowest_priority >= filters.pod().priority) {
    reasons.emplace_back("No preemption victims found for incoming pod");
    return false;
  }
  for (const PodInfoPointer& each : node.pods) {
    if (each->priority < filters.pod().priority) removed.push_back(each);
  }
  NodeInfo trial = node;
  const auto take = [&](const PodInfoPointer& pod) {
    trial.remove_pod(pod->uid());
    filters.remove_pod(*pod, trial);
  };
  const auto put_back = [&](const PodInfoPointer& pod) {
    trial.add_pod(pod);
    filters.add_pod(*pod, trial);
  };
  uint32_t ignored = 0;
  for (const PodInfoPointer& each : removed) take(each);
  const bool helps = filters.check(trial, reasons, ignored) == Fit::kFits;
  if (!helps) {
    for (const PodInfoPointer& each : removed) put_back(each);
    return false;
  }
  // Spare as many as possible, those with budgets first, then the more important.
  std::ranges::stable_sort(removed, more_important);
  std::vector<PodInfoPointer> others = std::move(removed);
  const std::vector<PodInfoPointer> protected_pods = take_protected(others);
  Reasons unused;
  const auto spare = [&](const PodInfoPointer& pod) {
    put_back(pod);
    if (filters.check(trial, unused, ignored) == Fit::kFits) return true;
    take(pod);
    candidate.victims.push_back(pod);
    return false;
  };
  for (const PodInfoPointer& each : protected_pods) {
    if (!spare(each)) ++candidate.violations;
  }
  for (const PodInfoPointer& each : others) spare(each);
  for (const PodInfoPointer& each : candidate.victims) filters.add_pod(*each, trial);
  std::ranges::stable_sort(candidate.victims, more_important);
  candidate.node = &node;
  return true;
}

const Preemption::Candidate& Preemption::best(const std::vector<Candidate>& candidates) {
  // In this order: fewest budgets violated, least important first victim, smallest sum of priorities, fewest victims,
  // and the most important victims started last.
  const auto rank = [](const Candidate& candidate) {
    int64_t sum = 0;
    int64_t earliest = std::numeric_limits<int64_t>::max();
    const int32_t highest =
        candidate.victims.empty() ? std::numeric_limits<int32_t>::min() : candidate.victims.front()->priority;
    for (const PodInfoPointer& each : candidate.victims) {
      // Shifted so that more victims never weigh less, whatever their sign.
      sum += static_cast<int64_t>(each->priority) + std::numeric_limits<int32_t>::max() + 1LL;
      if (each->priority == highest) earliest = std::min(earliest, start_of(*each));
    }
    return std::tuple(candidate.violations, highest, sum, candidate.victims.size(), -earliest);
  };
  return *std::ranges::min_element(candidates, {}, rank);
}

Status Preemption::ask_extenders(const PodInfo& pod, std::vector<Candidate>& candidates) const {
  if (!extenders_) return {};
  for (const auto& extender : *extenders_) {
    if (candidates.empty()) break;
    if (extender->config().preempt_verb.empty() || !extender->interested(*pod.pod)) continue;
    Extender::Candidates offered;
    for (Candidate& each : candidates) {
      offered[each.node] = {std::move(each.victims), static_cast<int64_t>(each.violations)};
    }
    const auto agreed = extender->preempt(pod, offered, cache_);
    if (!agreed.ok() && !extender->config().ignorable) return agreed.status();
    candidates.clear();
    for (const auto& [node, victims] : agreed.ok() ? *agreed : offered) {
      candidates.push_back({node, victims.pods, static_cast<size_t>(victims.violations)});
      std::ranges::stable_sort(candidates.back().victims, more_important);
    }
    std::ranges::sort(candidates, {}, [](const Candidate& each) -> const std::string& { return each.node->name; });
  }
  return {};
}

Rescue Preemption::plan(PodFilters& filters, const Refusal& refusal) {
  Rescue plan;
  plan.message = forbidden(filters.pod(), refusal);
  plan.eligible = plan.message.empty();
  if (!plan.eligible) return plan;
  const std::vector<const NodeInfo*>& nodes = refusal.resolvable;
  const size_t enough = candidates_to_find(nodes.size(), args_);
  const size_t offset = nodes.size() > 1 ? std::uniform_int_distribution<size_t>(0, nodes.size() - 1)(random_) : 0;
  std::vector<Candidate> candidates;
  Refusal failed;
  failed.all_nodes = refusal.all_nodes;
  for (size_t i = 0; i < nodes.size() && candidates.size() < enough; ++i) {
    Candidate candidate;
    Reasons reasons;
    if (try_node(filters, *nodes[(offset + i) % nodes.size()], candidate, reasons)) {
      candidates.push_back(std::move(candidate));
    } else {
      for (const Reasons::Text reason : reasons.texts()) failed.count(reason);
    }
  }
  if (candidates.empty()) {
    const size_t hopeless = refusal.all_nodes - nodes.size();
    if (hopeless > 0) failed.count("Preemption is not helpful for scheduling", hopeless);
    plan.message = failed.message();
    return plan;
  }
  const Status asked = ask_extenders(filters.pod(), candidates);
  if (!asked.ok() || candidates.empty()) {
    plan.message = asked.message();
    return plan;
  }
  const Candidate& chosen = best(candidates);
  plan.node = chosen.node;
  plan.victims = chosen.victims;
  return plan;
}

namespace {

class DefaultPreemption final : public Plugin {
 public:
  explicit DefaultPreemption(const PluginContext& context)
      : budgets_(context.informers->informer<api::policyv1::PodDisruptionBudget>()),
        preemption_(
            *context.cache, *context.nominations, [this](const std::string& ns) { return budgets_.list(ns); },
            context.random_seed, context.args.preemption, context.extenders) {}
  std::string_view name() const override { return "DefaultPreemption"; }
  uint32_t points() const override { return point_bit(Point::kPostFilter); }
  std::optional<Rescue> post_filter(PodFilters& filters, const Refusal& refusal) override {
    return preemption_.plan(filters, refusal);
  }

 private:
  client::Informer<api::policyv1::PodDisruptionBudget>& budgets_;
  Preemption preemption_;
};

}  // namespace

std::shared_ptr<Plugin> default_preemption(const PluginContext& context) {
  if (!context.informers || !context.cache || !context.nominations) return nullptr;
  return std::make_shared<DefaultPreemption>(context);
}

}  // namespace trireme::scheduler
