#include "controllers/replicas/replica_manager.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "api/names.h"
#include "base/log.h"
#include "controllers/runtime/batches.h"
#include "controllers/support/ownership.h"
#include "controllers/support/pods.h"
#include "controllers/support/statuses.h"

namespace trireme::controllers {

using api::corev1::Pod;

namespace {

int phase_rank(const Pod& pod) {
  if (pod.status.phase == api::corev1::kPodPending) return 0;
  return pod.status.phase == api::corev1::kPodRunning ? 2 : 1;
}

int32_t most_restarts(const Pod& pod) {
  int32_t most = 0;
  for (const auto& container : pod.status.container_statuses) most = std::max(most, container.restart_count);
  return most;
}

/// Ages count by powers of ten: among pods of about the same age the choice is left to chance (here: the UID), so that
/// a rollout does not always lose its youngest.
int age_rank(std::optional<WallTime> since, WallTime now) {
  if (!since || *since > now) return -1;
  const double seconds = std::chrono::duration<double>(now - *since).count();
  return seconds < 1 ? 0 : static_cast<int>(std::log10(seconds));
}

std::optional<WallTime> created_at(const Pod& pod) {
  if (!pod.metadata.creation_timestamp) return std::nullopt;
  return pod.metadata.creation_timestamp.wall();
}

struct Ranked {
  PodPointer pod;
  bool assigned;
  int phase;
  bool ready;
  int32_t cost;
  int crowd;  ///< Related pods on the same node.
  int ready_age;
  int32_t restarts;
  int age;
};

bool deleted_before(const Ranked& a, const Ranked& b) {
  if (a.assigned != b.assigned) return !a.assigned;
  if (a.phase != b.phase) return a.phase < b.phase;
  if (a.ready != b.ready) return !a.ready;
  if (a.cost != b.cost) return a.cost < b.cost;
  if (a.crowd != b.crowd) return a.crowd > b.crowd;
  if (a.ready && a.ready_age != b.ready_age) return a.ready_age < b.ready_age;
  if (a.restarts != b.restarts) return a.restarts > b.restarts;
  if (a.age != b.age) return a.age < b.age;
  return a.pod->metadata.uid < b.pod->metadata.uid;
}

}  // namespace

Pod pod_from_template(const ReplicaOwner& owner) {
  Pod pod;
  const auto& from = *owner.pod_template;
  const std::string prefix = owner.reference.name + "-";
  // A name that is too long or odd for a prefix with a dash is used as it is.
  pod.metadata.generate_name = api::is_dns1123_subdomain(prefix + "x") ? prefix : owner.reference.name;
  pod.metadata.namespace_ = owner.reference.namespace_;
  pod.metadata.labels = from.metadata.labels;
  pod.metadata.annotations = from.metadata.annotations;
  pod.metadata.finalizers = from.metadata.finalizers;
  pod.metadata.owner_references.push_back(controller_reference(owner.reference));
  pod.spec = from.spec;
  return pod;
}

std::vector<PodPointer> choose_for_deletion(std::vector<PodPointer> pods, std::span<const PodPointer> related,
                                            size_t count, WallTime now) {
  if (count >= pods.size()) return pods;
  std::map<std::string, int> crowds;
  for (const PodPointer& pod : related) {
    if (is_active(*pod)) ++crowds[pod->spec.node_name];
  }
  std::vector<Ranked> ranked;
  ranked.reserve(pods.size());
  for (PodPointer& pod : pods) {
    Ranked entry{pod,
                 !pod->spec.node_name.empty(),
                 phase_rank(*pod),
                 is_ready(*pod),
                 deletion_cost(*pod),
                 crowds[pod->spec.node_name],
                 age_rank(ready_since(*pod), now),
                 most_restarts(*pod),
                 age_rank(created_at(*pod), now)};
    ranked.push_back(std::move(entry));
  }
  std::ranges::sort(ranked, deleted_before);
  std::vector<PodPointer> chosen;
  for (size_t i = 0; i < count; ++i) chosen.push_back(std::move(ranked[i].pod));
  return chosen;
}

ReplicaCounts count_replicas(const ReplicaOwner& owner, std::span<const PodPointer> active, WallTime now) {
  ReplicaCounts counts;
  api::LabelSelector template_labels;
  if (owner.pod_template) template_labels = api::LabelSelector::from_map(owner.pod_template->metadata.labels);
  for (const PodPointer& pod : active) {
    ++counts.replicas;
    if (template_labels.matches(pod->metadata.labels)) ++counts.fully_labeled;
    if (!is_ready(*pod)) continue;
    ++counts.ready;
    Duration due{};
    if (is_available(*pod, std::chrono::seconds(owner.min_ready_seconds), now, &due)) {
      ++counts.available;
    } else if (!counts.next_available || due < *counts.next_available) {
      counts.next_available = due;
    }
  }
  return counts;
}

Result<std::vector<PodPointer>> ReplicaManager::claim(const ReplicaOwner& owner, std::vector<PodPointer> candidates,
                                                      uint64_t cache_version, const std::function<Status()>& confirm) {
  std::vector<PodPointer> active = recent_.apply(owner.reference.uid, std::move(candidates), cache_version);
  std::erase_if(active, [](const PodPointer& pod) { return !is_active(*pod); });
  return claim_objects<Pod>(client_, owner.reference, owner.deleting, owner.selector, std::move(active), confirm);
}

ReplicaManager::Scaling ReplicaManager::scale(const ReplicaOwner& owner, const std::vector<PodPointer>& active,
                                              const std::function<std::vector<PodPointer>()>& related) {
  const auto wanted = static_cast<size_t>(std::max(owner.replicas, 0));
  if (active.size() < wanted) {
    if (!owner.pod_template) return {};
    const size_t count = std::min(wanted - active.size(), kBurst);
    log::debug("Creating replicas", {{"owner", owner.reference.name}, {"have", active.size()}, {"want", wanted}});
    BatchResult made = slow_start(count, parallel_, [&](size_t) { return create_one(owner); });
    if (made.failure.ok() || namespace_is_ending(made.failure)) return {};
    return {"FailedCreate", std::move(made.failure)};
  }
  if (active.size() > wanted) {
    const size_t count = std::min(active.size() - wanted, kBurst);
    log::debug("Deleting replicas", {{"owner", owner.reference.name}, {"have", active.size()}, {"want", wanted}});
    const auto chosen = choose_for_deletion(active, related(), count, clock_->now());
    note_ages(active, chosen);
    BatchResult gone = run_batch(chosen.size(), parallel_, [&](size_t i) { return delete_one(owner, *chosen[i]); });
    if (!gone.failure.ok()) return {"FailedDelete", std::move(gone.failure)};
  }
  return {};
}

void ReplicaManager::note_ages(const std::vector<PodPointer>& active, const std::vector<PodPointer>& chosen) {
  const WallTime now = clock_->now();
  const auto age = [now](const PodPointer& pod) {
    return std::chrono::duration<double>(now - pod->metadata.creation_timestamp.wall()).count();
  };
  std::optional<double> youngest;
  for (const PodPointer& pod : active) {
    if (is_ready(*pod) && (!youngest || age(pod) < *youngest)) youngest = age(pod);
  }
  if (!youngest || *youngest <= 0) return;
  for (const PodPointer& pod : chosen) {
    if (is_ready(*pod)) deletion_ages_.of({}).observe_value(age(pod) / *youngest);
  }
}

Status ReplicaManager::create_one(const ReplicaOwner& owner) {
  Result<Pod> made = client_.create(pod_from_template(owner));
  if (!made.ok()) {
    if (!namespace_is_ending(made.status())) {
      events_.warning(owner.reference, "FailedCreate", "Error creating: " + made.status().message());
    }
    return made.status();
  }
  events_.normal(owner.reference, "SuccessfulCreate", "Created pod: " + made->metadata.name);
  recent_.created(owner.reference.uid, std::move(*made));
  return {};
}

Status ReplicaManager::delete_one(const ReplicaOwner& owner, const Pod& pod) {
  client::DeleteOptions options;
  options.uid = pod.metadata.uid;
  Status status = client_.remove<Pod>(pod.metadata.namespace_, pod.metadata.name, options);
  if (!status.ok() && !status.is(Reason::kNotFound)) {
    events_.warning(owner.reference, "FailedDelete", "Error deleting: " + status.message());
    return status;
  }
  recent_.deleted(owner.reference.uid, pod.metadata.uid);
  if (status.ok()) events_.normal(owner.reference, "SuccessfulDelete", "Deleted pod: " + pod.metadata.name);
  return {};
}

}  // namespace trireme::controllers
