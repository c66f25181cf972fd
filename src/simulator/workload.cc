#include "simulator/workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "api/types/policyv1.h"
#include "simulator/templates.h"

namespace trireme::simulator {
namespace {

namespace corev1 = api::corev1;
using api::appsv1::Deployment;

constexpr int kMostNamespaces = 20;

}  // namespace

Workload::Workload(World& world, int64_t pods) : world_(world), random_(world.random("workload")) {
  const auto spaces = static_cast<int>(std::clamp<int64_t>(pods / 100, 1, kMostNamespaces));
  for (int i = 0; i < spaces; ++i) namespaces_.push_back(fmt::format("load-{:02}", i));
  // Most are small, some are large; none is more than a quarter of all.
  const int64_t most = std::clamp<int64_t>(pods / 4, 1, 500);
  for (int64_t left = pods; left > 0;) {
    const int64_t size = 1 + static_cast<int64_t>(random_.chance(0.8) ? random_.below(30) : 30 + random_.below(470));
    App& app = apps_.emplace_back();
    app.ns = namespaces_[random_.below(namespaces_.size())];
    app.name = fmt::format("app-{:05}", apps_.size());
    app.replicas = static_cast<int32_t>(std::min({size, most, left}));
    left -= app.replicas;
  }
}

void Workload::plan(Duration over) {
  for (const std::string& name : namespaces_) plan_namespace(world_, name);
  // Each at the time at which the pods before it would have been made at a steady rate.
  const auto total = std::accumulate(apps_.begin(), apps_.end(), int64_t{0},
                                     [](int64_t sum, const App& app) { return sum + app.replicas; });
  int64_t before = 0;
  for (size_t i = 0; i < apps_.size(); ++i) {
    const double part = static_cast<double>(before) / static_cast<double>(std::max<int64_t>(1, total));
    before += apps_[i].replicas;
    world_.after(Duration(static_cast<int64_t>(part * static_cast<double>(over.count()))) + std::chrono::seconds(1),
                 [this, i] { create(i); });
  }
}

void Workload::create(size_t index) {
  App& app = apps_[index];
  Deployment made;
  made.metadata.namespace_ = app.ns;
  made.metadata.name = app.name;
  made.spec.replicas = app.replicas;
  made.spec.selector.emplace().match_labels.insert_or_assign(std::string(Observer::kAppLabel), app.name);
  made.spec.template_ = pod_template(app.name, random_);
  made.spec.revision_history_limit = 2;
  const auto created = world_.client().create(made);
  app.created = created.ok();
  if (!app.created) world_.fail(fmt::format("cannot create {}: {}", app.name, created.status().message()));
}

void Workload::change(size_t index, const std::function<void(Deployment&)>& edit) {
  const App& app = apps_[index];
  if (app.created) simulator::change<Deployment>(world_, app.ns, app.name, edit);
}

void Workload::scale(size_t index, int32_t replicas) {
  change(index, [this, index, replicas](Deployment& deployment) {
    apps_[index].replicas = replicas;
    deployment.spec.replicas = replicas;
  });
}

void Workload::roll_out(size_t index) {
  if (!apps_[index].created) return;
  const std::string image = image_of(++apps_[index].version);
  change(index, [image](Deployment& each) { each.spec.template_.spec.containers[0].image = image; });
}

void Workload::roll_back(size_t index) {
  if (!apps_[index].created || apps_[index].version < 2) return;
  const std::string image = image_of(--apps_[index].version);
  change(index, [image](Deployment& each) { each.spec.template_.spec.containers[0].image = image; });
}

void Workload::delete_a_pod(size_t index, Random& random) {
  const App& app = apps_[index];
  const auto pods = world_.observer().pods_of(app.ns + "/" + app.name);
  if (pods.empty()) return;
  (void)world_.client().remove<corev1::Pod>(app.ns, pods[random.below(pods.size())]->metadata.name);
}

void Workload::protect(size_t index) {
  const App& app = apps_[index];
  api::policyv1::PodDisruptionBudget budget;
  budget.metadata.namespace_ = app.ns;
  budget.metadata.name = app.name;
  budget.spec.max_unavailable = std::max(1, quarter(app.replicas));
  budget.spec.selector.emplace().match_labels.insert_or_assign(std::string(Observer::kAppLabel), app.name);
  if (const auto made = world_.client().create(budget); !made.ok()) {
    world_.fail(fmt::format("cannot create the budget of {}: {}", app.name, made.status().message()));
  }
}

void Workload::watch_rollout(size_t index, bool deaths) {
  const App& app = apps_[index];
  // The strategy lets a quarter be unavailable, rounded down, and a quarter more than asked for exist, rounded up. The
  // latter binds what the ReplicaSets are told: of two, the one that grows may act before the one that shrinks, so that
  // for a moment there are more pods by what one pass takes away.
  const int32_t surge = (app.replicas + 3) / 4;
  const int32_t taken = deaths ? app.replicas : surge;
  world_.observer().bound(app.ns + "/" + app.name, {.full = app.replicas,
                                                    .least_ready = app.replicas - quarter(app.replicas),
                                                    .most = app.replicas + surge + taken});
}

void Workload::watch_budgets() {
  for (const App& app : apps_) {
    world_.observer().bound(app.ns + "/" + app.name, {.full = app.replicas,
                                                      .least_ready = app.replicas - std::max(1, quarter(app.replicas)),
                                                      .most = app.replicas + (app.replicas + 3) / 4});
  }
}

int64_t Workload::wanted_pods() const {
  int64_t wanted = 0;
  for (const App& app : apps_) wanted += app.created ? app.replicas : 0;
  return wanted;
}

void Workload::check() const {
  Observer& observer = world_.observer();
  for (const App& app : apps_) {
    const auto found = world_.client().get<Deployment>(app.ns, app.name);
    if (!found.ok()) {
      world_.fail(fmt::format("{}/{}: {}", app.ns, app.name, found.status().message()));
      continue;
    }
    const auto& status = found->status;
    if (status.replicas != app.replicas || status.ready_replicas != app.replicas ||
        status.updated_replicas != app.replicas || status.available_replicas != app.replicas ||
        status.observed_generation != found->metadata.generation) {
      world_.fail(
          fmt::format("Deployment {}/{} asks for {} pods; its status tells of {}, {} updated, {} ready, {} "
                      "available",
                      app.ns, app.name, app.replicas, status.replicas, status.updated_replicas, status.ready_replicas,
                      status.available_replicas));
    }
    const std::string image = image_of(app.version);
    for (const auto& pod : observer.pods_of(app.ns + "/" + app.name)) {
      if (pod->spec.containers[0].image == image) continue;
      world_.fail(fmt::format("pod {}/{} is of an older template", app.ns, pod->metadata.name));
    }
  }
}

}  // namespace trireme::simulator
