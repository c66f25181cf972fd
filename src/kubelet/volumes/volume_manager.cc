#include "kubelet/volumes/volume_manager.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fts.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "api/volumes.h"
#include "base/log.h"
#include "kubelet/pods/container_config.h"
#include "linux/file.h"
#include "linux/mounts.h"

namespace trireme::kubelet {
namespace {

using api::corev1::Pod;
using api::corev1::Volume;
using linux::errno_status;

std::string_view plugin_directory(const Volume& volume) {
  const auto& source = volume.volume_source;
  if (source.empty_dir) return "kubernetes.io~empty-dir";
  if (source.config_map) return "kubernetes.io~configmap";
  if (source.secret) return "kubernetes.io~secret";
  if (source.downward_api) return "kubernetes.io~downward-api";
  if (source.projected) return "kubernetes.io~projected";
  return {};
}

std::optional<gid_t> fs_group(const Pod& pod) {
  if (!pod.spec.security_context || !pod.spec.security_context->fs_group) return std::nullopt;
  return static_cast<gid_t>(*pod.spec.security_context->fs_group);
}

/// Holds secrets: kept in memory, never on disk.
bool wants_tmpfs(const Volume& volume) {
  const auto& source = volume.volume_source;
  if (source.secret) return true;
  if (!source.projected) return false;
  return std::any_of(source.projected->sources.begin(), source.projected->sources.end(),
                     [](const auto& part) { return part.secret || part.service_account_token; });
}

/// The group owns everything and may use it; new files inherit it.
Status give_to_group(const std::string& directory, gid_t group) {
  std::string copy = directory;
  char* roots[] = {copy.data(), nullptr};
  FTS* tree = ::fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, nullptr);
  if (tree == nullptr) return errno_status("open", directory, errno);
  Status failure;
  while (FTSENT* entry = ::fts_read(tree)) {
    if (entry->fts_info == FTS_DP || entry->fts_info == FTS_SL || entry->fts_statp == nullptr) continue;
    bool is_directory = entry->fts_info == FTS_D;
    mode_t mode = (entry->fts_statp->st_mode & 07777) | (is_directory ? 02770 : 0660);
    if (::lchown(entry->fts_accpath, static_cast<uid_t>(-1), group) != 0 || ::chmod(entry->fts_accpath, mode) != 0) {
      if (failure.ok()) failure = errno_status("give to the pod's group", entry->fts_path, errno);
    }
  }
  ::fts_close(tree);
  return failure;
}

/// Whether `give_to_group` has done its work on the directory itself, and so, presumably, on all below.
bool belongs_to_group(const std::string& directory, gid_t group) {
  struct stat info {};
  constexpr mode_t kGroupMode = 02770;
  return ::stat(directory.c_str(), &info) == 0 && info.st_gid == group && (info.st_mode & kGroupMode) == kGroupMode;
}

int open_beneath(int directory, const std::string& path, uint64_t flags) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  // A link inside a volume must not lead a mount out of it.
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(::syscall(SYS_openat2, directory, path.c_str(), &how, sizeof(how)));
}

/// Creates the directories of `path` below `root` that are missing, never leaving `root`. They may be used as the
/// volume itself may.
Status make_dirs_beneath(int root, const std::string& path) {
  struct stat volume {};
  if (::fstat(root, &volume) != 0) return errno_status("stat the volume of", path, errno);
  const mode_t mode = volume.st_mode & 02777;
  for (size_t end = path.find('/');; end = path.find('/', end + 1)) {
    std::string prefix = path.substr(0, end);
    int fd = open_beneath(root, prefix, O_PATH);
    if (fd < 0 && errno == ENOENT) {
      size_t slash = prefix.find_last_of('/');
      int parent = slash == std::string::npos ? ::dup(root) : open_beneath(root, prefix.substr(0, slash), O_PATH);
      std::string name = slash == std::string::npos ? prefix : prefix.substr(slash + 1);
      if (parent >= 0) {
        const bool made = ::mkdirat(parent, name.c_str(), mode) == 0;
        const int error = errno;
        ::close(parent);
        if (!made && error != EEXIST) return errno_status("create subPath", prefix, error);
        // The umask must not take away what the volume grants. By descriptor: a container may put a link in its place.
        const int directory = made ? open_beneath(root, prefix, O_RDONLY | O_DIRECTORY | O_NOFOLLOW) : -1;
        if (directory >= 0) {
          (void)::fchmod(directory, mode);
          ::close(directory);
        }
      }
      fd = open_beneath(root, prefix, O_PATH);
    }
    if (fd < 0) return errno_status("open subPath", prefix, errno);
    ::close(fd);
    if (end == std::string::npos) return {};
  }
}

