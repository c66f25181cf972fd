#include "controllers/garbagecollector/owner_graph.h"

#include <gtest/gtest.h>

namespace trireme::controllers {
namespace {

api::metav1::ObjectMeta object(const std::string& uid, const std::vector<std::string>& owners = {}) {
  api::metav1::ObjectMeta out;
  out.name = uid;
  out.uid = uid;
  for (const std::string& owner : owners) out.owner_references.emplace_back().uid = owner;
  return out;
}

ObjectPlace place(const std::string& uid) { return {3, "default", uid, uid}; }

TEST(ObjectPlaceTest, GoesThroughAKey) {
  for (const ObjectPlace& each : {ObjectPlace{12, "ns", "system:node", "u"}, ObjectPlace{0, "", "n", "u"}}) {
    EXPECT_EQ(ObjectPlace::from_key(each.to_key()), each);
  }
  for (const char* broken : {"", "x", "1|a|b", "|||"}) EXPECT_EQ(ObjectPlace::from_key(broken), std::nullopt) << broken;
}

TEST(OwnerGraphTest, FollowsReferences) {
  OwnerGraph graph;
  using Presence = OwnerGraph::Presence;
  EXPECT_EQ(graph.presence("rc"), Presence::kUnknown);
  const auto pod = object("pod", {"rc", "other"});
  graph.update(place("pod"), nullptr, pod);
  EXPECT_EQ(graph.dependents("rc").size(), 1u);
  EXPECT_EQ(graph.presence("rc"), Presence::kUnknown);
  auto rc = object("rc");
  graph.update(place("rc"), nullptr, rc);
  EXPECT_EQ(graph.presence("rc"), Presence::kSolid);
  auto ending = rc;
  ending.deletion_timestamp = api::Time::from_unix(1);
  ending.finalizers = {"foregroundDeletion"};
  graph.update(place("rc"), &rc, ending);
  EXPECT_EQ(graph.presence("rc"), Presence::kWaiting);
  graph.remove(place("rc"), ending);
  EXPECT_EQ(graph.presence("rc"), Presence::kAbsent);
  EXPECT_TRUE(graph.has_dependents("rc"));

  const auto moved = object("pod", {"other"});
  graph.update(place("pod"), &pod, moved);
  EXPECT_FALSE(graph.has_dependents("rc"));
  graph.remove(place("pod"), moved);
  EXPECT_FALSE(graph.has_dependents("other"));
}

TEST(OwnerGraphTest, WhatIsThereIsNotAbsent) {
  OwnerGraph graph;
  graph.update(place("rc"), nullptr, object("rc"));
  graph.set_absent("rc");
  EXPECT_EQ(graph.presence("rc"), OwnerGraph::Presence::kSolid);
}

}  // namespace
}  // namespace trireme::controllers
