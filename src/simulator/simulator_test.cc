#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <optional>

#include "api/types/appsv1.h"
#include "api/types/batchv1.h"
#include "base/log.h"
#include "controllers/job/tracking.h"
#include "controllers/support/jobs.h"
#include "controllers/support/pods.h"
#include "simulator/scenario.h"
#include "simulator/simulate.h"
#include "simulator/world.h"

namespace trireme::simulator {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

SimulateOptions tiny(uint64_t seed) {
  SimulateOptions options;
  options.seed = seed;
  options.nodes = 50;
  options.pods = 500;
  options.duration = minutes(4);
  return options;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) out += line + "\n";
  return out;
}

/// Quiet, because the components tell much.
class Quiet : public ::testing::Test {
 protected:
  void SetUp() override { log::set_level(log::Level::kError); }
  void TearDown() override { log::set_level(log::Level::kInfo); }
};

class EveryScenario : public Quiet, public ::testing::WithParamInterface<std::string> {};

TEST_P(EveryScenario, OneSeedIsOneStory) {
  const auto first = simulate(GetParam(), tiny(3));
  ASSERT_TRUE(first.ok()) << first.status().to_string();
  EXPECT_EQ(joined(first->violations), "");
  const auto again = simulate(GetParam(), tiny(3));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(first->hash, again->hash);
  EXPECT_EQ(first->writes, again->writes);
  EXPECT_EQ(first->virtual_time, again->virtual_time);
  const auto other = simulate(GetParam(), tiny(4));
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(joined(other->violations), "");
  EXPECT_NE(first->hash, other->hash);
}

std::vector<std::string> names() {
  std::vector<std::string> out;
  for (const ScenarioDescriptor& each : scenarios()) out.emplace_back(each.name);
  return out;
}

INSTANTIATE_TEST_SUITE_P(Scenarios, EveryScenario, ::testing::ValuesIn(names()), [](const auto& info) {
  std::string name = info.param;
  std::erase(name, '-');
  return name;
});

TEST(SimulateTest, RefusesWhatCannotBe) {
  EXPECT_FALSE(simulate("nonsense", tiny(1)).ok());
  SimulateOptions crowded = tiny(1);
  crowded.pods = 100'000;
  EXPECT_FALSE(simulate("fill", crowded).ok());
  SimulateOptions zones = tiny(1);
  zones.zones = zones.nodes + 1;
  EXPECT_FALSE(simulate("fill", zones).ok());
}

// What must not be is brought about from outside, or by leaving a controller out, and must be seen.

namespace corev1 = api::corev1;
namespace appsv1 = api::appsv1;
namespace batchv1 = api::batchv1;

class Violations : public Quiet {
 protected:
  /// Whether the run, with what `meddle` plans, finds something of which `text` is a part.
  static ::testing::AssertionResult found(std::string_view text, const std::string& scenario,
                                          std::function<void(World&)> meddle, const std::string& controllers = "*") {
    SimulateOptions options = tiny(3);
    options.nodes = 12;
    options.pods = 150;
    options.duration = minutes(2);
    options.controllers = controllers;
    options.meddle = std::move(meddle);
    const auto report = simulate(scenario, options);
    if (!report.ok()) return ::testing::AssertionFailure() << report.status().to_string();
    const bool seen =
        std::ranges::any_of(report->violations, [&](const auto& each) { return each.find(text) != std::string::npos; });
    if (seen) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "found only:\n" << joined(report->violations);
  }

  /// A pod as a controller would make it, of the first `Set` that fits.
  template <typename Set>
  static std::optional<corev1::Pod> pod_of(World& world, const std::function<bool(const Set&)>& fits) {
    for (const auto& set : world.informers().informer<Set>().list()) {
      if (!fits(*set)) continue;
      corev1::Pod pod;
      pod.metadata = set->spec.template_.metadata;
      pod.metadata.namespace_ = set->metadata.namespace_;
      pod.metadata.name = set->metadata.name + "-extra";
      auto& owner = pod.metadata.owner_references.emplace_back();
      owner.api_version = "apps/v1";
      owner.kind = api::type_info<Set>().kind;
      owner.name = set->metadata.name;
      owner.uid = set->metadata.uid;
      owner.controller = true;
      pod.spec = set->spec.template_.spec;
      return pod;
    }
    return std::nullopt;
  }
  static bool is_ordered(const appsv1::StatefulSet& set) {
    return set.spec.pod_management_policy != appsv1::kParallelPodManagement && !set.spec.ordinals;
  }
  /// Does `act` every tenth of a second until it returns true.
  static void until(World& world, std::function<bool()> act) {
    world.after(std::chrono::milliseconds(100), [&world, act] {
      if (!act()) until(world, act);
    });
  }
};

TEST_F(Violations, APodOfASetThatRunsTwice) {
  EXPECT_TRUE(found("while another runs on", "sets", [](World& world) {
    world.after(seconds(25), [&world] {
      for (const auto& pod : world.observer().pods().list()) {
        const auto* owner = controllers::controller_of(pod->metadata);
        if (!owner || owner->kind != "StatefulSet" || !controllers::is_ready(*pod)) continue;
        // The node is silent, and somebody says that the pod is gone, which is not true.
        // The next one shall run elsewhere.
        EXPECT_TRUE(world.client()
                        .patch<corev1::Node>("", pod->spec.node_name, client::PatchType::kMerge,
                                             R"({"spec":{"unschedulable":true}})")
                        .ok());
        world.nodes().cut(static_cast<size_t>(std::stoi(pod->spec.node_name.substr(5))));
        client::DeleteOptions now;
        now.grace_period_seconds = 0;
        EXPECT_TRUE(world.client().remove<corev1::Pod>(pod->metadata.namespace_, pod->metadata.name, now).ok());
        return;
      }
      ADD_FAILURE() << "no pod of a StatefulSet is ready";
    });
  }));
}

