#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <utility>

#include "client/event_recorder.h"
#include "scheduler/plugins/plugins.h"
#include "scheduler/plugins/volumes.h"

namespace trireme::scheduler::plugins {

using api::ClaimPointer;
using api::ClassPointer;
using api::VolumePointer;
using api::corev1::PersistentVolume;
using api::corev1::PersistentVolumeClaim;
using api::corev1::Pod;
using api::storagev1::CSIDriver;
using api::storagev1::CSIStorageCapacity;
using api::storagev1::StorageClass;

bool uses_claim(const Pod& pod, const PersistentVolumeClaim& claim) {
  return pod.metadata.namespace_ == claim.metadata.namespace_ &&
         std::ranges::any_of(pod.spec.volumes,
                             [&](const auto& volume) { return api::claim_name(pod, volume) == claim.metadata.name; });
}

bool uses_claims(const Pod& pod) {
  return std::ranges::any_of(pod.spec.volumes,
                             [&](const auto& volume) { return !api::claim_name(pod, volume).empty(); });
}

bool provisions(const StorageClass& storage_class) {
  return !storage_class.provisioner.empty() && storage_class.provisioner != "kubernetes.io/no-provisioner";
}

namespace {

constexpr std::string_view kByClass = "class";

bool is_bound(const PersistentVolumeClaim& claim) {
  return !claim.spec.volume_name.empty() && api::has_annotation(claim.metadata, api::kBindCompleted);
}

bool can_be_reached(const PersistentVolume& volume, const api::corev1::Node& node) {
  const auto& affinity = volume.spec.node_affinity;
  if (!affinity || !affinity->required) return true;
  return std::ranges::any_of(affinity->required->node_selector_terms,
                             [&](const auto& term) { return matches_term(term, node); });
}

/// A class without topologies allows every node.
bool topology_allows(const StorageClass& storage_class, const NodeInfo& node) {
  if (storage_class.allowed_topologies.empty()) return true;
  return std::ranges::any_of(storage_class.allowed_topologies, [&](const auto& term) {
    return !term.match_label_expressions.empty() &&
           std::ranges::all_of(term.match_label_expressions, [&](const auto& expression) {
             const std::string* value = node.label(expression.key);
             return value && std::ranges::count(expression.values, *value) > 0;
           });
  });
}

uint64_t version_of(const api::metav1::ObjectMeta& metadata) {
  uint64_t version = 0;
  const std::string& text = metadata.resource_version;
  std::from_chars(text.data(), text.data() + text.size(), version);
  return version;
}

/// A pod's claims, by what is still to be done for them.
struct PodClaims {
  struct Delayed {
    ClaimPointer claim;
    ClassPointer storage_class;
    std::vector<VolumePointer> candidates;  ///< Volumes of its class that others have not set aside.
    std::string selected_node;              ///< Not empty: it is to be provisioned there.
  };
  std::vector<VolumePointer> bound;
  bool volume_missing = false;   ///< One is bound to a volume that does not exist.
  std::vector<Delayed> delayed;  ///< The smallest first.
};

/// What binding the pod to a node entails.
struct Decision {
  std::vector<std::pair<VolumePointer, ClaimPointer>> bindings;
  std::vector<ClaimPointer> to_provision;
};

class VolumeBinding;

class VolumeReservation final : public Reservation {
 public:
  VolumeReservation(VolumeBinding& plugin, Decision decision, std::string node)
      : plugin_(plugin), decision_(std::move(decision)), node_(std::move(node)) {}
  Result<Progress> pre_bind() override;
  void unreserve() override;
  void post_bind() override { unreserve(); }

 private:
  Status write();
  Result<bool> all_bound();

  VolumeBinding& plugin_;
  const Decision decision_;
  const std::string node_;
  std::optional<Duration> deadline_;
  uint64_t volumes_written_ = 0;
  uint64_t claims_written_ = 0;
};

class VolumeBinding final : public Plugin {
 public:
  explicit VolumeBinding(const PluginContext& context)
      : client_(*context.client),
        clock_(context.clock),
        bind_timeout_(context.args.volume_binding.bind_timeout),
        caches_(*context.informers),
        drivers_(context.informers->informer<CSIDriver>()),
        capacities_(context.informers->informer<CSIStorageCapacity>()) {
    caches_.volumes.add_index(std::string(kByClass), [](const PersistentVolume& volume) -> std::vector<std::string> {
      return {api::class_of(volume)};
    });
    capacities_.add_index(std::string(kByClass), [](const CSIStorageCapacity& each) -> std::vector<std::string> {
      return {each.storage_class_name};
    });
  }

