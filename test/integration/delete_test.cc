// Deletion: preconditions, grace periods, finalizers, propagation, namespaces, collections and eviction.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "integration/support/test_api_server.h"

namespace trireme {
namespace {

using test::Answer;
using test::config_map;
using test::TestApiServer;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr const char* kMaps = "/api/v1/namespaces/default/configmaps";
constexpr const char* kPods = "/api/v1/namespaces/default/pods";

std::string path(std::string_view name) { return std::string(kMaps) + "/" + std::string(name); }
std::string pod_path(std::string_view name) { return std::string(kPods) + "/" + std::string(name); }

TEST(Delete, AnswersWithAStatusOrTheObject) {
  TestApiServer server;
  Answer created = server.post(kMaps, config_map("a"));
  Answer deleted = server.remove(path("a"));
  EXPECT_EQ(deleted.status, 200);
  EXPECT_EQ(deleted.at({"kind"}), "Status");
  EXPECT_EQ(deleted.at({"status"}), "Success");
  EXPECT_EQ(deleted.at({"details", "name"}), "a");
  EXPECT_EQ(deleted.at({"details", "kind"}), "configmaps");
  EXPECT_EQ(deleted.at({"details", "uid"}), created.at({"metadata", "uid"}));
  EXPECT_EQ(server.get(path("a")).status, 404);
  server.post(kPods, test::pod("p"));
  EXPECT_EQ(server.remove(pod_path("p")).at({"kind"}), "Pod");
  EXPECT_EQ(server.get(pod_path("p")).status, 404);  // not scheduled: nothing to wait for
}

TEST(Delete, Preconditions) {
  TestApiServer server;
  Answer created = server.post(kMaps, config_map("a"));
  Answer uid = server.remove(path("a"), R"({"preconditions":{"uid":"x"}})");
  EXPECT_EQ(uid.status, 409);
  EXPECT_NE(
      uid.at({"message"})
          .find("Precondition failed: UID in precondition: x, UID in object meta: " + created.at({"metadata", "uid"})),
      std::string::npos)
      << uid.body;
  EXPECT_EQ(server.remove(path("a"), R"({"preconditions":{"resourceVersion":"1"}})").status, 409);
  EXPECT_EQ(server.remove(path("a"), R"({"kind":"Pod","apiVersion":"v1"})").status, 400);
  EXPECT_EQ(server.remove(path("a"), R"({"propagationPolicy":"Sometimes"})").status, 422);
  EXPECT_EQ(server
                .remove(path("a"), R"({"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":")" +
                                       created.at({"metadata", "uid"}) + R"("}})")
                .status,
            200);
}

TEST(Delete, ScheduledPodsHaveAGracePeriod) {
  TestApiServer server;
  ASSERT_EQ(server.post(kPods, test::pod("p", "", R"("nodeName":"n1")")).status, 201);
  Answer graceful = server.remove(pod_path("p"));
  EXPECT_EQ(graceful.status, 200);
  EXPECT_EQ(graceful.at({"metadata", "deletionGracePeriodSeconds"}), "30");
  EXPECT_EQ(graceful.at({"metadata", "deletionTimestamp"}), "2024-01-01T00:00:30Z");
  Answer again = server.remove(pod_path("p"));
  EXPECT_EQ(again.at({"metadata", "resourceVersion"}), graceful.at({"metadata", "resourceVersion"}));
  Answer shorter = server.remove(pod_path("p") + "?gracePeriodSeconds=5");
  EXPECT_EQ(shorter.at({"metadata", "deletionGracePeriodSeconds"}), "5");
  // The kubelet's last word.
  EXPECT_EQ(server.remove(pod_path("p"), R"({"gracePeriodSeconds":0})").status, 200);
  EXPECT_EQ(server.get(pod_path("p")).status, 404);
}

TEST(Delete, WaitsForFinalizers) {
  TestApiServer server;
  server.post(kMaps, R"({"metadata":{"name":"a","finalizers":["example.com/x"]}})");
  Answer marked = server.remove(path("a"));
  EXPECT_EQ(marked.status, 200);
  EXPECT_EQ(marked.at({"metadata", "deletionTimestamp"}), "2024-01-01T00:00:00Z");
  EXPECT_EQ(server.get(path("a")).status, 200);
  // Nobody can bring it back.
  Answer revived = server.patch(path("a"), R"({"metadata":{"deletionTimestamp":null}})");
  EXPECT_NE(revived.at({"metadata", "deletionTimestamp"}), "");
  Answer last = server.patch(path("a"), R"({"metadata":{"finalizers":null}})");
  EXPECT_EQ(last.status, 200) << last.body;
  EXPECT_EQ(server.get(path("a")).status, 404);
}

TEST(Delete, PropagationIsNotedForTheGarbageCollector) {
  TestApiServer server;
  server.post(kMaps, config_map("f"));
  server.post(kMaps, config_map("o"));
  server.post(kMaps, config_map("b"));
  Answer foreground = server.remove(path("f") + "?propagationPolicy=Foreground");
  EXPECT_EQ(foreground.at({"metadata", "finalizers"}), R"(["foregroundDeletion"])") << foreground.body;
  Answer orphan = server.remove(path("o"), R"({"propagationPolicy":"Orphan"})");
  EXPECT_EQ(orphan.at({"metadata", "finalizers"}), R"(["orphan"])") << orphan.body;
  EXPECT_EQ(server.remove(path("b"), R"({"propagationPolicy":"Background"})").at({"kind"}), "Status");
  EXPECT_EQ(server.get(path("b")).status, 404);
}

