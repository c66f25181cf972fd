#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/types/appsv1.h"
#include "api/types/corev1.h"

/// Who a StatefulSet's pods are: their ordinals, names, claims. Pure.
/// https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#pod-identity
namespace trireme::controllers::statefulset {

using api::appsv1::StatefulSet;
using api::corev1::PersistentVolumeClaim;
using api::corev1::Pod;

std::string pod_name(const StatefulSet& set, int32_t ordinal);
/// The ordinal in "SET-ORDINAL"; nothing for a pod that is none of the set's by name.
std::optional<int32_t> ordinal_of(const StatefulSet& set, std::string_view pod_name);
int32_t first_ordinal(const StatefulSet& set);
int32_t replicas_of(const StatefulSet& set);
bool in_range(const StatefulSet& set, int32_t ordinal);

/// The revision that a pod says it was made from: the name of a ControllerRevision.
std::string revision_of(const Pod& pod);

/// The pod of an ordinal, made from `pod_template`.
Pod make_pod(const StatefulSet& set, const api::corev1::PodTemplateSpec& pod_template, const std::string& revision,
             int32_t ordinal);
/// Gives a pod the labels of its identity back. False when it had them.
bool restore_identity(Pod& pod, int32_t ordinal);

std::string claim_name(const StatefulSet& set, const PersistentVolumeClaim& claim_template, int32_t ordinal);
/// The claims of an ordinal, as they are first made.
std::vector<PersistentVolumeClaim> make_claims(const StatefulSet& set, int32_t ordinal);
/// Whether `name` can be a claim of the set's.
bool is_claim_of(const StatefulSet& set, std::string_view name);

/// Sets the claim's owners as the retention policy asks: the set, or the pod of an ordinal that was scaled away, or
/// neither. Leaves claims alone that somebody else controls. False when nothing changed.
/// Source: KEP-1847
bool apply_retention(const StatefulSet& set, const Pod* pod, int32_t ordinal, PersistentVolumeClaim& claim);
/// Whether the claim still belongs to an earlier pod of that name and is about to go with it.
bool is_stale(const PersistentVolumeClaim& claim, const std::string& pod_name, const Pod* pod);

}  // namespace trireme::controllers::statefulset
