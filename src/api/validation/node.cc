// Nodes, leases, runtime classes and priority classes.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "api/codec.h"
#include "api/types/coordinationv1.h"
#include "api/types/nodev1.h"
#include "api/types/schedulingv1.h"
#include "api/validation/equal.h"
#include "api/validation/meta.h"
#include "api/validation/pod_parts.h"
#include "api/validation/resources.h"
#include "api/validation/rules.h"

namespace trireme::api::validation {
namespace {

constexpr std::string_view kSystemPriorityPrefix = "system-";
constexpr int32_t kHighestUserPriority = 1000000000;

void check_taints(const std::vector<corev1::Taint>& taints, const Path& at, ErrorList& errors) {
  std::set<std::pair<std::string_view, std::string_view>> seen;
  for (size_t i = 0; i < taints.size(); ++i) {
    const auto& taint = taints[i];
    const Path path = at.index(i);
    check_qualified_name(taint.key, path.child("key"), errors);
    std::string joined;
    for (const auto& problem : label_value_problems(taint.value)) joined += (joined.empty() ? "" : ";") + problem;
    if (!joined.empty()) errors.invalid(path.child("value"), taint.value, joined);
    if (taint.effect.empty()) {
      errors.required(path.child("effect"));
    } else {
      check_taint_effect(taint.effect, path.child("effect"), errors);
    }
    if (!seen.emplace(taint.effect, taint.key).second) {
      errors.duplicate(path, BadValue::raw(encode_json(taint)), "taints must be unique by key and effect pair");
    }
  }
}

void check_node_resources(const corev1::Node& node, ErrorList& errors) {
  for (const auto& [name, quantity] : node.status.capacity) {
    check_quantity(name, quantity, Path("status.capacity").child(name), errors);
  }
  for (const auto& [name, quantity] : node.status.allocatable) {
    check_quantity(name, quantity, Path("status.allocatable").child(name), errors);
  }
}

void node_create(const corev1::Node& node, ErrorList& errors) {
  const Path meta("metadata");
  check_object_meta(node.metadata, false, NameRule::kSubdomain, meta, errors);
  check_taints(node.spec.taints, meta.child("taints"), errors);
  check_node_resources(node, errors);
  const auto& cidrs = node.spec.pod_cidrs;
  const Path path("spec.podCIDRs");
  for (size_t i = 0; i < cidrs.size(); ++i) check_cidr(cidrs[i], path.index(i), errors);
  if (cidrs.size() < 2) return;
  const auto v6 = std::count_if(cidrs.begin(), cidrs.end(),
                                [](const std::string& cidr) { return is_ipv6(cidr.substr(0, cidr.find('/'))); });
  if (cidrs.size() > 2 || v6 != 1) errors.invalid(path, cidrs, "may specify no more than one CIDR for each IP family");
  std::set<std::string_view> seen;
  for (size_t i = 0; i < cidrs.size(); ++i) {
    if (!seen.insert(cidrs[i]).second) errors.duplicate(path.index(i), cidrs[i]);
  }
}

void node_update(const corev1::Node& updated, const corev1::Node& old, ErrorList& errors) {
  const Path meta("metadata");
  check_object_meta_update(updated.metadata, old.metadata, meta, errors);
  check_node_resources(updated, errors);
  std::set<std::pair<std::string_view, std::string_view>> addresses;
  for (size_t i = 0; i < updated.status.addresses.size(); ++i) {
    const auto& address = updated.status.addresses[i];
    if (!addresses.emplace(address.type, address.address).second) {
      errors.duplicate(Path("status.addresses").index(i), BadValue::raw(encode_json(address)));
    }
  }
  if (!old.spec.pod_cidrs.empty() && old.spec.pod_cidrs != updated.spec.pod_cidrs) {
    errors.forbidden(Path("spec.podCIDRs"), "node updates may not change podCIDR except from \"\" to valid");
  }
  if (!old.spec.provider_id.empty() && old.spec.provider_id != updated.spec.provider_id) {
    errors.forbidden(Path("spec.providerID"), "node updates may not change providerID except from \"\" to valid");
  }
  check_taints(updated.spec.taints, meta.child("taints"), errors);
  if (updated.spec.external_id != old.spec.external_id) {
    errors.forbidden(Path("spec.externalID"), "may not be updated");
  }
}

void check_lease_spec(const coordinationv1::LeaseSpec& spec, const Path& at, ErrorList& errors) {
  if (spec.lease_duration_seconds && *spec.lease_duration_seconds <= 0) {
    errors.invalid(at.child("leaseDurationSeconds"), *spec.lease_duration_seconds, "must be greater than 0");
  }
  if (spec.lease_transitions && *spec.lease_transitions < 0) {
    errors.invalid(at.child("leaseTransitions"), *spec.lease_transitions, "must be greater than or equal to 0");
  }
  const Path strategy = at.child("strategy");
  if (spec.strategy) errors.check_enum(strategy, *spec.strategy, {"OldestEmulationVersion"});
  if (spec.preferred_holder && !spec.preferred_holder->empty() && spec.strategy.value_or("").empty()) {
    errors.forbidden(at.child("preferredHolder"), "may only be specified when `strategy` is defined");
  }
}

void lease_create(const coordinationv1::Lease& lease, ErrorList& errors) {
  check_object_meta(lease.metadata, true, NameRule::kSubdomain, Path("metadata"), errors);
  check_lease_spec(lease.spec, Path("spec"), errors);
}

void lease_update(const coordinationv1::Lease& updated, const coordinationv1::Lease& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  check_lease_spec(updated.spec, Path("spec"), errors);
}

void runtime_class_create(const nodev1::RuntimeClass& object, ErrorList& errors) {
  check_object_meta(object.metadata, false, NameRule::kSubdomain, Path("metadata"), errors);
  check_dns_label(object.handler, Path("handler"), errors);
  if (object.overhead) check_requirements(object.overhead->pod_fixed, {}, Path("overhead"), errors);
  if (object.scheduling) {
    check_labels(object.scheduling->node_selector, Path("scheduling.nodeSelector"), errors);
    check_tolerations(object.scheduling->tolerations, Path("scheduling.tolerations"), errors);
  }
}

void runtime_class_update(const nodev1::RuntimeClass& updated, const nodev1::RuntimeClass& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  check_immutable(updated.handler, old.handler, Path("handler"), errors);
  runtime_class_create(updated, errors);
}

void priority_class_create(const schedulingv1::PriorityClass& object, ErrorList& errors) {
  check_object_meta(object.metadata, false, NameRule::kSubdomain, Path("metadata"), errors);
  const std::string& name = object.metadata.name;
  if (name.starts_with(kSystemPriorityPrefix)) {
    const bool known = (name == "system-node-critical" && object.value == 2000001000) ||
                       (name == "system-cluster-critical" && object.value == 2000000000);
    if (!known) {
      errors.forbidden(Path("metadata.name"),
                       "priority class names with 'system-' prefix are reserved for system use only. error: " +
                           (name == "system-node-critical" || name == "system-cluster-critical"
                                ? fmt::format("value of {} PriorityClass must be {}", name,
                                              name == "system-node-critical" ? 2000001000 : 2000000000)
                                : fmt::format("{} is not a known system priority class", name)));
    }
  } else if (object.value > kHighestUserPriority) {
    errors.forbidden(Path("value"),
                     fmt::format("maximum allowed value of a user defined priority is {}", kHighestUserPriority));
  }
  if (object.preemption_policy) {
    errors.check_enum(Path("preemptionPolicy"), *object.preemption_policy, {"PreemptLowerPriority", "Never"});
  }
}

void priority_class_update(const schedulingv1::PriorityClass& updated, const schedulingv1::PriorityClass& old,
                           ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, Path("metadata"), errors);
  if (updated.value != old.value) errors.forbidden(Path("value"), "may not be changed in an update.");
  const std::string now = updated.preemption_policy.value_or("PreemptLowerPriority");
  if (now != old.preemption_policy.value_or("PreemptLowerPriority")) {
    errors.invalid(Path("preemptionPolicy"), now, kImmutable);
  }
}

}  // namespace

std::span<const KindRules> node_rules() {
  static const KindRules kRules[] = {
      kind_rules<corev1::Node, node_create, node_update, node_update>(),
      kind_rules<coordinationv1::Lease, lease_create, lease_update>(),
      kind_rules<nodev1::RuntimeClass, runtime_class_create, runtime_class_update>(),
      kind_rules<schedulingv1::PriorityClass, priority_class_create, priority_class_update>(),
  };
  return kRules;
}

}  // namespace trireme::api::validation
