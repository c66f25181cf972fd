#pragma once

#include <memory>

#include "scheduler/registry.h"

/// The built-in plugins; each is documented by its namesake in
/// https://kubernetes.io/docs/reference/scheduling/config/#scheduling-plugins
namespace trireme::scheduler::plugins {

std::shared_ptr<Plugin> node_unschedulable();
std::shared_ptr<Plugin> node_name();
std::shared_ptr<Plugin> taint_toleration();
std::shared_ptr<Plugin> node_affinity();
std::shared_ptr<Plugin> node_ports();
/// Scores by LeastAllocated.
std::shared_ptr<Plugin> node_resources_fit();
std::shared_ptr<Plugin> node_resources_balanced_allocation();
/// Spreads pods without own constraints by upstream's system defaults: hosts (skew 3), zones (skew 5).
std::shared_ptr<Plugin> pod_topology_spread();
std::shared_ptr<Plugin> inter_pod_affinity();
std::shared_ptr<Plugin> image_locality();
/// Keeps pods with scheduling gates out of the queue.
std::shared_ptr<Plugin> scheduling_gates();
/// The queue's order: priority, then age. The queue has it built in; the plugin gives it its name.
std::shared_ptr<Plugin> priority_sort();
/// Posts a Binding to the API. Null without a client.
std::shared_ptr<Plugin> default_binder(const PluginContext& context);

}  // namespace trireme::scheduler::plugins
