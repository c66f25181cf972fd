#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "simulator/batch.h"
#include "simulator/population.h"
#include "simulator/scenario.h"
#include "simulator/sets.h"
#include "simulator/workload.h"

namespace trireme::simulator {

/// What all scenarios are: populations to which something happens.
class PopulatedScenario : public Scenario {
 public:
  explicit PopulatedScenario(const ScenarioOptions& options) : options_(options) {}
  bool settled(World& world) override { return simulator::settled(world, populations_); }
  std::string unsettled(World& world) override { return simulator::unsettled(world, populations_); }
  void check(World& world) override;

 protected:
  /// `T(world, pods)`, which lives as long as the scenario.
  template <typename T>
  T& add(World& world, int64_t pods) {
    auto made = std::make_unique<T>(world, pods);
    T& out = *made;
    populations_.push_back(std::move(made));
    return out;
  }
  const ScenarioOptions options_;

 private:
  Populations populations_;
};

/// What most scenarios are: a workload that fills the cluster during the first part of the time, and something that
/// happens to it afterwards.
class WorkloadScenario : public PopulatedScenario {
 public:
  using PopulatedScenario::PopulatedScenario;

  void plan(World& world) override {
    Workload& workload = add<Workload>(world, options_.pods);
    workload.plan(fill_time());
    disturb(world, workload);
  }

 protected:
  virtual Duration fill_time() const { return options_.duration / 4; }
  virtual void disturb(World& world, Workload& workload) = 0;
};

/// A random `part` of the nodes (at least one).
std::vector<size_t> some_nodes(World& world, double part, std::string_view purpose);

/// Plans what becomes of a node that fails `after` some time: it crashes or loses its network, and then comes back or,
/// after long silence, is removed for good by an operator.
void plan_failure(World& world, size_t node, Duration after, Random& random);

/// Plans that a zone loses its network for a time.
void plan_zone_loss(World& world, int zone, Duration begin, Duration length);

/// Plans that the controllers and the scheduler die, each up to two times, and are started anew.
void plan_deaths(World& world, Duration begin, Duration end);

// What users do to the members of a population between two times: they scale, roll out, suspend and delete pods.
void plan_changes(World& world, Workload& workload, Duration begin, Duration end);
void plan_changes(World& world, Sets& sets, Duration begin, Duration end);
void plan_changes(World& world, Batch& batch, Duration begin, Duration end);

}  // namespace trireme::simulator
