#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "simulator/scenario.h"
#include "simulator/workload.h"

namespace trireme::simulator {

/// What most scenarios are: a workload that fills the cluster during the first part of the time, and something that
/// happens to it afterwards.
class WorkloadScenario : public Scenario {
 public:
  explicit WorkloadScenario(const ScenarioOptions& options) : options_(options) {}

  void plan(World& world) override {
    workload_ = std::make_unique<Workload>(world, options_.pods);
    workload_->plan(fill_time());
    disturb(world, *workload_);
  }
  bool settled(World&) override { return workload_->settled(); }
  void check(World&) override { workload_->check(); }

 protected:
  virtual Duration fill_time() const { return options_.duration / 4; }
  virtual void disturb(World& world, Workload& workload) = 0;
  const ScenarioOptions options_;

 private:
  std::unique_ptr<Workload> workload_;
};

/// A random `part` of the nodes (at least one).
std::vector<size_t> some_nodes(World& world, double part, std::string_view purpose);

/// Plans what becomes of a node that fails `after` some time: it crashes or loses its network, and then comes back or,
/// after long silence, is removed for good by an operator.
void plan_failure(World& world, size_t node, Duration after, Random& random);

}  // namespace trireme::simulator
