// Clients in the server's own process take its objects as they are: the same ones, under the same rules as bytes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <semaphore>

#include "api/types/autoscalingv1.h"
#include "api/types/corev1.h"
#include "apiserver/authz/rbac.h"
#include "client/informer_factory.h"
#include "integration/support/test_api_server.h"

namespace trireme {
namespace {

using api::corev1::ConfigMap;
using client::ListOptions;
using client::RawClient;
using test::config_map;
using test::TestApiServer;
using ::testing::ElementsAre;

constexpr const char* kMaps = "/api/v1/namespaces/default/configmaps";

ListOptions objects(std::string version = {}) {
  ListOptions options;
  options.objects = true;
  options.resource_version = std::move(version);
  return options;
}

/// "ADDED a", "BOOKMARK ", … for what has arrived; ERROR with the reason.
std::vector<std::string> arrived(client::WatchStream& watch) {
  std::vector<std::string> out;
  while (true) {
    auto event = watch.next();
    EXPECT_TRUE(event.ok());
    if (!event.ok()) return out;
    if (*event) {
      const api::metav1::Status* status = (*event)->part.type == &api::type_info<api::metav1::Status>()
                                              ? static_cast<const api::metav1::Status*>((*event)->part.value.get())
                                              : nullptr;
      out.push_back(
          (*event)->type + " " +
          (status ? status->reason : static_cast<const ConfigMap*>((*event)->part.value.get())->metadata.name));
      continue;
    }
    auto more = watch.poll();
    if (!more.ok() || !*more || watch.over()) return out;
  }
}

TEST(LocalObjects, AreTheServersOwn) {
  TestApiServer server;
  server.post(kMaps, config_map("a"));
  const api::ResourceInfo& resource = api::resource_of<ConfigMap>();
  RawClient client(server.transport(), "test");
  ASSERT_TRUE(client.local());
  auto list = client.list_local(resource, "default", objects());
  ASSERT_TRUE(list.ok()) << list.status().to_string();
  auto kept = server.server().caches().get<ConfigMap>("default", "a");
  ASSERT_TRUE(kept.ok());
  ASSERT_EQ(list->items.size(), 1u);
  EXPECT_EQ(list->items[0].value.get(), kept->get());
  auto head = api::decode_proto<api::corev1::ConfigMapList>(list->body);
  ASSERT_TRUE(head.ok());
  EXPECT_TRUE(head->items.empty());

  // Two informers of different users hold the same object, before and after a change.
  client::InformerFactory one(std::make_shared<RawClient>(server.transport("one", {"system:masters"}), "one"),
                              server.clock_pointer());
  client::InformerFactory two(std::make_shared<RawClient>(server.transport("two", {"system:masters"}), "two"),
                              server.clock_pointer());
  for (auto* factory : {&one, &two}) {
    factory->informer<ConfigMap>();
    factory->start();
    ASSERT_TRUE(factory->wait_synced());
  }
  EXPECT_EQ(one.informer<ConfigMap>().get("default", "a"), *kept);
  EXPECT_EQ(two.informer<ConfigMap>().get("default", "a"), *kept);
  EXPECT_EQ(one.metadata(resource)->cache().get("default", "a"), *kept);
}

TEST(LocalObjects, FollowSelectorsAndChanges) {
  TestApiServer server;
  RawClient client(server.transport(), "test");
  const api::ResourceInfo& resource = api::resource_of<ConfigMap>();
  auto list = client.list_local(resource, "default", objects());
  ASSERT_TRUE(list.ok());
  ListOptions options = objects(api::decode_proto<api::corev1::ConfigMapList>(list->body)->metadata.resource_version);
  options.field_selector = "metadata.name=a";
  auto watch = client.open_watch(resource, "default", options);
  ASSERT_TRUE(watch.ok()) << watch.status().to_string();
  std::counting_semaphore<> told{0};
  (*watch)->on_arrival([&] { told.release(); });
  server.post(kMaps, config_map("b"));
  server.post(kMaps, config_map("a"));
  EXPECT_TRUE(told.try_acquire_for(std::chrono::seconds(20)));
  server.put(std::string(kMaps) + "/a", config_map("a", R"("data":{"k":"v"})"));
  server.remove(std::string(kMaps) + "/a");
  std::vector<std::string> all;
  do {
    for (std::string& each : arrived(**watch)) all.push_back(std::move(each));
  } while (all.size() < 3 && told.try_acquire_for(std::chrono::seconds(20)));
  EXPECT_THAT(all, ElementsAre("ADDED a", "MODIFIED a", "DELETED a"));
}

TEST(LocalObjects, AreRefusedLikeBytes) {
  apiserver::Options only_masters;
  only_masters.authorizer = apiserver::authz::masters_authorizer();
  TestApiServer server(std::move(only_masters));
  RawClient client(server.transport("nobody", {}), "test");
  const api::ResourceInfo& resource = api::resource_of<ConfigMap>();
  EXPECT_TRUE(client.list_local(resource, "default", objects()).status().is(Reason::kForbidden));
  EXPECT_TRUE(client.open_watch(resource, "default", objects("1")).status().is(Reason::kForbidden));
}

TEST(LocalObjects, AnOldVersionIsAnErrorEvent) {
  TestApiServer server;
  server.post(kMaps, config_map("a"));
  server.restart();
  RawClient client(server.transport(), "test");
  auto watch = client.open_watch(api::resource_of<ConfigMap>(), "default", objects("1"));
  ASSERT_TRUE(watch.ok()) << watch.status().to_string();
  EXPECT_THAT(arrived(**watch), ElementsAre("ERROR Expired"));
}

TEST(LocalObjects, AnotherVersionThanTheStoredOneIsConverted) {
  TestApiServer server;
  const std::string body = R"({"metadata":{"name":"h"},"spec":{"maxReplicas":3,"targetCPUUtilizationPercentage":50,)"
                           R"("scaleTargetRef":{"kind":"Deployment","name":"d","apiVersion":"apps/v1"}}})";
  ASSERT_EQ(server.post("/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers", body).status, 201);
  RawClient client(server.transport(), "test");
  using Scaler = api::autoscalingv1::HorizontalPodAutoscaler;
  auto list = client.list_local(api::resource_of<Scaler>(), "default", objects());
  ASSERT_TRUE(list.ok());
  ASSERT_EQ(list->items.size(), 1u);
  ASSERT_EQ(list->items[0].type, &api::type_info<Scaler>());
  EXPECT_EQ(static_cast<const Scaler*>(list->items[0].value.get())->spec.target_cpu_utilization_percentage, 50);
}

TEST(LocalObjects, TablesAndMetadataStayBytes) {
  TestApiServer server;
  server.post(kMaps, config_map("a"));
  const std::string table = std::string(net::kLocalMediaType) + ";as=Table;v=v1;g=meta.k8s.io,application/json";
  EXPECT_EQ(server.get(kMaps, table).at({"kind"}), "ConfigMapList");
}

}  // namespace
}  // namespace trireme
