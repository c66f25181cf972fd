#include "controllers/replicas/replica_controller.h"

#include <algorithm>

#include "api/types/appsv1.h"
#include "api/validation/equal.h"
#include "controllers/support/ownership.h"
#include "controllers/support/pods.h"

namespace trireme::controllers {
namespace {

using api::corev1::Pod;

template <typename T>
struct Kind;

template <>
struct Kind<api::corev1::ReplicationController> {
  using Object = api::corev1::ReplicationController;
  using Condition = api::corev1::ReplicationControllerCondition;
  static int workers(const ControllerOptions& options) { return options.concurrent_rc_syncs; }
  static api::LabelSelector selector(const Object& object) {
    return object.spec.selector.empty() ? api::LabelSelector::nothing()
                                        : api::LabelSelector::from_map(object.spec.selector);
  }
  static const api::corev1::PodTemplateSpec* pod_template(const Object& object) {
    return object.spec.template_ ? &*object.spec.template_ : nullptr;
  }
};

template <>
struct Kind<api::appsv1::ReplicaSet> {
  using Object = api::appsv1::ReplicaSet;
  using Condition = api::appsv1::ReplicaSetCondition;
  static int workers(const ControllerOptions& options) { return options.concurrent_replicaset_syncs; }
  static api::LabelSelector selector(const Object& object) {
    return owner_selector(object.spec.selector ? &*object.spec.selector : nullptr);
  }
  static const api::corev1::PodTemplateSpec* pod_template(const Object& object) { return &object.spec.template_; }
};

template <typename T>
ReplicaOwner owner_of(const T& object) {
  ReplicaOwner owner;
  owner.reference = client::reference_to(object);
  owner.deleting = object.metadata.deletion_timestamp.has_value();
  owner.selector = Kind<T>::selector(object);
  owner.pod_template = Kind<T>::pod_template(object);
  owner.replicas = object.spec.replicas.value_or(1);
  owner.min_ready_seconds = object.spec.min_ready_seconds;
  return owner;
}

template <typename T>
void set_failure_condition(T& object, const ReplicaManager::Scaling& scaling, WallTime now) {
  constexpr std::string_view kReplicaFailure = "ReplicaFailure";
  auto& conditions = object.status.conditions;
  const auto found = std::ranges::find_if(conditions, [&](const auto& each) { return each.type == kReplicaFailure; });
  if (scaling.failure_reason.empty()) {
    if (found != conditions.end()) conditions.erase(found);
    return;
  }
  // While it goes on failing for the same reason the condition stays as it is.
  if (found != conditions.end() && found->reason == scaling.failure_reason) return;
  if (found != conditions.end()) conditions.erase(found);
  typename Kind<T>::Condition condition;
  condition.type = kReplicaFailure;
  condition.status = api::corev1::kConditionTrue;
  condition.last_transition_time = api::Time(now);
  condition.reason = scaling.failure_reason;
  condition.message = scaling.failure.message();
  conditions.push_back(std::move(condition));
}

}  // namespace

template <typename T>
ReplicaController<T>::ReplicaController(const ControllerContext& context, std::string name, std::string component)
    : Controller(context, std::move(name), Kind<T>::workers(context.options)),
      owners_(context.informers->informer<T>()),
      pods_(context.informers->informer<Pod>()),
      finder_(owners_, Kind<T>::selector, [this](std::string key) { this->enqueue(std::move(key)); }),
      manager_(context.client, context.clock, context.events->recorder(std::move(component)),
               !context.single_threaded) {
  index_by_controller(pods_);
  index_by_controller(owners_);
  owners_.add_handler([this](const Pointer& before, const Pointer& after) {
    if (!after) manager_.forget(before->metadata.uid);
    this->enqueue(client::key_of((after ? after : before)->metadata));
  });
  pods_.add_handler([this](const PodPointer& before, const PodPointer& after) { finder_.on_pod(before, after); });
}

template <typename T>
std::vector<PodPointer> ReplicaController<T>::related(const T& object) const {
  const auto* controller = controller_of(object.metadata);
  if (!controller) return pods_.by_index(kByController, object.metadata.uid);
  std::vector<PodPointer> out;
  for (const Pointer& sister : owners_.by_index(kByController, controller->uid)) {
    for (PodPointer& pod : pods_.by_index(kByController, sister->metadata.uid)) out.push_back(std::move(pod));
  }
  return out;
}

template <typename T>
Result<Outcome> ReplicaController<T>::reconcile(const std::string& key) {
  const Pointer object = owners_.get(key);
  if (!object) return Outcome::done();
  const ReplicaOwner owner = owner_of(*object);
  // Read before the candidates: a version read after them could claim more than they show.
  const uint64_t cache_version = pods_.version();
  const auto confirm = [&] { return confirm_alive(this->client(), *object); };
  TRY_ASSIGN(const std::vector<PodPointer> active,
             manager_.claim(owner, owned_or_orphaned(pods_, object->metadata.uid, object->metadata.namespace_),
                            cache_version, confirm));
  ReplicaManager::Scaling scaling;
  if (!owner.deleting) scaling = manager_.scale(owner, active, [&] { return related(*object); });
  const ReplicaCounts counts = count_replicas(owner, active, this->clock().now());
  TRY(write_status(*object, counts, scaling));
  if (!scaling.failure.ok()) return scaling.failure;
  return counts.next_available ? Outcome::again_after(*counts.next_available) : Outcome::done();
}

template <typename T>
Status ReplicaController<T>::write_status(T object, const ReplicaCounts& counts,
                                          const ReplicaManager::Scaling& scaling) {
  const auto before = object.status;
  object.status.replicas = counts.replicas;
  object.status.fully_labeled_replicas = counts.fully_labeled;
  object.status.ready_replicas = counts.ready;
  object.status.available_replicas = counts.available;
  object.status.observed_generation = object.metadata.generation;
  set_failure_condition(object, scaling, this->clock().now());
  if (api::validation::semantic_equal(before, object.status)) return {};
  const auto written = this->client().update_status(object);
  if (written.ok() || written.status().is(Reason::kNotFound)) return {};
  return written.status();
}

template <typename T>
void ReplicaController<T>::print_metrics(std::string& out) const {
  if constexpr (std::same_as<T, api::appsv1::ReplicaSet>) manager_.deletion_ages().print(out);
}

template class ReplicaController<api::corev1::ReplicationController>;
template class ReplicaController<api::appsv1::ReplicaSet>;

}  // namespace trireme::controllers
