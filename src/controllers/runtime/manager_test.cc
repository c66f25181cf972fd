#include "controllers/runtime/manager.h"

#include <gtest/gtest.h>

#include "controllers/all.h"
#include "controllers/runtime/queue_metrics.h"
#include "support/virtual_clock.h"

namespace trireme::controllers {
namespace {

TEST(SelectControllersTest, FollowsUpstreamsRules) {
  const ControllerDescriptor all[] = {{"namespace-controller", "namespace", {}},
                                      {"garbage-collector-controller", "garbagecollector", {}},
                                      {"x", "", {}}};
  struct Case {
    std::string_view selection;
    std::string expected;
  };
  const Case cases[] = {
      {"", ""},
      {"*", "namespace-controller garbage-collector-controller x "},
      {"*,-x", "namespace-controller garbage-collector-controller "},
      {"*, -namespace", "garbage-collector-controller x "},
      {"garbagecollector", "garbage-collector-controller "},
      {"-x,x", ""},
      {"x,-x", "x "},
  };
  for (const Case& each : cases) {
    const auto chosen = select_controllers(all, each.selection);
    ASSERT_TRUE(chosen.ok());
    std::string names;
    for (const auto* entry : *chosen) names += std::string(entry->name) + " ";
    EXPECT_EQ(names, each.expected) << each.selection;
  }
  EXPECT_FALSE(select_controllers(all, "nonsense").ok());
  EXPECT_FALSE(select_controllers(all, "*,-nonsense").ok());
  EXPECT_FALSE(select_controllers(all, "-").ok());
}

TEST(QueueMetrics, HaveUpstreamsNames) {
  EXPECT_EQ(queue_name("endpointslice-controller"), "endpoint_slice");
  EXPECT_EQ(queue_name("local-path-provisioner-controller"), "local-path-provisioner-controller");
  class Idle final : public Controller {
   public:
    explicit Idle(const ControllerContext& context) : Controller(context, "job-controller") {}
    Result<Outcome> reconcile(const std::string&) override { return Outcome::done(); }
  };
  auto clock = std::make_shared<test::VirtualClock>();
  std::vector<std::unique_ptr<Controller>> all;
  all.push_back(std::make_unique<Idle>(ControllerContext{client::Client(nullptr), nullptr, nullptr, clock, {}, true}));
  all[0]->enqueue("a");
  all[0]->enqueue("b");
  clock->advance(std::chrono::seconds(1));
  EXPECT_TRUE(all[0]->step());
  std::string text;
  print_queue_metrics(text, all);
  for (const char* line :
       {"workqueue_depth{name=\"job\"} 1\n", "workqueue_adds_total{name=\"job\"} 2\n",
        "workqueue_retries_total{name=\"job\"} 0\n", "workqueue_unfinished_work_seconds{name=\"job\"} 0\n",
        "workqueue_queue_duration_seconds_sum{name=\"job\"} 1\n",
        "workqueue_queue_duration_seconds_bucket{name=\"job\",le=\"1\"}",
        "# TYPE workqueue_work_duration_seconds histogram",
        "workqueue_work_duration_seconds_count{name=\"job\"} 1\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
}

TEST(AllControllersTest, TheGarbageCollectorIsLast) {
  EXPECT_EQ(all_controllers().back().name, "garbage-collector-controller");
}

}  // namespace
}  // namespace trireme::controllers
