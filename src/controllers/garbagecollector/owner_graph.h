#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/types/metav1.h"
#include "client/lru_map.h"

/// Who owns whom, by UID, as the watches tell it.
namespace trireme::controllers {

using MetadataPointer = std::shared_ptr<const api::metav1::ObjectMeta>;

bool has_finalizer(const api::metav1::ObjectMeta& metadata, std::string_view finalizer);
/// Being deleted in the foreground: it waits for its dependents.
bool deletes_dependents(const api::metav1::ObjectMeta& metadata);
/// Being deleted, and its dependents are to be kept.
bool orphans_dependents(const api::metav1::ObjectMeta& metadata);
/// Whether `dependent` keeps the owner of that UID from going, when that is deleted in the foreground.
bool blocks(const api::metav1::ObjectMeta& dependent, std::string_view owner_uid);

/// An object that a watch has shown. `resource` is an index into the collector's list of resources.
struct Observed {
  size_t resource = 0;
  MetadataPointer metadata;
};

/// Thread-safe. Shares the objects' metadata with the caches and adds about a hundred bytes to each. Lists of
/// dependents come in an order that depends on the sequence of calls only.
class OwnerGraph {
 public:
  /// The object was added or changed. A UID never changes its resource.
  void update(size_t resource, MetadataPointer metadata);
  void remove(const std::string& uid);

  /// Nothing when no watch has shown it, or it is gone.
  std::optional<Observed> find(std::string_view uid) const;
  std::vector<Observed> dependents(const std::string& owner_uid) const;
  std::optional<Observed> any_dependent(const std::string& owner_uid) const;
  /// Any dependent that blocks the owner's deletion.
  std::optional<Observed> blocking_dependent(const std::string& owner_uid) const;

  /// Owners that the server says do not exist, by what identifies them for a dependent. Only the last few are known.
  bool absent(const std::string& owner);
  void set_absent(const std::string& owner);

 private:
  struct Node;
  struct Owner {
    struct Place {
      Node* dependent;
      size_t edge;
    };
    std::vector<Place> dependents;
  };
  struct Edge {
    std::string_view uid;  ///< The key of `owners_`.
    Owner* owner;
    size_t place;
  };
  struct Node {
    size_t resource = 0;
    MetadataPointer metadata;
    std::vector<Edge> owners;
  };
  void link(Node& node);
  void unlink(Node& node);

  mutable std::mutex mutex_;
  std::unordered_map<std::string_view, Node> nodes_;  ///< The keys stand in the nodes' metadata.
  std::unordered_map<std::string, Owner> owners_;     ///< By UID, those with dependents.
  client::LruMap<bool> absent_{500};
};

}  // namespace trireme::controllers
