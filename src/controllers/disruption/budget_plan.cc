#include "controllers/disruption/budget_plan.h"

#include <algorithm>

#include "api/conditions.h"

namespace trireme::controllers {

namespace corev1 = api::corev1;

Result<ExpectedPods> expected_pods(const api::policyv1::PodDisruptionBudgetSpec& spec, size_t pods,
                                   const std::function<Result<int32_t>()>& scale) {
  ExpectedPods out;
  if (spec.max_unavailable) {
    TRY_ASSIGN(out.expected, scale());
    TRY_ASSIGN(const int32_t unavailable, spec.max_unavailable->scaled(out.expected, /*round_up=*/true));
    out.healthy = std::max(0, out.expected - unavailable);
  } else if (spec.min_available && spec.min_available->is_int()) {
    out.expected = static_cast<int32_t>(pods);
    out.healthy = spec.min_available->int_value();
  } else if (spec.min_available) {
    TRY_ASSIGN(out.expected, scale());
    TRY_ASSIGN(out.healthy, spec.min_available->scaled(out.expected, /*round_up=*/true));
  }
  return out;
}

Disrupted disrupted_pods(const api::Map<api::Time>& known, const std::vector<PodPointer>& pods, WallTime now) {
  Disrupted out;
  for (const PodPointer& pod : pods) {
    const auto evicted = known.find(pod->metadata.name);
    if (evicted == known.end() || pod->metadata.deletion_timestamp) continue;
    const Duration left = (evicted->second.wall() + kDeletionTimeout) - now;
    if (left < Duration::zero()) {
      out.overdue.push_back(pod);
      continue;
    }
    out.pods.emplace(evicted->first, evicted->second);
    // A moment later it is overdue.
    const Duration due = left + std::chrono::seconds(1);
    out.next = out.next == Duration::zero() ? due : std::min(out.next, due);
  }
  return out;
}

int32_t count_healthy(const std::vector<PodPointer>& pods, const Disrupted& disrupted) {
  return static_cast<int32_t>(std::ranges::count_if(pods, [&](const PodPointer& pod) {
    return !pod->metadata.deletion_timestamp && !disrupted.pods.contains(pod->metadata.name) && is_ready(*pod);
  }));
}

int32_t allowed_disruptions(const ExpectedPods& expected, int32_t healthy) {
  // A budget without pods allows nothing, so that its first pods are safe until they have been counted.
  return expected.expected <= 0 ? 0 : std::max(0, healthy - expected.healthy);
}

bool has_stale_disruption(const corev1::Pod& pod, WallTime now, Duration& due) {
  if (pod.metadata.deletion_timestamp || is_finished(pod)) return false;
  const corev1::PodCondition* told = api::find_condition(pod.status.conditions, corev1::kDisruptionTarget);
  if (told == nullptr || told->status != corev1::kConditionTrue) return false;
  if (told->reason == corev1::kPodReasonTerminationByKubelet) return false;
  const WallTime since = told->last_transition_time ? told->last_transition_time.wall() : WallTime{};
  due = std::max(Duration::zero(), (since + kDeletionTimeout) - now);
  return true;
}

}  // namespace trireme::controllers
