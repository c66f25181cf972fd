#include "scheduler/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>
#include <utility>

#include "api/config_reader.h"
#include "api/validation/meta.h"
#include "api/validation/pod_parts.h"
#include "api/validation/resources.h"
#include "api/yaml.h"
#include "base/base64.h"
#include "base/duration.h"

namespace trireme::scheduler {
namespace {

using Reader = api::ConfigReader;
using api::Value;
using api::validation::ErrorList;
using api::validation::Path;

constexpr std::string_view kVersion = "kubescheduler.config.k8s.io/v1";
constexpr std::string_view kKind = "KubeSchedulerConfiguration";

void check_range(Reader& reader, std::string_view name, int64_t value, int64_t low, int64_t high) {
  if (value < low || value > high) {
    reader.errors().invalid(reader.at(name), value, fmt::format("not in valid range [{}, {}]", low, high));
  }
}

void read_percentage(Reader& reader, std::optional<int32_t>& into) {
  const std::string name = "percentageOfNodesToScore";
  int32_t value = -1;
  reader.read(name, value);
  if (!reader.take(name)) return;
  if (value < 0 || value > 100) {
    reader.errors().invalid(reader.at(name), value, "not in valid range [0-100]");
  } else {
    into = value;
  }
}

void read_shape(Reader& reader, Shape& shape) {
  reader.each("shape", [&](const Value& item, const Path& path) {
    Reader point(item, path, reader.errors());
    Shape::Point& into = shape.points.emplace_back();
    point.read("utilization", into.utilization);
    point.read("score", into.score);
    check_range(point, "utilization", into.utilization, 0, 100);
    check_range(point, "score", into.score, 0, 10);
    const size_t count = shape.points.size();
    if (count > 1 && shape.points[count - 2].utilization >= into.utilization) {
      reader.errors().invalid(path.child("utilization"), into.utilization, "values must be sorted in increasing order");
    }
  });
  if (shape.points.empty()) reader.errors().required(reader.at("shape"), "at least one point must be specified");
}

void read_resources(Reader& reader, std::vector<ResourceWeight>& into, int64_t max_weight) {
  std::vector<ResourceWeight> found;
  reader.each("resources", [&](const Value& item, const Path& path) {
    Reader resource(item, path, reader.errors());
    ResourceWeight& each = found.emplace_back();
    resource.read("name", each.name);
    resource.read("weight", each.weight);
    if (each.weight == 0) each.weight = 1;
    if (max_weight == 1 && each.weight != 1) {
      reader.errors().invalid(path.child("weight"), each.weight, "must be 1");
    } else if (each.weight < 0 || each.weight > max_weight) {
      reader.errors().invalid(path.child("weight"), each.weight,
                              fmt::format("resource weight of {} not in valid range (0, {}]", each.name, max_weight));
    }
    if (std::ranges::count(found, each.name, &ResourceWeight::name) > 1) {
      reader.errors().duplicate(path.child("name"), each.name);
    }
  });
  if (!found.empty()) into = std::move(found);
}

void read_fit(Reader& reader, FitArgs& args) {
  using Strategy = FitArgs::Strategy;
  ErrorList& errors = reader.errors();
  reader.read("ignoredResources", args.ignored_resources);
  for (size_t i = 0; i < args.ignored_resources.size(); ++i) {
    api::validation::check_qualified_name(args.ignored_resources[i], reader.at("ignoredResources").index(i), errors);
  }
  reader.read("ignoredResourceGroups", args.ignored_resource_groups);
  for (size_t i = 0; i < args.ignored_resource_groups.size(); ++i) {
    const std::string& group = args.ignored_resource_groups[i];
    const Path path = reader.at("ignoredResourceGroups").index(i);
    if (group.find('/') != std::string::npos) errors.invalid(path, group, "resource group name can't contain '/'");
    api::validation::check_qualified_name(group, path, errors);
  }
  reader.object("scoringStrategy", [&](Reader& strategy) {
    std::string type = "LeastAllocated";
    strategy.read("type", type);
    read_resources(strategy, args.resources, 100);
    if (type == "MostAllocated") {
      args.strategy = Strategy::kMostAllocated;
    } else if (type == "RequestedToCapacityRatio") {
      args.strategy = Strategy::kRequestedToCapacityRatio;
    } else if (type != "LeastAllocated") {
      errors.not_supported(strategy.at("type"), type, {"LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"});
    }
    const bool by_ratio = args.strategy == Strategy::kRequestedToCapacityRatio;
    const std::string ratio = "requestedToCapacityRatio";
    if (by_ratio && !strategy.take(ratio)) {
      errors.required(strategy.at(ratio), "must be specified when type is RequestedToCapacityRatio");
    } else if (!by_ratio && strategy.take(ratio)) {
      errors.forbidden(strategy.at(ratio), "must be nil when type is not RequestedToCapacityRatio");
    } else {
      strategy.object(ratio, [&](Reader& inner) { read_shape(inner, args.shape); });
    }
  });
}

void read_spread(Reader& reader, TopologySpreadArgs& args) {
  ErrorList& errors = reader.errors();
  std::string type = "System";
  reader.read("defaultingType", type);
  reader.each("defaultConstraints", [&](const Value& item, const Path& path) {
    api::corev1::TopologySpreadConstraint constraint;
    if (!Reader::decode(item, path, errors, constraint)) return;
    if (constraint.max_skew <= 0) {
      errors.invalid(path.child("maxSkew"), constraint.max_skew, "not in valid range (0, inf)");
    }
    if (constraint.topology_key.empty()) {
      errors.required(path.child("topologyKey"), "can not be empty");
    } else {
      api::validation::check_qualified_name(constraint.topology_key, path.child("topologyKey"), errors);
    }
    if (constraint.when_unsatisfiable.empty()) {
      errors.required(path.child("whenUnsatisfiable"), "can not be empty");
    } else {
      errors.check_enum(path.child("whenUnsatisfiable"), constraint.when_unsatisfiable,
                        {"DoNotSchedule", "ScheduleAnyway"});
    }
    if (constraint.label_selector) {
      errors.forbidden(path.child("labelSelector"),
                       "constraint must not define a selector, as they deduced for each pod");
    }
    if (std::ranges::any_of(args.constraints, [&](const auto& other) {
          return other.topology_key == constraint.topology_key &&
                 other.when_unsatisfiable == constraint.when_unsatisfiable;
        })) {
      errors.duplicate(path, fmt::format("{{{}, {}}}", constraint.topology_key, constraint.when_unsatisfiable));
    }
    args.constraints.push_back(std::move(constraint));
  });
  if (type != "System" && type != "List") errors.not_supported(reader.at("defaultingType"), type, {"System", "List"});
  args.system_defaults = type == "System";
  if (args.system_defaults && !args.constraints.empty()) {
    errors.invalid(reader.at("defaultingType"), type, "when .defaultConstraints are not empty");
  }
}

void read_node_affinity(Reader& reader, NodeAffinityArgs& args) {
  const std::string name = "addedAffinity";
  const Value* added = reader.take(name);
  if (!added) return;
  api::corev1::NodeAffinity affinity;
  if (!Reader::decode(*added, reader.at(name), reader.errors(), affinity)) return;
  if (affinity.required_during_scheduling_ignored_during_execution) {
    api::validation::check_node_selector(*affinity.required_during_scheduling_ignored_during_execution,
                                         reader.at(name).child("requiredDuringSchedulingIgnoredDuringExecution"),
                                         reader.errors());
  }
  const auto& preferred = affinity.preferred_during_scheduling_ignored_during_execution;
  for (size_t i = 0; i < preferred.size(); ++i) {
    api::validation::check_node_selector_term(
        preferred[i].preference, false,
        reader.at(name).child("preferredDuringSchedulingIgnoredDuringExecution").index(i).child("preference"),
        reader.errors());
  }
  args.added_affinity = std::move(affinity);
}

void read_preemption(Reader& reader, PreemptionArgs& args) {
  reader.read("minCandidateNodesPercentage", args.min_candidate_nodes_percentage);
  reader.read("minCandidateNodesAbsolute", args.min_candidate_nodes_absolute);
  check_range(reader, "minCandidateNodesPercentage", args.min_candidate_nodes_percentage, 0, 100);
  if (args.min_candidate_nodes_absolute < 0) {
    reader.errors().invalid(reader.at("minCandidateNodesAbsolute"), args.min_candidate_nodes_absolute,
                            "not in valid range [0, inf)");
  }
  if (args.min_candidate_nodes_percentage == 0 && args.min_candidate_nodes_absolute == 0) {
    reader.errors().invalid(reader.at("minCandidateNodesPercentage"), 0,
                            "cannot be zero at the same time as minCandidateNodesAbsolute");
    reader.errors().invalid(reader.at("minCandidateNodesAbsolute"), 0,
                            "cannot be zero at the same time as minCandidateNodesPercentage");
  }
}

void read_volume_binding(Reader& reader, VolumeBindingArgs& args) {
  int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(args.bind_timeout).count();
  reader.read("bindTimeoutSeconds", seconds);
  if (seconds < 0) {
    reader.errors().invalid(reader.at("bindTimeoutSeconds"), seconds,
                            "invalid BindTimeoutSeconds, should not be a negative value");
  }
  args.bind_timeout = std::chrono::seconds(seconds);
  if (reader.take("shape")) {
    reader.errors().forbidden(reader.at("shape"), "only with the feature gate StorageCapacityScoring, which is off");
  }
}

void read_args(const std::string& plugin, Reader& reader, PluginArgs& args) {
  std::string version = std::string(kVersion);
  std::string kind = plugin + "Args";
  reader.read("apiVersion", version);
  reader.read("kind", kind);
  if (version != kVersion) reader.errors().not_supported(reader.at("apiVersion"), version, {kVersion});
  if (kind != plugin + "Args") reader.errors().invalid(reader.at("kind"), kind, "has to match plugin args");
  if (plugin == "NodeResourcesFit") return read_fit(reader, args.fit);
  if (plugin == "NodeResourcesBalancedAllocation") {
    return read_resources(reader, args.balanced_allocation.resources, 1);
  }
  if (plugin == "PodTopologySpread") return read_spread(reader, args.topology_spread);
  if (plugin == "NodeAffinity") return read_node_affinity(reader, args.node_affinity);
  if (plugin == "DefaultPreemption") return read_preemption(reader, args.preemption);
  if (plugin == "VolumeBinding") return read_volume_binding(reader, args.volume_binding);
  if (plugin == "InterPodAffinity") {
    reader.read("hardPodAffinityWeight", args.inter_pod_affinity.hard_pod_affinity_weight);
    check_range(reader, "hardPodAffinityWeight", args.inter_pod_affinity.hard_pod_affinity_weight, 0, 100);
    reader.read("ignorePreferredTermsOfExistingPods", args.inter_pod_affinity.ignore_preferred_terms_of_existing_pods);
  }
}

void read_plugin_set(Reader& reader, PluginSet& set) {
  const auto name_of = [&](Reader& plugin) {
    std::string name;
    plugin.read("name", name);
    if (name.empty()) reader.errors().required(plugin.at("name"));
    return name;
  };
  reader.each("enabled", [&](const Value& item, const Path& path) {
    Reader plugin(item, path, reader.errors());
    PluginSetting setting{name_of(plugin)};
    plugin.read("weight", setting.weight);
    if (setting.weight < 0) reader.errors().invalid(path.child("weight"), setting.weight, "must not be negative");
    if (std::ranges::count(set.enabled, setting.name, &PluginSetting::name) > 0) {
      reader.errors().duplicate(path.child("name"), setting.name);
    }
    if (!setting.name.empty() && !find_plugin(setting.name))
      reader.errors().not_found(path.child("name"), setting.name);
    set.enabled.push_back(std::move(setting));
  });
  reader.each("disabled", [&](const Value& item, const Path& path) {
    Reader plugin(item, path, reader.errors());
    int64_t unused = 0;
    plugin.read("weight", unused);
    set.disabled.push_back(name_of(plugin));
  });
}

ProfileConfig read_profile(const Value& value, const Path& path, ErrorList& errors) {
  constexpr std::array<std::string_view, kConfigPoints> kNames = {
      "multiPoint", "preEnqueue", "queueSort", "preFilter", "filter", "postFilter", "preScore",
      "score",      "reserve",    "permit",    "preBind",   "bind",   "postBind"};
  ProfileConfig profile;
  Reader reader(value, path, errors);
  reader.read("schedulerName", profile.scheduler_name);
  if (profile.scheduler_name.empty()) errors.required(path.child("schedulerName"));
  read_percentage(reader, profile.percentage_of_nodes_to_score);
  reader.object("plugins", [&](Reader& plugins) {
    for (size_t i = 0; i < kConfigPoints; ++i) {
      plugins.object(std::string(kNames[i]), [&](Reader& set) { read_plugin_set(set, profile.plugins[i]); });
    }
  });
  std::set<std::string> configured;
  reader.each("pluginConfig", [&](const Value& item, const Path& at) {
    Reader plugin(item, at, errors);
    std::string name;
    plugin.read("name", name);
    if (!configured.insert(name).second) errors.duplicate(at, name);
    const bool known = find_plugin(name) || name == "VolumeBinding";
    if (!known) errors.not_found(at.child("name"), name);
    if (!known) plugin.take("args");
    if (known) plugin.object("args", [&](Reader& args) { read_args(name, args, profile.args); });
  });
  return profile;
}

void read_pem(Reader& reader, const std::string& name, std::string& pem) {
  std::string file;
  std::string data;
  reader.read(name + "File", file);
  reader.read(name + "Data", data);
  if (!data.empty()) {
    auto decoded = base64_decode(data);
    if (!decoded.ok()) return reader.errors().invalid(reader.at(name + "Data"), data, "must be base64");
    pem = std::move(*decoded);
  } else if (!file.empty()) {
    std::ifstream in(file, std::ios::binary);
    if (!in) return reader.errors().invalid(reader.at(name + "File"), file, "cannot be read");
    pem.assign(std::istreambuf_iterator<char>(in), {});
  }
}

ExtenderConfig read_extender(const Value& value, const Path& path, ErrorList& errors) {
  ExtenderConfig extender;
  Reader reader(value, path, errors);
  reader.read("urlPrefix", extender.url_prefix);
  reader.read("filterVerb", extender.filter_verb);
  reader.read("prioritizeVerb", extender.prioritize_verb);
  reader.read("preemptVerb", extender.preempt_verb);
  reader.read("bindVerb", extender.bind_verb);
  extender.weight = 0;
  reader.read("weight", extender.weight);
  if (!extender.prioritize_verb.empty() && extender.weight <= 0) {
    errors.invalid(path.child("weight"), extender.weight, "must have a positive weight applied to it");
  }
  Duration timeout{};
  reader.read("httpTimeout", timeout);
  if (timeout > Duration::zero()) extender.timeout = timeout;
  reader.read("nodeCacheCapable", extender.node_cache_capable);
  reader.read("ignorable", extender.ignorable);
  reader.read("enableHTTPS", extender.enable_https);
  reader.object("tlsConfig", [&](Reader& tls) {
    tls.read("insecure", extender.insecure);
    tls.read("serverName", extender.server_name);
    read_pem(tls, "ca", extender.ca_pem);
    read_pem(tls, "cert", extender.certificate_pem);
    read_pem(tls, "key", extender.key_pem);
  });
  reader.each("managedResources", [&](const Value& item, const Path& at) {
    Reader resource(item, at, errors);
    ExtenderConfig::Resource& each = extender.managed_resources.emplace_back();
    resource.read("name", each.name);
    resource.read("ignoredByScheduler", each.ignored_by_scheduler);
    const size_t before = errors.size();
    api::validation::check_qualified_name(each.name, at.child("name"), errors);
    if (errors.size() == before && !api::validation::is_extended_resource(each.name)) {
      errors.invalid(at.child("name"), each.name, "is an invalid extended resource name");
    }
  });
  return extender;
}

void read_extenders(Reader& reader, std::vector<ExtenderConfig>& extenders) {
  std::set<std::string> managed;
  size_t binders = 0;
  reader.each("extenders", [&](const Value& item, const Path& path) {
    ExtenderConfig extender = read_extender(item, path, reader.errors());
    if (!extender.bind_verb.empty()) ++binders;
    for (size_t i = 0; i < extender.managed_resources.size(); ++i) {
      const std::string& name = extender.managed_resources[i].name;
      if (managed.insert(name).second) continue;
      reader.errors().invalid(path.child("managedResources").index(i).child("name"), name,
                              "duplicate extender managed resource name");
    }
    extenders.push_back(std::move(extender));
  });
  if (binders > 1) {
    reader.errors().invalid(reader.at("extenders"), fmt::format("found {} extenders implementing bind", binders),
                            "only one extender can implement bind");
  }
}

void read_leader_election(Reader& reader, Configuration& config) {
  ErrorList& errors = reader.errors();
  client::LeaderElectionOptions& options = config.leader_election;
  std::string lock = "leases";
  reader.read("leaderElect", config.leader_elect);
  reader.read("leaseDuration", options.lease_duration);
  reader.read("renewDeadline", options.renew_deadline);
  reader.read("retryPeriod", options.retry_period);
  reader.read("resourceLock", lock);
  reader.read("resourceName", options.name);
  reader.read("resourceNamespace", options.ns);
  if (!config.leader_elect) return;
  const auto positive = [&](std::string_view name, Duration value) {
    if (value <= Duration::zero()) errors.invalid(reader.at(name), format_duration(value), "must be greater than zero");
  };
  positive("leaseDuration", options.lease_duration);
  positive("renewDeadline", options.renew_deadline);
  positive("retryPeriod", options.retry_period);
  if (options.lease_duration < options.renew_deadline) {
    errors.invalid(reader.at("leaseDuration"), format_duration(options.renew_deadline),
                   "LeaseDuration must be greater than RenewDeadline");
  }
  if (lock != "leases") errors.invalid(reader.at("resourceLock"), lock, "resourceLock value must be \"leases\"");
  if (options.name.empty()) errors.required(reader.at("resourceName"), "resourceName is required");
  if (options.ns.empty()) errors.required(reader.at("resourceNamespace"), "resourceNamespace is required");
}

void read_backoffs(Reader& reader, Configuration& config) {
  int64_t initial = 0;
  int64_t maximum = 0;
  const bool has_initial = reader.take("podInitialBackoffSeconds") != nullptr;
  reader.read("podInitialBackoffSeconds", initial);
  if (!has_initial) initial = 1;
  const bool has_maximum = reader.take("podMaxBackoffSeconds") != nullptr;
  reader.read("podMaxBackoffSeconds", maximum);
  if (!has_maximum) maximum = 10;
  if (initial <= 0) {
    reader.errors().invalid(reader.at("podInitialBackoffSeconds"), initial, "must be greater than 0");
  }
  if (maximum < initial) {
    reader.errors().invalid(reader.at("podMaxBackoffSeconds"), maximum,
                            "must be greater than or equal to PodInitialBackoffSeconds");
  }
  config.pod_initial_backoff = std::chrono::seconds(initial);
  config.pod_max_backoff = std::chrono::seconds(maximum);
}

Configuration read_configuration(const Value& value, ErrorList& errors) {
  Configuration config;
  Reader reader(value, Path(), errors);
  reader.read_kind({kVersion}, kKind);
  reader.read("parallelism", config.parallelism);
  if (config.parallelism <= 0) {
    errors.invalid(reader.at("parallelism"), config.parallelism, "should be an integer value greater than zero");
  }
  std::optional<int32_t> percentage;
  read_percentage(reader, percentage);
  config.percentage_of_nodes_to_score = percentage.value_or(0);
  read_backoffs(reader, config);
  reader.object("leaderElection", [&](Reader& inner) { read_leader_election(inner, config); });
  reader.object("clientConnection", [&](Reader& inner) {
    // The client has no limiter of its own and always speaks protobuf.
    inner.read("kubeconfig", config.kubeconfig);
    for (const char* name : {"acceptContentTypes", "contentType", "qps", "burst"}) inner.take(name);
  });
  for (const char* name : {"enableProfiling", "enableContentionProfiling", "delayCacheUntilActive"}) {
    bool ignored = false;
    reader.read(name, ignored);
  }
  std::vector<ProfileConfig> profiles;
  reader.each("profiles", [&](const Value& item, const Path& path) {
    profiles.push_back(read_profile(item, path, errors));
    const auto& name = profiles.back().scheduler_name;
    if (std::ranges::count(profiles, name, &ProfileConfig::scheduler_name) > 1) {
      errors.duplicate(path.child("schedulerName"), name);
    }
  });
  if (!profiles.empty()) config.profiles = std::move(profiles);
  for (ProfileConfig& profile : config.profiles) {
    if (!profile.percentage_of_nodes_to_score) {
      profile.percentage_of_nodes_to_score = config.percentage_of_nodes_to_score;
    }
  }
  read_extenders(reader, config.extenders);
  return config;
}

}  // namespace

Result<Configuration> parse_configuration(std::string_view text) {
  TRY_ASSIGN(const Value value, api::parse_yaml(text));
  ErrorList errors;
  Configuration config = read_configuration(value, errors);
  TRY(api::config_status(errors));
  return config;
}

}  // namespace trireme::scheduler
