#pragma once

#include <mutex>
#include <set>
#include <string>

#include "api/types/corev1.h"
#include "client/client.h"
#include "client/informer.h"
#include "kubelet/task_pool.h"

namespace trireme::kubelet {

/// The directories that this node provides as persistent volumes: made when first mounted, and deleted when the
/// provisioner asks for it by an annotation on the node (api/local_path.h). Thread-safe.
class LocalPaths {
 public:
  LocalPaths(std::string folder, std::string node_name, client::Client client, TaskPool& pool)
      : folder_(std::move(folder)), node_name_(std::move(node_name)), client_(std::move(client)), pool_(pool) {}

  /// Acts on what the node's own object asks for. `nodes` holds that object only and outlives this.
  void follow(client::Informer<api::corev1::Node>& nodes);

  /// Makes the directory of the volume when the volume is one of this node's; OK for all other volumes.
  Status prepare(const api::corev1::PersistentVolume& volume) const;
  /// Deletes a directory with all that is in it. BadRequest unless `name` is a plain name.
  Status remove(const std::string& name) const;

 private:
  void remove_asked(const api::corev1::Node& node);

  const std::string folder_;
  const std::string node_name_;
  client::Client client_;
  TaskPool& pool_;
  std::mutex mutex_;
  std::set<std::string> under_way_;  ///< Annotations that are being acted on.
};

}  // namespace trireme::kubelet
