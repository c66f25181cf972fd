#include "scheduler/siblings.h"

#include <algorithm>

namespace trireme::scheduler {
namespace {

using api::corev1::Pod;

const api::metav1::OwnerReference* controller_of(const Pod& pod) {
  const auto& owners = pod.metadata.owner_references;
  const auto found = std::ranges::find_if(owners, [](const auto& each) { return each.controller.value_or(false); });
  return found == owners.end() ? nullptr : &*found;
}

void add(api::metav1::LabelSelector& into, const api::metav1::LabelSelector& from) {
  // As expressions: a label that a service asks for, too, must keep both values' say.
  for (const auto& [key, value] : from.match_labels) {
    auto& requirement = into.match_expressions.emplace_back();
    requirement.key = key;
    requirement.operator_ = api::metav1::kLabelSelectorOpIn;
    requirement.values = {value};
  }
  into.match_expressions.insert(into.match_expressions.end(), from.match_expressions.begin(),
                                from.match_expressions.end());
}

bool selects(const api::Map<std::string>& selector, const api::Map<std::string>& labels) {
  return !selector.empty() && std::ranges::all_of(selector, [&](const auto& wanted) {
    const auto label = labels.find(wanted.first);
    return label != labels.end() && label->second == wanted.second;
  });
}

}  // namespace

SiblingFinder::SiblingFinder(client::InformerFactory& informers)
    : services_(informers.informer<api::corev1::Service>()),
      controllers_(informers.informer<api::corev1::ReplicationController>()),
      replica_sets_(informers.informer<api::appsv1::ReplicaSet>()),
      stateful_sets_(informers.informer<api::appsv1::StatefulSet>()) {}

api::LabelSelector SiblingFinder::find(const Pod& pod) const {
  const std::string& ns = pod.metadata.namespace_;
  api::metav1::LabelSelector merged;
  for (const auto& service : services_.list(ns)) {
    if (!selects(service->spec.selector, pod.metadata.labels)) continue;
    for (const auto& [key, value] : service->spec.selector) merged.match_labels.insert_or_assign(key, value);
  }
  if (const auto* owner = controller_of(pod)) {
    if (owner->kind == "ReplicationController" && owner->api_version == "v1") {
      const auto controller = controllers_.get(ns, owner->name);
      if (controller) {
        for (const auto& [key, value] : controller->spec.selector) merged.match_labels.insert_or_assign(key, value);
      }
    } else if (owner->kind == "ReplicaSet" && owner->api_version == "apps/v1") {
      const auto set = replica_sets_.get(ns, owner->name);
      if (set && set->spec.selector) add(merged, *set->spec.selector);
    } else if (owner->kind == "StatefulSet" && owner->api_version == "apps/v1") {
      const auto set = stateful_sets_.get(ns, owner->name);
      if (set && set->spec.selector) add(merged, *set->spec.selector);
    }
  }
  if (merged.match_labels.empty() && merged.match_expressions.empty()) return api::LabelSelector::nothing();
  auto parsed = api::LabelSelector::from(merged);
  return parsed.ok() ? std::move(*parsed) : api::LabelSelector::nothing();
}

}  // namespace trireme::scheduler
