#include <fmt/format.h>

#include <algorithm>

#include "api/defaults/defaults.h"
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

void respond_success(RequestContext& context) {
  api::metav1::Status status;
  status.status = api::metav1::kStatusSuccess;
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

Status Registry::check_disruption(const CachedPointer& pod, bool dry_run) {
  const auto& typed = *pod->object().as<corev1::Pod>();
  TRY_ASSIGN(auto budgets, options_.caches->list<PodDisruptionBudget>(typed.metadata.namespace_));
  std::vector<std::shared_ptr<const PodDisruptionBudget>> matching;
  for (const auto& budget : budgets) {
    if (!budget->spec.selector) continue;
    auto selector = api::LabelSelector::from(*budget->spec.selector);
    if (selector.ok() && selector->matches(typed.metadata.labels)) matching.push_back(budget);
  }
  if (matching.empty()) return {};
  if (matching.size() > 1) {
    return Status::internal(
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.");
  }
  const std::string name = matching.front()->metadata.name;
  const auto& resource = api::resource_of<PodDisruptionBudget>();
  return writer_
      ->edit(resource, typed.metadata.namespace_, name, dry_run,
             [&](api::Object& object) -> Status {
               auto& budget = *object.as<PodDisruptionBudget>();
               auto& status = budget.status;
               if (!is_ready(typed)) {
                 bool always = budget.spec.unhealthy_pod_eviction_policy == api::policyv1::kAlwaysAllow;
                 if (always || (status.current_healthy >= status.desired_healthy && status.desired_healthy > 0)) {
                   return {};
                 }
               }
               auto refuse = [&](const std::string& why) {
                 return Status(Reason::kTooManyRequests,
                               "Cannot evict pod as it would violate the pod's disruption budget.",
                               {.causes = {{std::string(api::policyv1::kDisruptionBudgetCause), why, ""}},
                                .retry_after_seconds = 0});
               };
               if (status.observed_generation < budget.metadata.generation) {
                 return api::too_many_requests(
                     fmt::format("Cannot evict pod as it would violate the pod's disruption budget. The disruption "
                                 "budget {} is still being processed by the server.",
                                 name),
                     10);
               }
               if (status.disruptions_allowed <= 0) {
                 return refuse(fmt::format("The disruption budget {} needs {} healthy pods and has {} currently", name,
                                           status.desired_healthy, status.current_healthy));
               }
               if (status.disrupted_pods.size() > kMaxDisruptedPods) {
                 return api::forbidden(resource, name,
                                       "DisruptedPods map too big - too many evictions not confirmed "
                                       "by PDB controller");
               }
               --status.disruptions_allowed;
               status.disrupted_pods[typed.metadata.name] = api::Time(clock_->now());
               return {};
             })
      .status();
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
    bool dry = request->dry_run;
    if (!dry) {
      TRY_ASSIGN(dry, dry_run(options.dry_run));
    }
    request->dry_run = dry;
    TRY_ASSIGN(CachedPointer pod, storage_->get(pods(), request->ns, request->name));
    if (!ignores_budget(*pod->object().as<corev1::Pod>())) TRY(check_disruption(pod, dry));
    request->subresource.clear();
    return writer_->remove(*request, options).status();
  };
  if (Status status = run(); !status.ok()) return context->fail(status);
  respond_success(*context);
}

}  // namespace trireme::apiserver