cri::MountPropagation propagation(const Box<std::string>& mode) {
  if (mode == "HostToContainer") return cri::MountPropagation::kHostToContainer;
  if (mode == "Bidirectional") return cri::MountPropagation::kBidirectional;
  return cri::MountPropagation::kPrivate;
}

}  // namespace

Status prepare_host_path(const std::string& path, const std::string& type) {
  struct stat info {};
  bool present = ::stat(path.c_str(), &info) == 0;
  auto wrong = [&](std::string_view what) {
    return Status::bad_request(fmt::format("hostPath type check failed: {} is not a {}", path, what));
  };
  if (type.empty()) return {};
  if (type == "DirectoryOrCreate") {
    if (!present) return linux::make_dirs(path, 0755);
    return S_ISDIR(info.st_mode) ? Status() : wrong("directory");
  }
  if (type == "FileOrCreate") {
    if (!present) return linux::write_file(path, "", 0644);
    return S_ISREG(info.st_mode) ? Status() : wrong("file");
  }
  if (type == "Directory") return present && S_ISDIR(info.st_mode) ? Status() : wrong("directory");
  if (type == "File") return present && S_ISREG(info.st_mode) ? Status() : wrong("file");
  if (type == "Socket") return present && S_ISSOCK(info.st_mode) ? Status() : wrong("socket file");
  if (type == "CharDevice") return present && S_ISCHR(info.st_mode) ? Status() : wrong("character device");
  if (type == "BlockDevice") return present && S_ISBLK(info.st_mode) ? Status() : wrong("block device");
  return Status::bad_request("unknown hostPath type " + type);
}

std::string VolumeManager::volume_path(const Pod& pod, const Volume& volume) const {
  if (volume.volume_source.host_path) return volume.volume_source.host_path->path;
  return fmt::format("{}/volumes/{}/{}", pod_dir(pod.metadata.uid), plugin_directory(volume), volume.name);
}

std::string VolumeManager::termination_log(const std::string& pod_uid, const std::string& container,
                                           uint32_t attempt) const {
  return fmt::format("{}/containers/{}/termination-{}", pod_dir(pod_uid), container, attempt);
}

Result<PodVolumes> VolumeManager::set_up(const Pod& pod, const DownwardContext& context) {
  TRY(linux::make_dirs(pod_dir(pod.metadata.uid), 0750));
  PodVolumes result;
  PayloadSources sources;
  sources.downward = context;
  const std::string& uid = pod.metadata.uid;
  const std::string& ns = pod.metadata.namespace_;
  sources.objects.config_map = [&](std::string_view name) { return objects_.config_map(uid, ns, std::string(name)); };
  sources.objects.secret = [&](std::string_view name) { return objects_.secret(uid, ns, std::string(name)); };
  sources.token = [&](const std::string& audience, int64_t seconds) -> Result<std::string> {
    TRY_ASSIGN(auto token, tokens_.token(pod, audience, seconds));
    result.renew_at = result.renew_at ? std::min(*result.renew_at, token.renew_at) : token.renew_at;
    return token.text;
  };
  for (const Volume& volume : pod.spec.volumes) {
    VolumeObject persistent;
    if (claims_) {
      TRY_ASSIGN(persistent, claims_->find(pod, volume));
    }
    if (persistent) {
      TRY(set_up_persistent(pod, volume, *persistent, result));
      continue;
    }
    if (Status status = set_up_volume(pod, volume, sources, result); !status.ok()) {
      return status.with_context(fmt::format("MountVolume.SetUp failed for volume \"{}\" ", volume.name));
    }
  }
  return result;
}

Status VolumeManager::set_up_volume(const Pod& pod, const Volume& volume, const PayloadSources& sources,
                                    PodVolumes& result) {
  const auto& source = volume.volume_source;
  std::string path = volume_path(pod, volume);
  if (source.host_path) {
    TRY(prepare_host_path(path, source.host_path->type.value_or("")));
  } else if (source.empty_dir) {
    TRY(set_up_empty_dir(pod, *source.empty_dir, path));
  } else if (is_projected_volume(volume)) {
    TRY_ASSIGN(Payload payload, make_payload(pod, volume, sources));
    TRY(linux::make_dirs(path, 0755));
    if (wants_tmpfs(volume) && !linux::is_mount_point(path)) TRY(linux::mount_tmpfs(path, 0, 0777));
    TRY_ASSIGN(bool changed, write_atomically(path, payload, fs_group(pod)));
    if (changed) log::debug("Wrote volume", {{"pod", pod.metadata.name}, {"volume", volume.name}});
  } else {
    return {Reason::kMethodNotAllowed, "this node does not support the volume's type"};
  }
  result.paths[volume.name] = path;
  return {};
}

