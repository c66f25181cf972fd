#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "api/codec.h"
#include "api/validation/meta.h"
#include "api/validation/pod_parts.h"

namespace trireme::api::validation {
namespace {

constexpr std::string_view kFileMode = "must be a number between 0 and 0777 (octal), both inclusive";
constexpr std::string_view kOneType = "may not specify more than 1 volume type";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

void need(std::string_view value, const Path& at, ErrorList& errors) {
  if (value.empty()) errors.required(at);
}

void check_mode(const std::optional<int32_t>& mode, const Path& at, ErrorList& errors) {
  if (mode && (*mode < 0 || *mode > 0777)) errors.invalid(at, *mode, kFileMode);
}

/// A relative path that neither climbs nor hides as one of the kubelet's own `..data` files.
void check_local_path(std::string_view path, const Path& at, ErrorList& errors) {
  check_descending_path(path, at, errors);
  if (path.starts_with("..") && !path.starts_with("../")) errors.invalid(at, path, "must not start with '..'");
}

void check_key_to_path(const std::vector<corev1::KeyToPath>& items, const Path& at, ErrorList& errors) {
  for (size_t i = 0; i < items.size(); ++i) {
    const Path path = at.index(i);
    need(items[i].key, path.child("key"), errors);
    need(items[i].path, path.child("path"), errors);
    check_local_path(items[i].path, path.child("path"), errors);
    check_mode(items[i].mode, path.child("mode"), errors);
  }
}

void check_downward_file(const corev1::DownwardAPIVolumeFile& file, const Path& at, ErrorList& errors) {
  need(file.path, at.child("path"), errors);
  check_local_path(file.path, at.child("path"), errors);
  if (file.field_ref) {
    check_field_ref(*file.field_ref, true, at.child("fieldRef"), errors);
    if (file.resource_field_ref) {
      errors.invalid(at, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously");
    }
  } else if (file.resource_field_ref) {
    check_resource_field_ref(*file.resource_field_ref, true, at.child("resourceFieldRef"), errors);
  } else {
    errors.required(at, "one of fieldRef and resourceFieldRef is required");
  }
  check_mode(file.mode, at.child("mode"), errors);
}

void check_projected(const corev1::ProjectedVolumeSource& projected, const Path& at, ErrorList& errors) {
  check_mode(projected.default_mode, at.child("defaultMode"), errors);
  std::set<std::string_view> paths;
  auto unique = [&](std::string_view path) {
    if (!path.empty() && !paths.insert(path).second) errors.invalid(at, path, "conflicting duplicate paths");
  };
  for (size_t i = 0; i < projected.sources.size(); ++i) {
    const auto& source = projected.sources[i];
    const Path path = at.child("sources").index(i);
    int count = 0;
    auto keyed = [&](const auto& box, std::string_view name) {
      if (!box) return;
      ++count;
      need(box->local_object_reference.name, path.child(name, "name"), errors);
      check_key_to_path(box->items, path.child(name, "items"), errors);
      for (const auto& item : box->items) unique(item.path);
    };
    keyed(source.secret, "secret");
    keyed(source.config_map, "configMap");
    if (source.downward_api) {
      ++count;
      for (const auto& file : source.downward_api->items) {
        check_downward_file(file, path.child("downwardAPI"), errors);
        unique(file.path);
      }
    }
    if (source.service_account_token) {
      ++count;
      const auto& token = *source.service_account_token;
      const int64_t seconds = token.expiration_seconds.value_or(3600);
      const Path seconds_path = path.child("serviceAccountToken", "expirationSeconds");
      if (seconds < 600) errors.invalid(seconds_path, seconds, "may not specify a duration less than 10 minutes");
      if (seconds > (int64_t{1} << 32)) {
        errors.invalid(seconds_path, seconds, "may not specify a duration larger than 2^32 seconds");
      }
      if (token.path.empty()) {
        errors.required(at.child("path"));
      } else {
        check_local_path(token.path, at.child("path"), errors);
      }
    }
    if (source.cluster_trust_bundle) {
      ++count;
      const auto& bundle = *source.cluster_trust_bundle;
      const Path bundle_path = path.child("clusterTrustBundle");
      if (bundle.name && bundle.signer_name) {
        errors.invalid(bundle_path, BadValue::raw(encode_json(bundle)), "only one of name and signerName may be used");
      } else if (bundle.name) {
        if (bundle.name->empty()) errors.required(bundle_path.child("name"), "must be a valid object name");
      } else if (bundle.signer_name) {
        if (bundle.signer_name->empty()) {
          errors.required(bundle_path.child("signerName"), "must be a valid signer name");
        }
      } else {
        errors.required(bundle_path, "either name or signerName must be specified");
      }
      need(bundle.path, bundle_path.child("path"), errors);
      check_local_path(bundle.path, bundle_path.child("path"), errors);
      unique(bundle.path);
    }
    if (count > 1) errors.forbidden(path, "may not specify more than 1 volume type per source");
  }
}

/// Runs the check of each source that is set, and refuses every source after the first.
class OneSource {
 public:
  OneSource(const Path& at, ErrorList& errors) : at_(at), errors_(errors) {}

  template <typename Source, typename Check>
  void add(const Source& source, std::string_view name, Check check) {
    if (!source) return;
    if (count_++ > 0) {
      errors_.forbidden(at_.child(name), kOneType);
    } else {
      check(*source, at_.child(name));
    }
  }
  void finish() {
    if (count_ == 0) errors_.required(at_, "must specify a volume type");
  }

 private:
  const Path& at_;
  ErrorList& errors_;
  int count_ = 0;
};

void check_partition(int32_t partition, const Path& at, ErrorList& errors) {
  if (partition < 0 || partition > 255) errors.invalid(at, partition, "must be between 1 and 255, inclusive");
}

void check_host_path(const corev1::HostPathVolumeSource& source, const Path& at, ErrorList& errors) {
  if (source.path.empty()) return errors.required(at.child("path"));
  check_no_backsteps(source.path, at.child("path"), errors);
  static constexpr std::string_view kTypes[] = {"",     "BlockDevice",  "CharDevice", "Directory", "DirectoryOrCreate",
                                                "File", "FileOrCreate", "Socket"};
  if (source.type && !Supported(kTypes).contains(*source.type)) {
    errors.not_supported(at.child("type"), *source.type, kTypes);
  }
}

template <typename Iscsi>
void check_iscsi(const Iscsi& source, const Path& at, ErrorList& errors) {
  need(source.target_portal, at.child("targetPortal"), errors);
  if (source.iqn.empty()) {
    errors.required(at.child("iqn"));
  } else if (!source.iqn.starts_with("iqn") && !source.iqn.starts_with("eui") && !source.iqn.starts_with("naa")) {
    errors.invalid(at.child("iqn"), source.iqn, "must be valid format starting with iqn, eui, or naa");
  }
  if (source.lun < 0 || source.lun > 255) {
    errors.invalid(at.child("lun"), source.lun, "must be between 0 and 255, inclusive");
  }
  if ((source.chap_auth_discovery || source.chap_auth_session) && !source.secret_ref) {
    errors.required(at.child("secretRef"));
  }
}

template <typename Flex>
void check_flex(const Flex& source, const Path& at, ErrorList& errors) {
  need(source.driver, at.child("driver"), errors);
  for (const auto& [key, value] : source.options) {
    const std::string domain = "." + lower(std::string_view(key).substr(0, key.find('/')));
    if (domain.ends_with(".kubernetes.io") || domain.ends_with(".k8s.io")) {
      errors.invalid(at.child("options").key(key), key, "kubernetes.io and k8s.io namespaces are reserved");
    }
  }
}

/// Sources that pods and persistent volumes share by type or by shape.
template <typename Sources>
void check_shared_sources(const Sources& sources, OneSource& one, ErrorList& errors) {
  one.add(sources.host_path, "hostPath", [&](const auto& s, const Path& at) { check_host_path(s, at, errors); });
  one.add(sources.gce_persistent_disk, "gcePersistentDisk", [&](const auto& s, const Path& at) {
    need(s.pd_name, at.child("pdName"), errors);
    check_partition(s.partition, at.child("partition"), errors);
  });
  one.add(sources.aws_elastic_block_store, "awsElasticBlockStore", [&](const auto& s, const Path& at) {
    need(s.volume_id, at.child("volumeID"), errors);
    check_partition(s.partition, at.child("partition"), errors);
  });
  one.add(sources.nfs, "nfs", [&](const auto& s, const Path& at) {
    need(s.server, at.child("server"), errors);
    need(s.path, at.child("path"), errors);
    if (!s.path.empty() && s.path.front() != '/') {
      errors.invalid(at.child("path"), s.path, "must be an absolute path");
    }
  });
  one.add(sources.iscsi, "iscsi", [&](const auto& s, const Path& at) { check_iscsi(s, at, errors); });
  one.add(sources.glusterfs, "glusterfs", [&](const auto& s, const Path& at) {
    need(s.endpoints, at.child("endpoints"), errors);
    need(s.path, at.child("path"), errors);
  });
  one.add(sources.flocker, "flocker", [&](const auto& s, const Path& at) {
    if (s.dataset_name.empty() && s.dataset_uuid.empty()) {
      errors.required(at, "one of datasetName and datasetUUID is required");
    }
    if (!s.dataset_name.empty() && !s.dataset_uuid.empty()) {
      errors.invalid(at, "resource", "datasetName and datasetUUID can not be specified simultaneously");
    }
    if (s.dataset_name.find('/') != std::string::npos) {
      errors.invalid(at.child("datasetName"), s.dataset_name, "must not contain '/'");
    }
  });
  one.add(sources.rbd, "rbd", [&](const auto& s, const Path& at) {
    if (s.monitors.empty()) errors.required(at.child("monitors"));
    need(s.image, at.child("image"), errors);
  });
  one.add(sources.cinder, "cinder", [&](const auto& s, const Path& at) {
    need(s.volume_id, at.child("volumeID"), errors);
    if (s.secret_ref) need(s.secret_ref->name, at.child("secretRef", "name"), errors);
  });
  one.add(sources.cephfs, "cephfs", [&](const auto& s, const Path& at) {
    if (s.monitors.empty()) errors.required(at.child("monitors"));
  });
  one.add(sources.quobyte, "quobyte", [&](const auto& s, const Path& at) {
    if (s.registry.empty()) {
      errors.required(at.child("registry"), "must be a host:port pair or multiple pairs separated by commas");
    }
    if (s.tenant.size() >= 65)
      errors.required(at.child("tenant"), "must be a UUID and may not exceed a length of 64 characters");
    need(s.volume, at.child("volume"), errors);
  });
  one.add(sources.fc, "fc", [&](const auto& s, const Path& at) {
    if (s.target_wwns.empty() && s.wwids.empty()) {
      errors.required(at.child("targetWWNs"), "must specify either targetWWNs or wwids, but not both");
    }
    if (!s.target_wwns.empty() && !s.wwids.empty()) {
      errors.invalid(at.child("targetWWNs"), s.target_wwns, "targetWWNs and wwids can not be specified simultaneously");
    }
    if (!s.target_wwns.empty()) {
      if (!s.lun) {
        errors.required(at.child("lun"), "lun is required if targetWWNs is specified");
      } else if (*s.lun < 0 || *s.lun > 255) {
        errors.invalid(at.child("lun"), *s.lun, "must be between 0 and 255, inclusive");
      }
    }
  });
  one.add(sources.flex_volume, "flexVolume", [&](const auto& s, const Path& at) { check_flex(s, at, errors); });
  one.add(sources.azure_file, "azureFile", [&](const auto& s, const Path& at) {
    need(s.secret_name, at.child("secretName"), errors);
    need(s.share_name, at.child("shareName"), errors);
  });
  one.add(sources.vsphere_volume, "vsphereVolume",
          [&](const auto& s, const Path& at) { need(s.volume_path, at.child("volumePath"), errors); });
  one.add(sources.photon_persistent_disk, "photonPersistentDisk",
          [&](const auto& s, const Path& at) { need(s.pd_id, at.child("pdID"), errors); });
  one.add(sources.portworx_volume, "portworxVolume",
          [&](const auto& s, const Path& at) { need(s.volume_id, at.child("volumeID"), errors); });
  one.add(sources.azure_disk, "azureDisk", [&](const auto& s, const Path& at) {
    need(s.disk_name, at.child("diskName"), errors);
    need(s.disk_uri, at.child("diskURI"), errors);
  });
  one.add(sources.storageos, "storageos", [&](const auto& s, const Path& at) {
    if (s.volume_name.empty()) {
      errors.required(at.child("volumeName"));
    } else {
      check_dns_label(s.volume_name, at.child("volumeName"), errors);
    }
    if (!s.volume_namespace.empty()) check_dns_label(s.volume_namespace, at.child("volumeNamespace"), errors);
    if (s.secret_ref) need(s.secret_ref->name, at.child("secretRef", "name"), errors);
  });
  one.add(sources.scale_io, "scaleIO", [&](const auto& s, const Path& at) {
    need(s.gateway, at.child("gateway"), errors);
    need(s.system, at.child("system"), errors);
    need(s.volume_name, at.child("volumeName"), errors);
  });
}

void check_volume_source(const corev1::VolumeSource& source, std::string_view volume_name, std::string_view pod_name,
                         const Path& at, ErrorList& errors) {
  OneSource one(at, errors);
  one.add(source.empty_dir, "emptyDir", [&](const corev1::EmptyDirVolumeSource& s, const Path& path) {
    if (s.size_limit && s.size_limit->sign() < 0) {
      errors.forbidden(path.child("sizeLimit"), "SizeLimit field must be a valid resource quantity");
    }
  });
  one.add(source.git_repo, "gitRepo", [&](const corev1::GitRepoVolumeSource& s, const Path& path) {
    need(s.repository, path.child("repository"), errors);
    check_descending_path(s.directory, path.child("directory"), errors);
  });
  one.add(source.secret, "secret", [&](const corev1::SecretVolumeSource& s, const Path& path) {
    need(s.secret_name, path.child("secretName"), errors);
    check_mode(s.default_mode, path.child("defaultMode"), errors);
    check_key_to_path(s.items, path.child("items"), errors);
  });
  one.add(source.persistent_volume_claim, "persistentVolumeClaim",
          [&](const corev1::PersistentVolumeClaimVolumeSource& s, const Path& path) {
            need(s.claim_name, path.child("claimName"), errors);
          });
  one.add(source.downward_api, "downwardAPI", [&](const corev1::DownwardAPIVolumeSource& s, const Path& path) {
    check_mode(s.default_mode, path.child("defaultMode"), errors);
    for (const auto& file : s.items) check_downward_file(file, path, errors);
  });
  one.add(source.config_map, "configMap", [&](const corev1::ConfigMapVolumeSource& s, const Path& path) {
    need(s.local_object_reference.name, path.child("name"), errors);
    check_mode(s.default_mode, path.child("defaultMode"), errors);
    check_key_to_path(s.items, path.child("items"), errors);
  });
  one.add(source.projected, "projected",
          [&](const corev1::ProjectedVolumeSource& s, const Path& path) { check_projected(s, path, errors); });
  one.add(source.csi, "csi", [&](const corev1::CSIVolumeSource& s, const Path& path) {
    check_csi_driver_name(s.driver, path.child("driver"), errors);
    if (s.node_publish_secret_ref) {
      need(s.node_publish_secret_ref->name, path.child("nodePublishSecretRef", "name"), errors);
    }
  });
  one.add(source.ephemeral, "ephemeral", [&](const corev1::EphemeralVolumeSource& s, const Path& path) {
    const Path claim = path.child("volumeClaimTemplate");
    if (!s.volume_claim_template) return errors.required(claim);
    check_annotations(s.volume_claim_template->metadata.annotations, claim.child("metadata", "annotations"), errors);
    check_labels(s.volume_claim_template->metadata.labels, claim.child("metadata", "labels"), errors);
    check_claim_spec(s.volume_claim_template->spec, claim.child("spec"), errors);
    if (!pod_name.empty() && !volume_name.empty()) {
      const std::string claim_name = fmt::format("{}-{}", pod_name, volume_name);
      for (const auto& problem : name_problems(NameRule::kSubdomain, claim_name)) {
        errors.invalid(at.child("name"), volume_name, fmt::format("PVC name {}: {}", go_quote(claim_name), problem));
      }
    }
  });
  one.add(source.image, "image", [&](const corev1::ImageVolumeSource& s, const Path& path) {
    need(s.reference, path.child("reference"), errors);
    errors.check_enum(path.child("pullPolicy"), s.pull_policy, {"Always", "IfNotPresent", "Never"});
  });
  check_shared_sources(source, one, errors);
  one.finish();
}

void check_secret_reference(const Box<corev1::SecretReference>& ref, const Path& at, ErrorList& errors) {
  if (!ref) return;
  if (ref->name.empty()) {
    errors.required(at.child("name"));
  } else {
    check_dns_subdomain(ref->name, at.child("name"), errors);
  }
  if (ref->namespace_.empty()) {
    errors.required(at.child("namespace"));
  } else {
    check_dns_label(ref->namespace_, at.child("namespace"), errors);
  }
}

}  // namespace

void check_no_backsteps(std::string_view path, const Path& at, ErrorList& errors) {
  for (size_t start = 0; start <= path.size();) {
    const size_t end = std::min(path.find('/', start), path.size());
    if (path.substr(start, end - start) == "..") return errors.invalid(at, path, "must not contain '..'");
    start = end + 1;
  }
}

void check_descending_path(std::string_view path, const Path& at, ErrorList& errors) {
  if (path.starts_with('/')) errors.invalid(at, path, "must be a relative path");
  check_no_backsteps(path, at, errors);
}

void check_csi_driver_name(std::string_view name, const Path& at, ErrorList& errors) {
  if (name.empty()) errors.required(at);
  if (name.size() > 63) errors.too_long(at, 63);
  errors.invalid_each(at, name, name_problems(NameRule::kSubdomain, lower(name)));
}

void check_volumes(const std::vector<corev1::Volume>& volumes, std::string_view pod_name, const Path& at,
                   PodScope& scope, ErrorList& errors) {
  std::set<std::string> created_claims;
  if (!pod_name.empty()) {
    for (const auto& volume : volumes) {
      if (volume.volume_source.ephemeral) created_claims.insert(fmt::format("{}-{}", pod_name, volume.name));
    }
  }
  for (size_t i = 0; i < volumes.size(); ++i) {
    const auto& volume = volumes[i];
    const Path path = at.index(i);
    const size_t before = errors.size();
    check_volume_source(volume.volume_source, volume.name, pod_name, path, errors);
    if (volume.name.empty()) {
      errors.required(path.child("name"));
    } else {
      check_dns_label(volume.name, path.child("name"), errors);
    }
    if (scope.volumes.count(volume.name) > 0) errors.duplicate(path.child("name"), volume.name);
    if (errors.size() == before) scope.volumes.emplace(volume.name, &volume.volume_source);
    if (const auto& claim = volume.volume_source.persistent_volume_claim;
        claim && created_claims.count(claim->claim_name) > 0) {
      errors.invalid(path.child("persistentVolumeClaim", "claimName"), claim->claim_name,
                     "must not reference a PVC that gets created for an ephemeral volume");
    }
  }
}

void check_persistent_volume_source(const corev1::PersistentVolumeSource& source, std::string_view pv_name,
                                    bool node_affinity, const Path& at, ErrorList& errors) {
  OneSource one(at, errors);
  check_shared_sources(source, one, errors);
  one.add(source.local, "local", [&](const corev1::LocalVolumeSource& s, const Path& path) {
    if (s.path.empty()) {
      errors.required(path.child("path"));
    } else {
      check_no_backsteps(s.path, path.child("path"), errors);
    }
    if (!node_affinity) errors.required(at.child("nodeAffinity"), "Local volume requires node affinity");
  });
  one.add(source.csi, "csi", [&](const corev1::CSIPersistentVolumeSource& s, const Path& path) {
    check_csi_driver_name(s.driver, path.child("driver"), errors);
    need(s.volume_handle, path.child("volumeHandle"), errors);
    check_secret_reference(s.controller_publish_secret_ref, path.child("controllerPublishSecretRef"), errors);
    check_secret_reference(s.controller_expand_secret_ref, path.child("controllerExpandSecretRef"), errors);
    check_secret_reference(s.node_publish_secret_ref, path.child("nodePublishSecretRef"), errors);
    check_secret_reference(s.node_expand_secret_ref, path.child("nodeExpandSecretRef"), errors);
  });
  if (source.iscsi && source.iscsi->initiator_name && pv_name.size() + 1 + source.iscsi->target_portal.size() > 64) {
    errors.invalid(at.child("name"), pv_name,
                   "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if "
                   "iscsi.initiatorName is specified.");
  }
  one.finish();
}

}  // namespace trireme::api::validation
