#include "controllers/deployment/deployment_controller.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/conditions.h"
#include "api/validation/equal.h"
#include "controllers/deployment/progress.h"
#include "controllers/deployment/revisions.h"
#include "controllers/deployment/rollout.h"
#include "controllers/support/ownership.h"
#include "controllers/support/statuses.h"
#include "controllers/support/template_hash.h"

namespace trireme::controllers {

using api::corev1::Pod;
using namespace deployment;  // NOLINT: what this file is about

/// One pass over one Deployment. Holds what was read and, after a write, what came back: a write of something that the
/// cache shows too late meets a conflict and is tried again.
class DeploymentController::Pass {
 public:
  Pass(DeploymentController& controller, const Deployment& stored)
      : controller_(controller), client_(controller.client()), deployment_(stored), now_(controller.clock().now()) {}

  Result<Outcome> run();

 private:
  Result<Outcome> refuse_empty_selector();
  Status claim();
  Status mark_pause();
  Result<Outcome> scale_only();
  Result<Outcome> roll_back(int64_t revision);
  Result<Outcome> roll();
  Result<Outcome> recreate();

  /// Finds the current set and keeps its annotations, and the Deployment's revision, as they should be. `make`: creates
  /// it when there is none.
  Status sync_revision(bool make);
  Status make_current(int64_t revision);
  Status sync_current(int64_t revision);
  /// Returns whether a size was changed.
  Result<bool> resize(const std::vector<Resize>& plan);
  Result<bool> resize(const SetPointer& set, int32_t replicas);
  Status clean_up();
  bool old_pods_remain() const;

  Result<Outcome> write_status(api::appsv1::DeploymentStatus status);
  Status update_status();

  /// Sets the condition Progressing; also when only its message is new: then it is about another set.
  void progress(std::string_view status, std::string_view reason, std::string message);

