// Lists: paging, versions, selectors and representations.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/types/corev1.h"
#include "integration/support/test_api_server.h"

namespace trireme {
namespace {

using test::Answer;
using test::config_map;
using test::TestApiServer;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr const char* kMaps = "/api/v1/namespaces/default/configmaps";

std::string query(std::string text) { return std::string(kMaps) + "?" + text; }

TEST(List, IsOrderedAndCarriesItsVersion) {
  TestApiServer server;
  Answer empty = server.get(kMaps);
  EXPECT_EQ(empty.status, 200);
  EXPECT_EQ(empty.at({"kind"}), "ConfigMapList");
  EXPECT_EQ(empty.at({"items"}), "[]");
  for (const char* name : {"b", "a", "c"}) server.post(kMaps, config_map(name));
  server.post("/api/v1/namespaces/kube-system/configmaps", config_map("z"));
  Answer list = server.get(kMaps);
  EXPECT_THAT(list.names(), ElementsAre("a", "b", "c"));
  EXPECT_EQ(list.at({"items", "0", "kind"}), "");  // as typed lists have it
  EXPECT_THAT(server.get("/api/v1/configmaps").names(), ElementsAre("a", "b", "c", "z"));
}

TEST(List, PagesOverOneSnapshot) {
  TestApiServer server;
  for (const char* name : {"a", "b", "c", "d", "e"}) server.post(kMaps, config_map(name));
  Answer first = server.get(query("limit=2"));
  EXPECT_THAT(first.names(), ElementsAre("a", "b"));
  EXPECT_EQ(first.at({"metadata", "remainingItemCount"}), "3");
  std::string token = first.at({"metadata", "continue"});
  ASSERT_NE(token, "");
  server.remove(std::string(kMaps) + "/d");
  server.post(kMaps, config_map("bb"));
  Answer second = server.get(query("limit=2&continue=" + token));
  EXPECT_THAT(second.names(), ElementsAre("c", "d"));
  EXPECT_EQ(second.at({"metadata", "resourceVersion"}), first.at({"metadata", "resourceVersion"}));
  Answer third = server.get(query("limit=2&continue=" + second.at({"metadata", "continue"})));
  EXPECT_THAT(third.names(), ElementsAre("e"));
  EXPECT_EQ(third.at({"metadata", "continue"}), "");
}

TEST(List, ExpiredPagesOfferAnInconsistentRest) {
  TestApiServer server;
  for (const char* name : {"a", "b", "c"}) server.post(kMaps, config_map(name));
  Answer first = server.get(query("limit=1"));
  server.post(kMaps, config_map("d"));
  ASSERT_TRUE(server.store().compact(*server.store().current_revision()).ok());
  server.restart();
  Answer expired = server.get(query("limit=1&continue=" + first.at({"metadata", "continue"})));
  EXPECT_EQ(expired.status, 410) << expired.body;
  EXPECT_EQ(expired.at({"reason"}), "Expired");
  std::string token = expired.at({"metadata", "continue"});
  ASSERT_NE(token, "");
  EXPECT_THAT(server.get(query("continue=" + token)).names(), ElementsAre("b", "c", "d"));
}

TEST(List, AtExactVersions) {
  TestApiServer server;
  Answer a = server.post(kMaps, config_map("a"));
  std::string version = a.at({"metadata", "resourceVersion"});
  server.post(kMaps, config_map("b"));
  EXPECT_THAT(server.get(query("resourceVersionMatch=Exact&resourceVersion=" + version)).names(), ElementsAre("a"));
  EXPECT_THAT(server.get(query("resourceVersionMatch=NotOlderThan&resourceVersion=" + version)).names(),
              ElementsAre("a", "b"));
  EXPECT_THAT(server.get(query("resourceVersion=0")).names(), ElementsAre("a", "b"));
  // From before the server's memory, but not yet compacted.
  server.restart();
  EXPECT_THAT(server.get(query("resourceVersionMatch=Exact&resourceVersion=" + version)).names(), ElementsAre("a"));
  Answer future = server.get(query("resourceVersion=999999"));
  EXPECT_EQ(future.status, 504) << future.body;
  EXPECT_NE(future.at({"message"}).find("Too large resource version"), std::string::npos);
}

TEST(List, OptionsThatDoNotGoTogether) {
  TestApiServer server;
  EXPECT_EQ(server.get(query("resourceVersionMatch=Exact")).status, 422);
  EXPECT_EQ(server.get(query("resourceVersionMatch=Exact&resourceVersion=0")).status, 422);
  EXPECT_EQ(server.get(query("resourceVersionMatch=Wrong&resourceVersion=1")).status, 422);
  EXPECT_EQ(server.get(query("continue=rubbish")).status, 400);
  EXPECT_EQ(server.get(query("limit=x")).status, 400);
  EXPECT_EQ(server.get(query("labelSelector=a%20b%20c")).status, 400);
  Answer field = server.get(query("fieldSelector=data.x%3D1"));
  EXPECT_EQ(field.status, 400);
  EXPECT_NE(field.at({"message"}).find("field label not supported: data.x"), std::string::npos) << field.body;
}

TEST(List, Selectors) {
  TestApiServer server;
  const std::string pods = "/api/v1/namespaces/default/pods";
  ASSERT_EQ(server.post(pods, test::pod("web1", R"("app":"web","n":"1")")).status, 201);
  ASSERT_EQ(server.post(pods, test::pod("web2", R"("app":"web","n":"2")", R"("nodeName":"n1")")).status, 201);
  ASSERT_EQ(server.post(pods, test::pod("db", R"("app":"db")")).status, 201);
  const std::vector<std::pair<std::string, std::vector<std::string>>> cases = {
      {"labelSelector=app%3Dweb", {"web1", "web2"}},
      {"labelSelector=app%20in%20(db,web),n!%3D1", {"db", "web2"}},
      {"labelSelector=n", {"web1", "web2"}},
      {"labelSelector=!n", {"db"}},
      {"fieldSelector=metadata.name%3Ddb", {"db"}},
      {"fieldSelector=spec.nodeName%3Dn1", {"web2"}},
      {"fieldSelector=spec.nodeName%3D", {"db", "web1"}},
      {"fieldSelector=status.phase!%3DPending", {}},
      {"labelSelector=app%3Dweb&limit=1", {"web1"}},
  };
  for (const auto& [text, names] : cases) EXPECT_EQ(server.get(pods + "?" + text).names(), names) << text;
}

TEST(List, OtherRepresentations) {
  TestApiServer server;
  server.post(kMaps, config_map("a", R"("data":{"k":"v"})"));
  server.post(kMaps, config_map("b"));
  Answer table = server.get(kMaps, "application/json;as=Table;v=v1;g=meta.k8s.io,application/json");
  EXPECT_EQ(table.at({"kind"}), "Table");
  EXPECT_EQ(table.at({"apiVersion"}), "meta.k8s.io/v1");
  EXPECT_EQ(table.at({"rows", "1", "cells", "0"}), "b");
  EXPECT_EQ(table.at({"rows", "0", "object", "kind"}), "PartialObjectMetadata");
  Answer full = server.get(query("includeObject=Object"), "application/json;as=Table;v=v1;g=meta.k8s.io");
  EXPECT_EQ(full.at({"rows", "0", "object", "data", "k"}), "v");
  Answer partial = server.get(kMaps, "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io");
  EXPECT_EQ(partial.at({"kind"}), "PartialObjectMetadataList");
  EXPECT_EQ(partial.at({"items", "0", "metadata", "name"}), "a");
  EXPECT_EQ(partial.at({"items", "0", "data"}), "");
  Answer yaml = server.get(kMaps, "application/yaml");
  EXPECT_NE(yaml.body.find("kind: ConfigMapList"), std::string::npos) << yaml.body;
  auto proto =
      api::decode_proto<api::corev1::ConfigMapList>(server.get(kMaps, "application/vnd.kubernetes.protobuf").body);
  ASSERT_TRUE(proto.ok()) << proto.status().to_string();
  EXPECT_EQ(proto->items.size(), 2u);
  EXPECT_EQ(proto->items[0].data["k"], "v");
  Answer pretty = server.get(query("pretty=true"));
  EXPECT_NE(pretty.body.find("\n  \"kind\": \"ConfigMapList\""), std::string::npos) << pretty.body;
  EXPECT_EQ(server.get(kMaps, "application/json;as=Table;v=v1beta1;g=meta.k8s.io").status, 406);
}

TEST(List, BothVersionsOfEvents) {
  TestApiServer server;
  Answer created = server.post("/api/v1/namespaces/default/events",
                               R"({"metadata":{"name":"e","namespace":"default"},"reason":"Started","type":"Normal",
          "involvedObject":{"kind":"Pod","name":"p","namespace":"default"},"message":"hi","source":{"component":"x"}})");
  ASSERT_EQ(created.status, 201) << created.body;
  Answer modern = server.get("/apis/events.k8s.io/v1/namespaces/default/events");
  EXPECT_EQ(modern.at({"kind"}), "EventList");
  EXPECT_EQ(modern.at({"apiVersion"}), "events.k8s.io/v1");
  EXPECT_EQ(modern.at({"items", "0", "note"}), "hi") << modern.body;
  EXPECT_EQ(modern.at({"items", "0", "regarding", "name"}), "p");
  EXPECT_THAT(server.get("/api/v1/events?fieldSelector=involvedObject.name%3Dp").names(), ElementsAre("e"));
  // Events go by themselves after an hour. That is the store's doing, of which a cache hears a moment later: the list
  // asks for what the store has by then.
  server.clock().advance(std::chrono::minutes(63));
  std::string newest = std::to_string(*server.store().current_revision());
  EXPECT_THAT(server.get("/api/v1/events?resourceVersionMatch=NotOlderThan&resourceVersion=" + newest).names(),
              IsEmpty());
}

}  // namespace
}  // namespace trireme
