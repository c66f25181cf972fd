#include "simulator/scenarios/common.h"

namespace trireme::simulator {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

class SetsScenario final : public PopulatedScenario {
 public:
  using PopulatedScenario::PopulatedScenario;

  void plan(World& world) override {
    Sets& sets = add<Sets>(world, options_.pods);
    const Duration fill = options_.duration / 4, begin = fill + seconds(20), end = options_.duration;
    sets.plan(fill);
    Random random = world.random("nodes under sets");
    for (const size_t node : some_nodes(world, 0.06, "which nodes fail")) {
      plan_failure(world, node, random.between(begin, end), random);
    }
    plan_deaths(world, begin, end);
    plan_changes(world, sets, begin, end);
  }
};

}  // namespace

void plan_changes(World& world, Sets& sets, Duration begin, Duration end) {
  Random random = world.random("what happens to sets");
  for (size_t i = 0; i < sets.count(); ++i) {
    if (random.chance(0.6)) world.after(random.between(begin, end), [&sets, i] { sets.roll_out(i); });
    if (random.chance(0.5)) {
      world.after(random.between(begin, end),
                  [&sets, i, own = random.fork(sets.name(i))]() mutable { sets.delete_a_pod(i, own); });
    }
    if (!sets.is_stateful(i) || random.chance(0.5)) continue;
    // Down and up again, or up for good.
    const int32_t before = sets.replicas(i);
    const Duration at = random.between(begin, end);
    if (before > 1 && random.chance(0.7)) {
      const auto less = static_cast<int32_t>(random.below(static_cast<uint64_t>(before)));
      world.after(at, [&sets, i, less] { sets.scale(i, less); });
      world.after(at + random.between(seconds(1), minutes(1)), [&sets, i, before] { sets.scale(i, before); });
    } else {
      world.after(at, [&sets, i, before] { sets.scale(i, before + 2); });
    }
  }
}

std::unique_ptr<Scenario> make_sets(const ScenarioOptions& options) { return std::make_unique<SetsScenario>(options); }

}  // namespace trireme::simulator
