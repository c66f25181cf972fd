#include "controllers/attachdetach/attach_detach_controller.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <iterator>

#include "api/codec.h"
#include "api/volumes.h"
#include "base/log.h"
#include "controllers/persistentvolume/persistent_volume_binder.h"

namespace trireme::controllers {

using api::corev1::Node;
using api::corev1::PersistentVolume;
using api::corev1::PersistentVolumeClaim;
using api::corev1::Pod;
using api::storagev1::CSIDriver;
using api::storagev1::VolumeAttachment;

namespace {

constexpr std::string_view kByNode = "node";
constexpr std::string_view kByVolume = "volume";
// A node that does not answer holds a volume no longer than this (upstream's maxWaitForUnmountDuration).
constexpr Duration kMaxHold = std::chrono::minutes(6);

bool is_healthy(const Node& node) {
  return std::ranges::any_of(node.status.conditions,
                             [](const auto& each) { return each.type == "Ready" && each.status == "True"; });
}

bool is_out_of_service(const Node& node) {
  return std::ranges::any_of(node.spec.taints,
                             [](const auto& taint) { return taint.key == api::corev1::kTaintNodeOutOfService; });
}

bool may_be_shared(const PersistentVolume& volume) {
  return std::ranges::any_of(volume.spec.access_modes, [](const std::string& mode) {
    return mode == api::corev1::kReadWriteMany || mode == api::corev1::kReadOnlyMany;
  });
}

/// Nothing of it can be mounted any more.
bool is_over(const Pod& pod) {
  return is_finished(pod) ||
         (pod.metadata.deletion_timestamp && pod.metadata.deletion_grace_period_seconds == int64_t{0});
}

}  // namespace

std::string attachment_name(std::string_view handle, std::string_view driver, std::string_view node) {
  const std::string text = fmt::format("{}{}{}", handle, driver, node);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr);
  std::string name = "csi-";
  for (unsigned int i = 0; i < size; ++i) fmt::format_to(std::back_inserter(name), "{:02x}", digest[i]);
  return name;
}

std::string unique_volume_name(const api::corev1::CSIPersistentVolumeSource& source) {
  return fmt::format("kubernetes.io/csi/{}^{}", source.driver, source.volume_handle);
}

AttachDetachController::AttachDetachController(const ControllerContext& context)
    : Controller(context, "persistentvolume-attach-detach-controller"),
      pods_(context.informers->informer<Pod>()),
      claims_(context.informers->informer<Claim>()),
      volumes_(context.informers->informer<Volume>()),
      nodes_(context.informers->informer<Node>()),
      attachments_(context.informers->informer<Attachment>()),
      drivers_(context.informers->informer<CSIDriver>()),
      events_(context.events->recorder("attachdetach-controller")) {
  index_by_node(pods_);
  index_by_claim(pods_);
  attachments_.add_index(std::string(kByNode),
                         [](const Attachment& each) -> std::vector<std::string> { return {each.spec.node_name}; });
  attachments_.add_index(std::string(kByVolume), [](const Attachment& each) -> std::vector<std::string> {
    if (!each.spec.source.persistent_volume_name) return {};
    return {*each.spec.source.persistent_volume_name};
  });
  pods_.add_handler([this](const PodPointer& before, const PodPointer& after) {
    const bool bound = after && (!before || before->spec.node_name != after->spec.node_name);
    const bool ended = !after || (before && is_over(*before) != is_over(*after));
    if (bound || ended) enqueue_node_of(after ? *after : *before);
  });
  claims_.add_handler([this](const auto& before, const auto& after) {
    if (!after || after->spec.volume_name.empty()) return;
    if (before && before->status.phase == after->status.phase) return;
    enqueue_users_of(after->metadata.namespace_, after->metadata.name);
  });
  volumes_.add_handler([this](const auto& before, const auto& after) {
    const auto& volume = after ? after : before;
    if (before && after) return;
    if (!volume->spec.persistent_volume_source.csi || !volume->spec.claim_ref) return;
    enqueue_users_of(volume->spec.claim_ref->namespace_, volume->spec.claim_ref->name);
  });
  nodes_.add_handler(
      [this](const auto& before, const auto& after) { enqueue((after ? after : before)->metadata.name); });
  attachments_.add_handler([this](const AttachmentPointer& before, const AttachmentPointer& after) {
    const Attachment& attachment = after ? *after : *before;
    enqueue(attachment.spec.node_name);
    if (after || !attachment.spec.source.persistent_volume_name) return;
    // Another node may have waited for it.
    const auto volume = volumes_.get("", *attachment.spec.source.persistent_volume_name);
    if (volume && volume->spec.claim_ref) {
      enqueue_users_of(volume->spec.claim_ref->namespace_, volume->spec.claim_ref->name);
    }
  });
}

