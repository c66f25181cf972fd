#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controllers/daemonset/daemon_pods.h"
#include "controllers/support/pods.h"

/// What a DaemonSet does next, as pure functions of nodes and pods.
/// https://kubernetes.io/docs/tasks/manage-daemon/update-daemon-set/
namespace trireme::controllers::daemonset {

/// One node, what the set wants there, and its pods there (terminating ones included).
struct Place {
  std::string node;
  Eligibility wanted;
  std::vector<PodPointer> pods;
};

struct Plan {
  std::vector<std::string> create;  ///< Nodes.
  std::vector<PodPointer> remove;
  std::vector<PodPointer> failed;  ///< Of those in no other list: finished pods to be removed, not too often.
};

/// One pod on every node that should have one, none elsewhere. With a surge, two while the new one comes up.
Plan plan_places(const DaemonSet& set, const std::vector<Place>& places, const std::string& hash, WallTime now);

/// What a rolling update adds, when there was nothing to do otherwise.
Plan plan_update(const DaemonSet& set, const std::vector<Place>& places, const std::string& hash, WallTime now);

struct Counts {
  api::appsv1::DaemonSetStatus status;
  std::optional<Duration> look_again;  ///< When a pod that is ready becomes available.
};
Counts count_status(const DaemonSet& set, const std::vector<Place>& places, const std::string& hash, WallTime now);

}  // namespace trireme::controllers::daemonset
