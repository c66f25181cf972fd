#include "scheduler/metrics.h"

#include <fmt/format.h>

namespace trireme::scheduler {
namespace {

constexpr std::array<std::string_view, Metrics::kResults> kResultNames = {"scheduled", "unschedulable", "error"};
constexpr int64_t kFirstBucket = 1'000'000;  // nanoseconds

void head(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  out += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
}

}  // namespace

void Histogram::observe(Duration duration) {
  size_t bucket = 0;
  for (int64_t bound = kFirstBucket; bucket < kBuckets && duration.count() > bound; bound *= 2) ++bucket;
  ++counts_[bucket];
  sum_nanoseconds_ += duration.count();
}

void Histogram::print(std::string& out, std::string_view name, std::string_view labels) const {
  const std::string_view comma = labels.empty() ? "" : ",";
  uint64_t total = 0;
  int64_t bound = kFirstBucket;
  for (size_t i = 0; i < kBuckets; ++i, bound *= 2) {
    total += counts_[i];
    out += fmt::format("{}_bucket{{{}{}le=\"{}\"}} {}\n", name, labels, comma, static_cast<double>(bound) / 1e9, total);
  }
  total += counts_[kBuckets];
  out += fmt::format("{}_bucket{{{}{}le=\"+Inf\"}} {}\n", name, labels, comma, total);
  out += fmt::format("{}_sum{{{}}} {}\n", name, labels, static_cast<double>(sum_nanoseconds_) / 1e9);
  out += fmt::format("{}_count{{{}}} {}\n", name, labels, total);
}

std::string Metrics::print(std::string_view profile) const {
  std::string out;
  constexpr std::string_view kAttempts = "scheduler_schedule_attempts_total";
  head(out, kAttempts, "counter", "Number of attempts to schedule pods, by the result");
  for (size_t i = 0; i < kResults; ++i) {
    out +=
        fmt::format("{}{{profile=\"{}\",result=\"{}\"}} {}\n", kAttempts, profile, kResultNames[i], attempts[i].load());
  }
  constexpr std::string_view kDuration = "scheduler_scheduling_attempt_duration_seconds";
  head(out, kDuration, "histogram", "Scheduling attempt latency in seconds (decision and binding)");
  for (size_t i = 0; i < kResults; ++i) {
    attempt_duration[i].print(out, kDuration, fmt::format("profile=\"{}\",result=\"{}\"", profile, kResultNames[i]));
  }
  constexpr std::string_view kPodDuration = "scheduler_pod_scheduling_sli_duration_seconds";
  head(out, kPodDuration, "histogram", "Latency from a pod's first sight to its binding, over all attempts");
  pod_duration.print(out, kPodDuration, "");
  constexpr std::string_view kPending = "scheduler_pending_pods";
  head(out, kPending, "gauge", "Number of pending pods, by the queue");
  out += fmt::format("{}{{queue=\"active\"}} {}\n", kPending, active.load());
  out += fmt::format("{}{{queue=\"backoff\"}} {}\n", kPending, backoff.load());
  out += fmt::format("{}{{queue=\"unschedulable\"}} {}\n", kPending, unschedulable.load());
  out += fmt::format("{}{{queue=\"gated\"}} {}\n", kPending, gated.load());
  constexpr std::string_view kPreemptions = "scheduler_preemption_attempts_total";
  head(out, kPreemptions, "counter", "Total preemption attempts in the cluster");
  out += fmt::format("{} {}\n", kPreemptions, preemption_attempts.load());
  constexpr std::string_view kVictims = "scheduler_preemption_victims_total";
  head(out, kVictims, "counter", "Number of pods preempted");
  out += fmt::format("{} {}\n", kVictims, preemption_victims.load());
  return out;
}

}  // namespace trireme::scheduler