TEST(Delete, Collections) {
  TestApiServer server;
  for (const char* name : {"a", "b", "c"}) {
    server.post(kPods, test::pod(name, name == std::string("c") ? "" : R"("app":"web")"));
  }
  Answer deleted = server.remove(std::string(kPods) + "?labelSelector=app%3Dweb");
  EXPECT_EQ(deleted.status, 200);
  EXPECT_THAT(deleted.names(), ElementsAre("a", "b"));
  EXPECT_THAT(server.get(kPods).names(), ElementsAre("c"));
  EXPECT_EQ(server.remove(kPods).status, 200);
  EXPECT_THAT(server.get(kPods).names(), IsEmpty());
  EXPECT_EQ(server.remove("/api/v1/namespaces").status, 405);
}

TEST(Namespaces, GoInTwoSteps) {
  TestApiServer server;
  Answer created = server.post("/api/v1/namespaces", R"({"metadata":{"name":"team"}})");
  ASSERT_EQ(created.status, 201) << created.body;
  EXPECT_EQ(created.at({"spec", "finalizers"}), R"(["kubernetes"])");
  EXPECT_EQ(created.at({"status", "phase"}), "Active");
  Answer marked = server.remove("/api/v1/namespaces/team");
  EXPECT_EQ(marked.status, 200);
  EXPECT_EQ(marked.at({"status", "phase"}), "Terminating");
  EXPECT_NE(marked.at({"metadata", "deletionTimestamp"}), "");
  Answer refused = server.post("/api/v1/namespaces/team/configmaps", config_map("a"));
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(refused.at({"message"}),
            "configmaps \"a\" is forbidden: unable to create new content in namespace team because it is being "
            "terminated");
  EXPECT_EQ(refused.at({"details", "causes", "0", "reason"}), "NamespaceTerminating");
  // Only the finalize subresource lifts the finalizer.
  Answer kept = server.patch("/api/v1/namespaces/team", R"({"spec":{"finalizers":[]}})");
  EXPECT_EQ(kept.at({"spec", "finalizers"}), R"(["kubernetes"])") << kept.body;
  Answer finalized = server.put("/api/v1/namespaces/team/finalize", R"({"metadata":{"name":"team"},"spec":{}})");
  EXPECT_EQ(finalized.status, 200) << finalized.body;
  EXPECT_EQ(server.get("/api/v1/namespaces/team").status, 404);
}

TEST(Namespaces, TheClustersOwnAreThereFromTheStart) {
  TestApiServer server;
  EXPECT_THAT(server.get("/api/v1/namespaces").names(),
              ElementsAre("default", "kube-node-lease", "kube-public", "kube-system"));
  server.restart();
  EXPECT_EQ(server.get("/api/v1/namespaces").names().size(), 4u);
  Answer service = server.get("/api/v1/namespaces/default/services/kubernetes");
  EXPECT_EQ(service.at({"spec", "clusterIP"}), "10.96.0.1") << service.body;
  EXPECT_EQ(service.at({"spec", "ports", "0", "targetPort"}), "6443");
  Answer slice = server.get("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes");
  EXPECT_EQ(slice.at({"endpoints", "0", "addresses", "0"}), "127.0.0.1") << slice.body;
}

TEST(Eviction, RespectsTheDisruptionBudget) {
  TestApiServer server;
  ASSERT_EQ(server.post(kPods, test::pod("p", R"("app":"web")", R"("nodeName":"n1")")).status, 201);
  ASSERT_EQ(server
                .patch(pod_path("p") + "/status",
                       R"({"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}})")
                .status,
            200);
  const std::string budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
  Answer budget = server.post(
      budgets, R"({"metadata":{"name":"b"},"spec":{"minAvailable":1,"selector":{"matchLabels":{"app":"web"}}}})");
  ASSERT_EQ(budget.status, 201) << budget.body;
  ASSERT_EQ(server
                .patch(budgets + "/b/status", R"({"status":{"observedGeneration":1,"currentHealthy":1,
      "desiredHealthy":1,"expectedPods":1,"disruptionsAllowed":0}})")
                .status,
            200);
  const std::string eviction = R"({"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"p"}})";
  Answer refused = server.post(pod_path("p") + "/eviction", eviction);
  EXPECT_EQ(refused.status, 429) << refused.body;
  EXPECT_EQ(refused.at({"message"}), "Cannot evict pod as it would violate the pod's disruption budget.");
  EXPECT_EQ(refused.at({"details", "causes", "0", "reason"}), "DisruptionBudget");
  ASSERT_EQ(server.patch(budgets + "/b/status", R"({"status":{"disruptionsAllowed":1}})").status, 200);
  Answer evicted = server.post(pod_path("p") + "/eviction", eviction);
  EXPECT_EQ(evicted.status, 201) << evicted.body;
  EXPECT_EQ(evicted.at({"status"}), "Success");
  EXPECT_EQ(server.get(pod_path("p")).at({"metadata", "deletionGracePeriodSeconds"}), "30");
  Answer after = server.get(budgets + "/b");
  EXPECT_EQ(after.at({"status", "disruptionsAllowed"}), "0");
  EXPECT_NE(after.at({"status", "disruptedPods", "p"}), "");
}

}  // namespace
}  // namespace trireme
