#include "simulator/scenarios/common.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "simulator/templates.h"

namespace trireme::simulator {

using std::chrono::minutes;
using std::chrono::seconds;

void PopulatedScenario::check(World& world) {
  for (const auto& each : populations_) each->check();
  check_bindings(world);
}

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

void plan_deaths(World& world, Duration begin, Duration end) {
  Random random = world.random("deaths");
  for (const World::Component component : {World::Component::kControllers, World::Component::kScheduler}) {
    const bool controllers = component == World::Component::kControllers;
    for (uint64_t times = random.below(3); times > 0; --times) {
      const uint64_t writes = 1 + random.below(8);
      const Duration downtime = random.between(seconds(1), seconds(20));
      world.after(random.between(begin, end), [&world, component, controllers, writes, downtime] {
        world.observer().mark(controllers ? "the controllers die" : "the scheduler dies");
        world.kill(component, writes, downtime);
      });
    }
  }
}

void plan_zone_loss(World& world, int zone, Duration begin, Duration length) {
  const auto each = [&world, zone](const auto& act) {
    for (size_t node = 0; node < world.nodes().count(); ++node) {
      if (world.nodes().zone(node) == zone) act(node);
    }
  };
  const std::string name = HollowNodes::zone_name(zone);
  world.after(begin, [&world, each, name] {
    world.observer().mark(name + " is cut off");
    each([&](size_t node) { world.nodes().cut(node); });
  });
  world.after(begin + length, [&world, each, name] {
    world.observer().mark(name + " is back");
    each([&](size_t node) { world.nodes().restore(node); });
  });
}

}  // namespace trireme::simulator
