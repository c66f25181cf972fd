#include <algorithm>

#include "simulator/scenarios/common.h"

namespace trireme::simulator {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

/// Everything at once: half of the pods are Deployments', a quarter sets', a quarter jobs'. Nodes and a zone fail, and
/// the controllers and the scheduler die and are started anew.
class Mixed final : public PopulatedScenario {
 public:
  using PopulatedScenario::PopulatedScenario;

  void plan(World& world) override {
    const int64_t quarter = std::max<int64_t>(1, options_.pods / 4);
    Workload& workload = add<Workload>(world, std::max<int64_t>(1, options_.pods - 2 * quarter));
    Sets& sets = add<Sets>(world, quarter);
    Batch& batch = add<Batch>(world, quarter);
    const Duration begin = seconds(5), end = options_.duration;
    workload.plan(end / 4);
    sets.plan(end / 4);
    batch.plan(end / 2, end);
    Random random = world.random("mixed");
    for (const size_t node : some_nodes(world, 0.08, "which nodes fail")) {
      plan_failure(world, node, random.between(begin, end), random);
    }
    const int zone = static_cast<int>(random.below(static_cast<uint64_t>(world.nodes().zones())));
    if (random.chance(0.5)) {
      plan_zone_loss(world, zone, random.between(begin, end), random.between(seconds(10), minutes(10)));
    }
    plan_deaths(world, begin, end);
    plan_changes(world, workload, begin, end);
    plan_changes(world, sets, begin, end);
    plan_changes(world, batch, begin, end);
  }
};

}  // namespace

void plan_changes(World& world, Workload& workload, Duration begin, Duration end) {
  Random random = world.random("what happens to apps");
  for (size_t i = 0; i < workload.count(); ++i) {
    const int32_t target = static_cast<int32_t>(random.below(2 * static_cast<uint64_t>(workload.replicas(i)) + 1));
    // Half of them go up or down, and back, so that about as many pods are wanted in the end as in the beginning.
    if (random.chance(0.5)) {
      const Duration at = random.between(begin, end);
      const int32_t before = workload.replicas(i);
      world.after(at, [&workload, i, target] { workload.scale(i, target); });
      world.after(at + random.between(seconds(1), minutes(1)), [&workload, i, before] { workload.scale(i, before); });
    }
    if (random.chance(0.3)) {
      world.after(random.between(begin, end), [&workload, i] { workload.roll_out(i); });
    }
    if (random.chance(0.5)) {
      world.after(random.between(begin, end),
                  [&workload, i, own = random.fork(std::to_string(i))]() mutable { workload.delete_a_pod(i, own); });
    }
  }
}

std::unique_ptr<Scenario> make_mixed(const ScenarioOptions& options) { return std::make_unique<Mixed>(options); }

}  // namespace trireme::simulator
