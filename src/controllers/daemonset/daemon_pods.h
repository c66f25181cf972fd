#pragma once

#include <string>

#include "api/types/appsv1.h"
#include "api/types/corev1.h"

/// Where a DaemonSet's pods belong, and what they look like. Pure.
/// https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/#how-daemon-pods-are-scheduled
namespace trireme::controllers::daemonset {

using api::appsv1::DaemonSet;
using api::corev1::Node;
using api::corev1::Pod;

/// The spec of a daemon pod without its node: the template's with the tolerations that every daemon pod has.
api::corev1::PodSpec daemon_spec(const DaemonSet& set);

struct Eligibility {
  bool run = false;   ///< A pod should be made there.
  bool stay = false;  ///< One that is there may stay.
};
/// `spec` is `daemon_spec(set)`, made once for many nodes.
Eligibility eligibility(const api::corev1::PodSpec& spec, const Node& node);

/// Whether anything that `eligibility` looks at differs: heartbeats change nothing of it.
bool may_differ(const Node& before, const Node& after);

/// The pod for `node`: bound there by a required node affinity on the node's name, so that the scheduler places it.
Pod make_pod(const DaemonSet& set, const api::corev1::PodSpec& spec, const std::string& node, const std::string& hash);

/// The node a pod is on, or for which it was made; "" when it says neither.
std::string node_of(const Pod& pod);

/// Whether the pod was made from the set's template of now.
bool is_current(const DaemonSet& set, const Pod& pod, const std::string& hash);

}  // namespace trireme::controllers::daemonset
