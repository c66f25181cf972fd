// Watches: order, selectors, resuming, bookmarks and ends, on a virtual clock.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "integration/support/test_api_server.h"

namespace trireme {
namespace {

using namespace std::chrono_literals;
using test::Answer;
using test::config_map;
using test::TestApiServer;
using test::TestWatch;
using test::WatchedEvent;
using ::testing::ElementsAre;

constexpr const char* kMaps = "/api/v1/namespaces/default/configmaps";
constexpr const char* kPods = "/api/v1/namespaces/default/pods";

std::string watch_maps(std::string more = "") { return std::string(kMaps) + "?watch=1" + more; }
std::string path(std::string_view name) { return std::string(kMaps) + "/" + std::string(name); }

TEST(Watch, SendsWhatIsThereAndThenEveryChange) {
  TestApiServer server;
  server.post(kMaps, config_map("a"));
  TestWatch watch = server.watch(watch_maps());
  ASSERT_EQ(watch.status(), 200);
  EXPECT_THAT(watch.next_names(1), ElementsAre("ADDED a"));
  Answer b = server.post(kMaps, config_map("b"));
  server.put(path("a"), config_map("a", R"("data":{"k":"v"})"));
  Answer deleted = server.remove(path("b"));
  WatchedEvent added = watch.next();
  EXPECT_EQ(added.type + " " + added.name(), "ADDED b");
  EXPECT_EQ(added.version(), b.at({"metadata", "resourceVersion"}));
  EXPECT_EQ(api::to_json(added.object), api::to_json(b.json()));
  EXPECT_THAT(watch.next_names(1), ElementsAre("MODIFIED a"));
  WatchedEvent gone = watch.next();
  EXPECT_EQ(gone.type + " " + gone.name(), "DELETED b");
  // A deleted object carries the revision of its deletion, so that watches resume behind it.
  EXPECT_GT(std::stol(gone.version()), std::stol(b.at({"metadata", "resourceVersion"})));
}

TEST(Watch, ResumesFromAVersion) {
  TestApiServer server;
  Answer a = server.post(kMaps, config_map("a"));
  server.post(kMaps, config_map("b"));
  server.remove(path("a"));
  TestWatch watch = server.watch(watch_maps("&resourceVersion=" + a.at({"metadata", "resourceVersion"})));
  EXPECT_THAT(watch.next_names(2), ElementsAre("ADDED b", "DELETED a"));
  server.post(kMaps, config_map("c"));
  EXPECT_THAT(watch.next_names(1), ElementsAre("ADDED c"));
}

TEST(Watch, TooOldVersionIsAnExpiredErrorEvent) {
  TestApiServer server;
  Answer a = server.post(kMaps, config_map("a"));
  server.restart();  // the new server remembers nothing from before
  TestWatch watch = server.watch(watch_maps("&resourceVersion=1"));
  ASSERT_EQ(watch.status(), 200);
  WatchedEvent error = watch.next();
  EXPECT_EQ(error.type, "ERROR");
  EXPECT_EQ(error.object.find("code")->as_int(), 410);
  EXPECT_EQ(error.object.find("reason")->string_or_empty(), "Expired");
  EXPECT_EQ(watch.next().type, "");
}

TEST(Watch, SelectorsTurnChangesIntoAddedAndDeleted) {
  TestApiServer server;
  TestWatch watch = server.watch(std::string(kPods) + "?watch=1&labelSelector=app%3Dweb");
  server.post(kPods, test::pod("p", R"("app":"db")"));
  server.patch(std::string(kPods) + "/p", R"({"metadata":{"labels":{"app":"web"}}})");
  server.patch(std::string(kPods) + "/p", R"({"metadata":{"labels":{"x":"y"}}})");
  Answer left = server.patch(std::string(kPods) + "/p", R"({"metadata":{"labels":{"app":"db"}}})");
  EXPECT_THAT(watch.next_names(2), ElementsAre("ADDED p", "MODIFIED p"));
  WatchedEvent deleted = watch.next();
  EXPECT_EQ(deleted.type, "DELETED");
  // As it was when it still matched, at the version at which it no longer did.
  EXPECT_EQ(deleted.object.at_path({"metadata", "labels", "app"})->string_or_empty(), "web");
  EXPECT_EQ(deleted.version(), left.at({"metadata", "resourceVersion"}));
}

TEST(Watch, PodsOfANode) {
  TestApiServer server;
  TestWatch watch = server.watch("/api/v1/pods?watch=1&fieldSelector=spec.nodeName%3Dn1");
  server.post(kPods, test::pod("other", "", R"("nodeName":"n2")"));
  server.post(kPods, test::pod("p"));
  Answer bound = server.post(std::string(kPods) + "/p/binding", R"({"target":{"kind":"Node","name":"n1"}})");
  EXPECT_EQ(bound.status, 201) << bound.body;
  EXPECT_THAT(watch.next_names(1), ElementsAre("ADDED p"));
}

TEST(Watch, OneObjectByNameAndByTheOldPath) {
  TestApiServer server;
  TestWatch by_field = server.watch(watch_maps("&fieldSelector=metadata.name%3Db"));
  TestWatch by_path = server.watch("/api/v1/watch/namespaces/default/configmaps/b");
  TestWatch all = server.watch("/api/v1/watch/configmaps");
  server.post(kMaps, config_map("a"));
  server.post(kMaps, config_map("b"));
  EXPECT_THAT(by_field.next_names(1), ElementsAre("ADDED b"));
  EXPECT_THAT(by_path.next_names(1), ElementsAre("ADDED b"));
  EXPECT_THAT(all.next_names(2), ElementsAre("ADDED a", "ADDED b"));
}

TEST(Watch, WatchListEndsTheBeginningWithABookmark) {
  TestApiServer server;
  server.post(kMaps, config_map("a"));
  TestWatch watch =
      server.watch(watch_maps("&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"));
  EXPECT_THAT(watch.next_names(1), ElementsAre("ADDED a"));
  WatchedEvent bookmark = watch.next();
  EXPECT_EQ(bookmark.type, "BOOKMARK");
  EXPECT_EQ(bookmark.object.at_path({"metadata", "annotations", "k8s.io/initial-events-end"})->string_or_empty(),
            "true");
  EXPECT_EQ(bookmark.object.find("kind")->string_or_empty(), "ConfigMap");
  server.post(kMaps, config_map("b"));
  EXPECT_THAT(watch.next_names(1), ElementsAre("ADDED b"));
  EXPECT_EQ(server.get(watch_maps("&sendInitialEvents=true")).status, 422);
}

TEST(Watch, BookmarksEachMinuteAndAtTheEnd) {
  TestApiServer server;
  TestWatch watch = server.watch(watch_maps("&allowWatchBookmarks=true&timeoutSeconds=100"));
  Answer pod = server.post(kPods, test::pod("p"));  // another resource's write moves the version on too
  server.clock().advance(61s);
  WatchedEvent bookmark = watch.next();
  EXPECT_EQ(bookmark.type, "BOOKMARK");
  EXPECT_GE(std::stol(bookmark.version()), std::stol(pod.at({"metadata", "resourceVersion"})));
  server.clock().advance(40s);
  EXPECT_EQ(watch.next().type, "BOOKMARK");
  EXPECT_EQ(watch.next().type, "");  // finished
}

TEST(Watch, SlowClientsPullFromMemoryAndLoseNothing) {
  TestApiServer server;
  TestWatch watch = server.watch(watch_maps());
  const std::string big(100 * 1024, 'x');
  // More than a queue's worth, unread: the watcher stops being handed events and catches up afterwards.
  for (int i = 0; i < 40; ++i) {
    ASSERT_EQ(server.post(kMaps, config_map("m" + std::to_string(i), R"("data":{"k":")" + big + R"("})")).status, 201);
  }
  for (int i = 0; i < 40; ++i) {
    WatchedEvent event = watch.next();
    EXPECT_EQ(event.type + " " + event.name(), "ADDED m" + std::to_string(i));
  }
  server.post(kMaps, config_map("last"));
  EXPECT_THAT(watch.next_names(1), ElementsAre("ADDED last"));
}

TEST(Watch, ClientsThatFallTooFarBehindAreTold) {
  TestApiServer server;
  TestWatch watch = server.watch(watch_maps());
  const std::string big(500 * 1024, 'x');
  std::string body = config_map("m", R"("data":{"k":")" + big + R"("})");
  ASSERT_EQ(server.post(kMaps, body).status, 201);
  for (int i = 0; i < 60; ++i) {
    body[body.size() - 10] = static_cast<char>('a' + i % 26);
    ASSERT_EQ(server.put(path("m"), body).status, 200);
  }
  std::string seen = watch.rest();
  EXPECT_NE(seen.find(R"("type":"ERROR")"), std::string::npos);
  EXPECT_NE(seen.find(R"("reason":"Expired")"), std::string::npos);
}

TEST(Watch, TablesAndMetadataAlone) {
  TestApiServer server;
  TestWatch table = server.watch(watch_maps(), "application/json;as=Table;g=meta.k8s.io;v=v1");
  TestWatch partial = server.watch(watch_maps(), "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
  server.post(kMaps, config_map("a", R"("data":{"k":"v"})"));
  server.put(path("a"), config_map("a"));
  WatchedEvent first = table.next();
  EXPECT_EQ(first.object.find("kind")->string_or_empty(), "Table");
  EXPECT_FALSE(first.object.find("columnDefinitions")->as_array().empty());
  EXPECT_EQ(first.object.at_path({"rows", "0", "cells", "0"})->string_or_empty(), "a");
  EXPECT_EQ(first.object.at_path({"rows", "0", "object", "kind"})->string_or_empty(), "PartialObjectMetadata");
  WatchedEvent second = table.next();
  const api::Value* columns = second.object.find("columnDefinitions");
  EXPECT_TRUE(columns == nullptr || columns->is_null() || columns->as_array().empty());
  WatchedEvent metadata = partial.next();
  EXPECT_EQ(metadata.object.find("kind")->string_or_empty(), "PartialObjectMetadata");
  EXPECT_EQ(metadata.object.find("data"), nullptr);
}

TEST(Watch, EndsWithTheServer) {
  auto server = std::make_unique<TestApiServer>();
  TestWatch watch = server->watch(watch_maps());
  server->post(kMaps, config_map("a"));
  EXPECT_THAT(watch.next_names(1), ElementsAre("ADDED a"));
  server.reset();
  EXPECT_EQ(watch.next().type, "");
}

}  // namespace
}  // namespace trireme
