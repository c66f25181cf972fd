#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "client/client.h"
#include "client/event_recorder.h"
#include "client/informer_factory.h"
#include "scheduler/config.h"

namespace trireme::scheduler {

/// The settings of one scheduler, by upstream's names and with its defaults.
/// https://kubernetes.io/docs/reference/config-api/kube-scheduler-config.v1/
struct SchedulerOptions {
  std::string scheduler_name = "default-scheduler";
  Duration pod_initial_backoff = std::chrono::seconds(1);
  Duration pod_max_backoff = std::chrono::seconds(10);
  /// After this long an unschedulable pod is tried again, whatever happened.
  Duration unschedulable_timeout = std::chrono::minutes(5);
  /// What is served; empty: the default profile under `scheduler_name`.
  std::vector<ProfileConfig> profiles{};
  std::vector<ExtenderConfig> extenders{};
  /// Plugins beside the built-in ones, in every profile at all the points they serve.
  std::vector<PluginDescriptor> more_plugins{};
  uint64_t random_seed = 0;  ///< Breaks ties between equally good nodes; 0 takes one from the system.
};

/// What a configuration file says of the scheduler itself.
SchedulerOptions options_of(const Configuration& configuration);

/// What a scheduler is given. Copies share everything.
struct SchedulerContext {
  client::Client client;
  std::shared_ptr<client::InformerFactory> informers;  ///< Not started yet.
  std::shared_ptr<client::EventBroadcaster> events;
  std::shared_ptr<Clock> clock;
  SchedulerOptions options;
  /// No threads: the owner calls `step` and `write`, on one thread, and pumps a stepped informer factory.
  bool single_threaded = false;
};

/// Assigns pods that name it to nodes: one scheduling thread, and binding beside it.
class Scheduler {
 public:
  static std::unique_ptr<Scheduler> create(SchedulerContext context);
  virtual ~Scheduler() = default;

  /// BadRequest when a profile or an extender cannot be made. Starts the informers, waits until they hold what the
  /// server has, then schedules. Timeout when `stop` was requested before that.
  virtual Status start(std::stop_token stop = {}) = 0;
  /// Takes up what the informers told and schedules at most one pod. False when there was nothing to do.
  virtual bool step() = 0;
  /// Whether `step` would find something.
  virtual bool ready() const = 0;
  /// Writes the oldest decision (a binding, a condition, a preemption) that has not been written; false when none
  /// waits.
  virtual bool write() = 0;
  virtual size_t unwritten() const = 0;
  /// Finishes bindings under way. Safe to call twice.
  virtual void stop() = 0;
  /// Prometheus text.
  virtual std::string metrics() const = 0;
};

}  // namespace trireme::scheduler
