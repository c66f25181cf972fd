#include "apiserver/legacy/handler.h"

#include <gtest/gtest.h>

#include "integration/support/test_api_server.h"

namespace trireme::apiserver::legacy {
namespace {

using test::Answer;

constexpr std::string_view kSeed = R"({
  "id": "redis",
  "desiredState": {"manifest": {"version": "v1beta1", "id": "redis", "containers": [{
    "name": "redis", "image": "dockerfile/redis", "ports": [{"containerPort": 6379, "hostPort": 6379}]}]}},
  "labels": {"name": "redis"}
})";

std::string pod(const std::string& id, const std::string& labels = "") {
  return R"({"id":")" + id + R"(","labels":{)" + labels +
         R"(},"desiredState":{"manifest":{"version":"v1beta1","containers":[{"name":"c","image":"i"}]}}})";
}

/// A member's text, or the whole object when it has none.
std::string member(const test::WatchedEvent& event, std::string_view name) {
  const api::Value* found = event.object.find(name);
  return found != nullptr ? std::string(found->string_or_empty()) : event.type + api::to_json(event.object);
}

class HandlerTest : public testing::Test {
 protected:
  HandlerTest() {
    auto handler = make_handler(server_.server());
    server_.server().add_path("/api/v1beta1", handler, false);
    server_.server().add_path("/api/v1beta2", handler, false);
  }

  /// `path` below /api/v1beta1.
  Answer get(const std::string& path) { return server_.get("/api/v1beta1/" + path); }
  Answer post(const std::string& path, std::string body) {
    return server_.post("/api/v1beta1/" + path, std::move(body), "");
  }
  Answer put(const std::string& path, std::string body) { return server_.put("/api/v1beta1/" + path, std::move(body)); }
  Answer remove(const std::string& path) { return server_.remove("/api/v1beta1/" + path); }
  void create(const std::string& path, std::string body) {
    Answer answer = post(path, std::move(body));
    ASSERT_EQ(answer.status, 201) << answer.body;
  }
  static std::vector<std::string> ids(const Answer& answer) {
    std::vector<std::string> result;
    const api::Value list = answer.json();
    const api::Value* items = list.find("items");
    if (items == nullptr || !items->is_array()) return {"no list: " + answer.body};
    for (const api::Value& item : items->as_array()) result.emplace_back(item.find("id")->string_or_empty());
    return result;
  }

  test::TestApiServer server_;
};

using Ids = std::vector<std::string>;

TEST_F(HandlerTest, TheFirstExampleLivesItsLife) {
  Answer created = post("pods", std::string(kSeed));
  ASSERT_EQ(created.status, 201) << created.body;
  EXPECT_EQ(created.at({"kind"}), "Pod");
  EXPECT_EQ(created.at({"apiVersion"}), "v1beta1");
  EXPECT_EQ(created.at({"id"}), "redis");
  EXPECT_EQ(created.at({"currentState", "status"}), "Waiting");
  EXPECT_EQ(server_.get("/api/v1/namespaces/default/pods/redis").at({"spec", "containers", "0", "image"}),
            "dockerfile/redis");

  Answer got = get("pods/redis");
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.at({"desiredState", "manifest", "containers", "0", "ports", "0", "hostPort"}), "6379");
  EXPECT_EQ(got.at({"resourceVersion"}), created.at({"resourceVersion"}));
  EXPECT_TRUE(got.json().find("resourceVersion")->is_int());

  Answer list = get("pods");
  EXPECT_EQ(list.at({"kind"}), "PodList");
  EXPECT_EQ(ids(list), Ids{"redis"});

  Answer again = post("pods", std::string(kSeed));
  EXPECT_EQ(again.status, 409);
  EXPECT_EQ(again.at({"apiVersion"}), "v1beta1");
  EXPECT_EQ(again.at({"reason"}), "AlreadyExists");
  EXPECT_EQ(again.at({"details", "id"}), "redis");

  Answer deleted = remove("pods/redis");
  EXPECT_EQ(deleted.status, 200) << deleted.body;
  EXPECT_EQ(deleted.at({"kind"}), "Status");
  EXPECT_EQ(deleted.at({"status"}), "Success");
  Answer gone = get("pods/redis");
  EXPECT_EQ(gone.status, 404);
  EXPECT_EQ(gone.at({"kind"}), "Status");
  EXPECT_EQ(gone.at({"apiVersion"}), "v1beta1");
  EXPECT_EQ(gone.at({"status"}), "Failure");
  EXPECT_EQ(gone.at({"code"}), "404");
}

