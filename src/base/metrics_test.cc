#include "base/metrics.h"

#include <gtest/gtest.h>

namespace trireme::metrics {
namespace {

using std::chrono::milliseconds;

TEST(MetricsTest, CountersArePrintedByTheirLabels) {
  Counters counters("jobs_total", "How many", {"mode", "result"});
  counters.add({"Indexed", "ok"});
  counters.add({"Indexed", "ok"}, 2);
  counters.add({"a \"quoted\\\"\nname", "ok"});
  EXPECT_EQ(counters.value({"Indexed", "ok"}), 3u);
  EXPECT_EQ(counters.value({"Indexed", "failed"}), 0u);
  std::string out;
  counters.print(out);
  EXPECT_EQ(out,
            "# HELP jobs_total How many\n# TYPE jobs_total counter\n"
            "jobs_total{mode=\"Indexed\",result=\"ok\"} 3\n"
            "jobs_total{mode=\"a \\\"quoted\\\\\\\"\\nname\",result=\"ok\"} 1\n");
}

TEST(MetricsTest, OneWithoutLabelsIsThereFromTheBeginning) {
  const Counters counters("lost_total", "Lost");
  std::string out;
  counters.print(out);
  EXPECT_EQ(out, "# HELP lost_total Lost\n# TYPE lost_total counter\nlost_total 0\n");
}

TEST(MetricsTest, ABucketHoldsWhatIsNotMoreThanItsBound) {
  Histograms durations("took_seconds", "How long", {"of"}, exponential_bounds(0.5, 2, 2));
  for (const int each : {250, 500, 750, 1000, 1500}) durations.observe({"x"}, milliseconds(each));
  EXPECT_EQ(durations.of({"x"}).count(), 5u);
  std::string out;
  durations.print(out);
  EXPECT_EQ(out,
            "# HELP took_seconds How long\n# TYPE took_seconds histogram\n"
            "took_seconds_bucket{of=\"x\",le=\"0.5\"} 2\n"
            "took_seconds_bucket{of=\"x\",le=\"1\"} 4\n"
            "took_seconds_bucket{of=\"x\",le=\"+Inf\"} 5\n"
            "took_seconds_sum{of=\"x\"} 4\n"
            "took_seconds_count{of=\"x\"} 5\n");
}

}  // namespace
}  // namespace trireme::metrics
