#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "scheduler/config.h"
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
      {"NodeAffinity", 2, true,
       [](const Context& context) { return plugins::node_affinity(context.args.node_affinity); }},
      {"NodePorts", 0, true, [](const Context&) { return plugins::node_ports(); }},
      {"NodeResourcesFit", 1, true,
       [](const Context& context) { return plugins::node_resources_fit(context.args.fit); }},
      {"VolumeRestrictions", 0, true, [](const Context& context) { return plugins::volume_restrictions(context); }},
      {"NodeVolumeLimits", 0, true, [](const Context& context) { return plugins::node_volume_limits(context); }},
      {"VolumeBinding", 0, true, [](const Context& context) { return plugins::volume_binding(context); }},
      {"VolumeZone", 0, true, [](const Context& context) { return plugins::volume_zone(context); }},
      {"PodTopologySpread", 2, true,
       [](const Context& context) { return plugins::pod_topology_spread(context.args.topology_spread); }},
      {"InterPodAffinity", 2, true,
       [](const Context& context) { return plugins::inter_pod_affinity(context.args.inter_pod_affinity); }},
      {"DefaultPreemption", 0, true, [](const Context& context) { return default_preemption(context); }},
      {"NodeResourcesBalancedAllocation", 1, true,
       [](const Context& context) {
         return plugins::node_resources_balanced_allocation(context.args.balanced_allocation);
       }},
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

namespace {

/// The parts of a configuration that make up one point, the decisive one first: preparations and what they are for
/// are switched on and off together.
std::vector<ConfigPoint> parts_of(Point point) {
  switch (point) {
    case Point::kPreEnqueue:
      return {ConfigPoint::kPreEnqueue};
    case Point::kQueueSort:
      return {ConfigPoint::kQueueSort};
    case Point::kFilter:
      return {ConfigPoint::kFilter, ConfigPoint::kPreFilter};
    case Point::kPostFilter:
      return {ConfigPoint::kPostFilter};
    case Point::kScore:
      return {ConfigPoint::kScore, ConfigPoint::kPreScore};
    case Point::kReserve:
      return {ConfigPoint::kReserve, ConfigPoint::kPreBind, ConfigPoint::kPostBind};
    case Point::kPermit:
      return {ConfigPoint::kPermit};
    case Point::kBind:
      return {ConfigPoint::kBind};
  }
  return {};
}

bool names(const std::vector<std::string>& list, std::string_view name) { return std::ranges::count(list, name) > 0; }

const PluginSetting* find_setting(const std::vector<PluginSetting>& list, std::string_view name) {
  const auto found = std::ranges::find(list, name, &PluginSetting::name);
  return found == list.end() ? nullptr : &*found;
}

/// What takes part at all points unless a point says otherwise: the default plugins, less those that the
/// configuration switches off, then those that it adds.
std::vector<PluginSetting> everywhere(const PluginSet& configured) {
  std::vector<PluginSetting> out;
  for (const PluginDescriptor& each : plugin_registry()) {
    if (!each.on_by_default || names(configured.disabled, "*") || names(configured.disabled, each.name)) continue;
    const PluginSetting* own = find_setting(configured.enabled, each.name);
    out.push_back(own ? *own : PluginSetting{std::string(each.name), each.weight});
  }
  for (const PluginSetting& each : configured.enabled) {
    if (!find_setting(out, each.name)) out.push_back(each);
  }
  return out;
}

/// Makes each plugin of a profile once.
class Maker {
 public:
  Maker(Profile& profile, const PluginContext& context) : profile_(profile), context_(context) {}

  /// The plugin's index; nothing when it cannot work in this context.
  Result<std::optional<size_t>> index_of(const std::string& name) {
    for (size_t i = 0; i < profile_.plugins.size(); ++i) {
      if (profile_.plugins[i]->name() == name) return std::optional(i);
    }
    const PluginDescriptor* descriptor = find_plugin(name);
    if (!descriptor) return Status::bad_request(fmt::format("plugin \"{}\" does not exist", name));
    auto plugin = descriptor->make(context_);
    if (!plugin) return std::optional<size_t>();
    profile_.plugins.push_back(std::move(plugin));
    return std::optional(profile_.plugins.size() - 1);
  }

 private:
  Profile& profile_;
  const PluginContext& context_;
};

}  // namespace

Result<Profile> make_profile(const ProfileConfig& config, PluginContext context) {
  context.args = config.args;
  Profile profile;
  profile.scheduler_name = config.scheduler_name;
  profile.percentage_of_nodes_to_score = config.percentage_of_nodes_to_score.value_or(0);
  Maker maker(profile, context);
  const auto set_of = [&](ConfigPoint point) -> const PluginSet& { return config.plugins[static_cast<size_t>(point)]; };
  const std::vector<PluginSetting> multi = everywhere(set_of(ConfigPoint::kMultiPoint));
  for (const PluginSetting& each : multi) {
    TRY_ASSIGN([[maybe_unused]] const auto index, maker.index_of(each.name));
  }
  for (size_t i = 0; i < kPoints; ++i) {
    const auto point = static_cast<Point>(i);
    std::vector<PluginSetting> enabled;
    std::vector<std::string> disabled;
    for (const ConfigPoint part : parts_of(point)) {
      const PluginSet& set = set_of(part);
      disabled.insert(disabled.end(), set.disabled.begin(), set.disabled.end());
      for (const PluginSetting& each : set.enabled) {
        if (!find_setting(enabled, each.name)) enabled.push_back(each);
      }
    }
    const auto use = [&](const PluginSetting& setting, bool explicitly) -> Status {
      TRY_ASSIGN(const auto index, maker.index_of(setting.name));
      if (!index) return {};
      if (!(profile.plugins[*index]->points() & point_bit(point))) {
        if (!explicitly) return {};
        return Status::bad_request(
            fmt::format("plugin \"{}\" does not serve the extension point it is enabled at", setting.name));
      }
      profile.uses[i].push_back({*index, setting.weight == 0 ? 1 : setting.weight});
      return {};
    };
    // Those that a point names itself come first: the ones that are everywhere, then others.
    for (const bool known : {true, false}) {
      for (const PluginSetting& each : enabled) {
        if ((find_setting(multi, each.name) != nullptr) == known) TRY(use(each, true));
      }
    }
    if (names(disabled, "*")) continue;
    for (const PluginSetting& each : multi) {
      if (!names(disabled, each.name) && !find_setting(enabled, each.name)) TRY(use(each, false));
    }
  }
  constexpr size_t kMaxPlugins = 31;
  if (profile.plugins.size() > kMaxPlugins) return Status::bad_request("a profile has more than 31 plugins");
  if (profile.at(Point::kQueueSort).size() != 1) {
    return Status::bad_request(
        fmt::format("only one queue sort plugin required for profile with scheduler name \"{}\", "
                    "but got {}",
                    config.scheduler_name, profile.at(Point::kQueueSort).size()));
  }
  if (context.client && profile.at(Point::kBind).empty()) {
    return Status::bad_request(fmt::format("at least one bind plugin is needed for profile with scheduler name \"{}\"",
                                           config.scheduler_name));
  }
  return profile;
}

Profile default_profile(const PluginContext& context) { return *make_profile(ProfileConfig(), context); }

}  // namespace trireme::scheduler
