#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "simulator/population.h"

namespace trireme::simulator {

/// A population of Jobs of every kind (with and without indexes, some pods of which fail; some that give up; some that
/// are deleted once they have ended) with about `pods` completions, and a few CronJobs, and what must be true of it in
/// the end.
class Batch final : public Population {
 public:
  Batch(World& world, int64_t pods);

  /// Creates them, evenly over `over`, beginning now. From `until` (from now) on no CronJob starts anything.
  void plan(Duration over, Duration until);
  size_t count() const { return jobs_.size(); }
  std::string name(size_t job) const { return jobs_[job].name; }

  // What a user does now.
  void suspend(size_t job, bool on);
  void set_parallelism(size_t job, int32_t parallelism);
  void delete_a_pod(size_t job, Random& random);

  std::string_view kind() const override { return "jobs"; }
  int64_t wanted_pods() const override { return 0; }
  /// Every Job has ended.
  bool is_complete() const override;
  void check() const override;

  static constexpr std::string_view kNamespace = "batch";

 private:
  struct Task {
    std::string name;
    bool indexed = false, created = false;
    bool hopeless = false;  ///< All its pods fail.
    bool passing = false;   ///< Deleted soon after its end.
    int32_t completions = 1, parallelism = 1, fail_percent = 0;
    bool suspended = false;
  };
  struct Schedule {
    std::string name;
    std::string policy;
    int64_t first = 0, last = 0;  ///< Minutes since the epoch: no run is due before the one or after the other.
  };
  void create(size_t job);
  void create(Schedule& schedule);
  void stop(Schedule& schedule);

  World& world_;
  Random random_;
  std::vector<Task> jobs_;
  std::vector<Schedule> schedules_;
};

}  // namespace trireme::simulator
