#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "scheduler/plugins/plugins.h"
#include "scheduler/plugins/volumes.h"

namespace trireme::scheduler::plugins {
namespace {

using api::corev1::PersistentVolume;
using api::corev1::PersistentVolumeClaim;

/// The labels that say where something is, each with its other name.
constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kTopologyLabels = {{
    {"topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"},
    {"topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region"},
    {"failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"},
    {"failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"},
}};

/// The zones in a volume's label: several are joined by "__".
std::set<std::string> zones_of(std::string_view text) {
  constexpr std::string_view kDelimiter = "__";
  std::set<std::string> zones;
  while (true) {
    const size_t end = text.find(kDelimiter);
    zones.emplace(text.substr(0, end));
    if (end == std::string_view::npos) return zones;
    text.remove_prefix(end + kDelimiter.size());
  }
}

struct Wanted {
  size_t label;  ///< Its place in kTopologyLabels.
  std::set<std::string> values;
};

class Filter final : public NodeFilter {
 public:
  explicit Filter(std::vector<Wanted> wanted) : wanted_(std::move(wanted)) {}
  Fit check(const NodeInfo& node, Reasons& reasons) const override {
    const bool anywhere =
        std::ranges::none_of(kTopologyLabels, [&](const auto& each) { return node.label(each.first); });
    if (anywhere) return Fit::kFits;  // A cluster without zones.
    const bool fits = std::ranges::all_of(wanted_, [&](const Wanted& each) {
      const std::string* value = node.label(kTopologyLabels[each.label].first);
      if (!value) value = node.label(kTopologyLabels[each.label].second);
      return value && each.values.contains(*value);
    });
    if (fits) return Fit::kFits;
    reasons.emplace_back("node(s) had no available volume zone");
    return Fit::kUnresolvable;
  }

 private:
  const std::vector<Wanted> wanted_;
};

class VolumeZone final : public Plugin {
 public:
  explicit VolumeZone(const PluginContext& context) : caches_(*context.informers) {}
  std::string_view name() const override { return "VolumeZone"; }
  uint32_t points() const override { return point_bit(Point::kFilter); }

  FilterPlan plan_filter(const PodInfo& pod, const Cache&) const override {
    FilterPlan plan;
    std::vector<Wanted> wanted;
    for (const auto& volume : pod.pod->spec.volumes) {
      const auto& source = volume.volume_source.persistent_volume_claim;
      if (!source) continue;
      const auto claim = caches_.claims.get(pod.pod->metadata.namespace_, source->claim_name);
      if (!claim || claim->spec.volume_name.empty()) continue;  // Binding decides.
      const auto persistent = caches_.volumes.get("", claim->spec.volume_name);
      if (!persistent) continue;
      for (size_t i = 0; i < kTopologyLabels.size(); ++i) {
        const auto label = persistent->metadata.labels.find(kTopologyLabels[i].first);
        if (label != persistent->metadata.labels.end()) wanted.push_back({i, zones_of(label->second)});
      }
    }
    if (!wanted.empty()) plan.filter = std::make_unique<Filter>(std::move(wanted));
    return plan;
  }

  uint32_t changes() const override {
    return kNodeAdded | kNodeLabels | kClaimAdded | kClaimUpdated | kVolumeAdded | kVolumeUpdated | kStorageClassAdded;
  }
  bool may_help(const PodInfo& pod, const ClusterChange& change, const Cache&) const override {
    if (!(change.kinds & (kClaimAdded | kClaimUpdated))) return true;
    const auto* claim = change.object_as<PersistentVolumeClaim>();
    return !claim || uses_claim(*pod.pod, *claim);
  }

 private:
  VolumeCaches caches_;
};

}  // namespace

std::shared_ptr<Plugin> volume_zone(const PluginContext& context) {
  return context.informers ? std::make_shared<VolumeZone>(context) : nullptr;
}

}  // namespace trireme::scheduler::plugins