TEST_F(HandlerTest, AnUpdateChangesWhatTheOldWordsSayAndNothingElse) {
  create("services", R"({"id":"web","port":80,"selector":{"name":"web"},"containerPort":8080})");
  Answer before = get("services/web");
  std::string ip = before.at({"portalIP"});
  EXPECT_FALSE(ip.empty());
  Answer updated = put("services/web", R"({"id":"web","port":81,"selector":{"name":"other"},"resourceVersion":)" +
                                           before.at({"resourceVersion"}) + "}");
  ASSERT_EQ(updated.status, 200) << updated.body;
  EXPECT_EQ(updated.at({"port"}), "81");
  EXPECT_EQ(updated.at({"selector", "name"}), "other");
  EXPECT_EQ(updated.at({"portalIP"}), ip);
  Answer stale =
      put("services/web", R"({"id":"web","port":82,"resourceVersion":)" + before.at({"resourceVersion"}) + "}");
  EXPECT_EQ(stale.status, 409);
  EXPECT_EQ(stale.at({"reason"}), "Conflict");
  EXPECT_EQ(put("services/ghost", R"({"id":"ghost","port":82})").status, 404);
}

TEST_F(HandlerTest, NamespacesAreAllForListsAndDefaultOtherwise) {
  ASSERT_EQ(server_.post("/api/v1/namespaces", R"({"metadata":{"name":"other"}})").status, 201);
  create("pods", pod("a"));
  create("pods?namespace=other", pod("b"));
  create("pods", R"({"namespace":"other",)" + pod("c").substr(1));
  EXPECT_EQ(ids(get("pods")), (Ids{"a", "b", "c"}));
  EXPECT_EQ(ids(get("pods?namespace=")), (Ids{"a", "b", "c"}));
  EXPECT_EQ(ids(get("pods?namespace=other")), (Ids{"b", "c"}));
  EXPECT_EQ(get("pods/b").status, 404);
  EXPECT_EQ(get("pods/b?namespace=other").status, 200);
  EXPECT_EQ(get("ns/other/pods/b").status, 200);
  EXPECT_EQ(remove("pods/b?namespace=other").status, 200);
  EXPECT_EQ(ids(get("pods?namespace=other")), Ids{"c"});
}

TEST_F(HandlerTest, ListsAreSelectedByLabelsAndFields) {
  create("pods", pod("a", R"("tier":"front")"));
  create("pods", pod("b", R"("tier":"back")"));
  create("bindings", R"({"podID":"b","host":"m1"})");
  EXPECT_EQ(ids(get("pods?labels=tier%3Dfront")), Ids{"a"});
  EXPECT_EQ(ids(get("pods?labels=tier!%3Dfront")), Ids{"b"});
  EXPECT_EQ(ids(get("pods?fields=DesiredState.Host%3Dm1")), Ids{"b"});
  EXPECT_EQ(ids(get("pods?fields=DesiredState.Host%3D")), Ids{"a"});
  EXPECT_EQ(ids(get("pods?fields=DesiredState.Status%3DWaiting")), (Ids{"a", "b"}));
  EXPECT_EQ(ids(get("pods?labels=tier%3Dback&fields=name%3Da")), Ids{});
  Answer wrong = get("pods?fields=nonsense%3D1");
  EXPECT_EQ(wrong.status, 400);
  EXPECT_EQ(wrong.at({"message"}), "fields: unknown field \"nonsense\"");
}

TEST_F(HandlerTest, ABindingPlacesAPod) {
  create("pods", pod("a"));
  Answer bound = post("bindings", R"({"podID":"a","host":"m1"})");
  EXPECT_EQ(bound.status, 201) << bound.body;
  EXPECT_EQ(bound.at({"status"}), "Success");
  EXPECT_EQ(get("pods/a").at({"desiredState", "host"}), "m1");
  EXPECT_EQ(post("bindings", R"({"podID":"a","host":"m2"})").status, 409);
  EXPECT_EQ(post("bindings", R"({"podID":"ghost","host":"m2"})").status, 404);
}

TEST_F(HandlerTest, WatchesSpeakTheOldWords) {
  auto watch = server_.watch("/api/v1beta1/watch/pods?labels=tier%3Dfront");
  ASSERT_EQ(watch.status(), 200);
  create("pods", pod("other", R"("tier":"back")"));
  create("pods", pod("Mixed", R"("tier":"front")"));
  auto added = watch.next();
  EXPECT_EQ(added.type, "ADDED");
  EXPECT_EQ(member(added, "id"), "Mixed");
  EXPECT_EQ(member(added, "apiVersion"), "v1beta1");
  ASSERT_EQ(server_.patch("/api/v1/namespaces/default/pods/mixed", R"({"metadata":{"labels":{"more":"1"}}})").status,
            200);
  EXPECT_EQ(watch.next().type, "MODIFIED");
  ASSERT_EQ(remove("pods/Mixed").status, 200);
  auto deleted = watch.next();
  EXPECT_EQ(deleted.type, "DELETED");
  EXPECT_EQ(member(deleted, "kind"), "Pod");

  auto one = server_.watch("/api/v1beta1/watch/pods/second");
  create("pods", pod("first"));
  create("pods", pod("second"));
  EXPECT_EQ(member(one.next(), "id"), "second");

  auto other_form = server_.watch("/api/v1beta2/pods?watch=true&namespace=default&fields=name%3Dthird");
  create("pods", pod("third"));
  EXPECT_EQ(other_form.status(), 200);
  EXPECT_EQ(member(other_form.next(), "apiVersion"), "v1beta2");
}

