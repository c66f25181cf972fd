#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "client/reflector.h"
#include "controllers/garbagecollector/owner_graph.h"
#include "controllers/runtime/controller.h"

namespace trireme::controllers {

/// Deletes what nobody owns any more. An object whose owners are all gone is deleted; an owner that is deleted in the
/// foreground waits for the dependents that block it; one that is deleted with "orphan" lets them go first.
/// https://kubernetes.io/docs/concepts/architecture/garbage-collection/
///
/// Follows every resource that can be listed, watched and deleted, events aside: of each object the metadata only, cut
/// down to what decides, or the typed informer that another controller has anyway. Keys are ObjectPlaces.
class GarbageCollector final : public Controller {
 public:
  explicit GarbageCollector(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;

 private:
  using Metadata = api::metav1::ObjectMeta;
  struct Owners {
    std::vector<std::string> solid;  ///< UIDs.
    std::vector<std::string> dangling;
    std::vector<std::string> waiting;
  };

  void follow(size_t resource);
  void on_change(size_t resource, const Metadata* before, const Metadata* after);
  void enqueue_dependents(const std::string& uid);
  /// The object as the cache has it; null when it is gone or another by now.
  std::shared_ptr<const Metadata> cached(const ObjectPlace& place) const;

  Result<Owners> classify(const ObjectPlace& place, const Metadata& metadata);
  /// Asks the server whether an owner exists that no watch has shown yet.
  Result<bool> exists(const ObjectPlace& dependent, const api::metav1::OwnerReference& owner);
  Status collect(const ObjectPlace& place, const Metadata& metadata);
  Status finish_foreground(const ObjectPlace& place);
  Status orphan(const ObjectPlace& place, const Metadata& metadata);
  /// The dependents the watches have shown, and those that the server lists of kinds whose watch lags behind the owner:
  /// one that is missed here would be deleted as soon as the owner is gone.
  Result<std::set<ObjectPlace>> all_dependents(const ObjectPlace& place, const Metadata& metadata);
  /// Reads the metadata anew, lets `change` edit owner references and finalizers, and writes them if it says so.
  Status edit(const ObjectPlace& place, const std::function<bool(Metadata&)>& change);

  std::vector<const api::ResourceInfo*> resources_;
  std::vector<std::shared_ptr<client::Reflector>> reflectors_;
  OwnerGraph graph_;
};

}  // namespace trireme::controllers
