#pragma once

#include <memory>
#include <optional>
#include <span>

#include "api/types/corev1.h"
#include "kubelet/pods/status.h"

namespace trireme::kubelet {

/// Why this node refuses a pod that was bound to it, perhaps by somebody who is no scheduler: what it asks for is not
/// there, its selector or affinity leaves the node out, or a port is taken. The first reason counts, as upstream's
/// kubelet tells it ("OutOfcpu", "NodeAffinity", "NodePorts"); nothing when the pod may run. `others`: the pods that
/// are here already. `node` is null while its object is not known: then only ports are looked at. Pure.
std::optional<PodFailure> refusal(const api::corev1::Pod& pod,
                                  std::span<const std::shared_ptr<const api::corev1::Pod>> others,
                                  const api::corev1::Node* node);

/// Nothing of the pod has been started anywhere: it is to be admitted first.
bool awaits_admission(const api::corev1::Pod& pod);

}  // namespace trireme::kubelet