Status VolumeManager::set_up_persistent(const Pod& pod, const Volume& volume,
                                        const api::corev1::PersistentVolume& persistent, PodVolumes& result) {
  const auto& source = persistent.spec.persistent_volume_source;
  const std::string& name = persistent.metadata.name;
  const auto failed = [&](std::string_view step, const Status& why) {
    return why.with_context(fmt::format("MountVolume.{} failed for volume \"{}\" ", step, name));
  };
  if (api::volume_mode(persistent.spec.volume_mode) == api::corev1::kPersistentVolumeBlock) {
    return failed("SetUp", {Reason::kMethodNotAllowed, "this node does not support block volumes"});
  }
  if (source.host_path) {
    if (Status status = prepare_host_path(source.host_path->path, source.host_path->type.value_or("")); !status.ok()) {
      return failed("SetUp", status);
    }
    result.paths[volume.name] = source.host_path->path;
    return {};
  }
  if (source.local) {
    if (local_paths_) {
      if (Status status = local_paths_->prepare(persistent); !status.ok()) return failed("SetUp", status);
    }
    if (!linux::exists(source.local->path)) {
      return failed("NewMounter initialization",
                    Status::not_found(fmt::format("path \"{}\" does not exist", source.local->path)));
    }
    const std::string target = fmt::format("{}/volumes/kubernetes.io~local-volume/{}", pod_dir(pod.metadata.uid), name);
    Status status = set_up_local(pod, persistent, is_read_only_claim(volume), target);
    if (!status.ok()) return failed("SetUp", status);
    result.paths[volume.name] = target;
    return {};
  }
  if (source.csi) {
    return failed("MountDevice", Status::not_found(fmt::format("kubernetes.io/csi: attacher.MountDevice failed to "
                                                               "create newCsiDriverClient: driver name {} not found in "
                                                               "the list of registered CSI drivers",
                                                               source.csi->driver)));
  }
  return failed("SetUp", {Reason::kMethodNotAllowed, "this node does not support the volume's type"});
}

Status VolumeManager::set_up_local(const Pod& pod, const api::corev1::PersistentVolume& persistent, bool read_only,
                                   const std::string& target) {
  if (linux::is_mount_point(target)) return {};
  TRY(linux::make_dirs(target, 0750));
  TRY(linux::bind_mount(persistent.spec.persistent_volume_source.local->path, target));
  const auto group = fs_group(pod);
  if (!group || read_only) return {};
  const auto& policy = pod.spec.security_context->fs_group_change_policy;
  if (policy == api::corev1::kFSGroupChangeOnRootMismatch && belongs_to_group(target, *group)) return {};
  const Status given = give_to_group(target, *group);
  if (!given.ok()) (void)linux::unmount(target);  // So that it is tried again.
  return given;
}

Status VolumeManager::set_up_empty_dir(const Pod& pod, const api::corev1::EmptyDirVolumeSource& source,
                                       const std::string& path) {
  bool fresh = !linux::is_directory(path);
  TRY(linux::make_dirs(path, 0777));
  if (source.medium == "Memory") {
    if (!linux::is_mount_point(path)) {
      uint64_t size = source.size_limit ? static_cast<uint64_t>(std::max<int64_t>(source.size_limit->value(), 0)) : 0;
      TRY(linux::mount_tmpfs(path, size, 0777));
      fresh = true;
    }
  } else if (!source.medium.empty()) {
    return {Reason::kMethodNotAllowed, "emptyDir medium " + source.medium + " is not supported on this node"};
  }
  if (!fresh) return {};
  if (::chmod(path.c_str(), 0777) != 0) return errno_status("chmod", path, errno);
  if (auto group = fs_group(pod)) TRY(give_to_group(path, *group));
  return {};
}

Status VolumeManager::write_hosts_file(const Pod& pod, const std::string& content) {
  std::string path = pod_dir(pod.metadata.uid) + "/etc-hosts";
  auto present = linux::read_file(path);
  if (present.ok() && *present == content) return {};
  // In place: running containers have this very file mounted.
  return linux::write_file(path, content, 0644);
}

