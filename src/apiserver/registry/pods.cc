#include <fmt/format.h>

#include <algorithm>

#include "api/conditions.h"
#include "api/defaults/defaults.h"
#include "api/disruption.h"
#include "api/selectors.h"
#include "api/status_convert.h"
#include "api/types/corev1.h"
#include "api/types/policyv1.h"
#include "apiserver/http/body.h"
#include "apiserver/registry/registry.h"

namespace trireme::apiserver {

namespace {

namespace corev1 = api::corev1;
using api::policyv1::Eviction;
using api::policyv1::PodDisruptionBudget;

/// More pods than this may not be on their way out under one budget at a time.
constexpr size_t kMaxDisruptedPods = 2000;
/// A pod that changes all the time is given up after so many tries.
constexpr int kEvictionTries = 20;

const api::ResourceInfo& pods() { return api::resource_of<corev1::Pod>(); }

void set_scheduled(corev1::Pod& pod, const Clock& clock) {
  auto& conditions = pod.status.conditions;
  auto found = std::find_if(conditions.begin(), conditions.end(),
                            [](const corev1::PodCondition& each) { return each.type == corev1::kPodScheduled; });
  if (found == conditions.end()) {
    conditions.emplace_back();
    found = std::prev(conditions.end());
    found->type = corev1::kPodScheduled;
  }
  if (found->status == corev1::kConditionTrue) return;
  found->status = corev1::kConditionTrue;
  found->reason.clear();
  found->message.clear();
  found->last_transition_time = api::Time(clock.now());
}

bool is_ready(const corev1::Pod& pod) {
  for (const corev1::PodCondition& each : pod.status.conditions) {
    if (each.type == corev1::kPodReady) return each.status == corev1::kConditionTrue;
  }
  return false;
}

/// Pods that serve nothing yet or no more are evicted whatever the budget.
bool ignores_budget(const corev1::Pod& pod) {
  const std::string& phase = pod.status.phase;
  return phase == corev1::kPodSucceeded || phase == corev1::kPodFailed || phase == corev1::kPodPending ||
         pod.metadata.deletion_timestamp;
}

Status refused(std::string why, int retry_after_seconds) {
  return {Reason::kTooManyRequests,
          "Cannot evict pod as it would violate the pod's disruption budget.",
          {.causes = {{std::string(api::policyv1::kDisruptionBudgetCause), std::move(why), ""}},
           .retry_after_seconds = retry_after_seconds}};
}

Status still_processed(const std::string& budget) {
  return refused(fmt::format("The disruption budget {} is still being processed by the server.", budget), 10);
}

/// Takes one disruption from the budget for the pod of that name, or tells why it has none to give.
Status spend_disruption(PodDisruptionBudget& budget, const std::string& pod, WallTime now) {
  auto& status = budget.status;
  const std::string& name = budget.metadata.name;
  const api::GroupResource about{"policy", "poddisruptionbudget"};
  if (status.observed_generation < budget.metadata.generation) return still_processed(name);
  if (status.disruptions_allowed < 0) return api::forbidden(about, name, "pdb disruptions allowed is negative");
  if (status.disrupted_pods.size() > kMaxDisruptedPods) {
    return api::forbidden(about, name,
                          "DisruptedPods map too big - too many evictions not confirmed by PDB controller");
  }
  if (status.disruptions_allowed == 0) {
    const auto* told = api::find_condition(status.conditions, api::policyv1::kDisruptionAllowedCondition);
    if (told != nullptr && told->reason == api::policyv1::kSyncFailedReason) {
      return refused(fmt::format("The disruption budget {} does not allow evicting pods currently because it failed "
                                 "sync: {}",
                                 name, told->message),
                     0);
    }
    return refused(fmt::format("The disruption budget {} needs {} healthy pods and has {} currently", name,
                               status.desired_healthy, status.current_healthy),
                   0);
  }
  --status.disruptions_allowed;
  if (status.disruptions_allowed == 0) api::update_disruption_allowed(budget, now);
  status.disrupted_pods.insert_or_assign(pod, api::Time(now));
  return {};
}

void respond_success(RequestContext& context) {
  api::metav1::Status status;
  status.status = api::metav1::kStatusSuccess;
  status.code = 201;
  context.respond_kind(201, status);
}

}  // namespace

void Registry::bind(const Context& context) {
  auto run = [&]() -> Status {
    auto request = write_request(context, pods());
    TRY(request.status());
    TRY_ASSIGN(api::Object body,
               decode_body(*context, context->exchange()->take_body(), api::type_info<corev1::Binding>()));
    const auto& binding = *body.as<corev1::Binding>();
    // `bindings` as a resource of its own names the pod in the body.
    std::string name = request->name.empty() ? binding.metadata.name : request->name;
    if (!binding.metadata.name.empty() && binding.metadata.name != name) {
      return Status::bad_request("name in URL does not match name in Binding object");
    }
    if (!binding.metadata.namespace_.empty() && binding.metadata.namespace_ != request->ns) {
      return Status::bad_request(
          "the namespace of the provided object does not match the namespace sent on the request");
    }
    if (!binding.target.kind.empty() && binding.target.kind != "Node") {
      return api::invalid("", "Binding", name,
                          {api::field_error::not_supported("target.kind", binding.target.kind, {"Node", "<empty>"})});
    }
    if (binding.target.name.empty()) {
      return api::invalid("", "Binding", name, {api::field_error::required("target.name")});
    }
    request->name = name;
    request->subresource = "binding";
    TRY(writer_->admit_body(*request, body));
    return writer_
        ->edit(pods(), request->ns, name, request->dry_run,
               [&](api::Object& object) -> Status {
                 auto& pod = *object.as<corev1::Pod>();
                 auto refuse = [&](const std::string& why) { return api::conflict({"", "pods/binding"}, name, why); };
                 if (!binding.metadata.uid.empty() && binding.metadata.uid != pod.metadata.uid) {
                   return refuse(fmt::format("Precondition failed: UID in precondition: {}, UID in object meta: {}",
                                             binding.metadata.uid, pod.metadata.uid));
                 }
                 if (pod.metadata.deletion_timestamp) {
                   return refuse(fmt::format("pod {} is being deleted, cannot be assigned to a host", name));
                 }
                 if (!pod.spec.node_name.empty()) {
                   return refuse(fmt::format("pod {} is already assigned to node \"{}\"", name, pod.spec.node_name));
                 }
                 if (!pod.spec.scheduling_gates.empty()) {
                   return refuse(fmt::format("pod {} has non-empty .spec.schedulingGates", name));
                 }
                 pod.spec.node_name = binding.target.name;
                 for (const auto& [key, value] : binding.metadata.annotations) pod.metadata.annotations[key] = value;
                 set_scheduled(pod, *clock_);
                 return {};
               })
        .status();
  };
  if (Status status = run(); !status.ok()) return context->fail(status);
  respond_success(*context);
}

Result<Registry::BudgetVerdict> Registry::check_disruption(const CachedPointer& pod, bool dry_run) {
  const auto& typed = *pod->object().as<corev1::Pod>();
  TRY_ASSIGN(auto budgets, options_.caches->list<PodDisruptionBudget>(typed.metadata.namespace_));
  std::erase_if(budgets, [&](const auto& budget) {
    if (!budget->spec.selector) return true;
    const auto selector = api::LabelSelector::from(*budget->spec.selector);
    return !selector.ok() || !selector->matches(typed.metadata.labels);
  });
  if (budgets.empty()) return BudgetVerdict{};
  if (budgets.size() > 1) {
    return Status::internal(
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.");
  }
  const PodDisruptionBudget& budget = *budgets.front();
  BudgetVerdict verdict{budget.metadata.name, false};
  if (!is_ready(typed)) {
    const bool always = budget.spec.unhealthy_pod_eviction_policy == api::policyv1::kAlwaysAllow;
    const bool enough = budget.status.current_healthy >= budget.status.desired_healthy;
    // It does not count as healthy, so nothing is spent; it must not become ready meanwhile.
    verdict.only_unready = always || (enough && budget.status.desired_healthy > 0);
    if (verdict.only_unready) return verdict;
  }
  TRY(writer_
          ->edit(api::resource_of<PodDisruptionBudget>(), typed.metadata.namespace_, verdict.name, dry_run,
                 [&](api::Object& object) {
                   return spend_disruption(*object.as<PodDisruptionBudget>(), typed.metadata.name, clock_->now());
                 })
          .status());
  return verdict;
}

Status Registry::mark_and_remove(WriteRequest request, api::metav1::DeleteOptions options) {
  const bool pinned = options.preconditions && options.preconditions->resource_version;
  if (!request.dry_run) {
    auto marked = writer_->edit(pods(), request.ns, request.name, false, [&](api::Object& object) -> Status {
      if (options.preconditions) {
        TRY(check_preconditions(pods(), object.metadata(),
                                {.uid = options.preconditions->uid.value_or(""),
                                 .resource_version = options.preconditions->resource_version.value_or("")}));
      }
      corev1::PodCondition condition;
      condition.type = corev1::kDisruptionTarget;
      condition.status = corev1::kConditionTrue;
      condition.reason = "EvictionByEvictionAPI";
      condition.message = "Eviction API: evicting";
      api::set_condition(object.as<corev1::Pod>()->status.conditions, std::move(condition), clock_->now());
      return {};
    });
    TRY(marked.status());
    if (pinned) options.preconditions->resource_version = (*marked)->metadata().resource_version;
  }
  return writer_->remove(request, options).status();
}

Status Registry::evict_pod(const WriteRequest& request, const api::metav1::DeleteOptions& asked) {
  const bool pinned = asked.preconditions && asked.preconditions->resource_version;
  auto pin = [&](api::metav1::DeleteOptions& options, const CachedPointer& pod) {
    if (!pinned) options.preconditions.ensure().resource_version = pod->metadata().resource_version;
  };
  CachedPointer pod;
  for (int attempt = 1;; ++attempt) {
    TRY_ASSIGN(pod, storage_->get(pods(), request.ns, request.name));
    const auto& typed = *pod->object().as<corev1::Pod>();
    if (!ignores_budget(typed)) break;
    api::metav1::DeleteOptions options = asked;
    // A pending pod might become ready, and then its budget counts.
    if (typed.status.phase == corev1::kPodPending && !typed.metadata.deletion_timestamp) pin(options, pod);
    Status removed = mark_and_remove(request, std::move(options));
    if (!removed.is(Reason::kConflict) || pinned || attempt == kEvictionTries) return removed;
  }
  TRY_ASSIGN(const BudgetVerdict verdict, check_disruption(pod, request.dry_run));
  api::metav1::DeleteOptions options = asked;
  if (verdict.only_unready) pin(options, pod);
  Status removed = mark_and_remove(request, std::move(options));
  if (removed.is(Reason::kConflict) && verdict.only_unready && !pinned) return still_processed(verdict.name);
  return removed;
}

void Registry::evict(const Context& context) {
  auto run = [&]() -> Status {
    auto request = write_request(context, pods());
    TRY(request.status());
    TRY_ASSIGN(api::Object body, decode_body(*context, context->exchange()->take_body(), api::type_info<Eviction>()));
    auto& eviction = *body.as<Eviction>();
    if (!eviction.metadata.name.empty() && eviction.metadata.name != request->name) {
      return Status::bad_request("name in URL does not match name in Eviction object");
    }
    api::metav1::DeleteOptions options;
    if (eviction.delete_options) options = *eviction.delete_options;
    if (!request->dry_run) {
      TRY_ASSIGN(request->dry_run, dry_run(options.dry_run));
    }
    request->subresource.clear();
    return evict_pod(*request, options);
  };
  if (Status status = run(); !status.ok()) return context->fail(status);
  respond_success(*context);
}

}  // namespace trireme::apiserver
