#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace trireme::kubelet {

enum class ProbeKind { kLiveness, kReadiness, kStartup };

/// The last verdict of every probe, by container id. Thread-safe.
class ProbeResults {
 public:
  /// Nothing while the container has no such probe (or it has not been set up).
  std::optional<bool> get(const std::string& container_id, ProbeKind kind) const {
    std::lock_guard lock(mutex_);
    auto entry = results_.find({container_id, kind});
    if (entry == results_.end()) return std::nullopt;
    return entry->second;
  }
  /// Whether this changed the verdict.
  bool set(const std::string& container_id, ProbeKind kind, bool success) {
    std::lock_guard lock(mutex_);
    auto [entry, added] = results_.try_emplace({container_id, kind}, success);
    if (added) return true;
    return std::exchange(entry->second, success) != success;
  }
  void erase(const std::string& container_id, ProbeKind kind) {
    std::lock_guard lock(mutex_);
    results_.erase({container_id, kind});
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, ProbeKind>, bool> results_;
};

}  // namespace trireme::kubelet
