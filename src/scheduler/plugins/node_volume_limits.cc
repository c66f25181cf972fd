#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "scheduler/plugins/plugins.h"
#include "scheduler/plugins/volumes.h"

namespace trireme::scheduler::plugins {
namespace {

using api::corev1::PersistentVolumeClaim;
using api::corev1::Pod;
using api::storagev1::CSINode;
using api::storagev1::VolumeAttachment;

constexpr std::string_view kByNode = "node";

/// Volumes by driver; one that several pods share counts once.
using VolumesByDriver = std::map<std::string, std::set<std::string>>;

class NodeVolumeLimits final : public Plugin {
 public:
  explicit NodeVolumeLimits(const PluginContext& context)
      : caches_(*context.informers),
        nodes_(context.informers->informer<CSINode>()),
        attachments_(context.informers->informer<VolumeAttachment>()) {
    attachments_.add_index(std::string(kByNode), [](const VolumeAttachment& each) -> std::vector<std::string> {
      return {each.spec.node_name};
    });
  }
  std::string_view name() const override { return "NodeVolumeLimits"; }
  uint32_t points() const override { return point_bit(Point::kFilter); }

  FilterPlan plan_filter(const PodInfo& pod, const Cache&) const override;

  uint32_t changes() const override { return kCsiNodeAdded | kCsiNodeUpdated | kPodGone | kClaimAdded; }
  bool may_help(const PodInfo& pod, const ClusterChange& change, const Cache&) const override {
    if (change.kinds & kClaimAdded) {
      const auto* claim = change.object_as<PersistentVolumeClaim>();
      return !claim || uses_claim(*pod.pod, *claim);
    }
    return !change.pod || !(change.kinds & kPodGone) || uses_claims(*change.pod->pod);
  }

  void collect(const Pod& pod, VolumesByDriver& volumes) const;
  bool exceeds(const NodeInfo& node, const VolumesByDriver& wanted) const;

 private:
  VolumeCaches caches_;
  client::Informer<CSINode>& nodes_;
  client::Informer<VolumeAttachment>& attachments_;
};

class Filter final : public NodeFilter {
 public:
  Filter(const NodeVolumeLimits& plugin, VolumesByDriver wanted) : plugin_(plugin), wanted_(std::move(wanted)) {}
  Fit check(const NodeInfo& node, Reasons& reasons) const override {
    if (!plugin_.exceeds(node, wanted_)) return Fit::kFits;
    reasons.emplace_back("node(s) exceed max volume count");
    return Fit::kUnschedulable;
  }

 private:
  const NodeVolumeLimits& plugin_;
  const VolumesByDriver wanted_;
};

void NodeVolumeLimits::collect(const Pod& pod, VolumesByDriver& volumes) const {
  for (const auto& volume : pod.spec.volumes) {
    const std::string name = api::claim_name(pod, volume);
    if (name.empty()) continue;
    const auto claim = caches_.claims.get(pod.metadata.namespace_, name);
    if (!claim) continue;
    if (volume.volume_source.ephemeral && !api::check_ephemeral_owner(pod, *claim).ok()) continue;
    const auto persistent =
        claim->spec.volume_name.empty() ? nullptr : caches_.volumes.get("", claim->spec.volume_name);
    if (persistent) {
      const auto& source = persistent->spec.persistent_volume_source.csi;
      if (source) volumes[source->driver].insert(source->volume_handle);
      continue;
    }
    // Its volume is still to be made, by the class's driver.
    const auto storage_class = caches_.classes.get("", api::class_of(*claim));
    if (storage_class && provisions(*storage_class)) {
      volumes[storage_class->provisioner].insert(fmt::format("unbound {}", client::key_of(claim->metadata)));
    }
  }
}

bool NodeVolumeLimits::exceeds(const NodeInfo& node, const VolumesByDriver& wanted) const {
  const auto csi_node = nodes_.get("", node.name);
  if (!csi_node) return false;
  std::map<std::string, int64_t> limits;
  for (const auto& driver : csi_node->spec.drivers) {
    if (driver.allocatable && driver.allocatable->count && wanted.contains(driver.name)) {
      limits[driver.name] = *driver.allocatable->count;
    }
  }
  if (limits.empty()) return false;
  VolumesByDriver present;
  for (const PodInfoPointer& pod : node.pods) collect(*pod->pod, present);
  // Volumes stay attached for a while after their pods.
  for (const auto& attachment : attachments_.by_index(kByNode, node.name)) {
    if (!attachment->spec.source.persistent_volume_name) continue;
    const auto volume = caches_.volumes.get("", *attachment->spec.source.persistent_volume_name);
    if (!volume || !volume->spec.persistent_volume_source.csi) continue;
    const auto& source = *volume->spec.persistent_volume_source.csi;
    present[source.driver].insert(source.volume_handle);
  }
  return std::ranges::any_of(limits, [&](const auto& limit) {
    std::set<std::string> all = present[limit.first];
    const size_t before = all.size();
    const auto& more = wanted.at(limit.first);
    all.insert(more.begin(), more.end());
    return all.size() > before && static_cast<int64_t>(all.size()) > limit.second;
  });
}

FilterPlan NodeVolumeLimits::plan_filter(const PodInfo& pod, const Cache&) const {
  FilterPlan plan;
  if (!uses_claims(*pod.pod)) return plan;
  VolumesByDriver wanted;
  collect(*pod.pod, wanted);
  if (!wanted.empty()) plan.filter = std::make_unique<Filter>(*this, std::move(wanted));
  return plan;
}

}  // namespace

std::shared_ptr<Plugin> node_volume_limits(const PluginContext& context) {
  return context.informers ? std::make_shared<NodeVolumeLimits>(context) : nullptr;
}

}  // namespace trireme::scheduler::plugins
