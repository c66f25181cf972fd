#include "controllers/disruption/disruption_controller.h"

#include <fmt/format.h>

#include <map>

#include "api/codec.h"
#include "api/conditions.h"
#include "api/disruption.h"
#include "api/selectors.h"
#include "api/types/autoscalingv1.h"
#include "base/log.h"
#include "client/discovery.h"
#include "controllers/support/key_kind.h"

namespace trireme::controllers {

namespace corev1 = api::corev1;
namespace policyv1 = api::policyv1;
using corev1::Pod;

namespace {

constexpr KeyKind kBudgetKey("budget");
constexpr KeyKind kPodKey("pod");

bool selects(const policyv1::PodDisruptionBudget& budget, const Pod& pod) {
  if (!budget.spec.selector) return false;
  const auto selector = api::LabelSelector::from(*budget.spec.selector);
  return selector.ok() && selector->matches(pod.metadata.labels);
}

std::string group_of(std::string_view api_version) {
  const size_t slash = api_version.find('/');
  return slash == std::string_view::npos ? std::string() : std::string(api_version.substr(0, slash));
}

/// What the owner wants, when it is the very object the pod names.
template <typename T>
std::optional<int32_t> replicas_of(const std::shared_ptr<const T>& found, const std::string& uid) {
  if (!found || found->metadata.uid != uid) return std::nullopt;
  return found->spec.replicas.value_or(1);
}

}  // namespace

DisruptionController::DisruptionController(const ControllerContext& context)
    : Controller(context, "disruption-controller"),
      budgets_(context.informers->informer<Budget>()),
      pods_(context.informers->informer<Pod>()),
      controllers_(context.informers->informer<corev1::ReplicationController>()),
      replica_sets_(context.informers->informer<api::appsv1::ReplicaSet>()),
      deployments_(context.informers->informer<api::appsv1::Deployment>()),
      stateful_sets_(context.informers->informer<api::appsv1::StatefulSet>()),
      events_(context.events->recorder("controllermanager")) {
  budgets_.add_handler([this](const BudgetPointer& before, const BudgetPointer& after) {
    const Budget& any = after ? *after : *before;
    enqueue(kBudgetKey(client::key_of(any.metadata)));
  });
  pods_.add_handler([this](const PodPointer& before, const PodPointer& after) {
    if (before) enqueue_budgets_of(*before);
    if (!after) return;
    if (!before || before->metadata.labels != after->metadata.labels) enqueue_budgets_of(*after);
    Duration due{};
    if (has_stale_disruption(*after, clock().now(), due)) {
      enqueue_after(kPodKey(client::key_of(after->metadata)), due);
    }
  });
}

std::vector<DisruptionController::BudgetPointer> DisruptionController::budgets_of(const Pod& pod) const {
  std::vector<BudgetPointer> out = budgets_.list(pod.metadata.namespace_);
  std::erase_if(out, [&](const BudgetPointer& budget) { return !selects(*budget, pod); });
  return out;
}

void DisruptionController::enqueue_budgets_of(const Pod& pod) {
  for (const BudgetPointer& budget : budgets_of(pod)) {
    enqueue(kBudgetKey(client::key_of(budget->metadata)));
  }
}

std::vector<PodPointer> DisruptionController::pods_of(const Budget& budget) const {
  std::vector<PodPointer> out;
  if (!budget.spec.selector) return out;
  const auto selector = api::LabelSelector::from(*budget.spec.selector);
  if (!selector.ok()) return out;
  for (PodPointer& pod : pods_.list(budget.metadata.namespace_)) {
    if (selector->matches(pod->metadata.labels)) out.push_back(std::move(pod));
  }
  return out;
}

Result<int32_t> DisruptionController::scale_of(const Pod& pod, const api::metav1::OwnerReference& owner,
                                               std::string& uid) {
  const std::string& ns = pod.metadata.namespace_;
  const std::string group = group_of(owner.api_version);
  std::optional<int32_t> scale;
  uid = owner.uid;
  if (owner.kind == "ReplicationController" && group.empty()) {
    scale = replicas_of(controllers_.get(ns, owner.name), owner.uid);
  } else if (owner.kind == "ReplicaSet" && group == "apps") {
    const auto set = replica_sets_.get(ns, owner.name);
    scale = replicas_of(set, owner.uid);
    const auto* above = scale ? controller_of(set->metadata) : nullptr;
    if (above != nullptr && above->kind == "Deployment" && group_of(above->api_version) == "apps") {
      // All sets of a deployment together want what it wants.
      if (const auto wanted = replicas_of(deployments_.get(ns, above->name), above->uid)) {
        scale = wanted;
        uid = above->uid;
      }
    }
  } else if (owner.kind == "StatefulSet" && group == "apps") {
    scale = replicas_of(stateful_sets_.get(ns, owner.name), owner.uid);
  } else {
    TRY_ASSIGN(const api::ResourceInfo* resource,
               client::resource_of_kind(client().raw(), owner.api_version, owner.kind));
    const auto body = client().raw().get_path(client::scale_path(*resource, ns, owner.name));
    if (body.status().is(Reason::kNotFound) || body.status().is(Reason::kMethodNotAllowed)) {
      return Status::bad_request(fmt::format("{}{}{} does not implement the scale subresource", resource->resource,
                                             resource->group.empty() ? "" : ".", resource->group));
    }
    TRY(body.status());
    TRY_ASSIGN(const auto found, api::decode_json<api::autoscalingv1::Scale>(*body));
    if (found.metadata.uid == owner.uid) scale = found.spec.replicas;
  }
  if (scale) return *scale;
  return Status::not_found(fmt::format("found no controllers for pod \"{}\"", pod.metadata.name));
}

Result<int32_t> DisruptionController::expected_scale(const std::vector<PodPointer>& pods, bool& unmanaged) {
  std::map<std::string, int32_t> scales;  // By the controller's uid.
  for (const PodPointer& pod : pods) {
    const auto* owner = controller_of(pod->metadata);
    if (owner == nullptr) {
      unmanaged = true;
      continue;
    }
    if (scales.contains(owner->uid)) continue;
    std::string uid;
    TRY_ASSIGN(const int32_t scale, scale_of(*pod, *owner, uid));
    scales[uid] = scale;
  }
  int32_t total = 0;
  for (const auto& [uid, scale] : scales) total += scale;
  return total;
}

void DisruptionController::report(const Budget& budget, const std::vector<PodPointer>& pods, bool unmanaged,
                                  const Disrupted& disrupted) {
  if (pods.empty()) events_.normal(budget, "NoPods", "No matching pods found");
  if (unmanaged) {
    const auto selector = api::LabelSelector::from(*budget.spec.selector);
    events_.warning(budget, "UnmanagedPods",
                    fmt::format("Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. "
                                "As a result, the status of the PDB cannot be calculated correctly, which may result "
                                "in undefined behavior. To account for these pods please set \".spec.minAvailable\" "
                                "field of the PDB to an integer value.",
                                selector.ok() ? selector->to_string() : std::string()));
  }
  for (const PodPointer& pod : disrupted.overdue) {
    events_.warning(*pod, "NotDeleted",
                    fmt::format("Pod was expected by PDB {}/{} to be deleted but it wasn't", budget.metadata.namespace_,
                                budget.metadata.name));
  }
  if (budgets_.list(budget.metadata.namespace_).size() < 2) return;
  for (const PodPointer& pod : pods) {
    const std::vector<BudgetPointer> all = budgets_of(*pod);
    if (all.size() < 2 || all.front()->metadata.name != budget.metadata.name) continue;
    events_.warning(*pod, "MultiplePodDisruptionBudgets",
                    fmt::format("Pod \"{}\"/\"{}\" matches multiple PodDisruptionBudgets.  Chose \"{}\" arbitrarily.",
                                pod->metadata.namespace_, pod->metadata.name, budget.metadata.name));
  }
}

Status DisruptionController::write(Budget budget) {
  const Status written = client().update_status(budget).status();
  return written.is(Reason::kNotFound) ? Status() : written;
}

Result<Outcome> DisruptionController::try_sync(const Budget& budget) {
  const std::vector<PodPointer> pods = pods_of(budget);
  bool unmanaged = false;
  const auto expected = expected_pods(budget.spec, pods.size(), [&] { return expected_scale(pods, unmanaged); });
  if (!expected.ok()) {
    events_.warning(budget, "CalculateExpectedPodCountFailed",
                    "Failed to calculate the number of expected pods: " + expected.status().message());
    return expected.status();
  }
  const Disrupted disrupted = disrupted_pods(budget.status.disrupted_pods, pods, clock().now());
  report(budget, pods, unmanaged, disrupted);

  Budget changed = budget;
  auto& status = changed.status;
  status.current_healthy = count_healthy(pods, disrupted);
  status.desired_healthy = expected->healthy;
  status.expected_pods = expected->expected;
  status.disruptions_allowed = allowed_disruptions(*expected, status.current_healthy);
  status.disrupted_pods = disrupted.pods;
  status.observed_generation = budget.metadata.generation;
  const bool flipped = api::update_disruption_allowed(changed, clock().now());
  const auto& old = budget.status;
  if (flipped || status.current_healthy != old.current_healthy || status.desired_healthy != old.desired_healthy ||
      status.expected_pods != old.expected_pods || status.disruptions_allowed != old.disruptions_allowed ||
      status.disrupted_pods != old.disrupted_pods || status.observed_generation != old.observed_generation) {
    TRY(write(std::move(changed)));
  }
  return Outcome::again_after(disrupted.next);
}

Result<Outcome> DisruptionController::sync_budget(const std::string& key) {
  const BudgetPointer budget = budgets_.get(key);
  if (!budget) return Outcome::done();
  Result<Outcome> outcome = try_sync(*budget);
  if (outcome.ok() || outcome.status().is(Reason::kConflict)) return outcome;
  // Whatever is wrong: better no eviction than one too many.
  log::warning("A disruption budget cannot be computed", {{"budget", key}, {"error", outcome.status()}});
  Budget closed = *budget;
  closed.status.disruptions_allowed = 0;
  api::metav1::Condition condition;
  condition.type = policyv1::kDisruptionAllowedCondition;
  condition.status = corev1::kConditionFalse;
  condition.reason = policyv1::kSyncFailedReason;
  condition.message = outcome.status().message();
  condition.observed_generation = closed.status.observed_generation;
  const bool told = api::set_condition(closed.status.conditions, std::move(condition), clock().now());
  if (told || budget->status.disruptions_allowed != 0) TRY(write(std::move(closed)));
  return Outcome::done();
}

Result<Outcome> DisruptionController::sync_stale_condition(const std::string& key) {
  const PodPointer pod = pods_.get(key);
  Duration due{};
  if (!pod || !has_stale_disruption(*pod, clock().now(), due)) return Outcome::done();
  if (due > Duration::zero()) return Outcome::again_after(due);
  Pod changed = *pod;
  corev1::PodCondition condition;
  condition.type = corev1::kDisruptionTarget;
  condition.status = corev1::kConditionFalse;
  api::set_condition(changed.status.conditions, std::move(condition), clock().now());
  const Status written = client().update_status(changed).status();
  if (!written.ok() && !written.is(Reason::kNotFound)) return written;
  return Outcome::done();
}

Result<Outcome> DisruptionController::reconcile(const std::string& key) {
  if (const auto pod = kPodKey.name_in(key)) return sync_stale_condition(*pod);
  if (const auto budget = kBudgetKey.name_in(key)) return sync_budget(*budget);
  return Outcome::done();
}

}  // namespace trireme::controllers
