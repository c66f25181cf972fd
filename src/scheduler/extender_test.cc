#include "scheduler/extender.h"

#include <gmock/gmock.h>

#include "scheduler/preemption.h"
#include "scheduler/testing.h"

namespace trireme::scheduler {
namespace {

using testing::asking;
using testing::Cluster;
using ::testing::HasSubstr;
using testing::make_info;
using testing::make_node;

/// Answers each verb with a fixed document, and keeps what it was asked.
class FakeExtender final : public net::Handler {
 public:
  void handle(std::shared_ptr<net::Exchange> exchange) override {
    asked.push_back(exchange->request().target);
    bodies.push_back(exchange->take_body());
    const auto answer = answers.find(asked.back());
    exchange->respond(answer == answers.end() ? 500 : 200, {},
                      answer == answers.end() ? std::string("no") : answer->second);
  }
  std::map<std::string, std::string> answers;
  std::vector<std::string> asked;
  std::vector<std::string> bodies;
};

class ExtenderTest : public ::testing::Test {
 protected:
  ExtenderTest() {
    for (const std::string name : {"n1", "n2"}) cluster_.cache.set_node(make_node(name));
  }
  void extend(ExtenderConfig config) {
    config.url_prefix = "http://extender/base";
    extenders_.push_back(std::make_unique<Extender>(
        std::move(config), std::shared_ptr<net::Transport>(net::in_process_transport(server_, {})), "/base"));
  }
  Cycle::Decision decide(const PodInfoPointer& pod) {
    PodFilters filters(cluster_.profile, cluster_.cache, cluster_.nominations, *pod);
    return cycle_.decide(filters);
  }

  Cluster cluster_;
  FakeExtender server_;
  Extenders extenders_;
  Cycle cycle_{cluster_.cache, cluster_.nominations, 1, &extenders_};
};

TEST_F(ExtenderTest, FiltersByNameAndTellsWhy) {
  extend({.filter_verb = "filter", .node_cache_capable = true});
  server_.answers["/base/filter"] = R"({"nodenames": ["n2"], "failedNodes": {"n1": "too slow"}})";
  const auto decision = decide(make_info("p"));
  ASSERT_TRUE(decision.node);
  EXPECT_EQ(decision.node->name, "n2");
  EXPECT_THAT(server_.bodies[0], HasSubstr("\"nodenames\":["));
  server_.answers["/base/filter"] =
      R"({"nodenames": [], "failedNodes": {"n1": "too slow"}, "failedAndUnresolvableNodes": {"n2": "too old"}})";
  const auto refused = decide(make_info("q"));
  EXPECT_FALSE(refused.node);
  EXPECT_EQ(refused.refusal.message(), "0/2 nodes are available: 1 too old, 1 too slow.");
  EXPECT_EQ(refused.refusal.resolvable.size(), 1U);
  EXPECT_TRUE(refused.refusal.plugins & kExtenders);
}

TEST_F(ExtenderTest, GetsWholeNodesWhenItKnowsNone) {
  extend({.filter_verb = "filter"});
  server_.answers["/base/filter"] = R"({"nodes": {"items": [{"metadata": {"name": "n1"}}]}})";
  const auto decision = decide(make_info("p"));
  ASSERT_TRUE(decision.node);
  EXPECT_EQ(decision.node->name, "n1");
  EXPECT_THAT(server_.bodies[0], HasSubstr("\"allocatable\""));
}

TEST_F(ExtenderTest, ScoresWeighMoreThanPlugins) {
  extend({.prioritize_verb = "rank", .weight = 50, .node_cache_capable = true});
  server_.answers["/base/rank"] = R"([{"host": "n1", "score": 0}, {"host": "n2", "score": 10}])";
  cluster_.place("n2", make_info("other", asking("{cpu: 3}")));
  const auto decision = decide(make_info("p", asking("{cpu: 1}")));
  ASSERT_TRUE(decision.node);
  EXPECT_EQ(decision.node->name, "n2");
}

TEST_F(ExtenderTest, FailuresCountUnlessIgnorable) {
  extend({.filter_verb = "missing", .ignorable = true});
  EXPECT_TRUE(decide(make_info("p")).node);
  extend({.filter_verb = "missing"});
  const auto decision = decide(make_info("p"));
  EXPECT_FALSE(decision.node);
  EXPECT_EQ(decision.error.message(), "failed missing with extender at URL http://extender/base/missing, code 500");
}

TEST_F(ExtenderTest, IsAskedOnlyAboutPodsThatWantItsResources) {
  extend({.filter_verb = "missing", .managed_resources = {{"example.com/gpu"}}});
  EXPECT_TRUE(decide(make_info("p", asking("{cpu: 1}"))).node);
  EXPECT_TRUE(server_.asked.empty());
  EXPECT_TRUE(extenders_[0]->interested(*make_info("q", asking("{example.com/gpu: 1}"))->pod));
}

TEST_F(ExtenderTest, ChoosesVictims) {
  extend({.preempt_verb = "preempt", .node_cache_capable = true});
  for (const std::string name : {"n1", "n2"}) {
    cluster_.place(name, make_info("low-" + name, asking("{cpu: 4}", ", priority: 1")));
  }
  server_.answers["/base/preempt"] =
      R"({"nodeNameToMetaVictims": {"n2": {"pods": [{"uid": "low-n2"}], "numPDBViolations": 0}}})";
  const auto pod = make_info("high", asking("{cpu: 4}", ", priority: 100"));
  PodFilters filters(cluster_.profile, cluster_.cache, cluster_.nominations, *pod);
  const auto decision = cycle_.decide(filters);
  Preemption preemption(
      cluster_.cache, cluster_.nominations, [](const std::string&) { return Preemption::Budgets(); }, 1, {},
      &extenders_);
  const Rescue rescue = preemption.plan(filters, decision.refusal);
  ASSERT_TRUE(rescue.node) << rescue.message;
  EXPECT_EQ(rescue.node->name, "n2");
  EXPECT_THAT(server_.bodies.back(), HasSubstr(R"("nodeNameToMetaVictims":{"n)"));
}

TEST_F(ExtenderTest, Binds) {
  extend({.bind_verb = "bind"});
  server_.answers["/base/bind"] = R"({"Error": ""})";
  const auto bound = bind_by_extender(extenders_, *make_info("p")->pod, "n1");
  ASSERT_TRUE(bound);
  EXPECT_TRUE(bound->ok());
  EXPECT_EQ(server_.bodies[0], R"({"Node":"n1","PodName":"p","PodNamespace":"default","PodUID":"p"})");
  server_.answers["/base/bind"] = R"({"Error": "taken"})";
  EXPECT_EQ(bind_by_extender(extenders_, *make_info("p")->pod, "n1")->message(), "taken");
}

}  // namespace
}  // namespace trireme::scheduler
