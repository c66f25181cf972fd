#include "simulator/follow.h"

#include <fmt/format.h>

#include "api/types/appsv1.h"
#include "api/types/batchv1.h"
#include "api/types/corev1.h"
#include "controllers/support/pods.h"

namespace trireme::simulator {
namespace {

std::string text(const api::corev1::Pod& pod) {
  return fmt::format("{} on {}{}{}", pod.status.phase, pod.spec.node_name.empty() ? "-" : pod.spec.node_name,
                     controllers::is_ready(pod) ? " ready" : "", pod.metadata.deletion_timestamp ? " deleting" : "");
}

std::string text(const api::appsv1::ReplicaSet& set) {
  return fmt::format("wants {}, has {}, {} ready, {} available (generation {} of {})", set.spec.replicas.value_or(1),
                     set.status.replicas, set.status.ready_replicas, set.status.available_replicas,
                     set.status.observed_generation, set.metadata.generation);
}

std::string text(const api::appsv1::Deployment& each) {
  return fmt::format("wants {}, has {}, {} updated, {} ready, {} available (generation {} of {})",
                     each.spec.replicas.value_or(1), each.status.replicas, each.status.updated_replicas,
                     each.status.ready_replicas, each.status.available_replicas, each.status.observed_generation,
                     each.metadata.generation);
}

std::string text(const api::appsv1::StatefulSet& each) {
  return fmt::format("wants {}, has {}, {} updated, {} ready (generation {} of {})", each.spec.replicas.value_or(1),
                     each.status.replicas, each.status.updated_replicas, each.status.ready_replicas,
                     each.status.observed_generation, each.metadata.generation);
}

std::string text(const api::appsv1::DaemonSet& each) {
  return fmt::format("wants {}, has {}, {} updated, {} ready (generation {} of {})",
                     each.status.desired_number_scheduled, each.status.current_number_scheduled,
                     each.status.updated_number_scheduled, each.status.number_ready, each.status.observed_generation,
                     each.metadata.generation);
}

std::string text(const api::batchv1::Job& each) {
  const auto& uncounted = each.status.uncounted_terminated_pods;
  return fmt::format("{} active, {} succeeded, {} failed, {} to be counted", each.status.active, each.status.succeeded,
                     each.status.failed, uncounted ? uncounted->succeeded.size() + uncounted->failed.size() : 0);
}

template <typename T>
void follow_kind(client::InformerFactory& informers, std::shared_ptr<Clock> clock, std::string prefix, std::FILE* out) {
  informers.informer<T>().add_handler([=](const auto& before, const auto& after) {
    const T& object = after ? *after : *before;
    const std::string name = object.metadata.namespace_ + "/" + object.metadata.name;
    if (!name.starts_with(prefix)) return;
    fmt::print(out, "{:10.4f} {} {} {} {}\n", std::chrono::duration<double>(clock->monotonic()).count(),
               object.metadata.resource_version, api::type_info<T>().kind, name, after ? text(object) : "gone");
  });
}

}  // namespace

void follow(client::InformerFactory& informers, std::shared_ptr<Clock> clock, std::string prefix, std::FILE* out) {
  follow_kind<api::corev1::Pod>(informers, clock, prefix, out);
  follow_kind<api::appsv1::ReplicaSet>(informers, clock, prefix, out);
  follow_kind<api::appsv1::Deployment>(informers, clock, prefix, out);
  follow_kind<api::appsv1::StatefulSet>(informers, clock, prefix, out);
  follow_kind<api::appsv1::DaemonSet>(informers, clock, prefix, out);
  follow_kind<api::batchv1::Job>(informers, clock, prefix, out);
}

}  // namespace trireme::simulator
