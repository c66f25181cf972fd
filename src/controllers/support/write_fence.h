#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "api/types/corev1.h"
#include "client/informer.h"

namespace trireme::controllers {

/// Keeps a controller from working on an owner while its cache of pods lacks what it wrote for that owner itself: for
/// controllers whose next step depends on the exact state of every pod. The writes' own events come later and bring the
/// owner back. Like RecentWrites no truth of its own: an entry counts only while the cache is older. Thread-safe.
class WriteFence {
 public:
  /// A pod was created or changed; `version` is the answer's resourceVersion.
  void wrote(const std::string& owner, const std::string& version);
  /// A pod's deletion was accepted.
  void deleted(const std::string& owner, const api::corev1::Pod& pod);

  /// Whether a cache at `version` shows everything. `terminating` tells of a pod, by namespace, name and UID, whether
  /// the cache shows that it terminates or has gone.
  using Terminating = std::function<bool(const std::string& ns, const std::string& name, const std::string& uid)>;
  bool passed(const std::string& owner, uint64_t version, const Terminating& terminating);
  /// The same, asking the cache of all pods.
  bool passed(const std::string& owner, const client::Informer<api::corev1::Pod>& pods);
  /// Whether something was written that nobody has asked `passed` about since, or that had not passed.
  bool waits(const std::string& owner) const;
  void forget(const std::string& owner);

 private:
  struct Deleted {
    std::string ns, name, uid;
    auto operator<=>(const Deleted&) const = default;
  };
  struct Entry {
    uint64_t version = 0;
    std::set<Deleted> deleted;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Entry> entries_;
};

}  // namespace trireme::controllers