TEST_F(Violations, AnOrdinalBeforeItsTurn) {
  EXPECT_TRUE(found("was made while ordinal", "sets", [](World& world) {
    until(world, [&world] {
      auto pod = pod_of<appsv1::StatefulSet>(world, [](const auto& set) {
        return is_ordered(set) && set.spec.replicas >= 4 && set.status.replicas == 1 && set.status.ready_replicas == 0;
      });
      if (!pod) return false;
      pod->metadata.name = pod->metadata.owner_references[0].name + "-3";
      return world.client().create(*pod).ok();
    });
  }));
}

TEST_F(Violations, AnOrdinalThatGoesBeforeTheHigherOnes) {
  EXPECT_TRUE(found("was taken away before ordinal", "sets", [](World& world) {
    until(world, [&world] {
      for (const auto& set : world.informers().informer<appsv1::StatefulSet>().list()) {
        if (!is_ordered(*set) || set->spec.replicas < 4 || set->status.ready_replicas < 4) continue;
        appsv1::StatefulSet smaller = *set;
        smaller.spec.replicas = 1;
        if (!world.client().update(smaller).ok()) return false;
        // When everybody has heard of it, and only the highest is on its way.
        world.after(std::chrono::milliseconds(300), [&world, pod = set->metadata.name + "-1"] {
          EXPECT_TRUE(world.client().remove<corev1::Pod>("sets", pod).ok());
        });
        return true;
      }
      return false;
    });
  }));
}

TEST_F(Violations, TwoDaemonsOnANode) {
  EXPECT_TRUE(found("has 2 pods on node-00004", "sets", [](World& world) {
    until(world, [&world] {
      auto pod = pod_of<appsv1::DaemonSet>(world, [](const auto& set) {
        return set.spec.template_.spec.node_selector.empty() && set.status.number_ready == 12;
      });
      if (!pod) return false;
      pod->spec.node_name = "node-00004";
      return world.client().create(*pod).ok();
    });
  }));
}

TEST_F(Violations, ADaemonWhereItDoesNotBelong) {
  EXPECT_TRUE(found("which its selector leaves out", "sets", [](World& world) {
    until(world, [&world] {
      auto pod = pod_of<appsv1::DaemonSet>(world, [](const auto&) { return true; });
      if (!pod) return false;
      // What the set asks for is changed; the pod comes from one who has not heard of it.
      appsv1::DaemonSet set = *world.client().get<appsv1::DaemonSet>("sets", pod->metadata.owner_references[0].name);
      set.spec.template_.spec.node_selector.insert_or_assign("kubernetes.io/hostname", "nowhere");
      if (!world.client().update(set).ok()) return false;
      world.after(seconds(5), [&world, pod]() mutable {
        pod->spec.node_name = "node-00001";
        EXPECT_TRUE(world.client().create(*pod).ok());
      });
      return true;
    });
  }));
}

TEST_F(Violations, ANodeWithoutItsDaemon) {
  EXPECT_TRUE(found("has not come to rest", "sets", {}, "*,-daemonset-controller"));
}

TEST_F(Violations, ASuccessThatIsCountedTwice) {
  EXPECT_TRUE(found("successes", "jobs", [](World& world) {
    until(world, [&world] {
      for (const auto& job : world.informers().informer<batchv1::Job>().list()) {
        if (job->status.succeeded == 0 || controllers::is_finished(*job)) continue;
        if (job->spec.completion_mode == batchv1::kIndexedCompletion) continue;
        batchv1::Job changed = *job;
        ++changed.status.succeeded;
        return world.client().update_status(changed).ok();
      }
      return false;
    });
  }));
}

TEST_F(Violations, ASuccessThatIsLost) {
  EXPECT_TRUE(found("successes; there were", "jobs", [](World& world) {
    // Whoever takes the finalizer away before the pod is counted.
    world.informers().informer<corev1::Pod>().add_handler([&world](const auto&, const auto& after) {
      if (!after || after->status.phase != corev1::kPodSucceeded) return;
      if (!controllers::has_tracking_finalizer(*after)) return;
      corev1::Pod pod = *after;
      pod.metadata.finalizers.clear();
      if (!world.client().update(pod).ok()) return;
      (void)world.client().remove<corev1::Pod>(pod.metadata.namespace_, pod.metadata.name);
    });
  }));
}

TEST_F(Violations, TwoJobsAtATimeOfOneThatForbidsIt) {
  EXPECT_TRUE(found("and has 2 Jobs under way", "jobs", [](World& world) {
    until(world, [&world] {
      for (const auto& job : world.informers().informer<batchv1::Job>().list()) {
        const auto* owner = controllers::controller_of(job->metadata);
        if (!owner || owner->name != "one-at-a-time" || controllers::is_finished(*job)) continue;
        batchv1::Job second;
        second.metadata.namespace_ = job->metadata.namespace_;
        second.metadata.name = "second";
        second.metadata.owner_references.push_back(*owner);
        second.spec.template_.spec = job->spec.template_.spec;
        return world.client().create(second).ok();
      }
      return false;
    });
  }));
}

}  // namespace
}  // namespace trireme::simulator
