#include "controllers/daemonset/daemon_pods.h"

#include <algorithm>

#include "api/node_matching.h"
#include "client/event_recorder.h"
#include "controllers/support/ownership.h"

namespace trireme::controllers::daemonset {

using api::corev1::NodeSelectorRequirement;
using api::corev1::NodeSelectorTerm;
using api::corev1::Taint;
using api::corev1::Toleration;

namespace {

constexpr std::string_view kNodeNameField = "metadata.name";
constexpr std::string_view kGenerationLabel = "pod-template-generation";

void tolerate(std::vector<Toleration>& tolerations, std::string_view key, std::string_view effect) {
  Toleration wanted;
  wanted.key = key;
  wanted.operator_ = api::corev1::kTolerationOpExists;
  wanted.effect = effect;
  const auto same = std::ranges::find_if(tolerations, [&](const Toleration& each) {
    return each.key == wanted.key && each.effect == wanted.effect && each.operator_ == wanted.operator_ &&
           each.value == wanted.value;
  });
  if (same != tolerations.end()) {
    *same = std::move(wanted);
  } else {
    tolerations.push_back(std::move(wanted));
  }
}

bool same_taint(const Taint& a, const Taint& b) { return a.key == b.key && a.value == b.value && a.effect == b.effect; }

}  // namespace

api::corev1::PodSpec daemon_spec(const DaemonSet& set) {
  api::corev1::PodSpec spec = set.spec.template_.spec;
  auto& tolerations = spec.tolerations;
  // Daemons stay on a node that is in trouble: they are what it works with.
  tolerate(tolerations, "node.kubernetes.io/not-ready", api::corev1::kTaintEffectNoExecute);
  tolerate(tolerations, "node.kubernetes.io/unreachable", api::corev1::kTaintEffectNoExecute);
  tolerate(tolerations, "node.kubernetes.io/disk-pressure", api::corev1::kTaintEffectNoSchedule);
  tolerate(tolerations, "node.kubernetes.io/memory-pressure", api::corev1::kTaintEffectNoSchedule);
  tolerate(tolerations, "node.kubernetes.io/pid-pressure", api::corev1::kTaintEffectNoSchedule);
  tolerate(tolerations, "node.kubernetes.io/unschedulable", api::corev1::kTaintEffectNoSchedule);
  if (spec.host_network) {
    tolerate(tolerations, "node.kubernetes.io/network-unavailable", api::corev1::kTaintEffectNoSchedule);
  }
  return spec;
}

Eligibility eligibility(const api::corev1::PodSpec& spec, const Node& node) {
  if (!spec.node_name.empty() && spec.node_name != node.metadata.name) return {};
  if (!api::matches_required_node_affinity(spec, node)) return {};
  Eligibility out{true, true};
  for (const Taint& taint : node.spec.taints) {
    if (taint.effect == api::corev1::kTaintEffectPreferNoSchedule) continue;
    if (api::tolerates(spec.tolerations, taint)) continue;
    out.run = false;
    if (taint.effect == api::corev1::kTaintEffectNoExecute) out.stay = false;
  }
  return out;
}

bool may_differ(const Node& before, const Node& after) {
  return before.metadata.labels != after.metadata.labels ||
         !std::ranges::equal(before.spec.taints, after.spec.taints, same_taint);
}

Pod make_pod(const DaemonSet& set, const api::corev1::PodSpec& spec, const std::string& node, const std::string& hash) {
  Pod pod;
  const auto& from = set.spec.template_.metadata;
  pod.metadata.namespace_ = set.metadata.namespace_;
  pod.metadata.generate_name = set.metadata.name + "-";
  pod.metadata.labels = from.labels;
  pod.metadata.annotations = from.annotations;
  pod.metadata.finalizers = from.finalizers;
  pod.metadata.owner_references.push_back(controller_reference(client::reference_to(set)));
  const std::string generation = set.metadata.annotations.get(api::appsv1::kDeprecatedTemplateGeneration);
  if (!generation.empty()) pod.metadata.labels.insert_or_assign(kGenerationLabel, generation);
  pod.metadata.labels.insert_or_assign(api::appsv1::kDefaultDaemonSetUniqueLabelKey, hash);
  pod.spec = spec;

  NodeSelectorRequirement there;
  there.key = kNodeNameField;
  there.operator_ = api::corev1::kNodeSelectorOpIn;
  there.values = {node};
  if (!pod.spec.affinity) pod.spec.affinity.emplace();
  auto& affinity = pod.spec.affinity->node_affinity;
  if (!affinity) affinity.emplace();
  auto& required = affinity->required_during_scheduling_ignored_during_execution;
  if (!required) required.emplace();
  // The template's own terms have chosen the node already.
  required->node_selector_terms.clear();
  required->node_selector_terms.emplace_back().match_fields = {there};
  return pod;
}

std::string node_of(const Pod& pod) {
  if (!pod.spec.node_name.empty()) return pod.spec.node_name;
  if (!pod.spec.affinity || !pod.spec.affinity->node_affinity) return {};
  const auto& required = pod.spec.affinity->node_affinity->required_during_scheduling_ignored_during_execution;
  if (!required) return {};
  for (const NodeSelectorTerm& term : required->node_selector_terms) {
    for (const NodeSelectorRequirement& field : term.match_fields) {
      if (field.key == kNodeNameField && field.values.size() == 1) return field.values[0];
    }
  }
  return {};
}

bool is_current(const DaemonSet& set, const Pod& pod, const std::string& hash) {
  const auto& labels = pod.metadata.labels;
  if (!hash.empty() && labels.get(api::appsv1::kDefaultDaemonSetUniqueLabelKey) == hash) return true;
  const std::string generation = set.metadata.annotations.get(api::appsv1::kDeprecatedTemplateGeneration);
  return !generation.empty() && labels.get(kGenerationLabel) == generation;
}

}  // namespace trireme::controllers::daemonset