  std::string_view name() const override { return "VolumeBinding"; }
  uint32_t points() const override { return point_bit(Point::kFilter) | point_bit(Point::kReserve); }

  FilterPlan plan_filter(const PodInfo& pod, const Cache&) const override;
  Result<std::unique_ptr<Reservation>> reserve(const PodInfo& pod, const NodeInfo& node, const Cache&) override;

  uint32_t changes() const override {
    return kNodeAdded | kNodeLabels | kClaimAdded | kClaimUpdated | kVolumeAdded | kVolumeUpdated | kStorageClassAdded |
           kStorageClassUpdated | kCsiDriverUpdated | kCsiCapacityAdded | kCsiCapacityUpdated;
  }
  bool may_help(const PodInfo& pod, const ClusterChange& change, const Cache&) const override {
    if (change.kinds & (kClaimAdded | kClaimUpdated)) {
      const auto* claim = change.object_as<PersistentVolumeClaim>();
      return !claim || uses_claim(*pod.pod, *claim);
    }
    return uses_claims(*pod.pod);
  }

  /// Nothing when the node cannot have the volumes; then `reasons` tells why.
  std::optional<Decision> decide(const PodClaims& claims, const NodeInfo& node, Reasons& reasons) const;

  void set_aside(const Decision& decision, const std::string& node) {
    for (const auto& [volume, claim] : decision.bindings) set_aside_.insert(volume->metadata.name);
    for (const ClaimPointer& claim : decision.to_provision) selected_[client::key_of(claim->metadata)] = node;
  }
  void release(const Decision& decision) {
    for (const auto& [volume, claim] : decision.bindings) set_aside_.erase(volume->metadata.name);
    for (const ClaimPointer& claim : decision.to_provision) selected_.erase(client::key_of(claim->metadata));
  }

  client::Client& client() { return client_; }
  Clock& clock() { return *clock_; }
  Duration bind_timeout() const { return bind_timeout_; }
  VolumeCaches& caches() { return caches_; }

 private:
  /// An empty text in `refused` when the pod can be tried.
  PodClaims collect(const Pod& pod, std::string& refused) const;
  std::string check_claim(const Pod& pod, const api::corev1::Volume& volume, const ClaimPointer& claim) const;
  enum class Provision : uint8_t { kYes, kNo, kNoSpace };
  Provision can_provision(const PodClaims::Delayed& delayed, const NodeInfo& node) const;
  bool has_space(const PodClaims::Delayed& delayed, const NodeInfo& node) const;

  client::Client client_;
  const std::shared_ptr<Clock> clock_;
  const Duration bind_timeout_;
  VolumeCaches caches_;
  client::Informer<CSIDriver>& drivers_;
  client::Informer<CSIStorageCapacity>& capacities_;
  // Decided for pods under way, which the caches may not show yet. The scheduling thread's.
  std::set<std::string> set_aside_;              ///< Volumes.
  std::map<std::string, std::string> selected_;  ///< Claims, and the nodes they are provisioned for.
};

class Filter final : public NodeFilter {
 public:
  Filter(const VolumeBinding& plugin, PodClaims claims) : plugin_(plugin), claims_(std::move(claims)) {}
  Fit check(const NodeInfo& node, Reasons& reasons) const override {
    return plugin_.decide(claims_, node, reasons) ? Fit::kFits : Fit::kUnresolvable;
  }

