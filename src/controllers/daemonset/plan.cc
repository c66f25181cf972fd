#include "controllers/daemonset/plan.h"

#include <algorithm>

namespace trireme::controllers::daemonset {

namespace {

bool is_terminating(const Pod& pod) { return pod.metadata.deletion_timestamp.has_value(); }

bool available(const DaemonSet& set, const Pod& pod, WallTime now, Duration* due = nullptr) {
  return is_available(pod, std::chrono::seconds(set.spec.min_ready_seconds), now, due);
}

bool older(const PodPointer& a, const PodPointer& b) {
  if (a->metadata.creation_timestamp != b->metadata.creation_timestamp) {
    return a->metadata.creation_timestamp < b->metadata.creation_timestamp;
  }
  return a->metadata.name < b->metadata.name;
}

struct Limits {
  int32_t surge = 0;
  int32_t unavailable = 0;
};

Limits limits_of(const DaemonSet& set, int32_t desired) {
  const auto& rolling = set.spec.update_strategy.rolling_update;
  const auto scaled = [&](const std::optional<api::IntOrString>& value, int32_t fallback) {
    return value ? value->scaled(desired, /*round_up=*/true).value_or(0) : fallback;
  };
  Limits out{rolling ? scaled(rolling->max_surge, 0) : 0, rolling ? scaled(rolling->max_unavailable, 1) : 1};
  // Both can only be zero when nothing is desired or percentages round to it: the update must go on all the same.
  if (out.surge == 0 && out.unavailable == 0) out.unavailable = 1;
  return out;
}

bool may_surge(const DaemonSet& set) {
  if (set.spec.update_strategy.type != api::appsv1::kRollingUpdateDaemonSetStrategyType) return false;
  return limits_of(set, 100).surge > 0;
}

/// The node's living pods: at most one of the new template and one of an old one, else `clear` is false.
struct Pair {
  PodPointer fresh;
  PodPointer old;
  bool clear = true;
};
Pair pair_of(const DaemonSet& set, const Place& place, const std::string& hash) {
  Pair pair;
  for (const PodPointer& pod : place.pods) {
    if (is_terminating(*pod)) continue;
    PodPointer& side = is_current(set, *pod, hash) ? pair.fresh : pair.old;
    if (side) return {nullptr, nullptr, false};
    side = pod;
  }
  return pair;
}

/// More than one living pod on a node that surges: the oldest of each kind may stay, the old one until the new is
/// available, or while it is itself of use.
void thin_out_surge(const DaemonSet& set, const std::vector<PodPointer>& living, const std::string& hash, WallTime now,
                    Plan& plan) {
  PodPointer fresh;
  PodPointer old;
  for (const PodPointer& pod : living) {
    PodPointer& side = is_current(set, *pod, hash) ? fresh : old;
    if (side) {
      plan.remove.push_back(pod);
    } else {
      side = pod;
    }
  }
  if (fresh && old && (!is_ready(*old) || available(set, *fresh, now))) plan.remove.push_back(old);
}

void plan_place(const DaemonSet& set, const Place& place, const std::string& hash, bool surge, WallTime now,
                Plan& plan) {
  if (place.wanted.run && place.pods.empty()) {
    plan.create.push_back(place.node);
    return;
  }
  if (!place.wanted.stay) {
    for (const PodPointer& pod : place.pods) {
      if (!is_terminating(*pod)) plan.remove.push_back(pod);
    }
    return;
  }
  std::vector<PodPointer> living;
  for (const PodPointer& pod : place.pods) {
    if (is_terminating(*pod)) continue;
    (is_finished(*pod) ? plan.failed : living).push_back(pod);
  }
  std::ranges::sort(living, older);
  if (living.size() < 2) return;
  if (surge) {
    thin_out_surge(set, living, hash, now, plan);
  } else {
    plan.remove.insert(plan.remove.end(), living.begin() + 1, living.end());
  }
}

/// Old pods go first and new ones follow: those that are of no use at once, others as far as the limit allows.
void replace_in_place(const DaemonSet& set, const std::vector<Place>& places, const std::string& hash, int32_t limit,
                      WallTime now, Plan& plan) {
  int32_t missing = 0;
  std::vector<PodPointer> candidates;
  for (const Place& place : places) {
    if (place.pods.empty()) continue;
    const Pair pair = pair_of(set, place, hash);
    if (!pair.clear || bool(pair.fresh) == bool(pair.old)) {
      ++missing;  // the plan of places sees to it
    } else if (pair.fresh) {
      if (!available(set, *pair.fresh, now)) ++missing;
    } else if (!available(set, *pair.old, now)) {
      ++missing;  // of no use: it goes at once, and takes its part of the limit
      plan.remove.push_back(pair.old);
    } else {
      candidates.push_back(pair.old);
    }
  }
  const auto room = static_cast<size_t>(std::max(limit - missing, 0));
  for (size_t i = 0; i < std::min(room, candidates.size()); ++i) plan.remove.push_back(candidates[i]);
}

/// New pods come beside the old ones, which go when those are available.
void replace_by_surge(const DaemonSet& set, const std::vector<Place>& places, const std::string& hash, int32_t limit,
                      WallTime now, Plan& plan) {
  int32_t surging = 0;
  std::vector<std::string> candidates;
  for (const Place& place : places) {
    if (place.pods.empty()) continue;
    const Pair pair = pair_of(set, place, hash);
    if (!pair.clear) {
      ++surging;
    } else if (!pair.old) {
      continue;
    } else if (pair.fresh) {
      if (available(set, *pair.fresh, now)) {
        plan.remove.push_back(pair.old);
      } else {
        ++surging;
      }
    } else if (place.wanted.run) {
      if (available(set, *pair.old, now)) {
        candidates.push_back(place.node);
      } else {
        plan.create.push_back(place.node);  // what it replaces is of no use
      }
    }
  }
  const auto room = static_cast<size_t>(std::max(limit - surging, 0));
  for (size_t i = 0; i < std::min(room, candidates.size()); ++i) plan.create.push_back(std::move(candidates[i]));
}

}  // namespace

Plan plan_places(const DaemonSet& set, const std::vector<Place>& places, const std::string& hash, WallTime now) {
  Plan plan;
  const bool surge = may_surge(set);
  for (const Place& place : places) plan_place(set, place, hash, surge, now, plan);
  return plan;
}

Plan plan_update(const DaemonSet& set, const std::vector<Place>& places, const std::string& hash, WallTime now) {
  Plan plan;
  if (set.spec.update_strategy.type != api::appsv1::kRollingUpdateDaemonSetStrategyType) return plan;
  const auto desired = std::ranges::count_if(places, [](const Place& place) { return place.wanted.run; });
  const Limits limits = limits_of(set, static_cast<int32_t>(desired));
  if (limits.surge == 0) {
    replace_in_place(set, places, hash, limits.unavailable, now, plan);
  } else {
    replace_by_surge(set, places, hash, limits.surge, now, plan);
  }
  return plan;
}

Counts count_status(const DaemonSet& set, const std::vector<Place>& places, const std::string& hash, WallTime now) {
  Counts out;
  auto& status = out.status;
  status.observed_generation = set.metadata.generation;
  status.collision_count = set.status.collision_count;
  status.conditions = set.status.conditions;
  for (const Place& place : places) {
    if (!place.wanted.run) {
      if (!place.pods.empty()) ++status.number_misscheduled;
      continue;
    }
    ++status.desired_number_scheduled;
    if (place.pods.empty()) continue;
    ++status.current_number_scheduled;
    // With a surge there are two; the older one counts.
    const Pod& pod = **std::ranges::min_element(place.pods, older);
    if (is_ready(pod)) {
      ++status.number_ready;
      Duration due{};
      if (available(set, pod, now, &due)) {
        ++status.number_available;
      } else if (!out.look_again || due < *out.look_again) {
        out.look_again = due;
      }
    }
    if (is_current(set, pod, hash)) ++status.updated_number_scheduled;
  }
  status.number_unavailable = status.desired_number_scheduled - status.number_available;
  return out;
}

}  // namespace trireme::controllers::daemonset
