#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/pod_resources.h"
#include "api/scheme.h"
#include "api/types/corev1.h"
#include "base/clock.h"

/// What objects count against a ResourceQuota: one arithmetic for admission, which charges, and for the controller,
/// which recounts. https://kubernetes.io/docs/concepts/policy/resource-quotas/
namespace trireme::api::quota {

/// How the objects of one resource are counted. Pods by what they request, services by type, claims by storage, and
/// every object by number ("count/deployments.apps"). Objects are passed as `const void*` to the struct of the
/// resource's storage version. Immutable; cheap to copy.
class Evaluator {
 public:
  static Evaluator of(const ResourceInfo& resource);

  /// Whether objects of this resource count against a hard limit of that name.
  bool tracks(std::string_view name) const;
  /// The names in `hard` that they count against.
  std::vector<std::string> tracked(const ResourceList& hard) const;
  /// Whether updates can change what an object costs (creation always can).
  bool charges_updates() const { return kind_ == Kind::kService || kind_ == Kind::kClaim; }

  /// Whether the object is one that the quota's scopes select; without scopes each is.
  bool in_scopes(const corev1::ResourceQuotaSpec& quota, const void* object) const;
  /// Those of `scopes` that select the object. Scopes select pods only.
  std::vector<corev1::ScopedResourceSelectorRequirement> matching(
      const std::vector<corev1::ScopedResourceSelectorRequirement>& scopes, const void* object) const;
  /// What the object costs at `now`: a pod that has finished, or that should have been gone, costs no compute.
  ResourceList usage(const void* object, WallTime now) const;
  /// Quotas of cpu and memory oblige every container to name an amount: "must specify limits.cpu for: a,b", or empty.
  std::string missing(const std::vector<std::string>& tracked, const void* object) const;

 private:
  enum class Kind { kPod, kService, kClaim, kOther };
  Evaluator(Kind kind, std::string count_name, std::string alias)
      : kind_(kind), count_name_(std::move(count_name)), alias_(std::move(alias)) {}

  Kind kind_;
  std::string count_name_;  ///< "count/deployments.apps", "count/pods"
  std::string alias_;       ///< "secrets": the name that quotas had for them before; may be empty.
};

/// All scopes of a quota, of either form, as selectors.
std::vector<corev1::ScopedResourceSelectorRequirement> scopes_of(const corev1::ResourceQuotaSpec& quota);

/// Objects that no quota counts: events.
bool is_ignored(const ResourceInfo& resource);

/// Whether the pod counts as consuming anything at `now`. `until` (when given) receives when a pod that is being
/// deleted will no more.
bool is_charged(const corev1::Pod& pod, WallTime now, WallTime* until = nullptr);

/// "cpu=1,memory=2Gi".
std::string to_string(const ResourceList& list);
/// Only the entries whose names are in `names`.
ResourceList only(const ResourceList& list, const std::vector<std::string>& names);
std::vector<std::string> names_of(const ResourceList& list);

}  // namespace trireme::api::quota
