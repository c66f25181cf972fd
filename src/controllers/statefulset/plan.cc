#include "controllers/statefulset/plan.h"

#include <algorithm>

namespace trireme::controllers::statefulset {

namespace {

bool is_terminating(const Pod& pod) { return pod.metadata.deletion_timestamp.has_value(); }

bool runs_ready(const Pod& pod) { return pod.status.phase == api::corev1::kPodRunning && is_ready(pod); }

bool is_healthy(const PodPointer& pod) { return pod && runs_ready(*pod) && !is_terminating(*pod); }

bool is_parallel(const StatefulSet& set) {
  return set.spec.pod_management_policy == api::appsv1::kParallelPodManagement;
}

bool rolls(const StatefulSet& set) {
  return set.spec.update_strategy.type == api::appsv1::kRollingUpdateStatefulSetStrategyType;
}

int32_t partition_of(const StatefulSet& set) {
  const auto& rolling = set.spec.update_strategy.rolling_update;
  return rolling ? std::max(rolling->partition.value_or(0), 0) : 0;
}

/// How many pods may be missing during an update; nothing when the set does not say.
std::optional<int32_t> max_unavailable(const StatefulSet& set) {
  const auto& rolling = set.spec.update_strategy.rolling_update;
  if (!rolling || !rolling->max_unavailable) return std::nullopt;
  return std::max(rolling->max_unavailable->scaled(replicas_of(set), /*round_up=*/false).value_or(1), 1);
}

class Planner {
 public:
  Planner(const StatefulSet& set, const Members& members, const std::string& update_revision, WallTime now)
      : set_(set), members_(members), update_revision_(update_revision), now_(now), ordered_(!is_parallel(set)) {}

  Plan run() {
    if (fill() && shrink()) update();
    return std::move(plan_);
  }

 private:
  void add(Step::Kind kind, int32_t ordinal, PodPointer pod) { plan_.steps.push_back({kind, ordinal, std::move(pod)}); }

  /// Ready for as long as the set asks; notes when it will be, if it is ready at all.
  bool available(const Pod& pod) {
    Duration due{};
    if (is_available(pod, std::chrono::seconds(set_.spec.min_ready_seconds), now_, &due)) return true;
    if (runs_ready(pod) && (!plan_.look_again || due < *plan_.look_again)) plan_.look_again = due;
    return false;
  }

  /// False: whatever comes after must wait.
  bool fill() {
    int32_t ordinal = first_ordinal(set_);
    for (const PodPointer& pod : members_.slots) {
      if (!fill_one(pod, ordinal++) && ordered_) return false;
    }
    return true;
  }

  bool fill_one(const PodPointer& pod, int32_t ordinal) {
    if (!pod) {
      add(Step::Kind::kCreate, ordinal, nullptr);
      return false;
    }
    if (is_finished(*pod)) {
      if (!is_terminating(*pod)) add(Step::Kind::kRecreate, ordinal, pod);
      return false;
    }
    if (is_terminating(*pod)) return false;
    add(Step::Kind::kTend, ordinal, pod);
    return runs_ready(*pod) && available(*pod);
  }

  bool shrink() {
    const Pod* first = first_unhealthy();
    for (const PodPointer& pod : members_.condemned) {
      if (is_terminating(*pod)) {
        if (ordered_) return false;
        continue;
      }
      // The first that is unwell may go before the others: waiting for it could take for ever.
      if (ordered_ && pod.get() != first && !(runs_ready(*pod) && available(*pod))) return false;
      add(Step::Kind::kDelete, *ordinal_of(set_, pod->metadata.name), pod);
      if (ordered_) return false;
    }
    return true;
  }

  const Pod* first_unhealthy() const {
    for (const PodPointer& pod : members_.slots) {
      if (pod && !is_healthy(pod)) return pod.get();
    }
    for (auto pod = members_.condemned.rbegin(); pod != members_.condemned.rend(); ++pod) {
      if (!is_healthy(*pod)) return pod->get();
    }
    return nullptr;
  }

