#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "api/types/corev1.h"
#include "base/clock.h"
#include "kubelet/cri/types.h"
#include "kubelet/volumes/claim_source.h"
#include "kubelet/volumes/local_paths.h"
#include "kubelet/volumes/object_source.h"
#include "kubelet/volumes/payload.h"
#include "kubelet/volumes/token_source.h"

namespace trireme::kubelet {

/// A pod's volumes as they stand on the node.
struct PodVolumes {
  std::map<std::string, std::string> paths;  ///< Volume name to host path.
  std::optional<WallTime> renew_at;          ///< When a token in one of them wants to be renewed.
};

/// Sets volumes up below `<root>/pods/<uid>`, in upstream's layout, and takes them down. Thread-safe for different
/// pods; one pod is handled by one thread at a time. Needs root for tmpfs, bind mounts and ownership.
class VolumeManager {
 public:
  /// Without `claims` and `local_paths` (tests) there are no persistent volumes.
  VolumeManager(std::string root_dir, ObjectSource& objects, TokenSource& tokens, ClaimSource* claims = nullptr,
                LocalPaths* local_paths = nullptr)
      : root_dir_(std::move(root_dir)),
        objects_(objects),
        tokens_(tokens),
        claims_(claims),
        local_paths_(local_paths) {}

  /// Makes every volume of the pod present and its content current; repeating it changes nothing that is up to date.
  /// A failure's message names the volume: it is the text of the FailedMount event.
  Result<PodVolumes> set_up(const api::corev1::Pod& pod, const DownwardContext& context);

  /// A container's mounts: its volume mounts (with subPath), /etc/hosts and the termination log.
  Result<std::vector<cri::Mount>> container_mounts(const api::corev1::Pod& pod, const api::corev1::Container& container,
                                                   uint32_t attempt, const PodVolumes& volumes,
                                                   const std::vector<cri::EnvVar>& environment);
  Status write_hosts_file(const api::corev1::Pod& pod, const std::string& content);

  /// Unmounts and deletes everything of the pod on disk (emptyDirs too). OK when there is nothing.
  Status tear_down(const std::string& pod_uid);
  /// Uids of pods that have a directory.
  std::vector<std::string> pods_on_disk() const;

  std::string pod_dir(const std::string& pod_uid) const { return root_dir_ + "/pods/" + pod_uid; }
  std::string termination_log(const std::string& pod_uid, const std::string& container, uint32_t attempt) const;
  std::string volume_path(const api::corev1::Pod& pod, const api::corev1::Volume& volume) const;

 private:
  Status set_up_volume(const api::corev1::Pod& pod, const api::corev1::Volume& volume, const PayloadSources& sources,
                       PodVolumes& result);
  Status set_up_persistent(const api::corev1::Pod& pod, const api::corev1::Volume& volume,
                           const api::corev1::PersistentVolume& persistent, PodVolumes& result);
  Status set_up_local(const api::corev1::Pod& pod, const api::corev1::PersistentVolume& persistent, bool read_only,
                      const std::string& target);
  Status set_up_empty_dir(const api::corev1::Pod& pod, const api::corev1::EmptyDirVolumeSource& source,
                          const std::string& path);
  Result<std::string> bind_sub_path(const std::string& pod_uid, const std::string& container, size_t index,
                                    const std::string& volume_name, const std::string& volume_path,
                                    const std::string& sub_path);

  const std::string root_dir_;
  ObjectSource& objects_;
  TokenSource& tokens_;
  ClaimSource* const claims_;
  LocalPaths* const local_paths_;
};

/// Checks and, where the type asks for it, creates a hostPath. BadRequest when the path is of another type.
Status prepare_host_path(const std::string& path, const std::string& type);

}  // namespace trireme::kubelet
