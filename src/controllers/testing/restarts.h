#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "api/value.h"
#include "client/client.h"
#include "controllers/runtime/context.h"
#include "controllers/testing/hollow_kubelet.h"

/// The question whether controllers survive being killed after any of their writes. A scenario is run undisturbed once;
/// then again and again, each time with the controllers killed after another write and started anew; then once more
/// with a restart after every single write. All runs must come to the same end.
///
///   survives_restarts({.controllers = "deployment,replicaset,garbagecollector",
///                      .acts = {{[](client::Client& c) { … create … }, [](client::Client& c) { return … done …; }},
///                               {[](client::Client& c) { … change … }, [](client::Client& c) { return … done …; }}}});
///
/// Every run has its own API server on the memory store, a hollow kubelet (node "node-1"), and a virtual clock for the
/// controllers that moves on when nothing else happens. "Killed" means: once the write has been made the controllers'
/// transport refuses everything (the answer to that write, too), then they are destroyed. Events do not count as
/// writes.
namespace trireme::controllers {

struct Scenario {
  /// What the user does, and how it shows that its consequences are complete. `done` is asked after every write of
  /// anybody, and must stay true once it is.
  struct Act {
    std::function<void(client::Client&)> change;
    std::function<bool(client::Client&)> done;
  };

  std::string controllers;  ///< As in --controllers.
  std::vector<Act> acts;
  HollowKubelet::Options kubelet = {};
  ControllerOptions options = {};
  /// The kinds whose objects (of the namespace "default") are compared at the end, as "group/version/resource".
  std::vector<std::string> compared = {"/v1/pods",
                                       "/v1/replicationcontrollers",
                                       "/v1/persistentvolumeclaims",
                                       "apps/v1/deployments",
                                       "apps/v1/replicasets",
                                       "apps/v1/statefulsets",
                                       "apps/v1/daemonsets",
                                       "apps/v1/controllerrevisions",
                                       "batch/v1/jobs",
                                       "batch/v1/cronjobs"};
  /// Changes an object before it is compared, after what differs from run to run anyway is gone (UIDs, versions,
  /// generations, times, the random end of generated names).
  std::function<void(api::Value&)> normalise = {};
  /// How long, in real time, a run may take.
  Duration limit = std::chrono::seconds(60);
};

/// Fails the current test when a run ends differently from the undisturbed one, or not at all.
void survives_restarts(const Scenario& scenario);

}  // namespace trireme::controllers
