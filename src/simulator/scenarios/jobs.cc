#include "simulator/scenarios/common.h"

namespace trireme::simulator {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

class JobsScenario final : public PopulatedScenario {
 public:
  using PopulatedScenario::PopulatedScenario;

  void plan(World& world) override {
    Batch& batch = add<Batch>(world, options_.pods);
    const Duration begin = seconds(20), end = options_.duration;
    batch.plan(end / 2, end);
    Random random = world.random("nodes under jobs");
    for (const size_t node : some_nodes(world, 0.06, "which nodes fail")) {
      plan_failure(world, node, random.between(begin, end), random);
    }
    plan_deaths(world, begin, end);
    plan_changes(world, batch, begin, end);
  }
};

}  // namespace

void plan_changes(World& world, Batch& batch, Duration begin, Duration end) {
  Random random = world.random("what happens to jobs");
  for (size_t i = 0; i < batch.count(); ++i) {
    const Duration at = random.between(begin, end);
    if (random.chance(0.2)) {
      world.after(at, [&batch, i] { batch.suspend(i, true); });
      world.after(at + random.between(seconds(5), minutes(1)), [&batch, i] { batch.suspend(i, false); });
    } else if (random.chance(0.2)) {
      world.after(at,
                  [&batch, i, count = static_cast<int32_t>(1 + random.below(12))] { batch.set_parallelism(i, count); });
    } else if (random.chance(0.5)) {
      world.after(at, [&batch, i, own = random.fork(batch.name(i))]() mutable { batch.delete_a_pod(i, own); });
    }
  }
}

std::unique_ptr<Scenario> make_jobs(const ScenarioOptions& options) { return std::make_unique<JobsScenario>(options); }

}  // namespace trireme::simulator
