#pragma once

#include <memory>

#include "scheduler/registry.h"

/// The built-in plugins; each is documented by its namesake in
/// https://kubernetes.io/docs/reference/scheduling/config/#scheduling-plugins
namespace trireme::scheduler::plugins {

std::shared_ptr<Plugin> node_unschedulable();
std::shared_ptr<Plugin> node_name();
std::shared_ptr<Plugin> taint_toleration();
std::shared_ptr<Plugin> node_affinity(const NodeAffinityArgs& args = {});
std::shared_ptr<Plugin> node_ports();
std::shared_ptr<Plugin> node_resources_fit(const FitArgs& args = {});
std::shared_ptr<Plugin> node_resources_balanced_allocation(const BalancedAllocationArgs& args = {});
std::shared_ptr<Plugin> pod_topology_spread(const TopologySpreadArgs& args = {});
std::shared_ptr<Plugin> inter_pod_affinity(const InterPodAffinityArgs& args = {});
std::shared_ptr<Plugin> image_locality();
/// Keeps pods with scheduling gates out of the queue.
std::shared_ptr<Plugin> scheduling_gates();
/// The queue's order: priority, then age. The queue has it built in; the plugin gives it its name.
std::shared_ptr<Plugin> priority_sort();
/// One pod at a time on a claim that says so, and no disk of a cloud mounted twice. Null without informers.
std::shared_ptr<Plugin> volume_restrictions(const PluginContext& context);
/// No more volumes of a driver on a node than its CSINode allows. Null without informers.
std::shared_ptr<Plugin> node_volume_limits(const PluginContext& context);
/// Nodes that bound volumes can be reached from; volumes and provisioning for claims that wait for a pod. Null without
/// a client.
std::shared_ptr<Plugin> volume_binding(const PluginContext& context);
/// Volumes labelled with a zone are used in that zone. Null without informers.
std::shared_ptr<Plugin> volume_zone(const PluginContext& context);
/// Posts a Binding to the API. Null without a client.
std::shared_ptr<Plugin> default_binder(const PluginContext& context);

}  // namespace trireme::scheduler::plugins
