#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "simulator/scenarios/common.h"

namespace trireme::simulator {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

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
  void disturb(World& world, Workload&) override {
    const auto each = [&world](const auto& act) {
      for (size_t node = 0; node < world.nodes().count(); ++node) {
        if (world.nodes().zone(node) == 0) act(node);
      }
    };
    const Duration begin = options_.duration / 2;
    world.after(begin, [&world, each] {
      world.observer().mark("zone-1 is cut off");
      each([&](size_t node) { world.nodes().cut(node); });
    });
    world.after(begin + minutes(10), [&world, each] {
      world.observer().mark("zone-1 is back");
      each([&](size_t node) { world.nodes().restore(node); });
    });
  }
};

class Mixed final : public WorkloadScenario {
 public:
  using WorkloadScenario::WorkloadScenario;

 protected:
  void disturb(World& world, Workload& workload) override {
    Random random = world.random("mixed");
    const Duration begin = seconds(5), end = options_.duration;
    for (const size_t node : some_nodes(world, 0.08, "which nodes fail")) {
      plan_failure(world, node, random.between(begin, end), random);
    }
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
};

}  // namespace

std::vector<size_t> some_nodes(World& world, double part, std::string_view purpose) {
  std::vector<size_t> all(world.nodes().count());
  std::iota(all.begin(), all.end(), size_t{0});
  Random random = world.random(purpose);
  for (size_t i = all.size(); i > 1; --i) std::swap(all[i - 1], all[random.below(i)]);
  all.resize(std::max<size_t>(1, static_cast<size_t>(part * static_cast<double>(all.size()))));
  return all;
}

void plan_failure(World& world, size_t node, Duration after, Random& random) {
  HollowNodes& nodes = world.nodes();
  const bool crashes = random.chance(0.5);
  world.after(after, [&world, &nodes, node, crashes] {
    world.observer().mark(nodes.name(node) + (crashes ? " crashes" : " is cut off"));
    crashes ? nodes.crash(node) : nodes.cut(node);
  });
  if (random.chance(0.6)) {
    world.after(after + random.between(seconds(5), minutes(8)), [&world, &nodes, node] {
      world.observer().mark(nodes.name(node) + " is back");
      nodes.restore(node);
    });
    return;
  }
  world.after(after + random.between(minutes(7), minutes(10)), [&world, &nodes, node] {
    world.observer().mark(nodes.name(node) + " is removed");
    nodes.crash(node);
    const Status removed = world.client().remove<api::corev1::Node>("", nodes.name(node));
    if (!removed.ok()) world.fail(fmt::format("cannot remove {}: {}", nodes.name(node), removed.message()));
  });
}

std::unique_ptr<Scenario> make_fill(const ScenarioOptions& options) { return std::make_unique<Fill>(options); }
std::unique_ptr<Scenario> make_node_failures(const ScenarioOptions& options) {
  return std::make_unique<NodeFailures>(options);
}
std::unique_ptr<Scenario> make_zone_loss(const ScenarioOptions& options) { return std::make_unique<ZoneLoss>(options); }
std::unique_ptr<Scenario> make_mixed(const ScenarioOptions& options) { return std::make_unique<Mixed>(options); }

}  // namespace trireme::simulator
