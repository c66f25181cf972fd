#include "controllers/job/backoff.h"

#include <algorithm>
#include <optional>

#include "api/conditions.h"

namespace trireme::controllers {

using api::corev1::ContainerStatus;
using api::corev1::Pod;

namespace {

bool is_sidecar(const Pod& pod, const ContainerStatus& status) {
  return std::ranges::any_of(pod.spec.init_containers, [&](const auto& container) {
    return container.name == status.name && container.restart_policy.value_or("") == "Always";
  });
}

/// Nothing unless all containers have ended. Sidecars end last; other init containers do not matter.
std::optional<WallTime> end_of_containers(const Pod& pod) {
  std::optional<WallTime> latest;
  const auto take = [&](const ContainerStatus& status) {
    if (!status.state.terminated || !status.state.terminated->finished_at) return false;
    latest = std::max(latest.value_or(WallTime::min()), status.state.terminated->finished_at.wall());
    return true;
  };
  for (const ContainerStatus& status : pod.status.container_statuses) {
    if (!take(status)) return std::nullopt;
  }
  for (const ContainerStatus& status : pod.status.init_container_statuses) {
    if (is_sidecar(pod, status) && !take(status)) return std::nullopt;
  }
  return latest;
}

}  // namespace

WallTime finished_time(const Pod& pod) {
  if (const auto end = end_of_containers(pod)) return *end;
  const auto* ready = api::find_condition(pod.status.conditions, api::corev1::kPodReady);
  if (ready && ready->status == api::corev1::kConditionFalse && ready->last_transition_time) {
    return ready->last_transition_time.wall();
  }
  if (pod.metadata.deletion_timestamp) {
    return pod.metadata.deletion_timestamp->wall() -
           std::chrono::seconds(pod.metadata.deletion_grace_period_seconds.value_or(0));
  }
  return pod.metadata.creation_timestamp ? pod.metadata.creation_timestamp.wall() : WallTime{};
}

Backoff advance(Backoff before, std::span<const PodPointer> succeeded, std::span<const PodPointer> failed) {
  std::optional<WallTime> last_success;
  for (const PodPointer& pod : succeeded) {
    last_success = std::max(last_success.value_or(WallTime::min()), finished_time(*pod));
  }
  Backoff after = last_success ? Backoff() : before;
  for (const PodPointer& pod : failed) {
    const WallTime at = finished_time(*pod);
    if (last_success && at <= *last_success) continue;
    after.last_failure = after.failures == 0 ? at : std::max(after.last_failure, at);
    ++after.failures;
  }
  return after;
}

Duration remaining(const Backoff& backoff, WallTime now) {
  constexpr Duration kFirst = std::chrono::seconds(10);
  constexpr Duration kLongest = std::chrono::minutes(10);
  if (backoff.failures <= 0) return Duration::zero();
  Duration wait = kFirst;
  for (int32_t i = 1; i < backoff.failures && wait < kLongest; ++i) wait *= 2;
  return std::max(std::min(wait, kLongest) - Duration(now - backoff.last_failure), Duration::zero());
}

}  // namespace trireme::controllers
