#include "scheduler/metrics.h"

#include <fmt/format.h>

namespace trireme::scheduler {
namespace {

constexpr std::array<std::string_view, Metrics::kResults> kResultNames = {"scheduled", "unschedulable", "error"};
// More attempts than these are told apart no longer.
constexpr int kMostAttempts = 15;

}  // namespace

Metrics::Metrics()
    : attempts_("scheduler_schedule_attempts_total", "Number of attempts to schedule pods, by the result",
                {"profile", "result"}),
      attempt_duration_("scheduler_scheduling_attempt_duration_seconds",
                        "Scheduling attempt latency in seconds (decision and binding)", {"profile", "result"},
                        metrics::exponential_bounds(0.001, 2, 15)),
      pod_duration_("scheduler_pod_scheduling_sli_duration_seconds",
                    "Latency from a pod's first sight to its binding, over all attempts", {"attempts"},
                    metrics::exponential_bounds(0.01, 2, 20)),
      preemption_attempts_("scheduler_preemption_attempts_total", "Total preemption attempts in the cluster"),
      preemption_victims_("scheduler_preemption_victims", "Number of pods that one preemption takes away", {},
                          metrics::exponential_bounds(1, 2, 7)) {}

void Metrics::serve(const std::string& profile) {
  PerProfile& entry = profiles_[profile];
  for (size_t i = 0; i < kResults; ++i) {
    const metrics::Labels labels{profile, std::string(kResultNames[i])};
    entry.attempts[i] = &attempts_.of(labels);
    entry.durations[i] = &attempt_duration_.of(labels);
  }
}

void Metrics::record(const std::string& profile, Result result, Duration duration) {
  const auto found = profiles_.find(profile);
  if (found == profiles_.end()) return;
  ++*found->second.attempts[result];
  found->second.durations[result]->observe(duration);
}

void Metrics::bound(int attempts, Duration since_first_seen) {
  pod_duration_.observe({attempts < kMostAttempts ? std::to_string(attempts) : fmt::format("{}+", kMostAttempts)},
                        since_first_seen);
}

std::string Metrics::print() const {
  std::string out;
  attempts_.print(out);
  attempt_duration_.print(out);
  pod_duration_.print(out);
  constexpr std::string_view kPending = "scheduler_pending_pods";
  metrics::print_head(out, kPending, "gauge", "Number of pending pods, by the queue");
  out += fmt::format("{}{{queue=\"active\"}} {}\n", kPending, active.load());
  out += fmt::format("{}{{queue=\"backoff\"}} {}\n", kPending, backoff.load());
  out += fmt::format("{}{{queue=\"unschedulable\"}} {}\n", kPending, unschedulable.load());
  out += fmt::format("{}{{queue=\"gated\"}} {}\n", kPending, gated.load());
  preemption_attempts_.print(out);
  preemption_victims_.print(out);
  return out;
}

}  // namespace trireme::scheduler
