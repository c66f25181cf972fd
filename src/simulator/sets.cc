#include "simulator/sets.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/types/appsv1.h"
#include "controllers/support/pods.h"
#include "simulator/templates.h"

namespace trireme::simulator {
namespace {

namespace corev1 = api::corev1;
using api::appsv1::DaemonSet;
using api::appsv1::StatefulSet;

std::string app_key(std::string_view name) { return fmt::format("{}/{}", Sets::kNamespace, name); }

std::string listed(const std::vector<std::string>& all) {
  std::string out;
  for (const std::string& each : all) out += (out.empty() ? "" : " ") + each;
  return out.empty() ? "none" : out;
}

}  // namespace

Sets::Sets(World& world, int64_t pods) : world_(world), random_(world.random("sets")) {
  const auto nodes = static_cast<int64_t>(world.nodes().count());
  // At most half of the pods, and at most four to a node, are daemons'.
  const auto daemons = std::clamp<int64_t>(pods / (2 * nodes), 1, 4);
  for (int64_t i = 0; i < daemons; ++i) {
    App& app = apps_.emplace_back();
    app.name = fmt::format("daemon-{}", i);
    if (i % 2 == 1) app.zone = HollowNodes::zone_name(0);
  }
  for (int64_t left = std::max<int64_t>(pods - daemons * nodes, 3); left > 0;) {
    App& app = apps_.emplace_back();
    app.name = fmt::format("set-{:04}", apps_.size());
    app.stateful = true;
    app.parallel = random_.chance(0.25);
    app.start = random_.chance(0.2) ? 3 : 0;
    const uint64_t most = app.parallel ? 60 : 9;
    app.replicas = static_cast<int32_t>(std::min<int64_t>(left, 1 + static_cast<int64_t>(random_.below(most))));
    left -= app.replicas;
  }
}

void Sets::plan(Duration over) {
  plan_namespace(world_, std::string(kNamespace));
  for (size_t i = 0; i < apps_.size(); ++i) {
    const Duration at = over * static_cast<int64_t>(i) / static_cast<int64_t>(apps_.size());
    world_.after(std::chrono::seconds(1) + at, [this, i] { create(i); });
  }
}

void Sets::create(size_t index) {
  App& app = apps_[index];
  app.stateful ? create_stateful_set(app) : create_daemon_set(app);
  app.created = true;
}

void Sets::create_stateful_set(const App& app) {
  StatefulSet made;
  made.metadata.namespace_ = kNamespace;
  made.metadata.name = app.name;
  made.spec.replicas = app.replicas;
  made.spec.service_name = app.name;
  made.spec.selector.emplace().match_labels.insert_or_assign(std::string(Observer::kAppLabel), app.name);
  made.spec.template_ = pod_template(app.name, random_);
  if (app.parallel) made.spec.pod_management_policy = api::appsv1::kParallelPodManagement;
  if (app.start != 0) made.spec.ordinals.emplace().start = app.start;
  const auto created = world_.client().create(made);
  if (!created.ok()) world_.fail(fmt::format("cannot create {}: {}", app.name, created.status().message()));
}

void Sets::create_daemon_set(const App& app) {
  DaemonSet made;
  made.metadata.namespace_ = kNamespace;
  made.metadata.name = app.name;
  made.spec.selector.emplace().match_labels.insert_or_assign(std::string(Observer::kAppLabel), app.name);
  made.spec.template_ = pod_template(app.name, random_);
  if (!app.zone.empty()) {
    made.spec.template_.spec.node_selector.insert_or_assign(std::string(corev1::kLabelTopologyZone), app.zone);
  }
  made.spec.update_strategy.type = "RollingUpdate";
  made.spec.update_strategy.rolling_update.emplace().max_unavailable.emplace() = api::IntOrString("20%");
  const auto created = world_.client().create(made);
  if (!created.ok()) world_.fail(fmt::format("cannot create {}: {}", app.name, created.status().message()));
}

void Sets::scale(size_t index, int32_t replicas) {
  App& app = apps_[index];
  if (!app.created || !app.stateful) return;
  app.replicas = replicas;
  // What counts is what is asked for last, even if a conflict made it wait.
  change<StatefulSet>(world_, std::string(kNamespace), app.name,
                      [this, index](StatefulSet& set) { set.spec.replicas = apps_[index].replicas; });
}

void Sets::roll_out(size_t index) {
  App& app = apps_[index];
  if (!app.created) return;
  ++app.version;
  const auto edit = [this, index](auto& set) {
    set.spec.template_.spec.containers[0].image = image_of(apps_[index].version);
  };
  if (app.stateful) return change<StatefulSet>(world_, std::string(kNamespace), app.name, edit);
  change<DaemonSet>(world_, std::string(kNamespace), app.name, edit);
}

void Sets::delete_a_pod(size_t index, Random& random) {
  const App& app = apps_[index];
  const auto pods = world_.observer().pods_of(app_key(app.name));
  if (pods.empty()) return;
  const std::string name = pods[random.below(pods.size())]->metadata.name;
  // Of those that scaling takes away nobody else may choose: their order is checked.
  if (app.stateful) {
    const auto last = fmt::format("{}-{}", app.name, app.start + app.replicas);
    if (std::pair(name.size(), name) >= std::pair(last.size(), last)) return;
  }
  (void)world_.client().remove<corev1::Pod>(std::string(kNamespace), name);
}

std::vector<std::string> Sets::wanted_nodes(const App& app) const {
  std::vector<std::string> out;
  for (const auto& node : world_.observer().nodes().list()) {
    if (!app.zone.empty()) {
      const auto label = node->metadata.labels.find(corev1::kLabelTopologyZone);
      if (label == node->metadata.labels.end() || label->second != app.zone) continue;
    }
    out.push_back(node->metadata.name);
  }
  std::ranges::sort(out);
  return out;
}

int64_t Sets::wanted_pods() const {
  int64_t wanted = 0;
  for (const App& app : apps_) {
    wanted += app.stateful ? app.replicas : static_cast<int64_t>(wanted_nodes(app).size());
  }
  return wanted;
}

bool Sets::is_complete() const {
  // Between two steps of a rollout all pods are ready, too: what counts then is what the statuses say.
  return std::ranges::all_of(apps_, [this](const App& app) { return app.created && is_complete(app); });
}

bool Sets::is_complete(const App& app) const {
  if (app.stateful) {
    const auto set = world_.informers().informer<StatefulSet>().get(kNamespace, app.name);
    return set && set->status.observed_generation == set->metadata.generation &&
           set->status.updated_replicas == app.replicas && set->status.ready_replicas == app.replicas;
  }
  const auto set = world_.informers().informer<DaemonSet>().get(kNamespace, app.name);
  return set && set->status.observed_generation == set->metadata.generation &&
         set->status.updated_number_scheduled == set->status.desired_number_scheduled &&
         set->status.number_ready == set->status.desired_number_scheduled;
}

void Sets::check() const {
  for (const App& app : apps_) {
    app.stateful ? check_stateful_set(app) : check_daemon_set(app);
    for (const auto& pod : world_.observer().pods_of(app_key(app.name))) {
      if (pod->spec.containers[0].image == image_of(app.version)) continue;
      world_.fail(fmt::format("pod {} is of an older template", pod->metadata.name));
    }
  }
}

void Sets::check_stateful_set(const App& app) const {
  std::vector<std::string> there, wanted;
  for (const auto& pod : world_.observer().pods_of(app_key(app.name))) there.push_back(pod->metadata.name);
  for (int32_t i = 0; i < app.replicas; ++i) wanted.push_back(fmt::format("{}-{}", app.name, app.start + i));
  std::ranges::sort(there);
  std::ranges::sort(wanted);
  if (there != wanted) {
    world_.fail(fmt::format("StatefulSet {} has the pods {}; wanted are {}", app.name, listed(there), listed(wanted)));
  }
  const auto found = world_.client().get<StatefulSet>(std::string(kNamespace), app.name);
  if (!found.ok()) return world_.fail(fmt::format("StatefulSet {}: {}", app.name, found.status().message()));
  const auto& status = found->status;
  if (status.replicas != app.replicas || status.ready_replicas != app.replicas ||
      status.available_replicas != app.replicas || status.updated_replicas != app.replicas ||
      status.observed_generation != found->metadata.generation) {
    world_.fail(fmt::format(
        "StatefulSet {} asks for {} pods; its status tells of {}, {} updated, {} ready, {} available", app.name,
        app.replicas, status.replicas, status.updated_replicas, status.ready_replicas, status.available_replicas));
  }
}

void Sets::check_daemon_set(const App& app) const {
  std::vector<std::string> there;
  for (const auto& pod : world_.observer().pods_of(app_key(app.name))) there.push_back(pod->spec.node_name);
  std::ranges::sort(there);
  const std::vector<std::string> wanted = wanted_nodes(app);
  if (there != wanted) {
    world_.fail(fmt::format("DaemonSet {} has pods on {}; eligible are {}", app.name, listed(there), listed(wanted)));
  }
  const auto found = world_.client().get<DaemonSet>(std::string(kNamespace), app.name);
  if (!found.ok()) return world_.fail(fmt::format("DaemonSet {}: {}", app.name, found.status().message()));
  const auto& status = found->status;
  const auto count = static_cast<int32_t>(wanted.size());
  if (status.desired_number_scheduled != count || status.current_number_scheduled != count ||
      status.updated_number_scheduled != count || status.number_ready != count || status.number_available != count ||
      status.number_misscheduled != 0 || status.observed_generation != found->metadata.generation) {
    world_.fail(fmt::format("DaemonSet {} belongs on {} nodes; its status tells of {}, on {}, {} updated, {} ready",
                            app.name, count, status.desired_number_scheduled, status.current_number_scheduled,
                            status.updated_number_scheduled, status.number_ready));
  }
}

}  // namespace trireme::simulator
