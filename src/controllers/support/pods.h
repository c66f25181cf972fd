#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "api/types/corev1.h"
#include "base/clock.h"
#include "client/informer.h"

/// Questions about pods and owners that several controllers ask.
namespace trireme::controllers {

using PodPointer = std::shared_ptr<const api::corev1::Pod>;

/// The index of pods by the node they are bound to; `index_by_node` adds it.
inline constexpr std::string_view kPodsByNode = "node";
void index_by_node(client::Informer<api::corev1::Pod>& pods);

/// The owner that manages the object; null when none does.
const api::metav1::OwnerReference* controller_of(const api::metav1::ObjectMeta& metadata);

/// Neither finished nor being deleted: it counts as a replica.
bool is_active(const api::corev1::Pod& pod);
/// Succeeded or Failed.
bool is_finished(const api::corev1::Pod& pod);

bool is_ready(const api::corev1::Pod& pod);
/// When it became ready; nothing when it is not.
std::optional<WallTime> ready_since(const api::corev1::Pod& pod);
/// Ready for at least `min_ready`. `due` receives how long that is still to come for a ready pod.
bool is_available(const api::corev1::Pod& pod, Duration min_ready, WallTime now, Duration* due = nullptr);

/// "controller.kubernetes.io/pod-deletion-cost"; 0 when missing or not a number.
int32_t deletion_cost(const api::corev1::Pod& pod);

}  // namespace trireme::controllers
