#include "simulator/simulate.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>

#include "simulator/scenario.h"

namespace trireme::simulator {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr Duration kNodesLimit = minutes(5);
/// From the last act of a scenario until everything must have come to rest: longer than pods tolerate a dead node, and
/// than the longest back-off.
constexpr Duration kSettleLimit = minutes(60);
/// Statuses may follow a little later than pods.
constexpr Duration kAfterwards = seconds(30);

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds_of = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

int64_t peak_rss() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

void play(World& world, Scenario& scenario, const SimulateOptions& options) {
  const auto all_ready = [&] { return world.observer().ready_nodes() == options.nodes; };
  if (world.run(world.now() + kNodesLimit, all_ready) != Loop::End::kDone) {
    return world.fail(fmt::format("only {} of {} nodes became ready", world.observer().ready_nodes(), options.nodes));
  }
  scenario.plan(world);
  if (options.meddle) options.meddle(world);
  const Duration limit = world.now() + options.duration + kSettleLimit;
  const auto settled = [&] { return world.planned() == 0 && scenario.settled(world); };
  if (world.run(limit, settled) != Loop::End::kDone) {
    world.fail(
        fmt::format("the world has not come to rest: {} acts to go, {}", world.planned(), scenario.unsettled(world)));
    return;
  }
  world.run(world.now() + kAfterwards, [] { return false; });
  scenario.check(world);
}

}  // namespace

Result<Report> simulate(const std::string& name, const SimulateOptions& options) {
  const auto all = scenarios();
  const auto found = std::ranges::find(all, name, &ScenarioDescriptor::name);
  if (found == all.end()) return Status::bad_request(fmt::format("there is no scenario \"{}\"", name));
  if (options.nodes < 1 || options.pods < 1 || options.zones < 1 || options.zones > options.nodes) {
    return Status::bad_request("a world has nodes, pods, and at least one node in each zone");
  }
  WorldOptions world_options;
  world_options.seed = options.seed;
  world_options.nodes.count = options.nodes;
  world_options.nodes.zones = options.zones;
  world_options.trace_file = options.trace_file;
  world_options.follow = options.follow;
  world_options.progress = options.progress;
  world_options.controllers = options.controllers;
  // A zone may be lost, and doubled workloads must still fit.
  if (options.pods > options.nodes * world_options.nodes.pods / 2) {
    return Status::bad_request(fmt::format("{} pods do not fit on {} nodes: at most {}", options.pods, options.nodes,
                                           options.nodes * world_options.nodes.pods / 2));
  }
  const auto begin = std::chrono::steady_clock::now();
  const double cpu = cpu_seconds();
  TRY_ASSIGN(const std::unique_ptr<World> world, World::create(world_options));
  ScenarioOptions scenario_options;
  scenario_options.pods = options.pods;
  scenario_options.duration = options.duration;
  const std::unique_ptr<Scenario> scenario = found->make(scenario_options);
  play(*world, *scenario, options);

  const Observer& observer = world->observer();
  Report report;
  report.scenario = name;
  report.options = options;
  report.violations = world->violations();
  report.pods_created = observer.created();
  report.pods_ready = observer.now().ready;
  report.writes = world->writes();
  report.steps = world->steps();
  report.hash = world->hash();
  report.virtual_time = world->now();
  report.real_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  report.cpu_seconds = cpu_seconds() - cpu;
  report.peak_rss_bytes = peak_rss();
  report.to_scheduled = observer.to_scheduled();
  report.to_ready = observer.to_ready();
  report.samples = observer.samples();
  report.marks = observer.marks();
  return report;
}

std::string print_table(const std::vector<Report>& reports) {
  std::string out = fmt::format("{:<15} {:>7} {:>8} {:>8} {:>8} {:>24} {:>24} {:>9} {:>8} {:>8} {:>8}  {}\n",
                                "SCENARIO", "NODES", "PODS", "PODS/S", "VIRTUAL", "SCHEDULED P50/P90/P99",
                                "READY P50/P90/P99", "WRITES", "REAL", "CPU", "PEAK RSS", "TRACE");
  const auto percentiles = [](const std::vector<float>& values) {
    return fmt::format("{:.3f}/{:.3f}/{:.3f} s", Observer::percentile(values, 0.5), Observer::percentile(values, 0.9),
                       Observer::percentile(values, 0.99));
  };
  for (const Report& each : reports) {
    out +=
        fmt::format("{:<15} {:>7} {:>8} {:>8.0f} {:>7.0f}s {:>24} {:>24} {:>9} {:>7.1f}s {:>7.1f}s {:>5} MB  {:016x}\n",
                    each.scenario, each.options.nodes, each.pods_created,
                    static_cast<double>(each.pods_created) / each.real_seconds,
                    std::chrono::duration<double>(each.virtual_time).count(), percentiles(each.to_scheduled),
                    percentiles(each.to_ready), each.writes, each.real_seconds, each.cpu_seconds,
                    each.peak_rss_bytes >> 20, each.hash);
  }
  return out;
}

}  // namespace trireme::simulator
