#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "api/types/appsv1.h"
#include "simulator/population.h"

namespace trireme::simulator {

/// A population of Deployments of many sizes, spread over a few namespaces, and what must be true of it in the end.
class Workload final : public Population {
 public:
  Workload(World& world, int64_t pods);

  /// Creates them, evenly over `over`, beginning now.
  void plan(Duration over);
  size_t count() const { return apps_.size(); }
  int32_t replicas(size_t app) const { return apps_[app].replicas; }

  // What a user does now. A conflict with a controller's write is tried again later.
  void scale(size_t app, int32_t replicas);
  /// Changes the pod template, so that a rollout begins.
  void roll_out(size_t app);
  /// Takes the pod template of the revision before, if there is one.
  void roll_back(size_t app);
  void delete_a_pod(size_t app, Random& random);
  /// A disruption budget that lets a quarter of the pods (at least one) be unavailable.
  void protect(size_t app);

  /// From now on at least so many ready pods there must be at every moment, once all have been ready, and at most so
  /// many pods that are not being deleted.
  /// `deaths`: after its controllers were away a single pass may take away nearly all old pods, and the new ones may be
  /// made before those are gone.
  void watch_rollout(size_t app, bool deaths);
  void watch_budgets();

  std::string_view kind() const override { return "apps"; }
  int64_t wanted_pods() const override;
  bool is_complete() const override { return true; }
  /// Every app's status is what was asked for, and its pods are of the newest template.
  void check() const override;

  /// A quarter, rounded down, as upstream's defaults for rollouts and the budgets here have it.
  static int32_t quarter(int32_t replicas) { return replicas / 4; }

 private:
  struct App {
    std::string ns, name;
    int32_t replicas = 0;
    int version = 1;
    bool created = false;
  };
  void create(size_t app);
  void change(size_t app, const std::function<void(api::appsv1::Deployment&)>& edit);

  World& world_;
  Random random_;
  std::vector<App> apps_;
  std::vector<std::string> namespaces_;
};

}  // namespace trireme::simulator
