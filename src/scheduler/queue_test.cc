#include "scheduler/queue.h"

#include <gmock/gmock.h>

#include "scheduler/testing.h"

namespace trireme::scheduler {
namespace {

using namespace std::chrono_literals;
using testing::asking;
using testing::make_info;
using testing::make_node;
using Place = Queue::Place;

class QueueTest : public ::testing::Test {
 protected:
  uint32_t bit(std::string_view plugin) const {
    const uint32_t bit = profiles_[0].bit_of(plugin);
    EXPECT_TRUE(bit) << "no plugin " << plugin;
    return bit;
  }
  /// The names of all active pods, in the order in which they come.
  std::vector<std::string> pop_all() {
    std::vector<std::string> out;
    while (const QueuedPod* pod = queue_.pop()) out.push_back(pod->info->uid());
    return out;
  }
  void fail(const std::string& name, const std::string& spec, uint32_t plugins, Duration now) {
    queue_.put(make_info(name, spec), now);
    ASSERT_TRUE(queue_.pop());
    queue_.requeue(name, plugins, false, now);
  }

  std::vector<Profile> profiles_ = {default_profile()};
  Cache cache_;
  Queue queue_{profiles_, cache_, {}};
};

TEST_F(QueueTest, HandsOutByPriorityThenAge) {
  queue_.put(make_info("old"), 1s);
  queue_.put(make_info("new"), 2s);
  queue_.put(make_info("important", "{priority: 10}"), 3s);
  queue_.put(make_info("unimportant", "{priority: -5}"), 0s);
  EXPECT_THAT(pop_all(), ::testing::ElementsAre("important", "old", "new", "unimportant"));
  EXPECT_EQ(queue_.size(Place::kInFlight), 4U);
}

TEST_F(QueueTest, AnUpdateMovesAnActivePodToItsNewPriority) {
  queue_.put(make_info("a"), 1s);
  queue_.put(make_info("b"), 1s);
  queue_.put(make_info("b", "{priority: 1}"), 2s);
  EXPECT_THAT(pop_all(), ::testing::ElementsAre("b", "a"));
}

TEST_F(QueueTest, GatedPodsWaitForTheirGates) {
  queue_.put(make_info("a", "{schedulingGates: [{name: g}]}"), 0s);
  EXPECT_EQ(queue_.place_of("a"), Place::kGated);
  EXPECT_EQ(queue_.pop(), nullptr);
  EXPECT_EQ(queue_.next_due(), std::nullopt);
  queue_.put(make_info("a"), 7s);
  const QueuedPod* pod = queue_.pop();
  ASSERT_TRUE(pod);
  EXPECT_EQ(pod->first_seen, Duration(7s));
}

TEST_F(QueueTest, BacksOffAfterErrorsTwiceAsLongEachTimeUpToTheMaximum) {
  queue_.put(make_info("a"), 0s);
  Duration now{};
  for (const Duration wait : {1s, 2s, 4s, 8s, 10s, 10s}) {
    ASSERT_TRUE(queue_.pop());
    queue_.requeue("a", 0, false, now);
    EXPECT_EQ(queue_.place_of("a"), Place::kBackoff);
    EXPECT_EQ(queue_.next_due(), now + wait);
    queue_.advance(now + wait - 1ns);
    EXPECT_EQ(queue_.pop(), nullptr);
    now += wait;
    queue_.advance(now);
  }
}

TEST_F(QueueTest, AChangeThatHelpsMovesARefusedPodOnceItsBackoffIsOver) {
  fail("a", asking("{cpu: 2}"), bit("NodeResourcesFit"), 0s);
  EXPECT_EQ(queue_.place_of("a"), Place::kUnschedulable);
  const NodePointer small = make_node("small", "{}", "{}", "{cpu: 1, memory: 1Gi, pods: 10}");
  queue_.on_change({.kinds = kNodeAdded, .node = small}, 100ms);
  EXPECT_EQ(queue_.place_of("a"), Place::kUnschedulable) << "the node could never take it";
  const NodePointer node = make_node("n");
  queue_.on_change({.kinds = kNodeTaints | kNodeLabels, .node = node}, 100ms);
  EXPECT_EQ(queue_.place_of("a"), Place::kUnschedulable) << "resources are not a matter of taints";
  queue_.on_change({.kinds = kNodeAdded, .node = node}, 100ms);
  EXPECT_EQ(queue_.place_of("a"), Place::kBackoff);
  EXPECT_EQ(queue_.next_due(), Duration(1s));
  queue_.advance(1s);
  EXPECT_EQ(queue_.place_of("a"), Place::kActive);
}

TEST_F(QueueTest, AChangeAfterTheBackoffMakesThePodActiveAtOnce) {
  fail("a", "{}", bit("TaintToleration"), 0s);
  const NodePointer tainted = make_node("t", "{}", "{taints: [{key: k, effect: NoSchedule}]}");
  queue_.on_change({.kinds = kNodeAdded, .node = tainted}, 5s);
  EXPECT_EQ(queue_.place_of("a"), Place::kUnschedulable);
  const NodePointer node = make_node("n");
  queue_.on_change({.kinds = kNodeTaints, .node = node}, 5s);
  EXPECT_EQ(queue_.place_of("a"), Place::kActive);
}

TEST_F(QueueTest, PodsThatSawNoNodeWaitForOne) {
  queue_.put(make_info("a"), 0s);
  ASSERT_TRUE(queue_.pop());
  queue_.requeue("a", 0, /*waits_for_node=*/true, 0s);
  queue_.on_change({.kinds = kPodGone, .pod = make_info("b")}, 2s);
  EXPECT_EQ(queue_.place_of("a"), Place::kUnschedulable);
  const NodePointer node = make_node("n");
  queue_.on_change({.kinds = kNodeAdded, .node = node}, 2s);
  EXPECT_EQ(queue_.place_of("a"), Place::kActive);
}

TEST_F(QueueTest, UnschedulablePodsAreTriedAgainAfterFiveMinutes) {
  fail("a", "{}", bit("NodeAffinity"), 10s);
  EXPECT_EQ(queue_.next_due(), Duration(10s + 5min));
  queue_.advance(10s + 5min);
  EXPECT_EQ(queue_.place_of("a"), Place::kActive);
  EXPECT_EQ(queue_.next_due(), std::nullopt) << "nothing to wake up for";
}

TEST_F(QueueTest, OnlyChangesThatMatterRetryAnUnschedulablePod) {
  fail("a", "{}", bit("TaintToleration"), 0s);
  queue_.put(make_info("a", "{}", "{}", ", status: {conditions: [{type: PodScheduled, status: 'False'}]}"), 5s);
  EXPECT_EQ(queue_.place_of("a"), Place::kUnschedulable);
  queue_.put(make_info("a", "{tolerations: [{operator: Exists}]}"), 5s);
  EXPECT_EQ(queue_.place_of("a"), Place::kActive);
}

TEST_F(QueueTest, ChangesWhileAPodIsInFlightCount) {
  queue_.put(make_info("a", asking("{cpu: 2}")), 0s);
  queue_.put(make_info("b", asking("{cpu: 2}")), 0s);
  queue_.put(make_info("c", asking("{cpu: 2}")), 0s);
  ASSERT_TRUE(queue_.pop());
  const NodePointer node = make_node("n");
  queue_.on_change({.kinds = kNodeAdded, .node = node}, 1s);
  ASSERT_TRUE(queue_.pop());
  queue_.requeue("a", bit("NodeResourcesFit"), false, 1s);
  EXPECT_EQ(queue_.place_of("a"), Place::kBackoff) << "the node came after it was taken up";
  queue_.requeue("b", bit("NodeResourcesFit"), false, 1s);
  EXPECT_EQ(queue_.place_of("b"), Place::kUnschedulable) << "it has seen the node";
  ASSERT_TRUE(queue_.pop());
  queue_.settle("c");
  queue_.on_change({.kinds = kNodeAdded, .node = node}, 1s);
  queue_.requeue("c", bit("NodeResourcesFit"), false, 1s);
  EXPECT_EQ(queue_.place_of("c"), Place::kUnschedulable) << "it could only fail by an error";
}

TEST_F(QueueTest, RemovedPodsAreGoneFromEverywhere) {
  queue_.put(make_info("active"), 0s);
  fail("other", "{priority: 1}", bit("NodeAffinity"), 0s);
  EXPECT_TRUE(queue_.remove("active"));
  EXPECT_TRUE(queue_.remove("other"));
  EXPECT_FALSE(queue_.remove("other"));
  EXPECT_EQ(queue_.next_due(), std::nullopt);
  EXPECT_EQ(queue_.pop(), nullptr);
  queue_.requeue("other", 1, false, 0s);
  EXPECT_EQ(queue_.place_of("other"), std::nullopt);
}

}  // namespace
}  // namespace trireme::scheduler
