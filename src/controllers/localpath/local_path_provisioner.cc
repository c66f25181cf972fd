#include "controllers/localpath/local_path_provisioner.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/value.h"
#include "base/log.h"
#include "controllers/support/key_kind.h"

namespace trireme::controllers {

using api::ClaimPointer;
using api::ClassPointer;
using api::VolumePointer;
using api::corev1::ConfigMap;
using NodePointer = std::shared_ptr<const api::corev1::Node>;

namespace {

constexpr std::string_view kClassKey = "class";
constexpr KeyKind kClaimKey("claim");
constexpr KeyKind kVolumeKey("volume");
constexpr KeyKind kNodeKey("node");
constexpr std::string_view kWaitingByNode = "selected-node";
constexpr std::string_view kAddonsNamespace = "kube-system";
constexpr std::string_view kAddonsMap = "trireme-addons";
constexpr std::string_view kAddonsKey = "storageclass.local-path";

/// Waits for this provisioner: nothing else is left to be decided.
bool waits(const api::corev1::PersistentVolumeClaim& claim) {
  return claim.spec.volume_name.empty() && !claim.metadata.deletion_timestamp &&
         claim.metadata.annotations.get(api::kStorageProvisioner) == api::kLocalPathProvisioner;
}

std::string volume_name_for(const api::corev1::PersistentVolumeClaim& claim) { return "pvc-" + claim.metadata.uid; }

/// Its data is to go, and this provisioner is the one to see to it.
bool to_be_deleted(const api::corev1::PersistentVolume& volume) {
  const bool over =
      volume.status.phase == api::corev1::kVolumeReleased || volume.status.phase == api::corev1::kVolumeFailed;
  if (!over || volume.spec.persistent_volume_reclaim_policy != api::corev1::kPersistentVolumeReclaimDelete)
    return false;
  if (volume.metadata.deletion_timestamp && !api::has_finalizer(volume.metadata, api::kProvisionerFinalizer)) {
    return false;
  }
  return !api::local_path_directory(volume).empty();
}

std::string removal_key(const std::string& volume) { return std::string(api::kLocalPathRemoval) + volume; }

}  // namespace

std::string why_no_directory(const api::corev1::PersistentVolumeClaim& claim) {
  if (api::volume_mode(claim.spec.volume_mode) == api::corev1::kPersistentVolumeBlock) {
    return "block volumes are not supported by local-path";
  }
  if (claim.spec.selector) return "claim.Spec.Selector is not supported";
  if (claim.spec.data_source || claim.spec.data_source_ref) return "data sources are not supported by local-path";
  const bool one_node = std::ranges::all_of(claim.spec.access_modes, [](const std::string& mode) {
    return mode == api::corev1::kReadWriteOnce || mode == api::corev1::kReadWriteOncePod;
  });
  if (!one_node) return "NodePath only supports ReadWriteOnce and ReadWriteOncePod (1.22+) access modes";
  return {};
}

api::corev1::PersistentVolume local_path_volume(const api::corev1::PersistentVolumeClaim& claim,
                                                const api::storagev1::StorageClass& storage_class,
                                                const api::corev1::Node& node) {
  api::corev1::PersistentVolume volume;
  volume.metadata.name = volume_name_for(claim);
  volume.metadata.annotations.insert_or_assign(api::kProvisionedBy, std::string(api::kLocalPathProvisioner));
  volume.metadata.annotations.insert_or_assign(api::kLocalPathNode, node.metadata.name);
  volume.metadata.finalizers.emplace_back(api::kProvisionerFinalizer);
  auto& spec = volume.spec;
  spec.capacity["storage"] = api::requested_storage(claim);
  spec.access_modes = claim.spec.access_modes;
  spec.volume_mode = std::string(api::corev1::kPersistentVolumeFilesystem);
  spec.storage_class_name = storage_class.metadata.name;
  spec.persistent_volume_reclaim_policy =
      storage_class.reclaim_policy.value_or(std::string(api::corev1::kPersistentVolumeReclaimDelete));
  spec.mount_options = storage_class.mount_options;
  spec.claim_ref = client::reference_to(claim);
  spec.persistent_volume_source.local.emplace().path =
      fmt::format("{}/{}", node.metadata.annotations.get(api::kLocalPathRoot),
                  api::local_path_directory(volume.metadata.name, claim.metadata.namespace_, claim.metadata.name));
  auto& requirement = spec.node_affinity.emplace()
                          .required.emplace()
                          .node_selector_terms.emplace_back()
                          .match_expressions.emplace_back();
  requirement.key = api::corev1::kLabelHostname;
  requirement.operator_ = api::corev1::kNodeSelectorOpIn;
  requirement.values = {node.metadata.labels.get(api::corev1::kLabelHostname, node.metadata.name)};
  return volume;
}

LocalPathProvisioner::LocalPathProvisioner(const ControllerContext& context)
    : Controller(context, "local-path-provisioner-controller"),
      claims_(context.informers->informer<Claim>()),
      volumes_(context.informers->informer<Volume>()),
      nodes_(context.informers->informer<Node>()),
      classes_(context.informers->informer<StorageClass>()),
      events_(context.events->recorder(std::string(api::kLocalPathProvisioner))) {
  claims_.add_index(std::string(kWaitingByNode), [](const Claim& claim) -> std::vector<std::string> {
    if (!waits(claim)) return {};
    return {claim.metadata.annotations.get(api::kSelectedNode)};
  });
  claims_.add_handler([this](const ClaimPointer&, const ClaimPointer& after) {
    if (after && waits(*after)) enqueue(kClaimKey(client::key_of(after->metadata)));
  });
  volumes_.add_handler([this](const VolumePointer&, const VolumePointer& after) {
    if (after && to_be_deleted(*after)) enqueue(kVolumeKey(after->metadata.name));
  });
  nodes_.add_handler([this](const NodePointer& before, const NodePointer& after) {
    if (!after) {  // Whatever stood on it is gone with it.
      for (const VolumePointer& volume : volumes_.list()) {
        if (to_be_deleted(*volume)) enqueue(kVolumeKey(volume->metadata.name));
      }
      return;
    }
    if (before && before->metadata.annotations == after->metadata.annotations) return;
    enqueue(kNodeKey(after->metadata.name));
  });
}

void LocalPathProvisioner::begin() { enqueue(std::string(kClassKey)); }

Result<Outcome> LocalPathProvisioner::reconcile(const std::string& key) {
  Status status;
  if (key == kClassKey) {
    status = install_class();
  } else if (const auto claim_key = kClaimKey.name_in(key)) {
    const ClaimPointer claim = claims_.get(*claim_key);
    if (claim && waits(*claim)) status = provision(*claim);
  } else if (const auto volume_name = kVolumeKey.name_in(key)) {
    const VolumePointer volume = volumes_.get(*volume_name);
    if (volume && to_be_deleted(*volume)) status = reclaim(*volume);
  } else if (const auto node_name = kNodeKey.name_in(key)) {
    const NodePointer node = nodes_.get(*node_name);
    if (node) status = tidy(*node);
  }
  if (!status.ok()) return status;
  return Outcome::done();
}

Status LocalPathProvisioner::install_class() {
  Result<ConfigMap> installed = client().get<ConfigMap>(kAddonsNamespace, kAddonsMap);
  const bool present = installed.ok();
  if (!present && !installed.status().is(Reason::kNotFound)) return installed.status();
  if (present && installed->data.contains(kAddonsKey)) return {};

  StorageClass storage_class;
  storage_class.metadata.name = api::kLocalPathClass;
  // A cluster that was taken over may have a default of its own.
  if (!api::default_class(classes_.list())) {
    storage_class.metadata.annotations.insert_or_assign(api::kIsDefaultClass, "true");
  }
  storage_class.provisioner = api::kLocalPathProvisioner;
  storage_class.reclaim_policy = std::string(api::corev1::kPersistentVolumeReclaimDelete);
  storage_class.volume_binding_mode = std::string(api::storagev1::kVolumeBindingWaitForFirstConsumer);
  storage_class.allow_volume_expansion = false;
  const Status made = client().create(storage_class).status();
  if (!made.ok() && !made.is(Reason::kAlreadyExists)) return made;

  ConfigMap record = present ? std::move(*installed) : ConfigMap();
  record.metadata.namespace_ = kAddonsNamespace;
  record.metadata.name = kAddonsMap;
  record.data[kAddonsKey] = "installed";
  return (present ? client().update(record) : client().create(record)).status();
}

/// The scheduler selects another node.
Status LocalPathProvisioner::give_back(const Claim& claim) {
  Claim changed = claim;
  changed.metadata.annotations.erase(api::kSelectedNode);
  return client().update(changed).status();
}

Status LocalPathProvisioner::provision(const Claim& claim) {
  const ClassPointer storage_class = classes_.get("", api::class_of(claim));
  if (!storage_class || storage_class->provisioner != api::kLocalPathProvisioner) return {};
  const std::string node_name = claim.metadata.annotations.get(api::kSelectedNode);
  if (node_name.empty() && api::delays_binding(*storage_class)) return {};
  if (volumes_.get("", volume_name_for(claim))) return {};
  events_.normal(
      claim, "Provisioning",
      fmt::format("External provisioner is provisioning volume for claim \"{}\"", client::key_of(claim.metadata)));
  const auto failed = [&](std::string_view why) {
    events_.warning(
        claim, "ProvisioningFailed",
        fmt::format("failed to provision volume with StorageClass \"{}\": {}", storage_class->metadata.name, why));
  };
  std::string why_not = why_no_directory(claim);
  if (why_not.empty() && node_name.empty()) why_not = "configuration error, no node was specified";
  if (!why_not.empty()) {
    failed(why_not);
    return {};  // Nothing but another claim could help.
  }
  const NodePointer node = nodes_.get("", node_name);
  if (!node) {
    failed(fmt::format("node \"{}\" not found", node_name));
    return give_back(claim);
  }
  if (!node->metadata.annotations.get(api::kLocalPathRoot).starts_with('/')) {
    failed(fmt::format("node \"{}\" does not offer directories", node_name));
    return {};  // Its annotation calls again.
  }
  const Volume volume = local_path_volume(claim, *storage_class, *node);
  const Status made = client().create(volume).status();
  if (made.is(Reason::kAlreadyExists)) return {};
  if (!made.ok()) {
    failed(made.message());
    return made;
  }
  events_.normal(claim, "ProvisioningSucceeded",
                 fmt::format("Successfully provisioned volume {}", volume.metadata.name));
  return {};
}

Status LocalPathProvisioner::reclaim(const Volume& volume) {
  const std::string& name = volume.metadata.name;
  const std::string node_name = volume.metadata.annotations.get(api::kLocalPathNode);
  const NodePointer node = nodes_.get("", node_name);
  if (!node) {
    const Result<Node> live = client().get<Node>("", node_name);
    if (!live.ok() && !live.status().is(Reason::kNotFound)) return live.status();
    if (live.ok()) return Status(Reason::kConflict, fmt::format("node {} is not in the cache yet", node_name));
    log::info("Deleting a volume whose node is gone", {{"volume", name}, {"node", node_name}});
    return finish(volume, {});
  }
  const std::string value = node->metadata.annotations.get(removal_key(name));
  if (value == api::kLocalPathRemoved) return finish(volume, node_name);
  if (!value.empty()) return {};  // The node is at it; its answer calls again.
  return annotate_node(node_name, removal_key(name), api::local_path_directory(volume));
}

Status LocalPathProvisioner::finish(const Volume& volume, const std::string& node) {
  client::DeleteOptions options;
  options.uid = volume.metadata.uid;
  if (!volume.metadata.deletion_timestamp) {
    const Status removed = client().remove<Volume>("", volume.metadata.name, options);
    if (!removed.ok() && !removed.is(Reason::kNotFound)) return removed;
  }
  // Whoever else changes the volume meanwhile (its protection ends, too) brings this pass back.
  Result<Volume> fresh = client().get<Volume>("", volume.metadata.name);
  if (!fresh.ok() && !fresh.status().is(Reason::kNotFound)) return fresh.status();
  if (fresh.ok() && std::erase(fresh->metadata.finalizers, api::kProvisionerFinalizer) > 0) {
    const Status written = client().update(*fresh).status();
    if (!written.ok() && !written.is(Reason::kNotFound)) return written;
  }
  if (node.empty()) return {};
  return annotate_node(node, removal_key(volume.metadata.name), {});
}

Status LocalPathProvisioner::tidy(const Node& node) {
  const bool offers = node.metadata.annotations.get(api::kLocalPathRoot).starts_with('/');
  if (offers) {
    for (const ClaimPointer& claim : claims_.by_index(kWaitingByNode, node.metadata.name)) {
      enqueue(kClaimKey(client::key_of(claim->metadata)));
    }
  }
  for (const auto& [key, value] : node.metadata.annotations) {
    if (!key.starts_with(api::kLocalPathRemoval) || value != api::kLocalPathRemoved) continue;
    const std::string name = key.substr(api::kLocalPathRemoval.size());
    if (volumes_.get("", name)) {
      enqueue(kVolumeKey(name));
    } else {
      TRY(annotate_node(node.metadata.name, key, {}));
    }
  }
  return {};
}

Status LocalPathProvisioner::annotate_node(const std::string& node, const std::string& key, const std::string& value) {
  api::Value patch = api::Value::object();
  api::Value annotations = api::Value::object();
  annotations[key] = value.empty() ? api::Value() : api::Value(value);
  patch["metadata"] = api::Value::object();
  patch["metadata"]["annotations"] = std::move(annotations);
  const Status done = client().patch<Node>("", node, client::PatchType::kMerge, api::to_json(patch)).status();
  return done.is(Reason::kNotFound) ? Status() : done;
}

}  // namespace trireme::controllers
