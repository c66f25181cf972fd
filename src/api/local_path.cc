#include "api/local_path.h"

#include <fmt/format.h>

#include "api/volumes.h"

namespace trireme::api {

bool is_plain_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos &&
         name.find('\0') == std::string_view::npos;
}

std::string local_path_directory(std::string_view volume, std::string_view ns, std::string_view claim) {
  constexpr size_t kMaxFileName = 255;
  return fmt::format("{}_{}_{}", volume, ns, claim).substr(0, kMaxFileName);
}

std::string local_path_directory(const corev1::PersistentVolume& volume) {
  const auto& local = volume.spec.persistent_volume_source.local;
  if (!local || volume.metadata.annotations.get(kProvisionedBy) != kLocalPathProvisioner) return {};
  std::string name = local->path.substr(local->path.find_last_of('/') + 1);
  return is_plain_name(name) ? name : std::string();
}

}  // namespace trireme::api
