#include "kubelet/images/image_gc.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/log.h"
#include "kubelet/node/machine.h"

namespace trireme::kubelet {
namespace {

std::set<std::string> images_in_use(const std::vector<cri::Image>& images,
                                    const std::vector<cri::Container>& containers) {
  std::set<std::string> names;
  for (const cri::Container& container : containers) {
    names.insert(container.image);
    names.insert(container.image_ref);
  }
  std::set<std::string> used;
  for (const cri::Image& image : images) {
    bool named = names.contains(image.id);
    for (const auto* list : {&image.repo_tags, &image.repo_digests}) {
      named |= std::any_of(list->begin(), list->end(), [&](const std::string& name) { return names.contains(name); });
    }
    if (named) used.insert(image.id);
  }
  return used;
}

}  // namespace

std::vector<std::string> choose_images(const std::vector<cri::Image>& images,
                                       const std::vector<cri::Container>& containers, const ImageAges& ages,
                                       uint64_t bytes_to_free, WallTime now, Duration minimum_age) {
  std::set<std::string> used = images_in_use(images, containers);
  std::vector<const cri::Image*> candidates;
  for (const cri::Image& image : images) {
    auto age = ages.by_id.find(image.id);
    bool young = age == ages.by_id.end() || now - age->second.detected < minimum_age;
    if (!image.pinned && !young && !used.contains(image.id)) candidates.push_back(&image);
  }
  std::sort(candidates.begin(), candidates.end(), [&](const cri::Image* a, const cri::Image* b) {
    const ImageAges::Age& x = ages.by_id.at(a->id);
    const ImageAges::Age& y = ages.by_id.at(b->id);
    return x.used != y.used ? x.used < y.used : x.detected < y.detected;
  });
  std::vector<std::string> chosen;
  uint64_t freed = 0;
  for (const cri::Image* image : candidates) {
    if (freed >= bytes_to_free) break;
    chosen.push_back(image->id);
    freed += image->size;
  }
  return chosen;
}

void collect_images(cri::Runtime& runtime, const KubeletOptions& options, WallTime now, ImageAges& ages,
                    client::EventRecorder& events) {
  auto images = runtime.list_images();
  auto containers = runtime.list_containers({});
  auto filesystems = runtime.image_filesystems();
  if (!images.ok() || !containers.ok() || !filesystems.ok() || filesystems->empty()) return;
  std::set<std::string> used = images_in_use(*images, *containers);
  ImageAges current;
  for (const cri::Image& image : *images) {
    auto known = ages.by_id.find(image.id);
    ImageAges::Age age = known == ages.by_id.end() ? ImageAges::Age{now, WallTime()} : known->second;
    if (used.contains(image.id)) age.used = now;
    current.by_id[image.id] = age;
  }
  ages = std::move(current);
  FilesystemSpace space = filesystem_space(filesystems->front().mountpoint);
  if (space.capacity_bytes == 0) return;
  uint64_t in_use = space.capacity_bytes - std::min(space.available_bytes, space.capacity_bytes);
  auto percent = static_cast<int>(in_use * 100 / space.capacity_bytes);
  if (percent < options.image_gc_high_threshold_percent) return;
  uint64_t target = space.capacity_bytes / 100 * static_cast<uint64_t>(options.image_gc_low_threshold_percent);
  uint64_t wanted = in_use - std::min(target, in_use);
  uint64_t freed = 0;
  for (const std::string& id : choose_images(*images, *containers, ages, wanted, now, options.image_minimum_gc_age)) {
    if (Status status = runtime.remove_image(id); !status.ok()) {
      log::warning("Could not remove an unused image", {{"image", id}, {"error", status}});
      continue;
    }
    for (const cri::Image& image : *images) freed += image.id == id ? image.size : 0;
  }
  log::info("Removed unused images", {{"usage_percent", percent}, {"bytes", freed}});
  if (freed < wanted) {
    api::corev1::ObjectReference node;
    node.kind = "Node";
    node.name = node.uid = options.node_name;
    events.warning(node, "FreeDiskSpaceFailed",
                   fmt::format("Failed to garbage collect required amount of images. Attempted to free {} bytes, but "
                               "only found {} bytes eligible to free.",
                               wanted, freed));
  }
}

}  // namespace trireme::kubelet
