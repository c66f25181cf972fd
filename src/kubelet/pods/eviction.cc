#include "kubelet/pods/eviction.h"

#include <fmt/format.h>

#include "linux/file.h"

namespace trireme::kubelet {

std::optional<PodFailure> over_volume_limit(const api::corev1::Pod& pod, const VolumeManager& volumes) {
  for (const auto& volume : pod.spec.volumes) {
    const auto& source = volume.volume_source.empty_dir;
    if (!source || !source->size_limit || source->medium == "Memory" || source->size_limit->sign() <= 0) continue;
    uint64_t used = linux::tree_usage(volumes.volume_path(pod, volume)).bytes;
    if (used <= static_cast<uint64_t>(source->size_limit->value())) continue;
    return PodFailure{"Evicted", fmt::format("Usage of EmptyDir volume \"{}\" exceeds the limit \"{}\". ", volume.name,
                                             source->size_limit->to_string())};
  }
  return std::nullopt;
}

void enforce_volume_limits(NodeServices& node, PodManager& pods) {
  for (const api::corev1::Pod& pod : pods.pods()) {
    if (pod.status.phase != "Running") continue;
    auto failure = over_volume_limit(pod, node.volumes);
    if (!failure) continue;
    node.events->warning(pod, "Evicted", failure->message);
    if (auto worker = pods.find_uid(pod.metadata.uid)) worker->fail(*failure);
  }
}

}  // namespace trireme::kubelet