 private:
  const VolumeBinding& plugin_;
  const PodClaims claims_;
};

std::string VolumeBinding::check_claim(const Pod& pod, const api::corev1::Volume& volume,
                                       const ClaimPointer& claim) const {
  const bool ephemeral = volume.volume_source.ephemeral.has_value();
  if (!claim) {
    const std::string name = api::claim_name(pod, volume);
    return ephemeral
               ? fmt::format("waiting for ephemeral volume controller to create the persistentvolumeclaim \"{}\"", name)
               : fmt::format("persistentvolumeclaim \"{}\" not found", name);
  }
  const std::string& name = claim->metadata.name;
  if (claim->status.phase == api::corev1::kClaimLost) {
    return fmt::format("persistentvolumeclaim \"{}\" bound to non-existent persistentvolume \"{}\"", name,
                       claim->spec.volume_name);
  }
  if (claim->metadata.deletion_timestamp) return fmt::format("persistentvolumeclaim \"{}\" is being deleted", name);
  return ephemeral ? api::check_ephemeral_owner(pod, *claim).message() : std::string();
}

PodClaims VolumeBinding::collect(const Pod& pod, std::string& refused) const {
  PodClaims out;
  bool immediate = false;
  for (const auto& volume : pod.spec.volumes) {
    const std::string name = api::claim_name(pod, volume);
    if (name.empty()) continue;
    const ClaimPointer claim = caches_.claims.get(pod.metadata.namespace_, name);
    refused = check_claim(pod, volume, claim);
    if (!refused.empty()) return out;
    if (is_bound(*claim)) {
      out.bound.push_back(caches_.volumes.get("", claim->spec.volume_name));
      out.volume_missing |= !out.bound.back();
      continue;
    }
    const ClassPointer storage_class = caches_.classes.get("", api::class_of(*claim));
    if (!claim->spec.volume_name.empty() || !storage_class || !api::delays_binding(*storage_class)) {
      immediate = true;
      continue;
    }
    PodClaims::Delayed& delayed = out.delayed.emplace_back();
    delayed.claim = claim;
    delayed.storage_class = storage_class;
    const auto selected = selected_.find(client::key_of(claim->metadata));
    delayed.selected_node =
        selected != selected_.end() ? selected->second : claim->metadata.annotations.get(api::kSelectedNode);
    if (!delayed.selected_node.empty()) continue;
    delayed.candidates = caches_.volumes.by_index(kByClass, storage_class->metadata.name);
    std::erase_if(delayed.candidates,
                  [&](const VolumePointer& each) { return set_aside_.contains(each->metadata.name); });
  }
  if (immediate) refused = "pod has unbound immediate PersistentVolumeClaims";
  std::ranges::stable_sort(out.delayed, {},
                           [](const PodClaims::Delayed& each) { return api::requested_storage(*each.claim); });
  return out;
}

FilterPlan VolumeBinding::plan_filter(const PodInfo& pod, const Cache&) const {
  FilterPlan plan;
  if (!uses_claims(*pod.pod)) return plan;
  PodClaims claims = collect(*pod.pod, plan.refused);
  if (plan.refused.empty()) plan.filter = std::make_unique<Filter>(*this, std::move(claims));
  return plan;
}

bool VolumeBinding::has_space(const PodClaims::Delayed& delayed, const NodeInfo& node) const {
  const auto driver = drivers_.get("", delayed.storage_class->provisioner);
  if (!driver || !driver->spec.storage_capacity.value_or(false)) return true;
  const Quantity size = api::requested_storage(*delayed.claim);
  const auto found = capacities_.by_index(kByClass, delayed.storage_class->metadata.name);
  return std::ranges::any_of(found, [&](const auto& capacity) {
    const auto& limit = capacity->maximum_volume_size ? capacity->maximum_volume_size : capacity->capacity;
    if (!limit || *limit < size || !capacity->node_topology) return false;
    const auto topology = api::LabelSelector::from(*capacity->node_topology);
    return topology.ok() && topology->matches(node.labels());
  });
}

VolumeBinding::Provision VolumeBinding::can_provision(const PodClaims::Delayed& delayed, const NodeInfo& node) const {
  if (!provisions(*delayed.storage_class) || !topology_allows(*delayed.storage_class, node)) return Provision::kNo;
  return has_space(delayed, node) ? Provision::kYes : Provision::kNoSpace;
}

std::optional<Decision> VolumeBinding::decide(const PodClaims& claims, const NodeInfo& node, Reasons& reasons) const {
  Decision decision;
  const bool reached = std::ranges::all_of(
      claims.bound, [&](const VolumePointer& each) { return !each || can_be_reached(*each, *node.node); });
  if (!reached) reasons.emplace_back("node(s) had volume node affinity conflict");
  bool found_all = true;
  bool space = true;
  std::set<std::string> taken;
  const api::VolumeFilter usable = [&](const PersistentVolume& volume) {
    return !taken.contains(volume.metadata.name) && can_be_reached(volume, *node.node);
  };
  for (const PodClaims::Delayed& each : claims.delayed) {
    if (!each.selected_node.empty() && each.selected_node != node.name) {
      found_all = false;
      break;
    }
    const auto match = api::find_matching_volume(*each.claim, each.candidates, true, usable);
    if (match.ok() && *match) {
      taken.insert((*match)->metadata.name);
      decision.bindings.emplace_back(*match, each.claim);
      continue;
    }
    const Provision provision = can_provision(each, node);
    found_all &= provision != Provision::kNo;
    space &= provision != Provision::kNoSpace;
    decision.to_provision.push_back(each.claim);
    if (!found_all || !space) break;
  }
  if (!found_all) reasons.emplace_back("node(s) didn't find available persistent volumes to bind");
  if (!space) reasons.emplace_back("node(s) did not have enough free storage");
  if (claims.volume_missing) {
    reasons.emplace_back("node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)");
  }
  if (!reached || !found_all || !space || claims.volume_missing) return std::nullopt;
  return decision;
}

Result<std::unique_ptr<Reservation>> VolumeBinding::reserve(const PodInfo& pod, const NodeInfo& node, const Cache&) {
  if (!uses_claims(*pod.pod)) return std::unique_ptr<Reservation>();
  std::string refused;
  const PodClaims claims = collect(*pod.pod, refused);
  if (!refused.empty()) return Status(Reason::kConflict, refused);
  if (claims.delayed.empty()) return std::unique_ptr<Reservation>();
  Reasons reasons;
  std::optional<Decision> decision = decide(claims, node, reasons);
  if (!decision) return Status(Reason::kConflict, reasons.empty() ? "volumes have changed" : *reasons.texts().front());
  set_aside(*decision, node.name);
  return std::unique_ptr<Reservation>(std::make_unique<VolumeReservation>(*this, std::move(*decision), node.name));
}

void VolumeReservation::unreserve() { plugin_.release(decision_); }

Status VolumeReservation::write() {
  for (const auto& [volume, claim] : decision_.bindings) {
    PersistentVolume changed = *volume;
    if (!api::is_bound_to(*volume, *claim)) {
      changed.metadata.annotations.insert_or_assign(api::kBoundByController, std::string("yes"));
    } else if (volume->spec.claim_ref->uid == claim->metadata.uid) {
      continue;
    }
    changed.spec.claim_ref = client::reference_to(*claim);
    TRY_ASSIGN(const PersistentVolume written, plugin_.client().update(changed));
    volumes_written_ = std::max(volumes_written_, version_of(written.metadata));
  }
  for (const ClaimPointer& claim : decision_.to_provision) {
    if (claim->metadata.annotations.get(api::kSelectedNode) == node_) continue;
    PersistentVolumeClaim changed = *claim;
    changed.metadata.annotations.insert_or_assign(api::kSelectedNode, node_);
    TRY_ASSIGN(const PersistentVolumeClaim written, plugin_.client().update(changed));
    claims_written_ = std::max(claims_written_, version_of(written.metadata));
  }
  return {};
}

Result<bool> VolumeReservation::all_bound() {
  VolumeCaches& caches = plugin_.caches();
  if (caches.volumes.version() < volumes_written_ || caches.claims.version() < claims_written_) return false;
  bool all = true;
  for (const auto& [volume, claim] : decision_.bindings) {
    const VolumePointer now = caches.volumes.get("", volume->metadata.name);
    if (!now || !now->spec.claim_ref || now->spec.claim_ref->uid != claim->metadata.uid) {
      return Status(Reason::kConflict, fmt::format("ClaimRef got reset for pv \"{}\"", volume->metadata.name));
    }
    const ClaimPointer current = caches.claims.get(client::key_of(claim->metadata));
    if (!current || current->metadata.uid != claim->metadata.uid) {
      return Status::not_found(fmt::format("persistentvolumeclaim \"{}\" not found", claim->metadata.name));
    }
    all &= is_bound(*current);
  }
  for (const ClaimPointer& claim : decision_.to_provision) {
    const ClaimPointer current = caches.claims.get(client::key_of(claim->metadata));
    if (!current || current->metadata.uid != claim->metadata.uid) {
      return Status::not_found(fmt::format("persistentvolumeclaim \"{}\" not found", claim->metadata.name));
    }
    // The provisioner takes it away when it cannot serve the node.
    if (current->metadata.annotations.get(api::kSelectedNode) != node_ && !is_bound(*current)) {
      return Status(Reason::kConflict, fmt::format("provisioning failed for PVC \"{}\"", claim->metadata.name));
    }
    all &= is_bound(*current);
  }
  return all;
}

Result<Reservation::Progress> VolumeReservation::pre_bind() {
  const auto failed = [](const Status& why) { return why.with_context("binding volumes"); };
  const Duration now = plugin_.clock().monotonic();
  if (!deadline_) {
    deadline_ = now + plugin_.bind_timeout();
    if (Status status = write(); !status.ok()) return failed(status);
  }
  const Result<bool> bound = all_bound();
  if (!bound.ok()) return failed(bound.status());
  if (*bound) return Progress{};
  if (now >= *deadline_) return failed(Status::timeout("context deadline exceeded"));
  return Progress{.done = false, .look_again = deadline_};
}

}  // namespace

std::shared_ptr<Plugin> volume_binding(const PluginContext& context) {
  return context.informers && context.client ? std::make_shared<VolumeBinding>(context) : nullptr;
}

}  // namespace trireme::scheduler::plugins
