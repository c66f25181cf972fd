#pragma once

#include <vector>

#include "api/types/corev1.h"

/// Whether a pod may be on a node, by what both say: taints and tolerations, node selectors and required affinity.
/// Pure. https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/
namespace trireme::api {

/// Whether a toleration covers the taint. https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
bool tolerates(const corev1::Toleration& toleration, const corev1::Taint& taint);
bool tolerates(const std::vector<corev1::Toleration>& tolerations, const corev1::Taint& taint);

/// One term: all its expressions and fields. An empty term matches nothing.
bool matches_term(const corev1::NodeSelectorTerm& term, const corev1::Node& node);

/// Whether the node satisfies the pod's nodeSelector and required node affinity.
bool matches_required_node_affinity(const corev1::PodSpec& pod, const corev1::Node& node);

}  // namespace trireme::api
