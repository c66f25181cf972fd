#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "simulator/world.h"

namespace trireme::simulator {

struct ScenarioOptions {
  int64_t pods = 500;
  Duration duration = std::chrono::minutes(10);  ///< Virtual time over which the scenario acts.
};

/// A story that a world goes through: what users, operators and faults do, and what must be true then.
class Scenario {
 public:
  virtual ~Scenario() = default;
  /// Plans what happens (World::after). All nodes are ready.
  virtual void plan(World& world) = 0;
  /// Whether the world has come to rest as it should, once all that was planned is done. Asked often: cheap.
  virtual bool settled(World& world) = 0;
  /// What it has not come to, as text.
  virtual std::string unsettled(World& world) = 0;
  /// Called some time after it settled: World::fail for everything that is not as it must be.
  virtual void check(World& world) = 0;
};

struct ScenarioDescriptor {
  std::string_view name;
  std::string_view help;
  std::unique_ptr<Scenario> (*make)(const ScenarioOptions& options);
};

std::span<const ScenarioDescriptor> scenarios();

std::unique_ptr<Scenario> make_fill(const ScenarioOptions& options);
std::unique_ptr<Scenario> make_node_failures(const ScenarioOptions& options);
std::unique_ptr<Scenario> make_zone_loss(const ScenarioOptions& options);
std::unique_ptr<Scenario> make_rollouts(const ScenarioOptions& options);
std::unique_ptr<Scenario> make_drain(const ScenarioOptions& options);
std::unique_ptr<Scenario> make_sets(const ScenarioOptions& options);
std::unique_ptr<Scenario> make_jobs(const ScenarioOptions& options);
std::unique_ptr<Scenario> make_mixed(const ScenarioOptions& options);

}  // namespace trireme::simulator
