#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "api/types/corev1.h"
#include "base/clock.h"
#include "client/client.h"
#include "client/reflector.h"

namespace trireme::kubelet {

/// The config maps and secrets that this node's pods refer to. Each is read when first needed and then watched, alone
/// and by name (the node authorizer permits no more), for as long as a pod refers to it. Thread-safe.
class ObjectSource {
 public:
  /// `on_change` gets the uid of every pod that refers to an object that changed, appeared or went; it only enqueues.
  ObjectSource(client::Client client, std::shared_ptr<Clock> clock, std::function<void(const std::string&)> on_change);
  ~ObjectSource() { stop(); }

  /// NotFound when there is none; it is watched all the same.
  Result<std::shared_ptr<const api::corev1::ConfigMap>> config_map(const std::string& pod_uid, const std::string& ns,
                                                                   const std::string& name);
  Result<std::shared_ptr<const api::corev1::Secret>> secret(const std::string& pod_uid, const std::string& ns,
                                                            const std::string& name);
  /// The pod refers to nothing any more.
  void release(const std::string& pod_uid);
  /// Ends every watch; `on_change` is not called after it.
  void stop();

 private:
  struct Key {
    bool secret;
    std::string ns;
    std::string name;
    auto operator<=>(const Key&) const = default;
  };
  struct Entry {
    std::shared_ptr<client::Reflector> reflector;
    std::set<std::string> pods;
    std::string seen_version;  ///< Read directly, so that the watch need not tell it again.
  };
  template <typename T>
  Result<std::shared_ptr<const T>> find(const std::string& pod_uid, Key key);
  std::shared_ptr<client::Reflector> reference(const std::string& pod_uid, const Key& key,
                                               const api::ResourceInfo& resource);
  void notify(const Key& key, const std::string& version);

  client::Client client_;
  const std::shared_ptr<Clock> clock_;
  const std::function<void(const std::string&)> on_change_;
  std::mutex mutex_;
  std::map<Key, Entry> entries_;
};

}  // namespace trireme::kubelet