  void update() {
    if (!rolls(set_)) return;
    const auto allowed = max_unavailable(set_);
    if (allowed) {
      update_several(*allowed);
      return;
    }
    // From the last to the first, each when all after it are well; one that is old goes even if it is not.
    for (int32_t i = static_cast<int32_t>(members_.slots.size()) - 1; i >= partition_of(set_); --i) {
      const PodPointer& pod = members_.slots[static_cast<size_t>(i)];
      if (pod && revision_of(*pod) != update_revision_ && !is_terminating(*pod)) {
        replace(pod, i);
        return;
      }
      if (!is_healthy(pod)) return;
    }
  }

  /// An old pod that is of no use costs nothing, or a broken template could never be mended; others go as far as the
  /// limit allows.
  void update_several(int32_t allowed) {
    const auto useful = [&](const PodPointer& pod) { return is_healthy(pod) && available(*pod); };
    int64_t missing = std::ranges::count_if(members_.slots, [&](const PodPointer& pod) { return !useful(pod); });
    for (int32_t i = static_cast<int32_t>(members_.slots.size()) - 1; i >= partition_of(set_); --i) {
      const PodPointer& pod = members_.slots[static_cast<size_t>(i)];
      if (!pod || revision_of(*pod) == update_revision_ || is_terminating(*pod)) continue;
      if (useful(pod)) {
        if (missing >= allowed) continue;
        ++missing;
      }
      replace(pod, i);
    }
  }

  /// One that has finished is on its way out already.
  void replace(const PodPointer& pod, int32_t slot) {
    if (!is_finished(*pod)) add(Step::Kind::kReplace, first_ordinal(set_) + slot, pod);
  }

  const StatefulSet& set_;
  const Members& members_;
  const std::string& update_revision_;
  const WallTime now_;
  const bool ordered_;
  Plan plan_;
};

}  // namespace

Members sort_out(const StatefulSet& set, const std::vector<PodPointer>& pods) {
  Members members;
  members.slots.resize(static_cast<size_t>(replicas_of(set)));
  for (const PodPointer& pod : pods) {
    const auto ordinal = ordinal_of(set, pod->metadata.name);
    if (!ordinal) continue;
    if (in_range(set, *ordinal)) {
      members.slots[static_cast<size_t>(*ordinal - first_ordinal(set))] = pod;
    } else {
      members.condemned.push_back(pod);
    }
  }
  std::ranges::sort(members.condemned, [&](const PodPointer& a, const PodPointer& b) {
    return *ordinal_of(set, a->metadata.name) > *ordinal_of(set, b->metadata.name);
  });
  return members;
}

Plan plan(const StatefulSet& set, const Members& members, const std::string& update_revision, WallTime now) {
  return Planner(set, members, update_revision, now).run();
}

bool starts_from_current(const StatefulSet& set, int32_t ordinal) {
  if (!rolls(set)) return false;
  const bool told = set.spec.update_strategy.rolling_update.has_value();
  return ordinal < first_ordinal(set) + (told ? partition_of(set) : set.status.current_replicas);
}

api::appsv1::StatefulSetStatus count_status(const StatefulSet& set, const Members& members,
                                            const std::string& current_revision, const std::string& update_revision,
                                            WallTime now) {
  api::appsv1::StatefulSetStatus status;
  status.observed_generation = set.metadata.generation;
  status.current_revision = current_revision;
  status.update_revision = update_revision;
  status.collision_count = set.status.collision_count;
  status.conditions = set.status.conditions;
  const auto count = [&](const PodPointer& pod) {
    if (!pod) return;
    ++status.replicas;
    if (runs_ready(*pod)) {
      ++status.ready_replicas;
      if (is_available(*pod, std::chrono::seconds(set.spec.min_ready_seconds), now)) ++status.available_replicas;
    }
    if (is_terminating(*pod)) return;
    if (revision_of(*pod) == current_revision) ++status.current_replicas;
    if (revision_of(*pod) == update_revision) ++status.updated_replicas;
  };
  std::ranges::for_each(members.slots, count);
  std::ranges::for_each(members.condemned, count);
  const int32_t wanted = replicas_of(set);
  if (rolls(set) && status.updated_replicas == wanted && status.ready_replicas == wanted && status.replicas == wanted) {
    status.current_replicas = status.updated_replicas;
    status.current_revision = update_revision;
  }
  return status;
}

}  // namespace trireme::controllers::statefulset
