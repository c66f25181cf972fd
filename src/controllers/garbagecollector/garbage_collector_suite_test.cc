#include <thread>

#include "api/value.h"
#include "controllers/testing/suite.h"

namespace trireme::controllers {
namespace {

using api::corev1::ConfigMap;
using api::corev1::Secret;

class GarbageCollectorSuite : public ControllersSuite {
 protected:
  ConfigMap map(const std::string& name, const std::vector<ConfigMap>& owners = {}, const std::string& ns = "default") {
    ConfigMap out;
    out.metadata.namespace_ = ns;
    out.metadata.name = name;
    for (const ConfigMap& owner : owners) out.metadata.owner_references.push_back(reference(owner));
    return out;
  }
  static api::metav1::OwnerReference reference(const ConfigMap& owner) {
    api::metav1::OwnerReference out;
    out.api_version = "v1";
    out.kind = "ConfigMap";
    out.name = owner.metadata.name;
    out.uid = owner.metadata.uid;
    out.block_owner_deletion = true;
    return out;
  }
  void make_namespace(const std::string& name) {
    api::corev1::Namespace ns;
    ns.metadata.name = name;
    create(ns);
  }
  Status remove_map(const std::string& name, const std::string& policy) {
    client::DeleteOptions options;
    options.propagation_policy = policy;
    return remove<ConfigMap>("default", name, options);
  }
};

TEST_F(GarbageCollectorSuite, AForegroundDeletionGoesThroughTheWholeTree) {
  const ConfigMap root = create(map("root"));
  const ConfigMap middle = create(map("middle", {root}));
  ConfigMap leaf = map("leaf", {middle});
  leaf.metadata.finalizers = {"example.com/hold"};
  create(leaf);
  run("garbagecollector");
  Watched<ConfigMap> maps(raw());
  ASSERT_EQ(remove_map("root", "Foreground").to_string(), "OK");
  // Every owner waits for what it owns.
  ASSERT_TRUE(maps.until([&] {
    const auto held = maps.get("default", "leaf");
    return held && held->metadata.deletion_timestamp;
  }));
  EXPECT_TRUE(maps.get("default", "root"));
  EXPECT_TRUE(maps.get("default", "middle"));
  change<ConfigMap>("default", "leaf", [](ConfigMap& each) { each.metadata.finalizers.clear(); });
  EXPECT_TRUE(maps.until([&] { return maps.list("default").empty(); }));
}

TEST_F(GarbageCollectorSuite, ADependentThatDoesNotBlockIsNotWaitedFor) {
  const ConfigMap root = create(map("root"));
  ConfigMap dependent = map("dependent", {root});
  dependent.metadata.owner_references[0].block_owner_deletion = false;
  dependent.metadata.finalizers = {"example.com/hold"};
  create(dependent);
  run("garbagecollector");
  Watched<ConfigMap> maps(raw());
  ASSERT_EQ(remove_map("root", "Foreground").to_string(), "OK");
  EXPECT_TRUE(maps.until([&] {
    const auto held = maps.get("default", "dependent");
    return !maps.get("default", "root") && held && held->metadata.deletion_timestamp;
  }));
}

TEST_F(GarbageCollectorSuite, AnotherOwnerSavesADependentAndTheWaitingOneLetsGo) {
  const ConfigMap waiting = create(map("waiting"));
  const ConfigMap other = create(map("other"));
  create(map("both", {waiting, other}));
  run("garbagecollector");
  Watched<ConfigMap> maps(raw());
  ASSERT_EQ(remove_map("waiting", "Foreground").to_string(), "OK");
  // The only thing that tells the waiting owner is that the reference is gone.
  ASSERT_TRUE(maps.until([&] { return !maps.get("default", "waiting"); }));
  const auto both = maps.get("default", "both");
  ASSERT_TRUE(both);
  ASSERT_EQ(both->metadata.owner_references.size(), 1u);
  EXPECT_EQ(both->metadata.owner_references[0].uid, other.metadata.uid);
}

TEST_F(GarbageCollectorSuite, ACircleOfOwnersIsNoObstacle) {
  ConfigMap one = create(map("one"));
  const ConfigMap two = create(map("two", {one}));
  const ConfigMap three = create(map("three", {two}));
  change<ConfigMap>("default", "one",
                    [&](ConfigMap& each) { each.metadata.owner_references.push_back(reference(three)); });
  run("garbagecollector");
  Watched<ConfigMap> maps(raw());
  ASSERT_EQ(remove_map("one", "Foreground").to_string(), "OK");
  EXPECT_TRUE(maps.until([&] { return maps.list("default").empty(); }));
}

TEST_F(GarbageCollectorSuite, OrphaningTakesTheOwnerOutOfEveryDependent) {
  const ConfigMap root = create(map("root"));
  for (int i = 0; i < 50; ++i) create(map("dependent-" + std::to_string(i), {root}));
  run("garbagecollector");
  Watched<ConfigMap> maps(raw());
  ASSERT_EQ(remove_map("root", "Orphan").to_string(), "OK");
  ASSERT_TRUE(maps.until([&] { return !maps.get("default", "root"); }));
  const auto left = maps.list("default");
  EXPECT_EQ(left.size(), 50u);
  for (const auto& each : left) EXPECT_TRUE(each->metadata.owner_references.empty()) << each->metadata.name;
}

TEST_F(GarbageCollectorSuite, AnOwnerInAnotherNamespaceIsNoOwner) {
  make_namespace("other");
  const ConfigMap owner = create(map("owner"));
  run("garbagecollector");
  Watched<ConfigMap> maps(raw());
  const ConfigMap stray = create(map("stray", {owner}, "other"));
  create(map("fine", {owner}));
  EXPECT_TRUE(maps.until([&] { return maps.get("default", "fine") && !maps.get("other", "stray"); }));
  EXPECT_TRUE(maps.get("default", "owner"));
  events_->flush();
  auto events = client().list<api::corev1::Event, api::corev1::EventList>("other");
  ASSERT_TRUE(events.ok());
  ASSERT_EQ(events->items.size(), 1u);
  EXPECT_EQ(events->items[0].reason, "OwnerRefInvalidNamespace");
  EXPECT_EQ(events->items[0].type, "Warning");
  EXPECT_EQ(events->items[0].involved_object.name, "stray");
  EXPECT_EQ(events->items[0].message, "ownerRef [v1/ConfigMap, namespace: other, name: owner, uid: " +
                                          owner.metadata.uid + "] does not exist in namespace \"other\"");
}

TEST_F(GarbageCollectorSuite, AClusterWideObjectCannotBelongToANamespacedOne) {
  const ConfigMap owner = create(map("owner"));
  run("garbagecollector");
  Watched<api::corev1::Node> nodes(raw());
  Node stray = node("stray");
  stray.metadata.owner_references.push_back(reference(owner));
  create(stray);
  Node lost = node("lost");
  lost.metadata.owner_references.push_back(reference(owner));
  lost.metadata.owner_references[0].kind = "Namespace";
  create(lost);
  const auto gone = [&](const char* name) { return client().get<Node>("", name).status().is(Reason::kNotFound); };
  EXPECT_TRUE(nodes.until([&] { return gone("lost"); }));
  ASSERT_EQ(remove_map("owner", "Background").to_string(), "OK");
  lost.metadata.name = "later";
  create(lost);
  EXPECT_TRUE(nodes.until([&] { return gone("later"); }));
  EXPECT_FALSE(gone("stray"));
}

TEST_F(GarbageCollectorSuite, AKindThatIsNotServedKeepsItsDependents) {
  run("garbagecollector");
  Watched<Secret> secrets(raw());
  Secret secret;
  secret.metadata.namespace_ = "default";
  secret.metadata.name = "unknown";
  auto& owner = secret.metadata.owner_references.emplace_back();
  owner.api_version = "example.com/v1";
  owner.kind = "Widget";
  owner.name = "w";
  owner.uid = "11111111-1111-1111-1111-111111111111";
  create(secret);
  secret.metadata.name = "lost";
  secret.metadata.owner_references[0].api_version = "v1";
  secret.metadata.owner_references[0].kind = "ConfigMap";
  create(secret);
  EXPECT_TRUE(secrets.until([&] {
    return secrets.get("default", "unknown") && client().get<Secret>("default", "lost").status().is(Reason::kNotFound);
  }));
  // The failure is tried again, later.
  ASSERT_TRUE(clock_->wait_for_waiters(1));
  EXPECT_TRUE(secrets.get("default", "unknown"));
}

TEST_F(GarbageCollectorSuite, CustomResourcesOwnAndAreOwned) {
  run("garbagecollector");
  const auto post = [&](const std::string& target, const std::string& body) {
    const net::Response answer = send("POST", target, body);
    EXPECT_EQ(answer.status, 201) << answer.body;
    auto object = api::parse_value(answer.body);
    return std::string(object.ok() ? object->at_path({"metadata", "uid"})->string_or_empty() : "");
  };
  const std::string widgets = "/apis/example.com/v1/namespaces/default/widgets";
  const auto define = [&] {
    post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
         R"({"metadata":{"name":"widgets.example.com"},"spec":{"group":"example.com","scope":"Namespaced",
             "names":{"plural":"widgets","kind":"Widget"},"versions":[{"name":"v1","served":true,"storage":true,
             "schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}})");
  };
  const auto owned_by = [](const std::string& kind, const std::string& version, const std::string& name,
                           const std::string& uid) {
    return R"("ownerReferences":[{"apiVersion":")" + version + R"(","kind":")" + kind + R"(","name":")" + name +
           R"(","uid":")" + uid + R"("}])";
  };
  Watched<ConfigMap> maps(raw());
  for (int round = 0; round < 2; ++round) {
    define();
    // A custom owner of a built-in object, which owns a custom one.
    const std::string root =
        post(widgets, R"({"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"root"}})");
    const std::string child =
        post("/api/v1/namespaces/default/configmaps",
             R"({"metadata":{"name":"child",)" + owned_by("Widget", "example.com/v1", "root", root) + "}}");
    post(widgets, R"({"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"leaf",)" +
                      owned_by("ConfigMap", "v1", "child", child) + "}}");
    ASSERT_TRUE(maps.until([&] { return maps.get("default", "child") != nullptr; }));
    EXPECT_EQ(send("DELETE", widgets + "/root").status, 200);
    EXPECT_TRUE(maps.until([&] { return maps.get("default", "child") == nullptr; }));
    const auto leaf_gone = [&] { return send("GET", widgets + "/leaf").status == 404; };
    for (int i = 0; i < 500 && !leaf_gone(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_TRUE(leaf_gone());
    // With its definition an owner goes as well.
    const std::string last =
        post(widgets, R"({"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"last"}})");
    post("/api/v1/namespaces/default/configmaps",
         R"({"metadata":{"name":"orphan",)" + owned_by("Widget", "example.com/v1", "last", last) + "}}");
    ASSERT_TRUE(maps.until([&] { return maps.get("default", "orphan") != nullptr; }));
    EXPECT_EQ(send("DELETE", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com").status,
              200);
    EXPECT_TRUE(maps.until([&] { return maps.get("default", "orphan") == nullptr; }));
    const auto undefined = [&] { return send("GET", widgets).status == 404; };
    for (int i = 0; i < 500 && !undefined(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_TRUE(undefined());
  }
}

TEST_F(GarbageCollectorSuite, WhatHadNoCollectorOnceIsOrphanedWithoutAWord) {
  run("replicationcontroller,garbagecollector");
  Watched<Pod> pods(raw());
  Watched<ReplicationController> controllers(raw());
  create(controller(2));
  ASSERT_TRUE(pods.until([&] { return pods.list().size() == 2; }));
  ASSERT_EQ(remove<ReplicationController>("default", "redis").to_string(), "OK");
  ASSERT_TRUE(controllers.until([&] { return controllers.list().empty(); }));
  EXPECT_TRUE(pods.until([&] {
    return std::ranges::all_of(pods.list(), [](const auto& each) { return each->metadata.owner_references.empty(); });
  }));
  EXPECT_EQ(pods.list().size(), 2u);
}

}  // namespace
}  // namespace trireme::controllers
