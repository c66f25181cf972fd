// Deployments, replica sets, stateful sets, daemon sets and controller revisions.

#include <fmt/format.h>

#include <algorithm>

#include "api/names.h"
#include "api/selectors.h"
#include "api/types/appsv1.h"
#include "api/validation/equal.h"
#include "api/validation/meta.h"
#include "api/validation/pod.h"
#include "api/validation/pod_parts.h"
#include "api/validation/rules.h"
#include "api/validation/workload.h"

namespace trireme::api::validation {
namespace {

const Path kMeta("metadata");
const Path kSpec("spec");
const Path kStatus("status");

void check_optional(const std::optional<int32_t>& value, const Path& at, ErrorList& errors) {
  if (value) check_not_negative(*value, at, errors);
}

bool is_zero(const std::optional<IntOrString>& value) {
  if (!value) return true;
  return value->is_string() ? value->string_value() == "0%" : value->int_value() == 0;
}

/// Counts that can never exceed the number of replicas.
template <typename Status>
void check_replica_counts(const Status& status, ErrorList& errors) {
  constexpr std::string_view kTooMany = "cannot be greater than status.replicas";
  check_not_negative(status.replicas, kStatus.child("replicas"), errors);
  check_not_negative(status.ready_replicas, kStatus.child("readyReplicas"), errors);
  check_not_negative(status.available_replicas, kStatus.child("availableReplicas"), errors);
  check_not_negative(status.observed_generation, kStatus.child("observedGeneration"), errors);
  if (status.ready_replicas > status.replicas) {
    errors.invalid(kStatus.child("readyReplicas"), status.ready_replicas, kTooMany);
  }
  if (status.available_replicas > status.replicas) {
    errors.invalid(kStatus.child("availableReplicas"), status.available_replicas, kTooMany);
  }
  if (status.available_replicas > status.ready_replicas) {
    errors.invalid(kStatus.child("availableReplicas"), status.available_replicas,
                   "cannot be greater than readyReplicas");
  }
}

// Replica sets

void replica_set_spec(const appsv1::ReplicaSetSpec& spec, ErrorList& errors) {
  check_optional(spec.replicas, kSpec.child("replicas"), errors);
  check_not_negative(spec.min_ready_seconds, kSpec.child("minReadySeconds"), errors);
  check_template_selector(spec.selector, spec.template_, "empty selector is invalid for deployment", kSpec, errors);
  check_service_template(spec.template_, "ReplicaSet", kSpec.child("template"), errors);
}

void replica_set_create(const appsv1::ReplicaSet& object, ErrorList& errors) {
  check_object_meta(object.metadata, true, NameRule::kSubdomain, kMeta, errors);
  replica_set_spec(object.spec, errors);
}

void replica_set_update(const appsv1::ReplicaSet& updated, const appsv1::ReplicaSet& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, kMeta, errors);
  replica_set_spec(updated.spec, errors);
  check_same_selector(updated.spec.selector, old.spec.selector, kSpec.child("selector"), errors);
}

void replica_set_status(const appsv1::ReplicaSet& updated, const appsv1::ReplicaSet& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, kMeta, errors);
  check_replica_counts(updated.status, errors);
}

// Deployments