  DeploymentController& controller_;
  client::Client& client_;
  Deployment deployment_;
  Sets sets_;
  const WallTime now_;
};

Result<Outcome> DeploymentController::Pass::run() {
  const auto& spec = deployment_.spec;
  if (!spec.selector || (spec.selector->match_labels.empty() && spec.selector->match_expressions.empty())) {
    return refuse_empty_selector();
  }
  TRY(claim());
  if (deployment_.metadata.deletion_timestamp) {
    TRY(sync_revision(/*make=*/false));
    return write_status(count_status(deployment_, sets_, now_));
  }
  TRY(mark_pause());
  if (spec.paused) return scale_only();
  const std::string rollback = deployment_.metadata.annotations.get(api::appsv1::kDeprecatedRollbackTo);
  if (!rollback.empty() && rollback.find_first_not_of("0123456789") == std::string::npos && rollback.size() < 19) {
    return roll_back(std::stoll(rollback));
  }
  TRY(sync_revision(/*make=*/false));
  if (was_scaled(deployment_, sets_)) return scale_only();
  if (spec.strategy.type == api::appsv1::kRecreateDeploymentStrategyType) return recreate();
  if (spec.strategy.type == api::appsv1::kRollingUpdateDeploymentStrategyType) return roll();
  return Status::internal("unexpected deployment strategy type: " + spec.strategy.type);
}

Result<Outcome> DeploymentController::Pass::refuse_empty_selector() {
  controller_.events_.warning(deployment_, "SelectingAll",
                              "This deployment is selecting all pods. A non-empty selector is required.");
  if (deployment_.status.observed_generation >= deployment_.metadata.generation) return Outcome::done();
  deployment_.status.observed_generation = deployment_.metadata.generation;
  TRY(update_status());
  return Outcome::done();
}

Status DeploymentController::Pass::claim() {
  TRY_ASSIGN(const api::LabelSelector selector, api::LabelSelector::from(*deployment_.spec.selector));
  const auto& metadata = deployment_.metadata;
  TRY_ASSIGN(auto mine, claim_objects<ReplicaSet>(
                            client_, client::reference_to(deployment_), metadata.deletion_timestamp.has_value(),
                            selector, owned_or_orphaned(controller_.sets_, metadata.uid, metadata.namespace_),
                            [&] { return confirm_alive(client_, deployment_); }));
  sets_ = sort_out(deployment_, std::move(mine));
  return {};
}

/// While it is paused no progress can be expected, and the deadline begins anew after.
Status DeploymentController::Pass::mark_pause() {
  if (!has_deadline(deployment_)) return {};
  const auto* known = api::find_condition(deployment_.status.conditions, api::appsv1::kDeploymentProgressing);
  if (known && known->reason == kProgressDeadlineExceeded) return {};
  const bool told = known && known->reason == kDeploymentPaused;
  if (told == deployment_.spec.paused) return {};
  if (told) {
    progress(api::corev1::kConditionUnknown, kDeploymentResumed, "Deployment is resumed");
  } else {
    progress(api::corev1::kConditionUnknown, kDeploymentPaused, "Deployment is paused");
  }
  return update_status();
}

Result<Outcome> DeploymentController::Pass::scale_only() {
  TRY(sync_revision(/*make=*/false));
  TRY(resize(spread_scaling(deployment_, sets_)).status());
  if (deployment_.spec.paused) TRY(clean_up());
  return write_status(count_status(deployment_, sets_, now_));
}

Result<Outcome> DeploymentController::Pass::roll_back(int64_t revision) {
  TRY(sync_revision(/*make=*/true));
  client::EventRecorder& events = controller_.events_;
  if (revision == 0) revision = last_revision(sets_.all());
  const std::vector<SetPointer> all = sets_.all();
  const auto found = std::ranges::find_if(
      all, [&](const SetPointer& set) { return revision != 0 && revision_of(set->metadata) == revision; });
  if (found == all.end()) {
    events.warning(deployment_, "DeploymentRollbackRevisionNotFound",
                   revision == 0 ? "Unable to find last revision." : "Unable to find the revision to rollback to.");
  } else if (equal_ignoring_hash(deployment_.spec.template_, (*found)->spec.template_)) {
    events.warning(
        deployment_, "DeploymentRollbackTemplateUnchanged",
        "The rollback revision contains the same template as current deployment \"" + deployment_.metadata.name + "\"");
  } else {
    roll_back_to(deployment_, **found);
    events.normal(
        deployment_, "DeploymentRollback",
        "Rolled back deployment \"" + deployment_.metadata.name + "\" to revision " + std::to_string(revision));
  }
  deployment_.metadata.annotations.erase(api::appsv1::kDeprecatedRollbackTo);
  TRY(client_.update(deployment_).status());
  return Outcome::done();
}

Result<Outcome> DeploymentController::Pass::roll() {
  TRY(sync_revision(/*make=*/true));
  const int32_t current = replicas_of(*sets_.current);
  const int32_t size = current_size(deployment_, wanted_replicas(sets_.all()), current);
  TRY_ASSIGN(bool changed, resize(sets_.current, size));
  if (!changed) {
    TRY_ASSIGN(changed, resize(shrink_old(deployment_, sets_)));
  }
  if (!changed && is_complete(deployment_, deployment_.status)) TRY(clean_up());
  return write_status(rollout_status(deployment_, sets_, now_));
}

Result<Outcome> DeploymentController::Pass::recreate() {
  std::vector<Resize> away;
  for (const SetPointer& set : sets_.old) {
    if (replicas_of(*set) > 0) away.push_back({set, 0});
  }
  TRY_ASSIGN(const bool shrunk, resize(away));
  if (shrunk || old_pods_remain()) return write_status(rollout_status(deployment_, sets_, now_));
  TRY(sync_revision(/*make=*/true));
  TRY_ASSIGN(const bool grown, resize(sets_.current, replicas_of(deployment_)));
  if (!grown && is_complete(deployment_, deployment_.status)) TRY(clean_up());
  return write_status(rollout_status(deployment_, sets_, now_));
}

/// Old pods that are still terminating count: that is the point of this strategy.
bool DeploymentController::Pass::old_pods_remain() const {
  if (actual_replicas(sets_.old) > 0) return true;
  return std::ranges::any_of(sets_.old, [&](const SetPointer& set) {
    const auto pods = controller_.pods_.by_index(kByController, set->metadata.uid);
    return std::ranges::any_of(pods, [](const PodPointer& pod) { return !is_finished(*pod); });
  });
}

Status DeploymentController::Pass::sync_revision(bool make) {
  const int64_t revision = highest_revision(sets_.old) + 1;
  if (sets_.current) return sync_current(revision);
  return make ? make_current(revision) : Status();
}

Status DeploymentController::Pass::sync_current(int64_t revision) {
  ReplicaSet set = *sets_.current;
  const bool annotated = annotate_current(deployment_, set, revision);
  if (annotated || set.spec.min_ready_seconds != deployment_.spec.min_ready_seconds) {
    set.spec.min_ready_seconds = deployment_.spec.min_ready_seconds;
    TRY_ASSIGN(ReplicaSet written, client_.update(set));
    sets_.current = std::make_shared<const ReplicaSet>(std::move(written));
  }
  const std::string its = sets_.current->metadata.annotations.get(kRevision);
  const bool announced = deployment_.metadata.annotations.get(kRevision) == its;
  deployment_.metadata.annotations.insert_or_assign(kRevision, its);
  // The deadline of a rollout begins when it is told of: also of one that goes back to an old set, or whose beginning
  // was lost in a restart. Upstream leaves the last rollout's condition then.
  const bool tell = has_deadline(deployment_) &&
                    (!api::find_condition(deployment_.status.conditions, api::appsv1::kDeploymentProgressing) ||
                     (!announced && !deployment_.spec.paused));
  if (tell) {
    progress(api::corev1::kConditionTrue, kFoundNewReplicaSet,
             "Found new replica set \"" + sets_.current->metadata.name + "\"");
  }
  return announced && !tell ? Status() : update_status();
}

Status DeploymentController::Pass::make_current(int64_t revision) {
  const int32_t replicas = current_size(deployment_, wanted_replicas(sets_.old), 0);
  const ReplicaSet wanted = make_set(deployment_, revision, replicas);
  Result<ReplicaSet> made = client_.create(wanted);
  const bool is_new = made.ok();
  if (made.status().is(Reason::kAlreadyExists)) {
    // Made by an earlier pass that the cache does not show yet, or another template's with the same hash.
    TRY_ASSIGN(ReplicaSet there, client_.get<ReplicaSet>(wanted.metadata.namespace_, wanted.metadata.name));
    const auto* owner = controller_of(there.metadata);
    if (!owner || owner->uid != deployment_.metadata.uid ||
        !equal_ignoring_hash(there.spec.template_, deployment_.spec.template_)) {
      deployment_.status.collision_count = deployment_.status.collision_count.value_or(0) + 1;
      TRY(update_status());
      return made.status();
    }
    made = std::move(there);
  }
  if (!made.ok()) {
    if (namespace_is_ending(made.status())) return made.status();
    const std::string message =
        "Failed to create new replica set \"" + wanted.metadata.name + "\": " + made.status().message();
    if (has_deadline(deployment_)) {
      progress(api::corev1::kConditionFalse, kReplicaSetCreateError, message);
      // The failure itself matters more than one to tell of it.
      (void)update_status();
    }
    controller_.events_.warning(deployment_, kReplicaSetCreateError, message);
    return made.status();
  }
  sets_.current = std::make_shared<const ReplicaSet>(std::move(*made));
  if (!is_new) return sync_current(revision);
  if (replicas > 0) {
    controller_.events_.normal(
        deployment_, "ScalingReplicaSet",
        "Scaled up replica set " + wanted.metadata.name + " from 0 to " + std::to_string(replicas));
  }
  deployment_.metadata.annotations.insert_or_assign(kRevision, std::to_string(revision));
  if (has_deadline(deployment_)) {
    progress(api::corev1::kConditionTrue, kNewReplicaSetCreated,
             "Created new replica set \"" + wanted.metadata.name + "\"");
  }
  return update_status();
}

Result<bool> DeploymentController::Pass::resize(const std::vector<Resize>& plan) {
  bool changed = false;
  for (const Resize& each : plan) {
    TRY_ASSIGN(const bool one, resize(each.set, each.replicas));
    changed = changed || one;
  }
  return changed;
}

Result<bool> DeploymentController::Pass::resize(const SetPointer& set, int32_t replicas) {
  const int32_t before = replicas_of(*set);
  ReplicaSet wanted = *set;
  const bool annotated = annotate_replicas(deployment_, wanted);
  if (before == replicas && !annotated) return false;
  wanted.spec.replicas = replicas;
  TRY_ASSIGN(ReplicaSet written, client_.update(wanted));
  auto fresh = std::make_shared<const ReplicaSet>(std::move(written));
  if (sets_.current == set) {
    sets_.current = fresh;
  } else {
    std::ranges::replace(sets_.old, set, fresh);
  }
  if (before == replicas) return false;
  controller_.events_.normal(deployment_, "ScalingReplicaSet",
                             fmt::format("Scaled {} replica set {} from {} to {}", before < replicas ? "up" : "down",
                                         fresh->metadata.name, before, replicas));
  return true;
}

Status DeploymentController::Pass::clean_up() {
  for (const SetPointer& set : beyond_history(deployment_, sets_)) {
    client::DeleteOptions options;
    options.uid = set->metadata.uid;
    const Status gone = client_.remove<ReplicaSet>(set->metadata.namespace_, set->metadata.name, options);
    if (!gone.ok() && !gone.is(Reason::kNotFound)) return gone;
  }
  return {};
}

Result<Outcome> DeploymentController::Pass::write_status(api::appsv1::DeploymentStatus status) {
  if (!api::validation::semantic_equal(deployment_.status, status)) {
    deployment_.status = std::move(status);
    TRY(update_status());
  }
  if (deployment_.spec.paused || deployment_.metadata.deletion_timestamp) return Outcome::done();
  const auto due = deadline_due(deployment_, deployment_.status, now_);
  return due ? Outcome::again_after(*due) : Outcome::done();
}

void DeploymentController::Pass::progress(std::string_view status, std::string_view reason, std::string message) {
  DeploymentCondition fresh = condition(api::appsv1::kDeploymentProgressing, status, reason, std::move(message), now_);
  const DeploymentCondition* known = api::find_condition(deployment_.status.conditions, fresh.type);
  if (known && known->message != fresh.message) {
    if (known->status == fresh.status) fresh.last_transition_time = known->last_transition_time;
    remove_condition(deployment_.status, fresh.type);
  }
  set_condition(deployment_.status, std::move(fresh));
}

Status DeploymentController::Pass::update_status() {
  Result<Deployment> written = client_.update_status(deployment_);
  if (written.status().is(Reason::kNotFound)) return {};
  if (!written.ok()) return written.status();
  deployment_ = std::move(*written);
  return {};
}

DeploymentController::DeploymentController(const ControllerContext& context)
    : Controller(context, "deployment-controller", context.options.concurrent_deployment_syncs),
      deployments_(context.informers->informer<Deployment>()),
      sets_(context.informers->informer<ReplicaSet>()),
      pods_(context.informers->informer<Pod>()),
      events_(context.events->recorder("deployment-controller")) {
  index_by_controller(sets_);
  index_by_controller(pods_);
  deployments_.add_handler(
      [this](const auto& before, const auto& after) { enqueue(client::key_of((after ? after : before)->metadata)); });
  sets_.add_handler([this](const auto& before, const auto& after) { on_set(before, after); });
  pods_.add_handler([this](const auto& before, const auto& after) { on_pod(before, after); });
}

std::shared_ptr<const DeploymentController::Deployment> DeploymentController::owner_of(const ReplicaSet& set) const {
  const auto* controller = controller_of(set.metadata);
  if (!controller || controller->kind != api::type_info<Deployment>().kind) return nullptr;
  auto owner = deployments_.get(set.metadata.namespace_, controller->name);
  return owner && owner->metadata.uid == controller->uid ? owner : nullptr;
}

void DeploymentController::enqueue_owner(const ReplicaSet& set) {
  if (const auto owner = owner_of(set)) enqueue(client::key_of(owner->metadata));
}

void DeploymentController::on_set(const std::shared_ptr<const ReplicaSet>& before,
                                  const std::shared_ptr<const ReplicaSet>& after) {
  if (!after) return enqueue_owner(*before);
  const auto* old_owner = before ? controller_of(before->metadata) : nullptr;
  const auto* new_owner = controller_of(after->metadata);
  const bool moved = old_owner && (!new_owner || new_owner->uid != old_owner->uid);
  if (moved) enqueue_owner(*before);
  if (new_owner) return enqueue_owner(*after);
  if (before && !moved && before->metadata.labels == after->metadata.labels) return;
  for (const auto& each : deployments_.list(after->metadata.namespace_)) {
    if (!each->spec.selector) continue;
    const auto selector = api::LabelSelector::from(*each->spec.selector);
    if (selector.ok() && !selector->empty() && selector->matches(after->metadata.labels)) {
      enqueue(client::key_of(each->metadata));
    }
  }
}

/// Pods concern the strategy Recreate only: its next step may wait for the end of this one.
void DeploymentController::on_pod(const PodPointer& before, const PodPointer& after) {
  if (!before || (after && is_finished(*after) == is_finished(*before))) return;
  const auto* controller = controller_of(before->metadata);
  if (!controller || controller->kind != api::type_info<ReplicaSet>().kind) return;
  const auto set = sets_.get(before->metadata.namespace_, controller->name);
  if (!set || set->metadata.uid != controller->uid) return;
  const auto owner = owner_of(*set);
  if (owner && owner->spec.strategy.type == api::appsv1::kRecreateDeploymentStrategyType) {
    enqueue(client::key_of(owner->metadata));
  }
}

Result<Outcome> DeploymentController::reconcile(const std::string& key) {
  const auto stored = deployments_.get(key);
  if (!stored) return Outcome::done();
  return Pass(*this, *stored).run();
}

}  // namespace trireme::controllers
