#include "scheduler/metrics.h"

#include <gmock/gmock.h>

namespace trireme::scheduler {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

TEST(SchedulerMetrics, TellTheProfilesApart) {
  Metrics metrics;
  metrics.serve("default-scheduler");
  metrics.serve("other");
  metrics.record("default-scheduler", Metrics::kScheduled, milliseconds(3));
  metrics.record("other", Metrics::kUnschedulable, milliseconds(1));
  metrics.record("other", Metrics::kUnschedulable, milliseconds(1));
  metrics.record("unknown", Metrics::kError, milliseconds(1));
  metrics.bound(1, milliseconds(15));
  metrics.bound(40, seconds(100));
  metrics.preempting();
  metrics.preempted(3);
  metrics.gated = 2;
  const std::string text = metrics.print();
  for (
      const char* line : {
          R"(scheduler_schedule_attempts_total{profile="default-scheduler",result="scheduled"} 1)",
          R"(scheduler_schedule_attempts_total{profile="default-scheduler",result="unschedulable"} 0)",
          R"(scheduler_schedule_attempts_total{profile="other",result="unschedulable"} 2)",
          R"(scheduler_scheduling_attempt_duration_seconds_bucket{profile="default-scheduler",result="scheduled",le="0.004"} 1)",
          R"(scheduler_scheduling_attempt_duration_seconds_bucket{profile="default-scheduler",result="scheduled",le="0.002"} 0)",
          R"(scheduler_pod_scheduling_sli_duration_seconds_count{attempts="1"} 1)",
          R"(scheduler_pod_scheduling_sli_duration_seconds_count{attempts="15+"} 1)",
          "scheduler_preemption_attempts_total 1",
          R"(scheduler_preemption_victims_bucket{le="4"} 1)",
          R"(scheduler_preemption_victims_bucket{le="2"} 0)",
          R"(scheduler_pending_pods{queue="gated"} 2)",
      }) {
    EXPECT_THAT(text, HasSubstr(std::string(line) + "\n"));
  }
  EXPECT_THAT(text, ::testing::Not(HasSubstr("unknown")));
}

}  // namespace
}  // namespace trireme::scheduler