void AttachDetachController::enqueue_node_of(const Pod& pod) {
  const bool concerned =
      std::ranges::any_of(pod.spec.volumes, [&](const auto& volume) { return !api::claim_name(pod, volume).empty(); });
  if (concerned && !pod.spec.node_name.empty()) enqueue(pod.spec.node_name);
}

void AttachDetachController::enqueue_users_of(const std::string& ns, const std::string& claim) {
  for (const PodPointer& pod : pods_.by_index(kPodsByClaim, fmt::format("{}/{}", ns, claim))) enqueue_node_of(*pod);
}

std::shared_ptr<const PersistentVolume> AttachDetachController::attachable(const Pod& pod,
                                                                           const api::corev1::Volume& volume) {
  const std::string name = api::claim_name(pod, volume);
  if (name.empty()) return nullptr;
  const auto claim = claims_.get(pod.metadata.namespace_, name);
  if (!claim || claim->status.phase != api::corev1::kClaimBound) return nullptr;
  if (volume.volume_source.ephemeral && !api::check_ephemeral_owner(pod, *claim).ok()) return nullptr;
  auto found = volumes_.get("", claim->spec.volume_name);
  if (!found || !found->spec.persistent_volume_source.csi || !api::is_bound_to(*found, *claim)) return nullptr;
  const auto driver = drivers_.get("", found->spec.persistent_volume_source.csi->driver);
  if (driver && !driver->spec.attach_required.value_or(true)) return nullptr;
  return found;
}

std::map<std::string, AttachDetachController::Wanted> AttachDetachController::wanted_on(const std::string& node) {
  std::map<std::string, Wanted> wanted;
  for (const PodPointer& pod : pods_.by_index(kPodsByNode, node)) {
    if (is_over(*pod)) continue;
    for (const auto& volume : pod->spec.volumes) {
      auto found = attachable(*pod, volume);
      if (!found) continue;
      const auto& source = *found->spec.persistent_volume_source.csi;
      Wanted& entry = wanted[attachment_name(source.volume_handle, source.driver, node)];
      entry.volume = std::move(found);
      entry.pods.push_back(pod);
    }
  }
  return wanted;
}

bool AttachDetachController::is_taken(const std::string& node, const Wanted& wanted) {
  const std::string& name = wanted.volume->metadata.name;
  if (may_be_shared(*wanted.volume)) return false;
  std::set<std::string> holders;
  for (const AttachmentPointer& each : attachments_.by_index(kByVolume, name)) {
    if (each->spec.node_name != node) holders.insert(each->spec.node_name);
  }
  if (holders.empty()) return false;
  std::vector<std::string> users;
  const auto& claim = wanted.volume->spec.claim_ref;
  for (const PodPointer& pod : pods_.by_index(kPodsByClaim, fmt::format("{}/{}", claim->namespace_, claim->name))) {
    if (holders.contains(pod->spec.node_name) && !is_over(*pod)) users.push_back(pod->metadata.name);
  }
  const std::string why = users.empty()
                              ? "Volume is already exclusively attached to one node and can't be attached to another"
                              : fmt::format("Volume is already used by pod(s) {}", fmt::join(users, ", "));
  for (const PodPointer& pod : wanted.pods) {
    events_.warning(*pod, "FailedAttachVolume", fmt::format("Multi-Attach error for volume \"{}\" {}", name, why));
  }
  return true;
}

Status AttachDetachController::attach(const std::string& node, const std::string& name, const Wanted& wanted) {
  if (is_taken(node, wanted)) return {};  // The other attachment's end calls again.
  Attachment attachment;
  attachment.metadata.name = name;
  attachment.spec.attacher = wanted.volume->spec.persistent_volume_source.csi->driver;
  attachment.spec.node_name = node;
  attachment.spec.source.persistent_volume_name = wanted.volume->metadata.name;
  const Status made = client().create(attachment).status();
  return made.is(Reason::kAlreadyExists) ? Status() : made;
}

