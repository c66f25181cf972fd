#include <algorithm>

#include "scheduler/plugins/plugins.h"

namespace trireme::scheduler::plugins {
namespace {

constexpr int64_t kMegabyte = 1024 * 1024;
constexpr int64_t kMinimum = 23 * kMegabyte;
constexpr int64_t kMaximumPerContainer = 1000 * kMegabyte;

/// As nodes report it: with a tag.
std::string normalized(const std::string& image) {
  const size_t colon = image.rfind(':');
  const size_t slash = image.rfind('/');
  const bool tagged = colon != std::string::npos && (slash == std::string::npos || colon > slash);
  return tagged ? image : image + ":latest";
}

struct Image {
  std::string name;
  double spread;  ///< The share of all nodes that hold it: an image that few hold must not draw all pods there.
};

class Scorer final : public NodeScorer {
 public:
  Scorer(std::vector<Image> images, int64_t containers) : images_(std::move(images)), containers_(containers) {}

  void score(std::span<const NodeInfo* const> nodes, std::span<int64_t> scores) const override {
    const int64_t maximum = kMaximumPerContainer * containers_;
    for (size_t i = 0; i < nodes.size(); ++i) {
      int64_t sum = 0;
      for (const Image& image : images_) {
        const auto found = nodes[i]->image_bytes.find(image.name);
        if (found == nodes[i]->image_bytes.end()) continue;
        sum += static_cast<int64_t>(static_cast<double>(found->second) * image.spread);
      }
      scores[i] = kMaxScore * (std::clamp(sum, kMinimum, maximum) - kMinimum) / (maximum - kMinimum);
    }
  }

 private:
  std::vector<Image> images_;
  int64_t containers_;
};

class ImageLocality final : public Plugin {
 public:
  std::string_view name() const override { return "ImageLocality"; }
  uint32_t points() const override { return point_bit(Point::kScore); }
  std::unique_ptr<NodeScorer> plan_score(const PodInfo& pod, const Cache& cache,
                                         std::span<const NodeInfo* const>) const override {
    std::vector<Image> images;
    const auto all = static_cast<double>(cache.nodes().size());
    const auto add = [&](const std::vector<api::corev1::Container>& containers) {
      for (const auto& container : containers) {
        std::string name = normalized(container.image);
        const int64_t holders = cache.nodes_with_image(name);
        if (holders > 0) images.push_back({std::move(name), static_cast<double>(holders) / all});
      }
    };
    const auto& spec = pod.pod->spec;
    add(spec.init_containers);
    add(spec.containers);
    if (images.empty()) return nullptr;
    return std::make_unique<Scorer>(std::move(images),
                                    static_cast<int64_t>(spec.init_containers.size() + spec.containers.size()));
  }
};

}  // namespace

std::shared_ptr<Plugin> image_locality() { return std::make_shared<ImageLocality>(); }

}  // namespace trireme::scheduler::plugins
