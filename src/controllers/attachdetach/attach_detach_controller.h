#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/types/corev1.h"
#include "api/types/storagev1.h"
#include "client/event_recorder.h"
#include "controllers/runtime/controller.h"
#include "controllers/support/pods.h"

namespace trireme::controllers {

/// Has volumes of storage drivers attached to the nodes whose pods use them, by VolumeAttachment objects, which the
/// drivers' attachers act on; and detached when the last such pod is gone and the node has let go. Keys are nodes.
/// https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/volume-attachment-v1/
class AttachDetachController final : public Controller {
 public:
  explicit AttachDetachController(const ControllerContext& context);
  Result<Outcome> reconcile(const std::string& key) override;

 private:
  using Claim = api::corev1::PersistentVolumeClaim;
  using Volume = api::corev1::PersistentVolume;
  using Node = api::corev1::Node;
  using Attachment = api::storagev1::VolumeAttachment;
  using AttachmentPointer = std::shared_ptr<const Attachment>;

  /// A volume that pods of a node need.
  struct Wanted {
    std::shared_ptr<const Volume> volume;
    std::vector<PodPointer> pods;
  };
  /// By the attachment's name.
  std::map<std::string, Wanted> wanted_on(const std::string& node);
  std::shared_ptr<const Volume> attachable(const api::corev1::Pod& pod, const api::corev1::Volume& volume);
  Status attach(const std::string& node, const std::string& name, const Wanted& wanted);
  /// How long to wait before it may be detached all the same, zero for as long as the node says; nothing: it may be
  /// detached now.
  std::optional<Duration> hold_time(const Node* node, const Attachment& attachment, const std::string& unique_name);
  Status show_attached(const Node& node, const std::map<std::string, std::string>& attached,
                       const std::map<std::string, Wanted>& wanted);
  /// Whether another node has the volume to itself; then the pods are told.
  bool is_taken(const std::string& node, const Wanted& wanted);
  void enqueue_node_of(const api::corev1::Pod& pod);
  void enqueue_users_of(const std::string& ns, const std::string& claim);

  client::Informer<api::corev1::Pod>& pods_;
  client::Informer<Claim>& claims_;
  client::Informer<Volume>& volumes_;
  client::Informer<Node>& nodes_;
  client::Informer<Attachment>& attachments_;
  client::Informer<api::storagev1::CSIDriver>& drivers_;
  client::EventRecorder events_;
  std::map<std::string, Duration> unwanted_since_;  ///< By attachment; the one worker's alone.
};

/// "csi-" and a hash over handle, driver and node: the name that upstream gives an attachment.
std::string attachment_name(std::string_view handle, std::string_view driver, std::string_view node);
/// "kubernetes.io/csi/<driver>^<handle>": the volume's name in a node's status.
std::string unique_volume_name(const api::corev1::CSIPersistentVolumeSource& source);

}  // namespace trireme::controllers
