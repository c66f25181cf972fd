#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "api/types/corev1.h"
#include "client/client.h"

namespace trireme::kubelet {

/// A persistent volume that a pod may use.
using VolumeObject = std::shared_ptr<const api::corev1::PersistentVolume>;

/// Finds the persistent volumes behind pods' claims. What a pod was once given stays its own until `release`, whatever
/// becomes of the claim; so running pods cost no requests. Thread-safe.
class ClaimSource {
 public:
  explicit ClaimSource(client::Client client) : client_(std::move(client)) {}

  /// Null when the volume needs no claim. A failure's message is the text of upstream's FailedMount event.
  Result<VolumeObject> find(const api::corev1::Pod& pod, const api::corev1::Volume& volume);
  void release(const std::string& pod_uid);

 private:
  Result<VolumeObject> ask(const api::corev1::Pod& pod, const api::corev1::Volume& volume, const std::string& claim);

  client::Client client_;
  std::mutex mutex_;
  std::map<std::string, std::map<std::string, VolumeObject>> found_;  ///< By pod's uid and volume's name.
};

/// Whether the pod may only read the claim's volume.
bool is_read_only_claim(const api::corev1::Volume& volume);

}  // namespace trireme::kubelet
