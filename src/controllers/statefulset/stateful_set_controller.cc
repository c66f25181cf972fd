#include "controllers/statefulset/stateful_set_controller.h"

#include <fmt/format.h>

#include <algorithm>

#include "controllers/history/revisions.h"
#include "controllers/runtime/batches.h"
#include "controllers/statefulset/plan.h"
#include "controllers/support/ownership.h"
#include "controllers/support/status_writes.h"
#include "controllers/support/statuses.h"

namespace trireme::controllers {

using namespace statefulset;  // NOLINT: what this file is about
using api::appsv1::ControllerRevision;
using history::RevisionPointer;

namespace {

api::LabelSelector selector_of(const StatefulSet& set) {
  return owner_selector(set.spec.selector ? &*set.spec.selector : nullptr);
}

constexpr int32_t kDefaultHistory = 10;

}  // namespace

/// One pass over one set.
class StatefulSetController::Pass {
 public:
  Pass(StatefulSetController& controller, const StatefulSet& set)
      : controller_(controller), client_(controller.client()), set_(set), now_(controller.clock().now()) {}

  Result<Outcome> run();

 private:
  Status claim();
  Status find_revisions();
  Status take(const Step& step);
  Status create(int32_t ordinal);
  Status tend(int32_t ordinal, const Pod& pod);
  Status remove(const Pod& pod);
  /// Makes claims that are missing and keeps the owners of the others. `pod` is null before the pod is made. Returns
  /// false when the pod must wait for a claim of its predecessor to go.
  Result<bool> see_to_claims(int32_t ordinal, const Pod* pod);
  Status take_all(const std::vector<Step>& steps);
  Status write_status(const std::string& current, const std::string& update);
  Status clean_up();

  /// Records the outcome of a call; a pod's, or a claim's of that pod.
  void tell(std::string_view verb, const std::string& pod, const Status& status, const std::string& claim = {});