void deployment_spec(const appsv1::DeploymentSpec& spec, ErrorList& errors) {
  check_optional(spec.replicas, kSpec.child("replicas"), errors);
  check_template_selector(spec.selector, spec.template_, "empty selector is invalid for deployment", kSpec, errors);
  check_service_template(spec.template_, "ReplicaSet", kSpec.child("template"), errors);
  const Path strategy = kSpec.child("strategy");
  const Path rolling = strategy.child("rollingUpdate");
  const auto& update = spec.strategy.rolling_update;
  if (spec.strategy.type == "Recreate") {
    if (update) errors.forbidden(rolling, "may not be specified when strategy `type` is 'Recreate'");
  } else if (spec.strategy.type != "RollingUpdate") {
    errors.not_supported(strategy.child("type"), spec.strategy.type, {"Recreate", "RollingUpdate"});
  } else if (!update) {
    errors.required(rolling, "this should be defaulted and never be nil");
  } else {
    const Path unavailable = rolling.child("maxUnavailable");
    if (update->max_unavailable) check_int_or_percent(*update->max_unavailable, unavailable, errors);
    if (update->max_surge) check_int_or_percent(*update->max_surge, rolling.child("maxSurge"), errors);
    if (is_zero(update->max_unavailable) && is_zero(update->max_surge)) {
      errors.invalid(unavailable, shown(update->max_unavailable.value_or(IntOrString())),
                     "may not be 0 when `maxSurge` is 0");
    }
    if (update->max_unavailable) check_at_most_all(*update->max_unavailable, unavailable, errors);
  }
  check_not_negative(spec.min_ready_seconds, kSpec.child("minReadySeconds"), errors);
  check_optional(spec.revision_history_limit, kSpec.child("revisionHistoryLimit"), errors);
  if (const auto& deadline = spec.progress_deadline_seconds) {
    const Path path = kSpec.child("progressDeadlineSeconds");
    check_not_negative(*deadline, path, errors);
    if (*deadline <= spec.min_ready_seconds) errors.invalid(path, *deadline, "must be greater than minReadySeconds");
  }
}

void deployment_create(const appsv1::Deployment& object, ErrorList& errors) {
  check_object_meta(object.metadata, true, NameRule::kSubdomain, kMeta, errors);
  deployment_spec(object.spec, errors);
}

void deployment_update(const appsv1::Deployment& updated, const appsv1::Deployment& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, kMeta, errors);
  deployment_spec(updated.spec, errors);
  check_same_selector(updated.spec.selector, old.spec.selector, kSpec.child("selector"), errors);
}

void deployment_status(const appsv1::Deployment& updated, const appsv1::Deployment& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, kMeta, errors);
  check_replica_counts(updated.status, errors);
  if (updated.status.updated_replicas > updated.status.replicas) {
    errors.invalid(kStatus.child("updatedReplicas"), updated.status.updated_replicas,
                   "cannot be greater than status.replicas");
  }
  const int32_t collisions = updated.status.collision_count.value_or(0);
  if (collisions < old.status.collision_count.value_or(0)) {
    errors.invalid(kStatus.child("collisionCount"), collisions, "cannot be decremented");
  }
}

// Stateful sets

void stateful_set_spec(const appsv1::StatefulSetSpec& spec, ErrorList& errors) {
  const Path policy = kSpec.child("podManagementPolicy");
  if (spec.pod_management_policy.empty()) {
    errors.required(policy);
  } else if (spec.pod_management_policy != "OrderedReady" && spec.pod_management_policy != "Parallel") {
    errors.invalid(policy, spec.pod_management_policy, "must be 'OrderedReady' or 'Parallel'");
  }
  const Path strategy = kSpec.child("updateStrategy");
  const auto& rolling = spec.update_strategy.rolling_update;
  if (spec.update_strategy.type.empty()) {
    errors.required(strategy);
  } else if (spec.update_strategy.type == "OnDelete") {
    if (rolling) {
      errors.invalid(strategy.child("rollingUpdate"), BadValue::raw("{}"),
                     "only allowed for updateStrategy 'RollingUpdate'");
    }
  } else if (spec.update_strategy.type != "RollingUpdate") {
    errors.invalid(strategy, BadValue::raw(spec.update_strategy.type), "must be 'RollingUpdate' or 'OnDelete'");
  } else if (rolling) {
    check_optional(rolling->partition, strategy.child("rollingUpdate", "partition"), errors);
  }
  if (const auto& retention = spec.persistent_volume_claim_retention_policy) {
    const Path path = kSpec.child("persistentVolumeClaimRetentionPolicy");
    for (const auto& [name, value] :
         {std::pair<std::string_view, const std::string&>{"whenDeleted", retention->when_deleted},
          {"whenScaled", retention->when_scaled}}) {
      if (value != "Retain" && value != "Delete") errors.not_supported(path.child(name), value, {"Retain", "Delete"});
    }
  }
  check_optional(spec.replicas, kSpec.child("replicas"), errors);
  check_not_negative(spec.min_ready_seconds, kSpec.child("minReadySeconds"), errors);
  if (spec.ordinals) check_not_negative(spec.ordinals->start, kSpec.child("ordinals.start"), errors);
  check_template_selector(spec.selector, spec.template_, "empty selector is invalid for statefulset", kSpec, errors);
  // Its pods will have the claims' volumes beside the template's own.
  corev1::PodTemplateSpec whole = spec.template_;
  for (const corev1::PersistentVolumeClaim& claim : spec.volume_claim_templates) {
    auto& volumes = whole.spec.volumes;
    std::erase_if(volumes, [&](const corev1::Volume& each) { return each.name == claim.metadata.name; });
    corev1::Volume& volume = volumes.emplace_back();
    volume.name = claim.metadata.name;
    volume.volume_source.empty_dir.emplace();
  }
  check_service_template(whole, "StatefulSet", kSpec.child("template"), errors);
}