Result<std::string> VolumeManager::bind_sub_path(const std::string& pod_uid, const std::string& container, size_t index,
                                                 const std::string& volume_name, const std::string& volume_path,
                                                 const std::string& sub_path) {
  int root = ::open(volume_path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return errno_status("open", volume_path, errno);
  int target = open_beneath(root, sub_path, O_PATH);
  Status made;
  if (target < 0 && errno == ENOENT) {
    made = make_dirs_beneath(root, sub_path);
    if (made.ok()) target = open_beneath(root, sub_path, O_PATH);
  }
  int error = errno;
  ::close(root);
  if (!made.ok()) return made;
  if (target < 0) return errno_status("open subPath", sub_path, error);

  std::string mount_point = fmt::format("{}/volume-subpaths/{}/{}/{}", pod_dir(pod_uid), volume_name, container, index);
  struct stat info {};
  ::fstat(target, &info);
  Status status = linux::unmount(mount_point);  // from an earlier start of the container
  if (status.ok()) {
    status = S_ISDIR(info.st_mode) ? linux::make_dirs(mount_point, 0750)
                                   : linux::make_dirs(mount_point.substr(0, mount_point.find_last_of('/')), 0750);
  }
  if (status.ok() && !S_ISDIR(info.st_mode) && !linux::exists(mount_point)) {
    status = linux::write_file(mount_point, "", 0640);
  }
  if (status.ok()) status = linux::bind_mount(fmt::format("/proc/self/fd/{}", target), mount_point);
  ::close(target);
  if (!status.ok()) return status;
  return mount_point;
}

Result<std::vector<cri::Mount>> VolumeManager::container_mounts(const Pod& pod, const Container& container,
                                                                uint32_t attempt, const PodVolumes& volumes,
                                                                const std::vector<cri::EnvVar>& environment) {
  std::vector<cri::Mount> mounts;
  std::map<std::string, std::string> variables;
  for (const cri::EnvVar& variable : environment) variables[variable.name] = variable.value;
  bool own_hosts = false;
  for (size_t i = 0; i < container.volume_mounts.size(); ++i) {
    const auto& mount = container.volume_mounts[i];
    auto volume = volumes.paths.find(mount.name);
    if (volume == volumes.paths.end()) return Status::not_found("no volume " + mount.name);
    std::string path = volume->second;
    std::string sub_path = mount.sub_path;
    if (!mount.sub_path_expr.empty()) {
      sub_path = expand(mount.sub_path_expr, variables);
      if (sub_path.find("$(") != std::string::npos) {
        return Status::bad_request(
            fmt::format("subPathExpr \"{}\" refers to an unknown variable", mount.sub_path_expr));
      }
    }
    if (!sub_path.empty()) {
      TRY(check_payload_path(sub_path));
      TRY_ASSIGN(path, bind_sub_path(pod.metadata.uid, container.name, i, mount.name, path, sub_path));
    }
    std::string target = mount.mount_path.starts_with('/') ? mount.mount_path : "/" + mount.mount_path;
    own_hosts |= target == "/etc/hosts";
    auto declared = std::find_if(pod.spec.volumes.begin(), pod.spec.volumes.end(),
                                 [&](const Volume& candidate) { return candidate.name == mount.name; });
    bool read_only = mount.read_only || is_projected_volume(*declared) || is_read_only_claim(*declared);
    mounts.push_back({target, path, read_only, propagation(mount.mount_propagation)});
  }
  if (!own_hosts) mounts.push_back({"/etc/hosts", pod_dir(pod.metadata.uid) + "/etc-hosts", false, {}});
  if (!container.termination_message_path.empty()) {
    std::string log = termination_log(pod.metadata.uid, container.name, attempt);
    TRY(linux::make_dirs(log.substr(0, log.find_last_of('/')), 0750));
    // Any user in the container may write its last words.
    TRY(linux::write_file(log, "", 0666));
    mounts.push_back({container.termination_message_path, log, false, {}});
  }
  return mounts;
}

Status VolumeManager::tear_down(const std::string& pod_uid) {
  objects_.release(pod_uid);
  tokens_.forget_pod(pod_uid);
  if (claims_) claims_->release(pod_uid);
  std::string directory = pod_dir(pod_uid);
  if (!linux::exists(directory)) return {};
  TRY(linux::unmount_under(directory));
  return linux::remove_tree(directory);
}

std::vector<std::string> VolumeManager::pods_on_disk() const { return linux::list_dir(root_dir_ + "/pods"); }

}  // namespace trireme::kubelet
