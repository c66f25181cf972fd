#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/codec.h"
#include "api/yaml.h"
#include "scheduler/cycle.h"
#include "scheduler/registry.h"

/// Objects in short form, for the module's tests.
namespace trireme::scheduler::testing {

template <typename T>
std::shared_ptr<const T> from_yaml(std::string_view yaml) {
  auto json = api::yaml_to_json(yaml);
  EXPECT_TRUE(json.ok()) << json.status().to_string() << " in " << yaml;
  if (!json.ok()) return std::make_shared<T>();
  auto object = api::decode_json<T>(*json);
  EXPECT_TRUE(object.ok()) << object.status().to_string() << " in " << yaml;
  return object.ok() ? std::make_shared<T>(std::move(*object)) : std::make_shared<T>();
}

/// A pod in the namespace "default" whose UID is its name. `spec` and `labels` are YAML in flow style.
inline PodPointer make_pod(const std::string& name, const std::string& spec = "{}", const std::string& labels = "{}",
                           const std::string& rest = "") {
  auto pod = *from_yaml<api::corev1::Pod>("{metadata: {name: '" + name + "', namespace: default, uid: '" + name +
                                          "', labels: " + labels + "}, spec: " + spec + rest + "}");
  if (pod.spec.scheduler_name.empty()) pod.spec.scheduler_name = "default-scheduler";
  return std::make_shared<const api::corev1::Pod>(std::move(pod));
}

inline PodInfoPointer make_info(const std::string& name, const std::string& spec = "{}",
                                const std::string& labels = "{}", const std::string& rest = "") {
  return PodInfo::make(make_pod(name, spec, labels, rest));
}

/// A spec with one container that asks for `requests`, and whatever `rest` adds (beginning with a comma).
inline std::string asking(const std::string& requests, const std::string& rest = "") {
  return "{containers: [{name: c, image: i, resources: {requests: " + requests + "}}]" + rest + "}";
}

/// A node of 4 CPUs, 8 GiB and 10 pods, labelled with its name.
inline NodePointer make_node(const std::string& name, const std::string& labels = "{}", const std::string& spec = "{}",
                             const std::string& allocatable = "{cpu: 4, memory: 8Gi, pods: 10}",
                             const std::string& images = "[]") {
  auto node = *from_yaml<api::corev1::Node>("{metadata: {name: '" + name + "', labels: " + labels + "}, spec: " + spec +
                                            ", status: {allocatable: " + allocatable + ", images: " + images + "}}");
  node.metadata.labels.emplace("kubernetes.io/hostname", name);
  return std::make_shared<const api::corev1::Node>(std::move(node));
}

/// A cache with what decides on pods against it.
struct Cluster {
  Profile profile = default_profile();
  Cache cache;
  Nominations nominations;
  Cycle cycle{cache, nominations, /*seed=*/1};

  Cluster() { cache.set_namespace("default", {{"kubernetes.io/metadata.name", "default"}}); }

  void place(const std::string& node, const PodInfoPointer& pod) { cache.set_pod(pod, node); }

  /// The chosen node's name, or why there is none.
  std::string decide(const PodInfoPointer& pod) {
    PodFilters filters(profile, cache, nominations, *pod);
    const Cycle::Decision decision = cycle.decide(filters);
    return decision.node ? decision.node->name : decision.refusal.message();
  }

  /// What one plugin's filter says of a node: "" when it fits.
  std::string filter(const Plugin& plugin, const PodInfo& pod, const std::string& node) const {
    const FilterPlan plan = plugin.plan_filter(pod, cache);
    Reasons reasons;
    if (!plan.filter || plan.filter->check(*cache.node(node), reasons) == Fit::kFits) return {};
    std::string out;
    for (const Reasons::Text reason : reasons.texts()) out += (out.empty() ? "" : ", ") + *reason;
    return out;
  }

  /// One plugin's scores of the nodes, by their names; empty when it has no opinion.
  std::vector<int64_t> scores(const Plugin& plugin, const PodInfo& pod, const std::vector<std::string>& names) const {
    std::vector<const NodeInfo*> nodes;
    for (const std::string& name : names) nodes.push_back(cache.node(name));
    const auto scorer = plugin.plan_score(pod, cache, nodes);
    if (!scorer) return {};
    std::vector<int64_t> out(nodes.size());
    scorer->score(nodes, out);
    return out;
  }
};

}  // namespace trireme::scheduler::testing