void stateful_set_create(const appsv1::StatefulSet& object, ErrorList& errors) {
  check_object_meta(object.metadata, true, NameRule::kLabel, kMeta, errors);
  stateful_set_spec(object.spec, errors);
}

void stateful_set_update(const appsv1::StatefulSet& updated, const appsv1::StatefulSet& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, kMeta, errors);
  stateful_set_spec(updated.spec, errors);
  appsv1::StatefulSetSpec munged = updated.spec;
  munged.replicas = old.spec.replicas;
  munged.template_ = old.spec.template_;
  munged.update_strategy = old.spec.update_strategy;
  munged.min_ready_seconds = old.spec.min_ready_seconds;
  munged.ordinals = old.spec.ordinals;
  munged.persistent_volume_claim_retention_policy = old.spec.persistent_volume_claim_retention_policy;
  if (!semantic_equal(munged, old.spec)) {
    errors.forbidden(kSpec,
                     "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
                     "'updateStrategy', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden");
  }
}

void stateful_set_status(const appsv1::StatefulSet& updated, const appsv1::StatefulSet& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, kMeta, errors);
  check_replica_counts(updated.status, errors);
  constexpr std::string_view kTooMany = "cannot be greater than status.replicas";
  if (updated.status.current_replicas > updated.status.replicas) {
    errors.invalid(kStatus.child("currentReplicas"), updated.status.current_replicas, kTooMany);
  }
  if (updated.status.updated_replicas > updated.status.replicas) {
    errors.invalid(kStatus.child("updatedReplicas"), updated.status.updated_replicas, kTooMany);
  }
}

// Daemon sets

void daemon_set_spec(const appsv1::DaemonSetSpec& spec, ErrorList& errors) {
  check_template_selector(spec.selector, spec.template_, "empty selector is invalid for daemonset", kSpec, errors);
  check_service_template(spec.template_, "DaemonSet", kSpec.child("template"), errors);
  check_not_negative(spec.min_ready_seconds, kSpec.child("minReadySeconds"), errors);
  const Path strategy = kSpec.child("updateStrategy");
  const Path rolling = strategy.child("rollingUpdate");
  const auto& update = spec.update_strategy.rolling_update;
  if (spec.update_strategy.type == "RollingUpdate") {
    if (!update) return errors.required(rolling);
    if (update->max_unavailable) {
      check_int_or_percent(*update->max_unavailable, rolling.child("maxUnavailable"), errors);
      check_at_most_all(*update->max_unavailable, rolling.child("maxUnavailable"), errors);
    }
    if (update->max_surge) {
      check_int_or_percent(*update->max_surge, rolling.child("maxSurge"), errors);
      check_at_most_all(*update->max_surge, rolling.child("maxSurge"), errors);
    }
    const bool unavailable = !is_zero(update->max_unavailable);
    const bool surge = !is_zero(update->max_surge);
    if (unavailable && surge) {
      errors.invalid(rolling.child("maxSurge"), shown(*update->max_surge),
                     "may not be set when maxUnavailable is non-zero");
    } else if (!unavailable && !surge) {
      errors.required(rolling.child("maxUnavailable"), "cannot be 0 when maxSurge is 0");
    }
  } else if (spec.update_strategy.type != "OnDelete") {
    errors.not_supported(strategy.child("type"), spec.update_strategy.type, {"RollingUpdate", "OnDelete"});
  }
  check_optional(spec.revision_history_limit, kSpec.child("revisionHistoryLimit"), errors);
}

