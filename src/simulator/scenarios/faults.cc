#include "simulator/scenarios/common.h"

namespace trireme::simulator {
namespace {

using std::chrono::minutes;

class Fill final : public WorkloadScenario {
 public:
  using WorkloadScenario::WorkloadScenario;

 protected:
  Duration fill_time() const override { return options_.duration; }
  void disturb(World&, Workload&) override {}
};

class NodeFailures final : public WorkloadScenario {
 public:
  using WorkloadScenario::WorkloadScenario;

 protected:
  void disturb(World& world, Workload&) override {
    Random random = world.random("node failures");
    for (const size_t node : some_nodes(world, 0.1, "which nodes fail")) {
      plan_failure(world, node, random.between(fill_time() / 2, options_.duration), random);
    }
  }
};

class ZoneLoss final : public WorkloadScenario {
 public:
  using WorkloadScenario::WorkloadScenario;

 protected:
  void disturb(World& world, Workload&) override { plan_zone_loss(world, 0, options_.duration / 2, minutes(10)); }
};

}  // namespace

std::unique_ptr<Scenario> make_fill(const ScenarioOptions& options) { return std::make_unique<Fill>(options); }
std::unique_ptr<Scenario> make_node_failures(const ScenarioOptions& options) {
  return std::make_unique<NodeFailures>(options);
}
std::unique_ptr<Scenario> make_zone_loss(const ScenarioOptions& options) { return std::make_unique<ZoneLoss>(options); }

}  // namespace trireme::simulator
