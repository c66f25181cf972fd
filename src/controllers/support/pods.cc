#include "controllers/support/pods.h"

#include <charconv>

#include "api/conditions.h"

namespace trireme::controllers {

using api::corev1::Pod;

void index_by_node(client::Informer<Pod>& pods) {
  pods.add_index(std::string(kPodsByNode), [](const Pod& pod) -> std::vector<std::string> {
    if (pod.spec.node_name.empty()) return {};
    return {pod.spec.node_name};
  });
}

const api::metav1::OwnerReference* controller_of(const api::metav1::ObjectMeta& metadata) {
  for (const auto& owner : metadata.owner_references) {
    if (owner.controller.value_or(false)) return &owner;
  }
  return nullptr;
}

bool is_finished(const Pod& pod) {
  return pod.status.phase == api::corev1::kPodSucceeded || pod.status.phase == api::corev1::kPodFailed;
}

bool is_active(const Pod& pod) { return !is_finished(pod) && !pod.metadata.deletion_timestamp; }

bool is_ready(const Pod& pod) {
  const auto* condition = api::find_condition(pod.status.conditions, api::corev1::kPodReady);
  return condition && condition->status == api::corev1::kConditionTrue;
}

std::optional<WallTime> ready_since(const Pod& pod) {
  if (!is_ready(pod)) return std::nullopt;
  const api::Time since = api::find_condition(pod.status.conditions, api::corev1::kPodReady)->last_transition_time;
  return since ? since.wall() : WallTime{};
}

bool is_available(const Pod& pod, Duration min_ready, WallTime now, Duration* due) {
  const auto since = ready_since(pod);
  if (!since) return false;
  if (min_ready <= Duration::zero()) return true;
  const Duration left = (*since + std::chrono::duration_cast<WallTime::duration>(min_ready)) - now;
  if (left <= Duration::zero()) return true;
  if (due) *due = left;
  return false;
}

int32_t deletion_cost(const Pod& pod) {
  const auto found = pod.metadata.annotations.find("controller.kubernetes.io/pod-deletion-cost");
  if (found == pod.metadata.annotations.end()) return 0;
  const std::string& text = found->second;
  int32_t cost = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), cost);
  return error == std::errc() && end == text.data() + text.size() ? cost : 0;
}

}  // namespace trireme::controllers