void daemon_set_create(const appsv1::DaemonSet& object, ErrorList& errors) {
  check_object_meta(object.metadata, true, NameRule::kSubdomain, kMeta, errors);
  daemon_set_spec(object.spec, errors);
}

void daemon_set_update(const appsv1::DaemonSet& updated, const appsv1::DaemonSet& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, kMeta, errors);
  daemon_set_spec(updated.spec, errors);
  check_same_selector(updated.spec.selector, old.spec.selector, kSpec.child("selector"), errors);
}

void daemon_set_status(const appsv1::DaemonSet& updated, const appsv1::DaemonSet& old, ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, kMeta, errors);
  const auto& status = updated.status;
  check_not_negative(status.current_number_scheduled, kStatus.child("currentNumberScheduled"), errors);
  check_not_negative(status.number_misscheduled, kStatus.child("numberMisscheduled"), errors);
  check_not_negative(status.desired_number_scheduled, kStatus.child("desiredNumberScheduled"), errors);
  check_not_negative(status.number_ready, kStatus.child("numberReady"), errors);
  check_not_negative(status.updated_number_scheduled, kStatus.child("updatedNumberScheduled"), errors);
  check_not_negative(status.number_available, kStatus.child("numberAvailable"), errors);
  check_not_negative(status.number_unavailable, kStatus.child("numberUnavailable"), errors);
}

// Controller revisions

void revision_create(const appsv1::ControllerRevision& object, ErrorList& errors) {
  check_object_meta(object.metadata, true, NameRule::kSubdomain, kMeta, errors);
  if (object.data.empty()) errors.required(Path("data"), "data is mandatory");
  check_not_negative(object.revision, Path("revision"), errors);
}

void revision_update(const appsv1::ControllerRevision& updated, const appsv1::ControllerRevision& old,
                     ErrorList& errors) {
  check_object_meta_update(updated.metadata, old.metadata, kMeta, errors);
  revision_create(updated, errors);
  check_immutable(updated.data, old.data, Path("data"), errors, BadValue::raw(updated.data.text));
}

}  // namespace

BadValue shown_labels(const Map<std::string>& labels) {
  std::string out = "map[string]string{";
  for (const auto& [key, value] : labels) {
    if (!out.ends_with('{')) out += ", ";
    out += go_quote(key) + ":" + go_quote(value);
  }
  return BadValue::raw(out + "}");
}

BadValue shown_selector(const metav1::LabelSelector& selector) {
  std::string out = "v1.LabelSelector{MatchLabels:";
  out += selector.match_labels.empty() ? "map[string]string(nil)" : shown_labels(selector.match_labels).text();
  out += ", MatchExpressions:[]v1.LabelSelectorRequirement";
  if (selector.match_expressions.empty()) return BadValue::raw(out + "(nil)}");
  out += "{";
  for (const auto& requirement : selector.match_expressions) {
    if (!out.ends_with('{')) out += ", ";
    out += fmt::format("v1.LabelSelectorRequirement{{Key:{}, Operator:{}, Values:{}}}", go_quote(requirement.key),
                       go_quote(requirement.operator_), BadValue(requirement.values).text());
  }
  return BadValue::raw(out + "}}");
}

