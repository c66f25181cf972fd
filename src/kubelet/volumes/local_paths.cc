#include "kubelet/volumes/local_paths.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>

#include "api/local_path.h"
#include "api/value.h"
#include "base/log.h"
#include "linux/file.h"

namespace trireme::kubelet {

using api::corev1::Node;
using api::corev1::PersistentVolume;

Status LocalPaths::prepare(const PersistentVolume& volume) const {
  const std::string name = api::local_path_directory(volume);
  if (name.empty() || volume.metadata.annotations.get(api::kLocalPathNode) != node_name_) return {};
  const std::string path = fmt::format("{}/{}", folder_, name);
  // Made under another folder, before this kubelet was told to use this one.
  if (volume.spec.persistent_volume_source.local->path != path || linux::exists(path)) return {};
  TRY(linux::make_dirs(folder_, 0755));
  TRY(linux::make_dirs(path, 0777));
  // Any user in a container may write, as with other provisioners of directories; the umask may have said otherwise.
  return ::chmod(path.c_str(), 0777) == 0 ? Status() : linux::errno_status("chmod", path, errno);
}

Status LocalPaths::remove(const std::string& name) const {
  if (!api::is_plain_name(name)) return Status::bad_request(fmt::format("\"{}\" is no name of a directory", name));
  return linux::remove_tree(fmt::format("{}/{}", folder_, name));
}

void LocalPaths::follow(client::Informer<Node>& nodes) {
  nodes.add_handler([this](const auto&, const auto& after) {
    if (after && after->metadata.name == node_name_) remove_asked(*after);
  });
}

void LocalPaths::remove_asked(const Node& node) {
  for (const auto& [key, value] : node.metadata.annotations) {
    if (!key.starts_with(api::kLocalPathRemoval) || value == api::kLocalPathRemoved) continue;
    {
      const std::lock_guard lock(mutex_);
      if (!under_way_.insert(key).second) continue;
    }
    pool_.post([this, key = key, name = value] {
      Status status = remove(name);
      if (status.ok()) {
        api::Value patch = api::Value::object();
        patch["metadata"]["annotations"][key] = api::Value(api::kLocalPathRemoved);
        status = client_.patch<Node>("", node_name_, client::PatchType::kMerge, api::to_json(patch)).status();
      }
      if (status.ok()) {
        log::info("Deleted a volume's directory", {{"directory", name}});
      } else {
        // The node's next report, minutes from now at most, brings another try.
        log::warning("Could not delete a volume's directory", {{"directory", name}, {"error", status}});
      }
      const std::lock_guard lock(mutex_);
      under_way_.erase(key);
    });
  }
}

}  // namespace trireme::kubelet
