#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "client/reflector.h"
#include "controllers/garbagecollector/owner_graph.h"
#include "controllers/runtime/controller.h"
#include "controllers/support/custom_kinds.h"

namespace trireme::controllers {

/// Deletes what nobody owns any more. An object whose owners are all gone is deleted; an owner that is deleted in the
/// foreground waits for the dependents that block it; one that is deleted with "orphan" lets them go first.
/// https://kubernetes.io/docs/concepts/architecture/garbage-collection/
///
/// Follows every resource that can be listed, watched and deleted, events aside, and looks for further ones when custom
/// resources or aggregated APIs change: the objects that the informers have anyway, or of each the metadata only. Keys
/// are UIDs.
class GarbageCollector final : public Controller {
 public:
  explicit GarbageCollector(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;
  /// Asks what else the server serves.
  void begin() override;

 private:
  using Metadata = api::metav1::ObjectMeta;
  using Reference = api::metav1::OwnerReference;
  struct Followed {
    const api::ResourceInfo* resource;
    std::shared_ptr<client::Reflector> reflector;
  };
  /// What is known of the owner that a reference names.
  enum class Presence { kSolid, kWaiting, kOrphaning, kAbsent };
  struct Owners {
    std::vector<std::string> solid;  ///< UIDs.
    std::vector<std::string> dangling;
    std::vector<std::string> waiting;
    bool unseen = false;   ///< An owner is there that no watch has shown yet.
    bool invalid = false;  ///< A reference that no owner can answer to: nothing may be done.
  };

  void follow(const std::shared_ptr<client::Reflector>& reflector);
  Followed followed(size_t resource) const;
  Status discover();
  /// The resource is no longer served: what was seen of it is gone.
  void unfollow(const client::Reflector& reflector);
  void on_change(size_t resource, const MetadataPointer& before, const MetadataPointer& after);
  void enqueue_dependents(const std::string& uid);
  /// An owner that waits for its dependents has one less that holds it up.
  void release_owner(const std::string& uid);
  /// Whether the object that a watch has shown under the reference's UID is the one that `dependent` names.
  bool names(const Reference& reference, const Metadata& dependent, const Observed& owner) const;
  void report_other_namespace(const Observed& dependent, const Reference& reference, const Observed& owner);

  /// Without asking the server; nothing when only that can tell.
  std::optional<Presence> known(const Metadata& dependent, const Reference& reference);
  Result<Owners> classify(const Observed& object);
  Status look_up(const Metadata& dependent, const Reference& reference, Owners& owners);
  Result<Outcome> collect(const Observed& object);
  Status remove(const Observed& object, const std::string& policy, const std::string& version);
  Status finish_foreground(const Observed& object);
  Status orphan(const Observed& owner);
  /// Dependents of kinds whose watch lags behind the owner, as the server lists them: one that is missed would be
  /// deleted as soon as the owner is gone.
  Result<std::vector<Observed>> unseen_dependents(const Observed& owner);
  /// Reads the metadata anew, lets `change` edit owner references and finalizers, and writes them if it says so.
  Status edit(const Observed& object, const std::function<bool(Metadata&)>& change);

  client::EventRecorder events_;
  mutable std::mutex mutex_;
  std::deque<Followed> followed_;  ///< Only grows; entries never move. Null reflectors: no longer served.
  CustomKinds custom_;
  OwnerGraph graph_;
};

}  // namespace trireme::controllers
