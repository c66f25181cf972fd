// Deployments whose controllers are killed after every one of their writes.

#include "controllers/testing/restarts.h"

#include "api/conditions.h"
#include "api/types/appsv1.h"
#include "client/retry.h"
#include "controllers/deployment/progress.h"
#include "controllers/deployment/testing.h"

namespace trireme::controllers::deployment {
namespace {

using api::appsv1::ReplicaSetList;

constexpr const char* kControllers = "deployment,replicaset,garbagecollector";

/// The new template's pods are all there, nothing of another is left, and this has been told.
bool rolled_out(client::Client& client, const std::string& image) {
  const auto now = client.get<Deployment>("default", "web");
  if (!now.ok() || now->spec.template_.spec.containers[0].image != image || !is_complete(*now, now->status)) {
    return false;
  }
  const auto* progress = api::find_condition(now->status.conditions, "Progressing");
  return progress && progress->reason == kNewReplicaSetAvailable;
}

Scenario::Act create(const Deployment& deployment) {
  const std::string image = deployment.spec.template_.spec.containers[0].image;
  return {[=](client::Client& client) { EXPECT_TRUE(client.create(deployment).ok()); },
          [=](client::Client& client) { return rolled_out(client, image); }};
}

Scenario::Act edit(const std::function<void(Deployment&)>& change, const std::string& image) {
  return {[=](client::Client& client) {
            const Status done = client::retry_on_conflict(*real_clock(), [&]() -> Status {
              TRY_ASSIGN(Deployment fresh, client.get<Deployment>("default", "web"));
              change(fresh);
              return client.update(fresh).status();
            });
            EXPECT_TRUE(done.ok()) << done.to_string();
          },
          [=](client::Client& client) { return rolled_out(client, image); }};
}

Scenario::Act set_image(const std::string& image) {
  return edit([=](Deployment& each) { each.spec.template_.spec.containers[0].image = image; }, image);
}

TEST(DeploymentRestarts, ARolloutComesToTheSameEnd) {
  survives_restarts({.controllers = kControllers, .acts = {create(web(3)), set_image("web:2")}});
}

TEST(DeploymentRestarts, ARecreationComesToTheSameEnd) {
  Deployment deployment = web(2);
  set_recreate(deployment);
  survives_restarts({.controllers = kControllers, .acts = {create(deployment), set_image("web:2")}});
}

TEST(DeploymentRestarts, GoingBackAndForgettingHistoryComesToTheSameEnd) {
  Deployment deployment = web(1);
  deployment.spec.revision_history_limit = 1;
  const auto sets = [](client::Client& client) {
    const auto listed = client.list<ReplicaSet, ReplicaSetList>("default");
    return listed.ok() ? listed->items.size() : 0;
  };
  const auto back = set_image("web:2");
  survives_restarts(
      {.controllers = kControllers,
       .acts = {
           create(deployment),
           set_image("web:2"),
           {set_image("web:3").change,
            [=](client::Client& client) { return rolled_out(client, "web:3") && sets(client) == 2; }},
           {back.change, [=](client::Client& client) { return rolled_out(client, "web:2") && sets(client) == 2; }}}});
}

TEST(DeploymentRestarts, DeletionLeavesNothing) {
  survives_restarts({.controllers = kControllers,
                     .acts = {create(web(2)),
                              {[](client::Client& client) {
                                 client::DeleteOptions options;
                                 options.propagation_policy = "Foreground";
                                 EXPECT_TRUE(client.remove<Deployment>("default", "web", options).ok());
                               },
                               [](client::Client& client) {
                                 return client.get<Deployment>("default", "web").status().is(Reason::kNotFound);
                               }}}});
}

}  // namespace
}  // namespace trireme::controllers::deployment
