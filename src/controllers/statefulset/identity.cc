#include "controllers/statefulset/identity.h"

#include <algorithm>
#include <charconv>

#include "client/event_recorder.h"
#include "controllers/support/ownership.h"
#include "controllers/support/pods.h"

namespace trireme::controllers::statefulset {

using api::metav1::OwnerReference;

namespace {

std::string claim_prefix(const StatefulSet& set, const PersistentVolumeClaim& claim_template) {
  return claim_template.metadata.name + "-" + set.metadata.name + "-";
}

bool retains(const std::string& policy) {
  return policy != api::appsv1::kDeletePersistentVolumeClaimRetentionPolicyType;
}

bool same_owner(const OwnerReference& a, const OwnerReference& b) {
  return a.uid == b.uid && a.kind == b.kind && a.name == b.name && a.controller == b.controller;
}

}  // namespace

std::string pod_name(const StatefulSet& set, int32_t ordinal) {
  return set.metadata.name + "-" + std::to_string(ordinal);
}

std::optional<int32_t> ordinal_of(const StatefulSet& set, std::string_view name) {
  const std::string prefix = set.metadata.name + "-";
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  int32_t ordinal = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), ordinal);
  const bool whole = error == std::errc() && end == name.data() + name.size() && ordinal >= 0;
  // "web-01" is nobody's.
  if (!whole || std::to_string(ordinal) != name) return std::nullopt;
  return ordinal;
}

int32_t first_ordinal(const StatefulSet& set) { return set.spec.ordinals ? set.spec.ordinals->start : 0; }

int32_t replicas_of(const StatefulSet& set) { return std::max(set.spec.replicas.value_or(1), 0); }

bool in_range(const StatefulSet& set, int32_t ordinal) {
  return ordinal >= first_ordinal(set) && ordinal < int64_t{first_ordinal(set)} + replicas_of(set);
}

std::string revision_of(const Pod& pod) { return pod.metadata.labels.get(api::appsv1::kStatefulSetRevisionLabel); }

bool restore_identity(Pod& pod, int32_t ordinal) {
  auto& labels = pod.metadata.labels;
  const std::string index = std::to_string(ordinal);
  if (labels.get(api::appsv1::kStatefulSetPodNameLabel) == pod.metadata.name &&
      labels.get(api::appsv1::kPodIndexLabel) == index) {
    return false;
  }
  labels.insert_or_assign(api::appsv1::kStatefulSetPodNameLabel, pod.metadata.name);
  labels.insert_or_assign(api::appsv1::kPodIndexLabel, index);
  return true;
}

Pod make_pod(const StatefulSet& set, const api::corev1::PodTemplateSpec& pod_template, const std::string& revision,
             int32_t ordinal) {
  Pod pod;
  pod.metadata.namespace_ = set.metadata.namespace_;
  pod.metadata.name = pod_name(set, ordinal);
  pod.metadata.labels = pod_template.metadata.labels;
  pod.metadata.annotations = pod_template.metadata.annotations;
  pod.metadata.finalizers = pod_template.metadata.finalizers;
  pod.metadata.owner_references.push_back(controller_reference(client::reference_to(set)));
  pod.metadata.labels.insert_or_assign(api::appsv1::kStatefulSetRevisionLabel, revision);
  restore_identity(pod, ordinal);
  pod.spec = pod_template.spec;
  pod.spec.hostname = pod.metadata.name;
  pod.spec.subdomain = set.spec.service_name;
  // The claims' volumes take the place of the template's of those names.
  std::vector<api::corev1::Volume> volumes;
  for (const PersistentVolumeClaim& claim : set.spec.volume_claim_templates) {
    auto& volume = volumes.emplace_back();
    volume.name = claim.metadata.name;
    volume.volume_source.persistent_volume_claim.emplace().claim_name = claim_name(set, claim, ordinal);
  }
  for (const auto& volume : pod.spec.volumes) {
    const bool replaced = std::ranges::any_of(set.spec.volume_claim_templates,
                                              [&](const auto& claim) { return claim.metadata.name == volume.name; });
    if (!replaced) volumes.push_back(volume);
  }
  pod.spec.volumes = std::move(volumes);
  return pod;
}

std::string claim_name(const StatefulSet& set, const PersistentVolumeClaim& claim_template, int32_t ordinal) {
  return claim_prefix(set, claim_template) + std::to_string(ordinal);
}

std::vector<PersistentVolumeClaim> make_claims(const StatefulSet& set, int32_t ordinal) {
  std::vector<PersistentVolumeClaim> claims;
  for (const PersistentVolumeClaim& each : set.spec.volume_claim_templates) {
    PersistentVolumeClaim claim = each;
    claim.metadata.name = claim_name(set, each, ordinal);
    claim.metadata.namespace_ = set.metadata.namespace_;
    claim.status = {};
    if (set.spec.selector) {
      for (const auto& [key, value] : set.spec.selector->match_labels) {
        claim.metadata.labels.insert_or_assign(key, value);
      }
    }
    claims.push_back(std::move(claim));
  }
  return claims;
}

bool is_claim_of(const StatefulSet& set, std::string_view name) {
  return std::ranges::any_of(set.spec.volume_claim_templates,
                             [&](const auto& each) { return name.starts_with(claim_prefix(set, each)); });
}

bool apply_retention(const StatefulSet& set, const Pod* pod, int32_t ordinal, PersistentVolumeClaim& claim) {
  const bool scaled_away = !in_range(set, ordinal);
  const auto& policy = set.spec.persistent_volume_claim_retention_policy;
  const bool keep_when_deleted = !policy || retains(policy->when_deleted);
  const bool keep_when_scaled = !policy || retains(policy->when_scaled);
  auto& owners = claim.metadata.owner_references;
  // By name: a set or pod that was made anew takes over from its predecessor, which would take the claim along.
  const std::string name = pod_name(set, ordinal);
  bool foreign = false;
  std::vector<OwnerReference> wanted;
  for (const OwnerReference& owner : owners) {
    const bool ours = (owner.kind == "StatefulSet" && owner.name == set.metadata.name) ||
                      (pod && owner.kind == "Pod" && owner.name == name);
    if (ours) continue;
    foreign |= owner.controller.value_or(false);
    wanted.push_back(owner);
  }
  if (!foreign) {
    const bool to_pod = !keep_when_scaled && scaled_away;
    if (to_pod && pod) {
      wanted.push_back(controller_reference(client::reference_to(*pod)));
    } else if (!to_pod && !keep_when_deleted) {
      wanted.push_back(controller_reference(client::reference_to(set)));
    }
  }
  if (std::ranges::equal(owners, wanted, same_owner)) return false;
  owners = std::move(wanted);
  return true;
}

bool is_stale(const PersistentVolumeClaim& claim, const std::string& name, const Pod* pod) {
  return std::ranges::any_of(claim.metadata.owner_references, [&](const OwnerReference& owner) {
    return owner.kind == "Pod" && owner.name == name && (!pod || owner.uid != pod->metadata.uid);
  });
}

}  // namespace trireme::controllers::statefulset
