#pragma once

namespace trireme::api::corev1 {
struct Pod;
}

namespace trireme::policy {

/// Leaves of a pod what policies and DNS records of pods are made from: a node that is told of all pods of a cluster
/// keeps no more of them.
void slim_pod(api::corev1::Pod& pod);

}  // namespace trireme::policy
