#include "controllers/garbagecollector/owner_graph.h"

#include <gtest/gtest.h>

namespace trireme::controllers {
namespace {

std::shared_ptr<api::metav1::ObjectMeta> object(const std::string& uid, const std::vector<std::string>& owners = {}) {
  auto out = std::make_shared<api::metav1::ObjectMeta>();
  out->name = uid;
  out->uid = uid;
  for (const std::string& owner : owners) out->owner_references.emplace_back().uid = owner;
  return out;
}

std::string names(const std::vector<Observed>& all) {
  std::string out;
  for (const Observed& each : all) out += each.metadata->name + " ";
  return out;
}

TEST(OwnerGraphTest, FollowsReferences) {
  OwnerGraph graph;
  EXPECT_FALSE(graph.find("rc"));
  graph.update(3, object("pod", {"rc", "other"}));
  EXPECT_EQ(names(graph.dependents("rc")), "pod ");
  EXPECT_FALSE(graph.find("rc"));
  graph.update(5, object("rc"));
  ASSERT_TRUE(graph.find("rc"));
  EXPECT_EQ(graph.find("rc")->resource, 5u);
  graph.remove("rc");
  EXPECT_FALSE(graph.find("rc"));
  EXPECT_TRUE(graph.any_dependent("rc"));

  graph.update(3, object("pod", {"other"}));
  EXPECT_FALSE(graph.any_dependent("rc"));
  EXPECT_TRUE(graph.any_dependent("other"));
  graph.remove("pod");
  EXPECT_FALSE(graph.any_dependent("other"));
  graph.remove("pod");
}

TEST(OwnerGraphTest, KeepsItsPlacesWhenDependentsLeaveTheMiddle) {
  OwnerGraph graph;
  for (const char* uid : {"a", "b", "c", "d"}) graph.update(0, object(uid, {"x", "y"}));
  graph.remove("b");
  EXPECT_EQ(names(graph.dependents("x")), "a d c ");
  graph.update(0, object("d", {"y"}));
  EXPECT_EQ(names(graph.dependents("x")), "a c ");
  EXPECT_EQ(names(graph.dependents("y")), "a c d ");
  graph.remove("a");
  graph.remove("c");
  EXPECT_FALSE(graph.any_dependent("x"));
  EXPECT_EQ(names(graph.dependents("y")), "d ");
}

TEST(OwnerGraphTest, AnObjectMayNameAnOwnerTwice) {
  OwnerGraph graph;
  graph.update(0, object("a", {"x", "x"}));
  graph.update(0, object("b", {"x"}));
  graph.remove("a");
  EXPECT_EQ(names(graph.dependents("x")), "b ");
  graph.remove("b");
  EXPECT_FALSE(graph.any_dependent("x"));
}

TEST(OwnerGraphTest, HoldsTheNewestState) {
  OwnerGraph graph;
  graph.update(0, object("rc"));
  auto ending = object("rc");
  ending->deletion_timestamp = api::Time::from_unix(1);
  ending->finalizers = {"foregroundDeletion"};
  graph.update(0, ending);
  EXPECT_TRUE(deletes_dependents(*graph.find("rc")->metadata));
  EXPECT_FALSE(orphans_dependents(*graph.find("rc")->metadata));
}

TEST(OwnerGraphTest, FindsWhatBlocks) {
  OwnerGraph graph;
  graph.update(0, object("a", {"rc"}));
  EXPECT_FALSE(graph.blocking_dependent("rc"));
  auto blocking = object("b", {"rc", "other"});
  blocking->owner_references[0].block_owner_deletion = true;
  graph.update(0, blocking);
  ASSERT_TRUE(graph.blocking_dependent("rc"));
  EXPECT_EQ(graph.blocking_dependent("rc")->metadata->name, "b");
  EXPECT_FALSE(graph.blocking_dependent("other"));
}

TEST(OwnerGraphTest, RemembersAbsentOwners) {
  OwnerGraph graph;
  EXPECT_FALSE(graph.absent("x"));
  graph.set_absent("x");
  EXPECT_TRUE(graph.absent("x"));
}

}  // namespace
}  // namespace trireme::controllers