std::optional<Duration> AttachDetachController::hold_time(const Node* node, const Attachment& attachment,
                                                          const std::string& unique_name) {
  if (!node || is_out_of_service(*node)) return std::nullopt;
  if (std::ranges::count(node->status.volumes_in_use, unique_name) == 0) return std::nullopt;
  const Duration now = clock().monotonic();
  const Duration since = unwanted_since_.emplace(attachment.metadata.name, now).first->second;
  const Duration left = since + kMaxHold - now;
  // A healthy node lets go by itself and says so.
  if (is_healthy(*node)) return Duration::zero();
  if (left > Duration::zero()) return left;
  log::warning("Detaching a volume by force", {{"node", node->metadata.name}, {"volume", unique_name}});
  return std::nullopt;
}

Status AttachDetachController::show_attached(const Node& node, const std::map<std::string, std::string>& attached,
                                             const std::map<std::string, Wanted>& wanted) {
  api::corev1::NodeStatus shown;
  for (const auto& [unique_name, attachment] : attached) {
    shown.volumes_attached.emplace_back().name = unique_name;
  }
  const auto& present = node.status.volumes_attached;
  const auto same_name = [](const auto& a, const auto& b) { return a.name == b.name; };
  if (std::ranges::equal(present, shown.volumes_attached, same_name)) return {};
  std::string list = "[";
  for (const auto& each : shown.volumes_attached) list += (list.size() > 1 ? "," : "") + api::encode_json(each);
  const Status written = client()
                             .patch<Node>("", node.metadata.name, client::PatchType::kStrategicMerge,
                                          "{\"status\":{\"volumesAttached\":" + list + "]}}", "status")
                             .status();
  if (!written.ok()) return written;
  for (const auto& [unique_name, attachment] : attached) {
    const bool news = std::ranges::none_of(present, [&](const auto& each) { return each.name == unique_name; });
    const auto found = wanted.find(attachment);
    if (!news || found == wanted.end()) continue;
    for (const PodPointer& pod : found->second.pods) {
      events_.normal(
          *pod, "SuccessfulAttachVolume",
          fmt::format("AttachVolume.Attach succeeded for volume \"{}\" ", found->second.volume->metadata.name));
    }
  }
  return {};
}

Result<Outcome> AttachDetachController::reconcile(const std::string& key) {
  const auto node = nodes_.get("", key);
  const bool managed = node && node->metadata.annotations.get(api::kManagedAttach) == "true";
  const auto wanted = managed ? wanted_on(key) : std::map<std::string, Wanted>();

  std::map<std::string, std::string> attached;  // Unique name to attachment.
  std::vector<AttachmentPointer> to_detach;
  std::set<std::string> present;
  Duration again = Duration::zero();
  for (const AttachmentPointer& each : attachments_.by_index(kByNode, key)) {
    const std::string& name = each->metadata.name;
    present.insert(name);
    const auto found = wanted.find(name);
    if (found != wanted.end()) unwanted_since_.erase(name);
    if (each->metadata.deletion_timestamp || !each->spec.source.persistent_volume_name) continue;
    const auto volume = volumes_.get("", *each->spec.source.persistent_volume_name);
    const bool ours = volume && volume->spec.persistent_volume_source.csi;
    const std::string unique_name = ours ? unique_volume_name(*volume->spec.persistent_volume_source.csi) : "";
    if (found == wanted.end()) {
      const auto held = ours ? hold_time(node.get(), *each, unique_name) : std::nullopt;
      if (!held) {
        to_detach.push_back(each);
        continue;
      }
      if (*held > Duration::zero() && (again == Duration::zero() || *held < again)) again = *held;
    } else if (each->status.attach_error && !each->status.attached) {
      for (const PodPointer& pod : found->second.pods) {
        events_.warning(*pod, "FailedAttachVolume",
                        fmt::format("AttachVolume.Attach failed for volume \"{}\" : {}",
                                    found->second.volume->metadata.name, each->status.attach_error->message));
      }
    }
    if (each->status.attached && ours) attached.emplace(unique_name, name);
  }

  // The node must not start to use what is about to go: it is told first.
  if (node) TRY(show_attached(*node, attached, wanted));
  for (const AttachmentPointer& each : to_detach) {
    const Status removed = client().remove<Attachment>("", each->metadata.name);
    if (!removed.ok() && !removed.is(Reason::kNotFound)) return removed;
    unwanted_since_.erase(each->metadata.name);
  }
  for (const auto& [name, entry] : wanted) {
    if (!present.contains(name)) TRY(attach(key, name, entry));
  }
  return again > Duration::zero() ? Outcome::again_after(again) : Outcome::done();
}

}  // namespace trireme::controllers
