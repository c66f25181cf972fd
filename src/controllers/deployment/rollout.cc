#include "controllers/deployment/rollout.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "controllers/deployment/revisions.h"
#include "controllers/support/template_hash.h"

namespace trireme::controllers::deployment {
namespace {

bool is_rolling(const Deployment& deployment) {
  return deployment.spec.strategy.type == api::appsv1::kRollingUpdateDeploymentStrategyType;
}

/// Validation has seen to it that the value is a number or a percentage.
int32_t scaled(const std::optional<api::IntOrString>& value, int32_t total, bool round_up) {
  return value.value_or(api::IntOrString()).scaled(total, round_up).value_or(0);
}

std::vector<SetPointer> active(std::vector<SetPointer> sets) {
  std::erase_if(sets, [](const SetPointer& set) { return replicas_of(*set) <= 0; });
  return sets;
}

/// The available pods that will stay. A status that lags behind a smaller size still counts pods that are going: taken
/// as available they would let more go than may.
int32_t lasting(const ReplicaSet& set) { return std::min(set.status.available_replicas, replicas_of(set)); }

bool older(const SetPointer& a, const SetPointer& b) {
  if (a->metadata.creation_timestamp != b->metadata.creation_timestamp) {
    return a->metadata.creation_timestamp < b->metadata.creation_timestamp;
  }
  return a->metadata.name < b->metadata.name;
}

/// The set that is to have all replicas, when there is but one with pods, or none: null when several share.
SetPointer only_one(const Sets& sets) {
  const std::vector<SetPointer> with_pods = active(sets.all());
  if (with_pods.size() == 1) return with_pods.front();
  if (with_pods.size() > 1) return nullptr;
  if (sets.current) return sets.current;
  const auto newest = std::ranges::max_element(sets.old, older);
  return newest == sets.old.end() ? nullptr : *newest;
}

/// The new pods are all there and available, for this very number of replicas.
bool is_saturated(const Deployment& deployment, const SetPointer& current) {
  if (!current) return false;
  const int32_t wanted = replicas_of(deployment);
  return replicas_of(*current) == wanted && desired_annotation(*current) == wanted &&
         current->status.available_replicas == wanted;
}

/// By how much a set's size changes when the whole Deployment's does, by its part of what the whole could be before.
int32_t share_of(const Deployment& deployment, const ReplicaSet& set) {
  const int32_t size = replicas_of(set);
  if (replicas_of(deployment) == 0) return -size;
  int32_t before = max_annotation(set).value_or(0);
  // Somebody took the annotation away: the number of pods is the best guess.
  if (before == 0) before = deployment.status.replicas;
  if (before == 0) return 0;
  const int32_t now = replicas_of(deployment) + fenceposts(deployment).max_surge;
  return static_cast<int32_t>(std::lround(static_cast<double>(size) * now / before)) - size;
}

std::vector<Resize> share(const Deployment& deployment, std::vector<SetPointer> sets) {
  const int32_t wanted = replicas_of(deployment);
  const int32_t allowed = wanted > 0 ? wanted + fenceposts(deployment).max_surge : 0;
  const int32_t to_add = allowed - wanted_replicas(sets);
  // The largest set takes the rest. Among equals the newer grow, and the older shrink, first.
  std::ranges::sort(sets, [&](const SetPointer& a, const SetPointer& b) {
    if (replicas_of(*a) != replicas_of(*b)) return replicas_of(*a) > replicas_of(*b);
    return to_add > 0 ? older(b, a) : older(a, b);
  });
  std::vector<Resize> out;
  int32_t added = 0;
  for (const SetPointer& set : sets) {
    int32_t part = 0;
    if (added != to_add) {
      part = share_of(deployment, *set);
      part = to_add > 0 ? std::min(part, to_add - added) : std::max(part, to_add - added);
    }
    added += part;
    out.push_back({set, replicas_of(*set) + part});
  }
  if (!out.empty()) out.front().replicas = std::max(out.front().replicas + to_add - added, 0);
  return out;
}

}  // namespace

std::vector<SetPointer> Sets::all() const {
  std::vector<SetPointer> out = old;
  if (current) out.push_back(current);
  return out;
}

Sets sort_out(const Deployment& deployment, std::vector<SetPointer> sets) {
  std::ranges::sort(sets, older);
  Sets out;
  for (SetPointer& set : sets) {
    if (!out.current && equal_ignoring_hash(set->spec.template_, deployment.spec.template_)) {
      out.current = std::move(set);
    } else {
      out.old.push_back(std::move(set));
    }
  }
  return out;
}

int32_t replicas_of(const Deployment& deployment) { return deployment.spec.replicas.value_or(1); }
int32_t replicas_of(const ReplicaSet& set) { return set.spec.replicas.value_or(1); }

int32_t wanted_replicas(const std::vector<SetPointer>& sets) {
  int32_t total = 0;
  for (const SetPointer& set : sets) total += replicas_of(*set);
  return total;
}

int32_t actual_replicas(const std::vector<SetPointer>& sets) {
  int32_t total = 0;
  for (const SetPointer& set : sets) total += set->status.replicas;
  return total;
}

Fenceposts fenceposts(const Deployment& deployment) {
  const auto& rolling = deployment.spec.strategy.rolling_update;
  if (!is_rolling(deployment) || !rolling) return {};
  const int32_t replicas = replicas_of(deployment);
  Fenceposts out{scaled(rolling->max_surge, replicas, /*round_up=*/true),
                 scaled(rolling->max_unavailable, replicas, /*round_up=*/false)};
  // Validation refuses two zeros, but percentages of a small number can round to them: it must go on all the same.
  if (out.max_surge == 0 && out.max_unavailable == 0) out.max_unavailable = 1;
  out.max_unavailable = std::min(out.max_unavailable, replicas);
  return out;
}

int32_t current_size(const Deployment& deployment, int32_t total, int32_t current) {
  const int32_t wanted = replicas_of(deployment);
  if (current >= wanted || !is_rolling(deployment)) return wanted;
  const int32_t room = wanted + fenceposts(deployment).max_surge - total;
  return room <= 0 ? current : current + std::min(room, wanted - current);
}

std::vector<Resize> shrink_old(const Deployment& deployment, const Sets& sets) {
  std::vector<Resize> plan;
  for (const SetPointer& set : active(sets.old)) plan.push_back({set, replicas_of(*set)});
  if (plan.empty() || !sets.current) return {};
  std::ranges::sort(plan, older, &Resize::set);
  const int32_t min_available = replicas_of(deployment) - fenceposts(deployment).max_unavailable;
  // What the new set still lacks must not be taken from the old ones meanwhile.
  const int32_t new_unavailable = replicas_of(*sets.current) - sets.current->status.available_replicas;
  int32_t may_clean = wanted_replicas(sets.all()) - min_available - new_unavailable;
  if (may_clean <= 0) return {};
  for (Resize& each : plan) {
    const int32_t unhealthy = each.replicas - each.set->status.available_replicas;
    const int32_t gone = std::clamp(unhealthy, 0, may_clean);
    each.replicas -= gone;
    may_clean -= gone;
  }
  int32_t available = lasting(*sets.current);
  for (const Resize& each : plan) available += lasting(*each.set);
  int32_t spare = available - min_available;
  for (Resize& each : plan) {
    const int32_t gone = std::clamp(spare, 0, each.replicas);
    each.replicas -= gone;
    spare -= gone;
  }
  std::erase_if(plan, [](const Resize& each) { return each.replicas == replicas_of(*each.set); });
  return plan;
}

std::vector<Resize> spread_scaling(const Deployment& deployment, const Sets& sets) {
  if (const SetPointer one = only_one(sets)) return {{one, replicas_of(deployment)}};
  std::vector<Resize> out;
  if (is_saturated(deployment, sets.current)) {
    for (const SetPointer& set : active(sets.old)) out.push_back({set, 0});
    return out;
  }
  return is_rolling(deployment) ? share(deployment, active(sets.all())) : out;
}

bool was_scaled(const Deployment& deployment, const Sets& sets) {
  return std::ranges::any_of(active(sets.all()), [&](const SetPointer& set) {
    const auto desired = desired_annotation(*set);
    return desired && *desired != replicas_of(deployment);
  });
}

std::vector<SetPointer> beyond_history(const Deployment& deployment, const Sets& sets) {
  const int32_t limit = deployment.spec.revision_history_limit.value_or(std::numeric_limits<int32_t>::max());
  std::vector<SetPointer> out = sets.old;
  std::erase_if(out, [](const SetPointer& set) { return set->metadata.deletion_timestamp.has_value(); });
  if (static_cast<int64_t>(out.size()) <= limit) return {};
  std::ranges::sort(out, [](const SetPointer& a, const SetPointer& b) {
    const int64_t left = revision_of(a->metadata).value_or(0);
    const int64_t right = revision_of(b->metadata).value_or(0);
    return left != right ? left < right : older(a, b);
  });
  out.resize(out.size() - static_cast<size_t>(limit));
  std::erase_if(out, [](const SetPointer& set) {
    return set->status.replicas != 0 || replicas_of(*set) != 0 ||
           set->metadata.generation > set->status.observed_generation;
  });
  return out;
}

}  // namespace trireme::controllers::deployment