BadValue shown(const IntOrString& value) {
  return BadValue::raw(value.is_string() ? fmt::format("intstr.IntOrString{{Type:1, IntVal:0, StrVal:{}}}",
                                                       go_quote(value.string_value()))
                                         : std::to_string(value.int_value()));
}

void check_template_selector(const Box<metav1::LabelSelector>& selector, const corev1::PodTemplateSpec& pod_template,
                             std::string_view empty_message, const Path& at, ErrorList& errors) {
  const Path path = at.child("selector");
  if (!selector) return errors.required(path);
  check_selector(*selector, path, errors);
  if (selector->match_labels.empty() && selector->match_expressions.empty()) {
    errors.invalid(path, shown_selector(*selector), empty_message);
  }
  const Result<LabelSelector> parsed = LabelSelector::from(*selector);
  if (!parsed.ok()) {
    errors.invalid(path, shown_selector(*selector), "invalid label selector");
  } else if (!parsed->empty() && !parsed->matches(pod_template.metadata.labels)) {
    errors.invalid(at.child("template", "metadata", "labels"), shown_labels(pod_template.metadata.labels),
                   "`selector` does not match template `labels`");
  }
}

void check_service_template(const corev1::PodTemplateSpec& pod_template, std::string_view kind, const Path& at,
                            ErrorList& errors) {
  check_pod_template(pod_template, at, errors);
  if (pod_template.spec.restart_policy != "Always") {
    errors.not_supported(at.child("spec", "restartPolicy"), pod_template.spec.restart_policy, {"Always"});
  }
  if (pod_template.spec.active_deadline_seconds) {
    errors.forbidden(at.child("spec", "activeDeadlineSeconds"),
                     fmt::format("activeDeadlineSeconds in {} is not Supported", kind));
  }
}

void check_int_or_percent(const IntOrString& value, const Path& at, ErrorList& errors) {
  if (value.is_int()) return check_not_negative(value.int_value(), at, errors);
  if (!check_percent(value.string_value()).empty()) {
    errors.invalid(at, shown(value), "must be an integer or percentage (e.g '5%%')");
  }
}

void check_at_most_all(const IntOrString& value, const Path& at, ErrorList& errors) {
  const std::string& text = value.string_value();
  if (value.is_int() || !check_percent(text).empty()) return;
  // More than three digits and a sign are more than a hundred whatever they are, leading zeros aside.
  const size_t first = std::min(text.find_first_not_of('0'), text.size() - 1);
  const std::string digits = text.substr(first, text.size() - 1 - first);
  if (digits.size() > 3 || (digits.size() == 3 && digits > "100")) {
    errors.invalid(at, shown(value), "must not be greater than 100%");
  }
}

void check_same_selector(const Box<metav1::LabelSelector>& updated, const Box<metav1::LabelSelector>& old,
                         const Path& at, ErrorList& errors) {
  const bool same = updated.has_value() == old.has_value() && (!updated || semantic_equal(*updated, *old));
  if (!same) errors.invalid(at, updated ? shown_selector(*updated) : BadValue::raw("null"), kImmutable);
}

std::span<const KindRules> apps_rules() {
  static const KindRules kRules[] = {
      kind_rules<appsv1::ReplicaSet, replica_set_create, replica_set_update, replica_set_status>(),
      kind_rules<appsv1::Deployment, deployment_create, deployment_update, deployment_status>(),
      kind_rules<appsv1::StatefulSet, stateful_set_create, stateful_set_update, stateful_set_status>(),
      kind_rules<appsv1::DaemonSet, daemon_set_create, daemon_set_update, daemon_set_status>(),
      kind_rules<appsv1::ControllerRevision, revision_create, revision_update>(),
  };
  return kRules;
}

}  // namespace trireme::api::validation
