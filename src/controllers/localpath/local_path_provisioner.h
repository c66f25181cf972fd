#pragma once

#include <string>
#include <string_view>

#include "api/local_path.h"
#include "api/types/corev1.h"
#include "api/types/storagev1.h"
#include "api/volumes.h"
#include "client/event_recorder.h"
#include "controllers/runtime/controller.h"

namespace trireme::controllers {

/// Provides directories on nodes as persistent volumes, so that claims work on a cluster without a storage driver.
/// A volume lives on the node that the scheduler selected for its first pod; that node's kubelet makes the directory
/// and, when the volume is reclaimed, deletes it (api/local_path.h tells how they agree).
///
/// It also creates its storage class, once in a cluster's life: a config map remembers that it did, so that a class
/// that a user deleted stays deleted. Keys are "class", "claim ns/name", "volume name" and "node name".
class LocalPathProvisioner final : public Controller {
 public:
  explicit LocalPathProvisioner(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;
  void begin() override;

 private:
  using Claim = api::corev1::PersistentVolumeClaim;
  using Volume = api::corev1::PersistentVolume;
  using Node = api::corev1::Node;
  using StorageClass = api::storagev1::StorageClass;

  Status install_class();
  Status provision(const Claim& claim);
  Status give_back(const Claim& claim);
  Status reclaim(const Volume& volume);
  Status finish(const Volume& volume, const std::string& node);
  /// Takes answers off the node that nobody waits for any more.
  Status tidy(const Node& node);
  /// An empty value removes the annotation.
  Status annotate_node(const std::string& node, const std::string& key, const std::string& value);

  client::Informer<Claim>& claims_;
  client::Informer<Volume>& volumes_;
  client::Informer<Node>& nodes_;
  client::Informer<StorageClass>& classes_;
  client::EventRecorder events_;
};

/// Why such a directory cannot be what the claim asks for; empty when it can.
std::string why_no_directory(const api::corev1::PersistentVolumeClaim& claim);
/// The volume for a claim on a node, whose annotation names a folder.
api::corev1::PersistentVolume local_path_volume(const api::corev1::PersistentVolumeClaim& claim,
                                                const api::storagev1::StorageClass& storage_class,
                                                const api::corev1::Node& node);

}  // namespace trireme::controllers
