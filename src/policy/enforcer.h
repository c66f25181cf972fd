#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "policy/applier.h"

namespace trireme::api::corev1 {
struct Pod;
}

namespace trireme::client {
class InformerFactory;
class RawClient;
}  // namespace trireme::client

namespace trireme::policy {

struct EnforcerOptions {
  std::string node_name;
  /// How long a new pod waits for policies that cannot be read yet, before its agent is told to try again.
  Duration admit_timeout = std::chrono::seconds(10);
};

struct EnforcerDependencies {
  client::InformerFactory& factory;  ///< The node's, which others may use, too. Outlives the enforcer.
  std::shared_ptr<client::RawClient> client;
  std::shared_ptr<Clock> clock;
  /// Null: the kernel's table in this thread's network namespace.
  std::unique_ptr<Applier> applier;
};

/// Keeps NetworkPolicies in force on one node: follows policies, and, from the first policy on, pods and namespaces.
/// While there are no policies there are no rules, and only the (empty) collection of policies is watched.
///
/// Rules stay when it stops, and the next one takes them over in one step. Rules that somebody else removes are made
/// again. All calls are thread-safe.
class Enforcer {
 public:
  /// Starts the factory's informers that it uses; does not wait for them.
  static Result<std::unique_ptr<Enforcer>> start(EnforcerOptions options, EnforcerDependencies dependencies);
  virtual ~Enforcer() = default;

  /// The agent calls it when a pod's sandbox has its addresses and before anything runs in it: when this has returned
  /// well, every policy that was there when the pod was bound to the node is in force for those addresses. A failure
  /// means that the pod must not run yet.
  virtual Status admit(const std::shared_ptr<const api::corev1::Pod>& pod, const std::vector<std::string>& ips) = 0;
  /// Nothing of the pod is left on the node.
  virtual void forget(const api::corev1::Pod& pod) = 0;

  /// Whether rules are in force (tests).
  virtual bool active() const = 0;
};

}  // namespace trireme::policy
