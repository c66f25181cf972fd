#pragma once

#include <memory>

#include "scheduler/framework.h"

/// The built-in plugins; each is documented by its namesake in
/// https://kubernetes.io/docs/reference/scheduling/config/#scheduling-plugins
namespace trireme::scheduler::plugins {

std::shared_ptr<const Plugin> node_unschedulable();
std::shared_ptr<const Plugin> node_name();
std::shared_ptr<const Plugin> taint_toleration();
std::shared_ptr<const Plugin> node_affinity();
std::shared_ptr<const Plugin> node_ports();
/// Scores by LeastAllocated.
std::shared_ptr<const Plugin> node_resources_fit();
std::shared_ptr<const Plugin> node_resources_balanced_allocation();
/// Spreads pods without own constraints by upstream's system defaults: hosts (skew 3), zones (skew 5).
std::shared_ptr<const Plugin> pod_topology_spread();
std::shared_ptr<const Plugin> inter_pod_affinity();
std::shared_ptr<const Plugin> image_locality();

}  // namespace trireme::scheduler::plugins
