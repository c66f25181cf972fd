// The garbage collector, killed after every one of its writes.

#include "controllers/testing/restarts.h"

#include <set>

#include "api/types/corev1.h"

namespace trireme::controllers {
namespace {

using api::corev1::ConfigMap;

ConfigMap map(const std::string& name, const std::vector<ConfigMap>& owners = {}) {
  ConfigMap out;
  out.metadata.namespace_ = "default";
  out.metadata.name = name;
  for (const ConfigMap& owner : owners) {
    auto& reference = out.metadata.owner_references.emplace_back();
    reference.api_version = "v1";
    reference.kind = "ConfigMap";
    reference.name = owner.metadata.name;
    reference.uid = owner.metadata.uid;
    reference.block_owner_deletion = true;
  }
  return out;
}

ConfigMap make(client::Client& client, const ConfigMap& object) {
  const auto made = client.create(object);
  EXPECT_TRUE(made.ok()) << made.status().to_string();
  return made.ok() ? *made : ConfigMap();
}

/// root <- middle <- leaf, and two that also belong to "other", which stays.
void make_tree(client::Client& client) {
  const ConfigMap root = make(client, map("root"));
  const ConfigMap other = make(client, map("other"));
  const ConfigMap middle = make(client, map("middle", {root}));
  make(client, map("leaf", {middle}));
  make(client, map("shared", {root, other}));
  make(client, map("shared-below", {middle, other}));
}

/// Whether exactly these are left, and of the shared ones the reference to what is gone is, too.
bool left(client::Client& client, const std::set<std::string>& names) {
  const auto listed = client.list<ConfigMap, api::corev1::ConfigMapList>("default");
  if (!listed.ok()) return false;
  std::set<std::string> found;
  for (const ConfigMap& each : listed->items) {
    found.insert(each.metadata.name);
    if (each.metadata.name.starts_with("shared") && each.metadata.owner_references.size() != 1) return false;
  }
  return found == names;
}

Scenario scenario(const std::string& propagation, std::function<bool(client::Client&)> done) {
  return {.controllers = "garbagecollector",
          .acts = {{make_tree, [](client::Client&) { return true; }},
                   {[=](client::Client& client) {
                      client::DeleteOptions options;
                      options.propagation_policy = propagation;
                      EXPECT_TRUE(client.remove<ConfigMap>("default", "root", options).ok());
                    },
                    std::move(done)}},
          .compared = {"/v1/configmaps"}};
}

TEST(GarbageCollectorRestarts, WhatDependedIsDeletedOnce) {
  const auto done = [](client::Client& client) { return left(client, {"other", "shared", "shared-below"}); };
  survives_restarts(scenario("Background", done));
}

TEST(GarbageCollectorRestarts, AnOwnerThatWaitsForItsDependentsGoesLast) {
  const auto done = [](client::Client& client) { return left(client, {"other", "shared", "shared-below"}); };
  survives_restarts(scenario("Foreground", done));
}

TEST(GarbageCollectorRestarts, OrphansStay) {
  const auto done = [](client::Client& client) {
    const auto root = client.get<ConfigMap>("default", "root");
    const auto middle = client.get<ConfigMap>("default", "middle");
    const auto shared = client.get<ConfigMap>("default", "shared");
    return root.status().is(Reason::kNotFound) && middle.ok() && middle->metadata.owner_references.empty() &&
           shared.ok() && shared->metadata.owner_references.size() == 1;
  };
  survives_restarts(scenario("Orphan", done));
}

}  // namespace
}  // namespace trireme::controllers
