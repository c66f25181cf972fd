// A namespace's end, with the controllers killed after every one of their writes.

#include "controllers/testing/restarts.h"

#include "api/types/appsv1.h"
#include "client/retry.h"
#include "controllers/deployment/testing.h"

namespace trireme::controllers {
namespace {

using api::appsv1::Deployment;
using api::corev1::ConfigMap;
using api::corev1::Namespace;
using api::corev1::Pod;

constexpr const char* kDoomed = "doomed";

void fill(client::Client& client) {
  Namespace ns;
  ns.metadata.name = kDoomed;
  EXPECT_TRUE(client.create(ns).ok());
  ConfigMap map;
  map.metadata.namespace_ = kDoomed;
  map.metadata.name = "plain";
  EXPECT_TRUE(client.create(map).ok());
  map.metadata.name = "held";
  map.metadata.finalizers = {"example.com/held"};
  EXPECT_TRUE(client.create(map).ok());
  Deployment deployment = deployment::web(2);
  deployment.metadata.namespace_ = kDoomed;
  EXPECT_TRUE(client.create(deployment).ok());
}

void let_go(client::Client& client) {
  const Status done = client::retry_on_conflict(*real_clock(), [&]() -> Status {
    TRY_ASSIGN(ConfigMap fresh, client.get<ConfigMap>(kDoomed, "held"));
    fresh.metadata.finalizers.clear();
    return client.update(fresh).status();
  });
  EXPECT_TRUE(done.ok()) << done.to_string();
}

TEST(NamespaceRestarts, ItsEndComesAndNothingIsLeft) {
  survives_restarts(
      {.controllers = "namespace,serviceaccount,root-ca-cert-publisher,deployment,replicaset,garbagecollector",
       .acts = {{fill,
                 [](client::Client& client) {
                   const auto pods = client.list<Pod, api::corev1::PodList>(kDoomed);
                   const auto web = client.get<Deployment>(kDoomed, "web");
                   return pods.ok() && pods->items.size() == 2 && web.ok() && web->status.ready_replicas == 2;
                 }},
                {[](client::Client& client) { EXPECT_TRUE(client.remove<Namespace>("", kDoomed).ok()); },
                 // All is gone but what somebody holds, and the namespace tells what it waits for.
                 [](client::Client& client) {
                   const auto maps = client.list<ConfigMap, api::corev1::ConfigMapList>(kDoomed);
                   const auto pods = client.list<Pod, api::corev1::PodList>(kDoomed);
                   const auto ns = client.get<Namespace>("", kDoomed);
                   return maps.ok() && maps->items.size() == 1 && pods.ok() && pods->items.empty() && ns.ok() &&
                          ns->status.phase == "Terminating" && !ns->status.conditions.empty();
                 }},
                {let_go,
                 [](client::Client& client) {
                   return client.get<Namespace>("", kDoomed).status().is(Reason::kNotFound) &&
                          client.get<Deployment>(kDoomed, "web").status().is(Reason::kNotFound);
                 }}},
       .options = {.root_ca_pem = "CA"},
       .compared = {"/v1/configmaps", "/v1/serviceaccounts", "/v1/pods"}});
}

}  // namespace
}  // namespace trireme::controllers