  StatefulSetController& controller_;
  client::Client& client_;
  StatefulSet set_;
  const WallTime now_;
  Members members_;
  std::vector<RevisionPointer> revisions_;
  RevisionPointer current_;
  RevisionPointer update_;
};

Result<Outcome> StatefulSetController::Pass::run() {
  TRY(claim());
  if (set_.metadata.deletion_timestamp) {
    // The garbage collector takes the revisions away: none may be made now.
    TRY(write_status(set_.status.current_revision, set_.status.update_revision));
    return Outcome::done();
  }
  TRY(find_revisions());
  const Plan next = plan(set_, members_, update_->metadata.name, now_);
  const Status failure = take_all(next.steps);
  if (namespace_is_ending(failure)) return Outcome::done();
  TRY(write_status(current_->metadata.name, update_->metadata.name));
  TRY(clean_up());
  if (!failure.ok()) return failure;
  return next.look_again ? Outcome::again_after(*next.look_again) : Outcome::done();
}

Status StatefulSetController::Pass::take_all(const std::vector<Step>& steps) {
  if (set_.spec.pod_management_policy == api::appsv1::kParallelPodManagement) {
    const bool parallel = !controller_.context().single_threaded;
    return slow_start(steps.size(), parallel, [&](size_t i) { return take(steps[i]); }).failure;
  }
  // What follows must not happen before this has.
  for (const Step& step : steps) TRY(take(step));
  return {};
}

Status StatefulSetController::Pass::claim() {
  const auto& metadata = set_.metadata;
  std::vector<PodPointer> candidates;
  for (PodPointer& pod : owned_or_orphaned(controller_.pods_, metadata.uid, metadata.namespace_)) {
    // A pod that only has the labels is not a member; a member's name says so.
    if (ordinal_of(set_, pod->metadata.name)) candidates.push_back(std::move(pod));
  }
  TRY_ASSIGN(const auto mine, claim_objects<Pod>(client_, client::reference_to(set_),
                                                 metadata.deletion_timestamp.has_value(), selector_of(set_),
                                                 std::move(candidates), [&] { return confirm_alive(client_, set_); }));
  members_ = sort_out(set_, mine);
  return {};
}

Status StatefulSetController::Pass::find_revisions() {
  const auto& metadata = set_.metadata;
  TRY_ASSIGN(revisions_,
             claim_objects<ControllerRevision>(
                 client_, client::reference_to(set_), metadata.deletion_timestamp.has_value(), selector_of(set_),
                 owned_or_orphaned(controller_.revisions_, metadata.uid, metadata.namespace_),
                 [&] { return confirm_alive(client_, set_); }));
  history::sort_revisions(revisions_);
  const std::string data = history::template_patch(set_.spec.template_);
  // It is part of the names, and of every status.
  if (!set_.status.collision_count) set_.status.collision_count = 0;
  const history::Owner owner{client::reference_to(set_), set_.spec.template_.metadata.labels, metadata.annotations,
                             "controller.kubernetes.io/hash"};
  TRY_ASSIGN(update_, history::find_or_make(client_, owner, data, revisions_, set_.status.collision_count,
                                            [&](const ControllerRevision& written) {
                                              controller_.revisions_fence_.wrote(metadata.uid,
                                                                                 written.metadata.resource_version);
                                            }));
  const auto current = std::ranges::find_if(
      revisions_, [&](const auto& each) { return each->metadata.name == set_.status.current_revision; });
  current_ = current == revisions_.end() ? update_ : *current;
  return {};
}

Status StatefulSetController::Pass::take(const Step& step) {
  switch (step.kind) {
    case Step::Kind::kCreate:
      return create(step.ordinal);
    case Step::Kind::kTend:
      return tend(step.ordinal, *step.pod);
    case Step::Kind::kDelete:
      TRY(see_to_claims(step.ordinal, step.pod.get()).status());
      return remove(*step.pod);
    case Step::Kind::kRecreate:
    case Step::Kind::kReplace:
      return remove(*step.pod);
  }
  return {};
}

void StatefulSetController::Pass::tell(std::string_view verb, const std::string& pod, const Status& status,
                                       const std::string& claim) {
  if (namespace_is_ending(status)) return;
  const std::string_view done = verb == "create" ? "Create" : verb == "delete" ? "Delete" : "Update";
  const std::string what = claim.empty() ? "Pod " + pod
                           : status.ok() ? "Claim " + claim + " Pod " + pod
                                         : "Claim " + claim + " for Pod " + pod;
  const std::string text = fmt::format("{} {} in StatefulSet {}", verb, what, set_.metadata.name);
  if (status.ok()) {
    controller_.events_.normal(set_, fmt::format("Successful{}", done),
                               text + (claim.empty() ? " successful" : " success"));
  } else {
    controller_.events_.warning(set_, fmt::format("Failed{}", done), text + " failed error: " + status.message());
  }
}

Result<bool> StatefulSetController::Pass::see_to_claims(int32_t ordinal, const Pod* pod) {
  const std::string name = pod_name(set_, ordinal);
  const bool waiting = !pod || pod->status.phase == api::corev1::kPodPending;
  for (const PersistentVolumeClaim& wanted : make_claims(set_, ordinal)) {
    const auto present = controller_.claims_.get(set_.metadata.namespace_, wanted.metadata.name);
    if (!present) {
      if (!waiting) continue;
      PersistentVolumeClaim fresh = wanted;
      apply_retention(set_, pod, ordinal, fresh);
      const Status made = client_.create(fresh).status();
      if (made.is(Reason::kAlreadyExists)) continue;  // the cache is behind
      tell("create", name, made, wanted.metadata.name);
      TRY(made);
      continue;
    }
    if (present->metadata.deletion_timestamp) {
      if (!pod) return Status::internal("pvc " + wanted.metadata.name + " is being deleted");
      continue;
    }
    if (!pod && is_stale(*present, name, pod)) return false;
    PersistentVolumeClaim changed = *present;
    if (apply_retention(set_, pod, ordinal, changed)) TRY(client_.update(changed).status());
  }
  return true;
}

Status StatefulSetController::Pass::create(int32_t ordinal) {
  TRY_ASSIGN(const bool ready, see_to_claims(ordinal, nullptr));
  if (!ready) return {};
  const bool old = starts_from_current(set_, ordinal) && current_ != update_;
  api::corev1::PodTemplateSpec pod_template = set_.spec.template_;
  if (old) {
    TRY_ASSIGN(pod_template, history::template_of(*current_));
  }
  const Result<Pod> made =
      client_.create(make_pod(set_, pod_template, (old ? current_ : update_)->metadata.name, ordinal));
  if (made.status().is(Reason::kAlreadyExists)) return made.status();
  tell("create", pod_name(set_, ordinal), made.status());
  TRY(made.status());
  controller_.fence_.wrote(set_.metadata.uid, made->metadata.resource_version);
  return {};
}

Status StatefulSetController::Pass::tend(int32_t ordinal, const Pod& pod) {
  TRY(see_to_claims(ordinal, &pod).status());
  Pod changed = pod;
  if (!restore_identity(changed, ordinal)) return {};
  const Result<Pod> written = client_.update(changed);
  tell("update", pod.metadata.name, written.status());
  TRY(written.status());
  controller_.fence_.wrote(set_.metadata.uid, written->metadata.resource_version);
  return {};
}

Status StatefulSetController::Pass::remove(const Pod& pod) {
  client::DeleteOptions options;
  options.uid = pod.metadata.uid;
  const Status status = client_.remove<Pod>(pod.metadata.namespace_, pod.metadata.name, options);
  // A conflict: the name is another pod's by now.
  if (status.is(Reason::kNotFound) || status.is(Reason::kConflict)) return {};
  tell("delete", pod.metadata.name, status);
  TRY(status);
  controller_.fence_.deleted(set_.metadata.uid, pod);
  return {};
}

Status StatefulSetController::Pass::write_status(const std::string& current, const std::string& update) {
  return write_status_unless_equal(client_, controller_.sets_.get(client::key_of(set_.metadata)), set_,
                                   count_status(set_, members_, current, update, now_));
}

Status StatefulSetController::Pass::clean_up() {
  std::set<std::string> live{current_->metadata.name, update_->metadata.name, set_.status.current_revision};
  for (const auto* pods : {&members_.slots, &members_.condemned}) {
    for (const PodPointer& pod : *pods) {
      if (pod) live.insert(revision_of(*pod));
    }
  }
  return history::truncate(client_, revisions_, live, set_.spec.revision_history_limit.value_or(kDefaultHistory));
}

StatefulSetController::StatefulSetController(const ControllerContext& context)
    : Controller(context, "statefulset-controller", context.options.concurrent_statefulset_syncs),
      sets_(context.informers->informer<StatefulSet>()),
      pods_(context.informers->informer<Pod>()),
      claims_(context.informers->informer<PersistentVolumeClaim>()),
      revisions_(context.informers->informer<ControllerRevision>()),
      events_(context.events->recorder("statefulset-controller")),
      finder_(sets_, selector_of, [this](std::string key) { enqueue(std::move(key)); }) {
  index_by_controller(pods_);
  index_by_controller(revisions_);
  sets_.add_handler([this](const auto& before, const auto& after) {
    if (!after) {
      fence_.forget(before->metadata.uid);
      revisions_fence_.forget(before->metadata.uid);
    }
    enqueue(client::key_of((after ? after : before)->metadata));
  });
  revisions_.add_handler([this](const auto& before, const auto& after) {
    // Only what was written here is waited for. Others may change several, one after the other: as upstream does, the
    // set looks at them with its own next change.
    const auto& metadata = (after ? after : before)->metadata;
    const auto* owner = controller_of(metadata);
    if (owner != nullptr && revisions_fence_.waits(owner->uid)) finder_.owner_of(metadata);
  });
  pods_.add_handler([this](const auto& before, const auto& after) { finder_.on_pod(before, after); });
  claims_.add_handler([this](const auto& before, const auto& after) {
    // A pod may wait for a claim of its predecessor to go.
    if (after) return;
    for (const SetPointer& set : sets_.list(before->metadata.namespace_)) {
      if (is_claim_of(*set, before->metadata.name)) enqueue(client::key_of(set->metadata));
    }
  });
}

Result<Outcome> StatefulSetController::reconcile(const std::string& key) {
  const SetPointer set = sets_.get(key);
  if (!set) return Outcome::done();
  if (!fence_.passed(set->metadata.uid, pods_) || !revisions_fence_.passed(set->metadata.uid, revisions_.version(), {}))
    return Outcome::done();
  return Pass(*this, *set).run();
}

}  // namespace trireme::controllers
