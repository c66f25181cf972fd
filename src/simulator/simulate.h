#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "simulator/observer.h"

/// `trireme simulate`: whole clusters on one thread and a virtual clock. See docs/simulator.md.
namespace trireme::simulator {

class World;

struct SimulateOptions {
  uint64_t seed = 1;
  int nodes = 50;
  int64_t pods = 500;
  int zones = 3;
  Duration duration = std::chrono::minutes(10);
  std::FILE* trace_file = nullptr;
  std::string follow;  ///< See follow().
  bool progress = false;
  std::string controllers = "*";  ///< Those that run, as in --controllers.
  /// What else happens once the nodes are ready, as by somebody from outside: how tests bring about what must be seen.
  std::function<void(World&)> meddle = {};
};

/// What one scenario's run came to.
struct Report {
  std::string scenario;
  SimulateOptions options;
  std::vector<std::string> violations;  ///< Empty: everything was as it must be.
  int64_t pods_created = 0;
  int64_t pods_ready = 0;
  uint64_t writes = 0, steps = 0, hash = 0;
  Duration virtual_time{};
  double real_seconds = 0, cpu_seconds = 0;
  int64_t peak_rss_bytes = 0;  ///< Of the whole process so far.
  std::vector<float> to_scheduled, to_ready;
  std::vector<Sample> samples;
  std::vector<Mark> marks;
};

/// Runs a scenario, by its name, in a new world. BadRequest when there is none of that name or the options cannot be
/// met; what went wrong in the world is in the report.
Result<Report> simulate(const std::string& scenario, const SimulateOptions& options);

/// A line per scenario, under a header.
std::string print_table(const std::vector<Report>& reports);
/// Pods by state over virtual time, one diagram per scenario below the other.
std::string draw_svg(const std::vector<Report>& reports);

}  // namespace trireme::simulator
