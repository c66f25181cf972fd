#include <algorithm>
#include <set>
#include <utility>

#include "scheduler/plugins/plugins.h"
#include "scheduler/plugins/volumes.h"

namespace trireme::scheduler::plugins {
namespace {

using api::corev1::PersistentVolumeClaim;
using api::corev1::Pod;
using api::corev1::Volume;
using api::corev1::VolumeSource;

bool share_any(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  return std::ranges::any_of(a, [&](const std::string& each) { return std::ranges::count(b, each) > 0; });
}

/// Whether both name one disk of a cloud or a network that cannot be mounted twice so.
bool conflict(const VolumeSource& a, const VolumeSource& b) {
  if (a.gce_persistent_disk && b.gce_persistent_disk) {
    const auto &x = *a.gce_persistent_disk, &y = *b.gce_persistent_disk;
    if (x.pd_name == y.pd_name && !(x.read_only && y.read_only)) return true;
  }
  if (a.aws_elastic_block_store && b.aws_elastic_block_store) {
    if (a.aws_elastic_block_store->volume_id == b.aws_elastic_block_store->volume_id) return true;
  }
  if (a.iscsi && b.iscsi) {
    if (a.iscsi->iqn == b.iscsi->iqn && !(a.iscsi->read_only && b.iscsi->read_only)) return true;
  }
  if (a.rbd && b.rbd) {
    const auto &x = *a.rbd, &y = *b.rbd;
    if (share_any(x.monitors, y.monitors) && x.pool == y.pool && x.image == y.image && !(x.read_only && y.read_only)) {
      return true;
    }
  }
  return false;
}

bool may_conflict(const VolumeSource& source) {
  return source.gce_persistent_disk || source.aws_elastic_block_store || source.iscsi || source.rbd;
}

bool conflicts_with(const Pod& pod, const Pod& other) {
  return std::ranges::any_of(pod.spec.volumes, [&](const Volume& volume) {
    return may_conflict(volume.volume_source) && std::ranges::any_of(other.spec.volumes, [&](const Volume& each) {
             return conflict(volume.volume_source, each.volume_source);
           });
  });
}

/// How many volumes of the pod are among `claims`, in its namespace.
int uses(const Pod& pod, const std::string& ns, const std::set<std::string>& claims) {
  if (pod.metadata.namespace_ != ns) return 0;
  return static_cast<int>(std::ranges::count_if(pod.spec.volumes, [&](const Volume& volume) {
    const auto& source = volume.volume_source.persistent_volume_claim;
    return source && claims.contains(source->claim_name);
  }));
}

class Filter final : public NodeFilter {
 public:
  Filter(const PodInfo& pod, bool has_disks, std::set<std::string> exclusive, const Cache& cache)
      : pod_(*pod.pod), has_disks_(has_disks), exclusive_(std::move(exclusive)) {
    if (exclusive_.empty()) return;
    for (const NodeInfo* node : cache.nodes()) {
      for (const PodInfoPointer& each : node->pods) in_use_ += uses(*each->pod, pod_.metadata.namespace_, exclusive_);
    }
  }
  Fit check(const NodeInfo& node, Reasons& reasons) const override {
    if (has_disks_) {
      const bool taken =
          std::ranges::any_of(node.pods, [&](const PodInfoPointer& each) { return conflicts_with(pod_, *each->pod); });
      if (taken) {
        reasons.emplace_back("node(s) had no available disk");
        return Fit::kUnschedulable;
      }
    }
    if (in_use_ > 0) {
      reasons.emplace_back(
          "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode");
      return Fit::kUnschedulable;
    }
    return Fit::kFits;
  }
  void add_pod(const PodInfo& pod, const NodeInfo&) override {
    in_use_ += uses(*pod.pod, pod_.metadata.namespace_, exclusive_);
  }
  void remove_pod(const PodInfo& pod, const NodeInfo&) override {
    in_use_ -= uses(*pod.pod, pod_.metadata.namespace_, exclusive_);
  }

 private:
  const Pod& pod_;
  const bool has_disks_;
  const std::set<std::string> exclusive_;  ///< Claims that one pod at a time may use.
  int in_use_ = 0;
};

class VolumeRestrictions final : public Plugin {
 public:
  explicit VolumeRestrictions(const PluginContext& context) : caches_(*context.informers) {}
  std::string_view name() const override { return "VolumeRestrictions"; }
  uint32_t points() const override { return point_bit(Point::kFilter); }

  FilterPlan plan_filter(const PodInfo& pod, const Cache& cache) const override {
    FilterPlan plan;
    const auto& volumes = pod.pod->spec.volumes;
    const bool has_disks =
        std::ranges::any_of(volumes, [](const Volume& each) { return may_conflict(each.volume_source); });
    std::set<std::string> exclusive;
    for (const Volume& volume : volumes) {
      const auto& source = volume.volume_source.persistent_volume_claim;
      if (!source) continue;
      const auto claim = caches_.claims.get(pod.pod->metadata.namespace_, source->claim_name);
      if (claim && std::ranges::count(claim->spec.access_modes, api::corev1::kReadWriteOncePod) > 0) {
        exclusive.insert(source->claim_name);
      }
    }
    if (has_disks || !exclusive.empty()) {
      plan.filter = std::make_unique<Filter>(pod, has_disks, std::move(exclusive), cache);
    }
    return plan;
  }

  uint32_t changes() const override { return kPodGone | kNodeAdded | kClaimAdded; }
  bool may_help(const PodInfo& pod, const ClusterChange& change, const Cache&) const override {
    if (change.kinds & kClaimAdded) {
      const auto* claim = change.object_as<PersistentVolumeClaim>();
      return !claim || uses_claim(*pod.pod, *claim);
    }
    if (!change.pod || !(change.kinds & kPodGone)) return true;
    if (conflicts_with(*pod.pod, *change.pod->pod)) return true;
    std::set<std::string> claims;
    for (const Volume& volume : pod.pod->spec.volumes) {
      const auto& source = volume.volume_source.persistent_volume_claim;
      if (source) claims.insert(source->claim_name);
    }
    return uses(*change.pod->pod, pod.pod->metadata.namespace_, claims) > 0;
  }

 private:
  VolumeCaches caches_;
};

}  // namespace

std::shared_ptr<Plugin> volume_restrictions(const PluginContext& context) {
  return context.informers ? std::make_shared<VolumeRestrictions>(context) : nullptr;
}

}  // namespace trireme::scheduler::plugins
