#include <algorithm>
#include <array>

#include "scheduler/plugins/plugins.h"
#include "scheduler/preemption.h"
#include "scheduler/registry.h"

namespace trireme::scheduler {

void normalize_by_maximum(std::span<int64_t> scores, bool reverse) {
  const int64_t highest = scores.empty() ? 0 : *std::ranges::max_element(scores);
  for (int64_t& score : scores) {
    if (highest > 0) score = score * kMaxScore / highest;
    if (reverse) score = kMaxScore - score;
  }
}

uint32_t Profile::bit_of(std::string_view plugin) const {
  for (size_t i = 0; i < plugins.size(); ++i) {
    if (plugins[i]->name() == plugin) return 1U << i;
  }
  return 0;
}

void Profile::add(std::shared_ptr<Plugin> plugin, int64_t weight) {
  for (size_t point = 0; point < kPoints; ++point) {
    if (plugin->points() & (1U << point)) uses[point].push_back({plugins.size(), weight});
  }
  plugins.push_back(std::move(plugin));
}

const Profile* find_profile(std::span<const Profile> profiles, std::string_view scheduler_name) {
  const auto found = std::ranges::find(profiles, scheduler_name, &Profile::scheduler_name);
  return found == profiles.end() ? nullptr : &*found;
}

std::span<const PluginDescriptor> plugin_registry() {
  using Context = PluginContext;
  static const auto kRegistry = std::to_array<PluginDescriptor>({
      {"SchedulingGates", 0, true, [](const Context&) { return plugins::scheduling_gates(); }},
      {"PrioritySort", 0, true, [](const Context&) { return plugins::priority_sort(); }},
      {"NodeUnschedulable", 0, true, [](const Context&) { return plugins::node_unschedulable(); }},
      {"NodeName", 0, true, [](const Context&) { return plugins::node_name(); }},
      {"TaintToleration", 3, true, [](const Context&) { return plugins::taint_toleration(); }},
      {"NodeAffinity", 2, true, [](const Context&) { return plugins::node_affinity(); }},
      {"NodePorts", 0, true, [](const Context&) { return plugins::node_ports(); }},
      {"NodeResourcesFit", 1, true, [](const Context&) { return plugins::node_resources_fit(); }},
      {"VolumeRestrictions", 0, true, [](const Context& context) { return plugins::volume_restrictions(context); }},
      {"NodeVolumeLimits", 0, true, [](const Context& context) { return plugins::node_volume_limits(context); }},
      {"VolumeBinding", 0, true, [](const Context& context) { return plugins::volume_binding(context); }},
      {"VolumeZone", 0, true, [](const Context& context) { return plugins::volume_zone(context); }},
      {"PodTopologySpread", 2, true, [](const Context&) { return plugins::pod_topology_spread(); }},
      {"InterPodAffinity", 2, true, [](const Context&) { return plugins::inter_pod_affinity(); }},
      {"DefaultPreemption", 0, true, [](const Context& context) { return default_preemption(context); }},
      {"NodeResourcesBalancedAllocation", 1, true,
       [](const Context&) { return plugins::node_resources_balanced_allocation(); }},
      {"ImageLocality", 1, true, [](const Context&) { return plugins::image_locality(); }},
      {"DefaultBinder", 0, true, [](const Context& context) { return plugins::default_binder(context); }},
  });
  return kRegistry;
}

const PluginDescriptor* find_plugin(std::string_view name) {
  const auto registry = plugin_registry();
  const auto found = std::ranges::find(registry, name, &PluginDescriptor::name);
  return found == registry.end() ? nullptr : &*found;
}

Profile default_profile(const PluginContext& context) {
  Profile profile;
  for (const PluginDescriptor& descriptor : plugin_registry()) {
    if (!descriptor.on_by_default) continue;
    if (auto plugin = descriptor.make(context)) profile.add(std::move(plugin), descriptor.weight);
  }
  return profile;
}

}  // namespace trireme::scheduler
