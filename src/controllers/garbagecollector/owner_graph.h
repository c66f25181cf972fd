#pragma once

#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "api/types/metav1.h"
#include "client/lru_map.h"

/// Who owns whom, by UID, as the watches tell it.
namespace trireme::controllers {

/// Where an object is found. `resource` is an index into the collector's list of resources.
struct ObjectPlace {
  size_t resource = 0;
  std::string ns;
  std::string name;
  std::string uid;

  /// As a key of the work queue, and back.
  std::string to_key() const;
  static std::optional<ObjectPlace> from_key(std::string_view key);
  auto operator<=>(const ObjectPlace&) const = default;
};

bool has_finalizer(const api::metav1::ObjectMeta& metadata, std::string_view finalizer);
/// Being deleted in the foreground: it waits for its dependents.
bool deletes_dependents(const api::metav1::ObjectMeta& metadata);
/// Being deleted, and its dependents are to be kept.
bool orphans_dependents(const api::metav1::ObjectMeta& metadata);

/// Thread-safe. Holds a few words per object; names only of objects that have owners.
class OwnerGraph {
 public:
  /// The object was added or changed. `metadata_before` is null when it is new.
  void update(const ObjectPlace& place, const api::metav1::ObjectMeta* metadata_before,
              const api::metav1::ObjectMeta& metadata);
  void remove(const ObjectPlace& place, const api::metav1::ObjectMeta& metadata);

  enum class Presence { kUnknown, kSolid, kWaiting, kAbsent };
  /// What is known of an owner: there (or waiting for its dependents), known to be gone, or never seen.
  Presence presence(const std::string& uid);
  /// The server says that there is no such object.
  void set_absent(const std::string& uid);

  std::vector<ObjectPlace> dependents(const std::string& owner_uid) const;
  bool has_dependents(const std::string& owner_uid) const;

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::string, bool> present_;  ///< By UID: whether it waits for its dependents.
  std::unordered_map<std::string, std::set<ObjectPlace>> dependents_;
  client::LruMap<bool> absent_{500};
};

}  // namespace trireme::controllers