TEST_F(HandlerTest, ADeletedControllerLeavesItsPods) {
  create("replicationControllers", R"({"id":"redisSlave","desiredState":{"replicas":1,"replicaSelector":{"name":"r"},
    "podTemplate":{"labels":{"name":"r"},"desiredState":{"manifest":{"version":"v1beta1",
      "containers":[{"name":"c","image":"i"}]}}}}})");
  std::string uid = get("replicationControllers/redisSlave").at({"uid"});
  std::string owned = test::pod("owned", R"("name":"r")");
  owned.insert(owned.find(R"("name":"owned")"),
               R"("ownerReferences":[{"apiVersion":"v1","kind":"ReplicationController","name":"redisslave","uid":")" +
                   uid + R"(","controller":true,"blockOwnerDeletion":true}],)");
  ASSERT_EQ(server_.post("/api/v1/namespaces/default/pods", owned).status, 201);
  Answer deleted = remove("replicationControllers/redisSlave");
  EXPECT_EQ(deleted.status, 200) << deleted.body;
  EXPECT_EQ(deleted.at({"status"}), "Success");
  // Gone, or waiting for the garbage collector to let go of the pods: never taking them along.
  Answer left = server_.get("/api/v1/namespaces/default/replicationcontrollers/redisslave");
  EXPECT_TRUE(left.status == 404 || left.at({"metadata", "finalizers"}) == R"(["orphan"])") << left.body;
  EXPECT_EQ(get("pods/owned").status, 200);
}

TEST_F(HandlerTest, MinionsAreNodes) {
  create("minions", R"({"kind":"Minion","id":"m1","hostIP":"10.0.0.1","resources":{"capacity":{"cpu":1000}}})");
  EXPECT_EQ(ids(get("minions")), Ids{"m1"});
  EXPECT_EQ(get("minions").at({"minions", "0", "id"}), "m1");
  EXPECT_EQ(get("nodes/m1").at({"kind"}), "Minion");
  EXPECT_EQ(server_.get("/api/v1/nodes/m1").status, 200);
  EXPECT_EQ(remove("minions/m1").status, 200);
}

TEST_F(HandlerTest, OperationsAreAlwaysDone) {
  Answer list = get("operations");
  EXPECT_EQ(list.status, 200);
  EXPECT_EQ(list.at({"kind"}), "ServerOpList");
  EXPECT_EQ(list.at({"items"}), "[]");
  EXPECT_EQ(get("operations/1").status, 404);
}

TEST_F(HandlerTest, NothingIsDeletedWithoutAnId) {
  create("pods", pod("a"));
  EXPECT_EQ(remove("pods").status, 405);
  EXPECT_EQ(remove("pods/").status, 405);
  EXPECT_EQ(remove("pods/--").status, 404);
  EXPECT_EQ(remove("pods/%2e%2e").status, 404);
  EXPECT_EQ(remove("watch/pods/a").status, 405);
  EXPECT_EQ(put("pods", pod("a")).status, 405);
  EXPECT_EQ(post("pods/a", pod("a")).status, 405);
  EXPECT_EQ(server_.patch("/api/v1beta1/pods/a", "{}").status, 405);
  EXPECT_EQ(ids(get("pods")), Ids{"a"});
}

TEST_F(HandlerTest, RefusalsAreStatusesOfTheOldForm) {
  for (const char* path : {"", "nonsense", "pods/a/b", "secrets"}) {
    Answer answer = get(path);
    EXPECT_EQ(answer.status, 404) << path;
    EXPECT_EQ(answer.at({"apiVersion"}), "v1beta1") << path;
  }
  EXPECT_EQ(server_.get("/api/v1beta2/nonsense").at({"apiVersion"}), "v1beta2");
  for (const char* body : {"", "[]", "{", "\x01", "- a", "{\"id\":\"p\"}"}) {
    Answer answer = post("pods", body);
    EXPECT_EQ(answer.status, 400) << body << answer.body;
    EXPECT_EQ(answer.at({"status"}), "Failure") << body;
  }
  Answer invalid = post("pods", R"({"id":"p","desiredState":{"manifest":{"version":"v1beta1","containers":[]}}})");
  EXPECT_EQ(invalid.status, 422) << invalid.body;
  EXPECT_EQ(invalid.at({"reason"}), "Invalid");
  EXPECT_EQ(invalid.at({"details", "id"}), "p");
  EXPECT_EQ(invalid.at({"details", "causes", "0", "field"}), "spec.containers");
}

}  // namespace
}  // namespace trireme::apiserver::legacy
