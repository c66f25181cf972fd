#include <fmt/format.h>

#include "api/types/corev1.h"
#include "api/types/schedulingv1.h"
#include "apiserver/admission/plugins.h"

namespace trireme::apiserver::admission {
namespace {

using api::corev1::Pod;
using api::schedulingv1::PriorityClass;

constexpr std::string_view kPreemptLowerPriority = "PreemptLowerPriority";

class PriorityPlugin final : public Plugin {
 public:
  explicit PriorityPlugin(std::shared_ptr<Caches> caches) : caches_(std::move(caches)) {}
  std::string_view name() const override { return "Priority"; }

  Status admit(Attributes& attributes) override {
    if (attributes.object == nullptr || !attributes.subresource.empty()) return {};
    Pod* pod = attributes.object->as<Pod>();
    if (pod == nullptr) return {};
    if (attributes.operation == Operation::kUpdate) {
      // Clients that do not know the field must not take it away.
      const Pod* before = attributes.old_object->as<Pod>();
      if (!pod->spec.priority) pod->spec.priority = before->spec.priority;
      if (!pod->spec.preemption_policy) pod->spec.preemption_policy = before->spec.preemption_policy;
      return {};
    }
    if (attributes.operation != Operation::kCreate) return {};

    int32_t value = 0;
    std::string policy(kPreemptLowerPriority);
    if (pod->spec.priority_class_name.empty()) {
      TRY_ASSIGN(auto fallback, global_default());
      if (fallback) {
        pod->spec.priority_class_name = fallback->metadata.name;
        value = fallback->value;
        policy = fallback->preemption_policy.value_or(policy);
      }
    } else {
      auto found = caches_->get<PriorityClass>("", pod->spec.priority_class_name);
      if (!found.ok()) {
        return forbidden(attributes,
                         fmt::format("no PriorityClass with name {} was found", pod->spec.priority_class_name));
      }
      value = (*found)->value;
      policy = (*found)->preemption_policy.value_or(policy);
    }
    if (pod->spec.priority && *pod->spec.priority != value) {
      return forbidden(attributes,
                       fmt::format("the integer value of priority ({}) must not be provided in pod spec; "
                                   "priority admission controller computed {} from the given PriorityClass name",
                                   *pod->spec.priority, value));
    }
    if (pod->spec.preemption_policy && *pod->spec.preemption_policy != policy) {
      return forbidden(
          attributes,
          fmt::format("the string value of PreemptionPolicy ({}) must not be provided in pod spec; priority "
                      "admission controller computed {} from the given PriorityClass name",
                      *pod->spec.preemption_policy, policy));
    }
    pod->spec.priority = value;
    pod->spec.preemption_policy = policy;
    return {};
  }

  Status validate(const Attributes& attributes) override {
    if (attributes.operation == Operation::kDelete && attributes.resource == &api::resource_of<PriorityClass>() &&
        (attributes.name == "system-node-critical" || attributes.name == "system-cluster-critical")) {
      return forbidden(attributes, "this is a system priority class and cannot be deleted");
    }
    if (attributes.object == nullptr || attributes.operation == Operation::kDelete) return {};
    const PriorityClass* changed = attributes.object->as<PriorityClass>();
    if (changed == nullptr || !changed->global_default) return {};
    TRY_ASSIGN(auto existing, global_default());
    if (!existing || existing->metadata.name == changed->metadata.name) return {};
    return forbidden(attributes,
                     fmt::format("PriorityClass {} is already marked as default. Only one default can exist",
                                 existing->metadata.name));
  }

 private:
  /// The default with the lowest value, should there be several; null when there is none.
  Result<std::shared_ptr<const PriorityClass>> global_default() {
    TRY_ASSIGN(auto classes, caches_->list<PriorityClass>());
    std::shared_ptr<const PriorityClass> found;
    for (const auto& candidate : classes) {
      if (candidate->global_default && (!found || candidate->value < found->value)) found = candidate;
    }
    return found;
  }

  std::shared_ptr<Caches> caches_;
};

}  // namespace

std::shared_ptr<Plugin> priority_plugin(std::shared_ptr<Caches> caches) {
  return std::make_shared<PriorityPlugin>(std::move(caches));
}

}  // namespace trireme::apiserver::admission
