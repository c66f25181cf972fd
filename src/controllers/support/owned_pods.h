#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "api/selectors.h"
#include "api/types/corev1.h"
#include "client/informer.h"
#include "controllers/support/ownership.h"

namespace trireme::controllers {

/// Brings back the owners of kind `T` that a change of a dependent concerns: its controller, before and after, and for
/// a pod that is nobody's those that select it. For event handlers: it looks things up and enqueues.
template <typename T>
class OwnerFinder {
 public:
  using Selector = std::function<api::LabelSelector(const T&)>;
  using Enqueue = std::function<void(std::string key)>;

  /// `owners` must outlive it.
  OwnerFinder(client::Informer<T>& owners, Selector selector, Enqueue enqueue)
      : owners_(owners), selector_(std::move(selector)), enqueue_(std::move(enqueue)) {}

  void on_pod(const PodPointer& before, const PodPointer& after) const {
    const auto* old_owner = before ? controller_of(before->metadata) : nullptr;
    const auto* new_owner = after ? controller_of(after->metadata) : nullptr;
    const bool moved = old_owner && (!new_owner || new_owner->uid != old_owner->uid);
    if (moved) owner_of(before->metadata);
    if (!after) return;
    if (new_owner) {
      owner_of(after->metadata);
    } else if (!before || moved || before->metadata.labels != after->metadata.labels) {
      matching(*after);
    }
  }

  /// Enqueues the controller that the metadata names, if it is a `T` that is there.
  void owner_of(const api::metav1::ObjectMeta& metadata) const {
    const auto* controller = controller_of(metadata);
    if (!controller || controller->kind != api::type_info<T>().kind) return;
    const auto owner = owners_.get(metadata.namespace_, controller->name);
    if (owner && owner->metadata.uid == controller->uid) enqueue_(client::key_of(owner->metadata));
  }

 private:
  void matching(const api::corev1::Pod& pod) const {
    for (const auto& owner : owners_.list(pod.metadata.namespace_)) {
      if (selector_(*owner).matches(pod.metadata.labels)) enqueue_(client::key_of(owner->metadata));
    }
  }

  client::Informer<T>& owners_;
  Selector selector_;
  Enqueue enqueue_;
};

}  // namespace trireme::controllers
