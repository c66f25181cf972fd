#include <fmt/format.h>

#include <algorithm>

#include "api/types/policyv1.h"
#include "simulator/scenarios/common.h"

namespace trireme::simulator {
namespace {

namespace corev1 = api::corev1;
using std::chrono::seconds;

class Rollouts final : public WorkloadScenario {
 public:
  using WorkloadScenario::WorkloadScenario;

 protected:
  void disturb(World& world, Workload& workload) override {
    Random random = world.random("rollouts");
    const Duration begin = fill_time() + seconds(20);
    // Nor must it matter that whoever keeps the promise dies.
    const bool deaths = random.chance(0.5);
    if (deaths) plan_deaths(world, begin, options_.duration);
    for (size_t i = 0; i < workload.count(); ++i) {
      const Duration first = random.between(begin, options_.duration);
      world.after(first, [&workload, i] { workload.roll_out(i); });
      // Again before it is through, or back.
      const bool again = random.chance(0.3);
      const bool back = !again && random.chance(0.2);
      if (again) world.after(first + random.between(seconds(1), seconds(20)), [&workload, i] { workload.roll_out(i); });
      if (back) world.after(first + random.between(seconds(1), seconds(60)), [&workload, i] { workload.roll_back(i); });
      // No node fails and nobody scales: what the strategy promises must hold at every moment.
      workload.watch_rollout(i, deaths);
    }
    world.after(begin, [&world] { world.observer().mark("rollouts begin"); });
    world.after(options_.duration, [&world] { world.observer().mark("the last begins"); });
  }
};

/// `kubectl drain`, one node after the other: cordon, evict what is there, ask again for what a budget protects, and
/// take the node back into service.
class Drain final : public WorkloadScenario {
 public:
  using WorkloadScenario::WorkloadScenario;

 protected:
  void disturb(World& world, Workload& workload) override {
    workload.watch_budgets();
    const Duration begin = fill_time() + seconds(20);
    world.after(begin, [&workload] {
      for (size_t i = 0; i < workload.count(); ++i) workload.protect(i);
    });
    plan_deaths(world, begin, options_.duration);
    left_ = std::max<size_t>(1, world.nodes().count() / 10);
    world.after(begin + seconds(5), [this, &world] { begin_next(world); });
  }

 private:
  static constexpr Duration kAskAgain = seconds(5);

  void begin_next(World& world) {
    if (left_ == 0) return;
    --left_;
    node_ = world.nodes().name(left_);
    world.observer().mark("drain " + node_);
    cordon(world, true);
    world.after(seconds(1), [this, &world] { evict(world); });
  }

  void cordon(World& world, bool unschedulable) {
    auto node = world.client().get<corev1::Node>("", node_);
    if (node.ok()) {
      node->spec.unschedulable = unschedulable;
      node = world.client().update(*node);
    }
    if (node.status().is(Reason::kConflict)) return cordon(world, unschedulable);
    if (!node.ok()) world.fail("cannot cordon: " + node.status().message());
  }

  void evict(World& world) {
    bool any = false;
    for (const auto& pod : world.observer().pods().list()) {
      if (pod->spec.node_name != node_) continue;
      any = true;
      if (pod->metadata.deletion_timestamp) continue;
      api::policyv1::Eviction eviction;
      eviction.metadata.namespace_ = pod->metadata.namespace_;
      eviction.metadata.name = pod->metadata.name;
      const Status status =
          world.client().post<corev1::Pod>(pod->metadata.namespace_, pod->metadata.name, "eviction", eviction);
      if (status.ok() || status.is(Reason::kNotFound) || status.is(Reason::kTooManyRequests)) continue;
      world.fail(fmt::format("cannot evict {}: {}", pod->metadata.name, status.message()));
    }
    if (any) {
      world.after(kAskAgain, [this, &world] { evict(world); });
      return;
    }
    cordon(world, false);
    world.after(seconds(2), [this, &world] { begin_next(world); });
  }

  size_t left_ = 0;  ///< Nodes to drain; the last of them first.
  std::string node_;
};

}  // namespace

std::unique_ptr<Scenario> make_rollouts(const ScenarioOptions& options) { return std::make_unique<Rollouts>(options); }
std::unique_ptr<Scenario> make_drain(const ScenarioOptions& options) { return std::make_unique<Drain>(options); }

}  // namespace trireme::simulator
