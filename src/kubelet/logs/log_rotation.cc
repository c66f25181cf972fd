#include "kubelet/logs/log_rotation.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <vector>

#include "base/log.h"
#include "kubelet/pods/container_config.h"
#include "kubelet/pods/labels.h"
#include "linux/file.h"

namespace trireme::kubelet {
namespace {

std::string timestamp() {
  std::time_t now = std::time(nullptr);
  tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y%m%d-%H%M%S", &parts);
  return text;
}

}  // namespace

Status rotate_log(const std::string& path, const std::string& timestamp, int max_files,
                  const std::function<Status()>& reopen) {
  size_t slash = path.find_last_of('/');
  std::string directory = path.substr(0, slash);
  std::string prefix = path.substr(slash + 1) + ".";
  std::vector<std::string> rotated;
  for (const std::string& name : linux::list_dir(directory)) {
    if (name.starts_with(prefix)) rotated.push_back(directory + "/" + name);
  }
  // Names sort by time. After the rotation there are one more, and the new current file.
  auto keep = static_cast<size_t>(std::max(max_files - 2, 0));
  for (size_t i = 0; i + keep < rotated.size(); ++i) TRY(linux::remove_tree(rotated[i]));
  std::string target = path + "." + timestamp;
  if (::rename(path.c_str(), target.c_str()) != 0) return linux::errno_status("rename", path, errno);
  Status status = reopen();
  if (!status.ok()) ::rename(target.c_str(), path.c_str());
  return status;
}

void rotate_logs(cri::Runtime& runtime, const KubeletOptions& options) {
  for (const std::string& pod : linux::list_dir(options.pod_logs_dir)) {
    for (const std::string& container : linux::list_dir(options.pod_logs_dir + "/" + pod)) {
      std::string directory = options.pod_logs_dir + "/" + pod + "/" + container;
      for (const std::string& name : linux::list_dir(directory)) {
        std::string path = directory + "/" + name;
        struct stat info {};
        if (!name.ends_with(".log") || ::stat(path.c_str(), &info) != 0) continue;
        if (static_cast<uint64_t>(info.st_size) < options.container_log_max_size) continue;
        // "<namespace>_<name>_<uid>"
        cri::StringMap selector{{std::string(labels::kPodUid), pod.substr(pod.find_last_of('_') + 1)},
                                {std::string(labels::kContainerName), container}};
        auto containers = runtime.list_containers({{}, {}, selector});
        if (!containers.ok()) return;
        for (const cri::Container& candidate : *containers) {
          if (candidate.state != cri::ContainerState::kRunning || name != fmt::format("{}.log", candidate.attempt)) {
            continue;
          }
          Status status = rotate_log(path, timestamp(), options.container_log_max_files,
                                     [&] { return runtime.reopen_log(candidate.id); });
          if (!status.ok()) log::warning("Could not rotate a log", {{"path", path}, {"error", status}});
        }
      }
    }
  }
}

}  // namespace trireme::kubelet
