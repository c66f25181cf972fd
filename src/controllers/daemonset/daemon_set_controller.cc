#include "controllers/daemonset/daemon_set_controller.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "api/value.h"
#include "controllers/daemonset/plan.h"
#include "controllers/history/revisions.h"
#include "controllers/runtime/batches.h"
#include "controllers/support/ownership.h"
#include "controllers/support/status_writes.h"
#include "controllers/support/statuses.h"

namespace trireme::controllers {

using namespace daemonset;  // NOLINT: what this file is about
using api::appsv1::ControllerRevision;
using history::RevisionPointer;

namespace {

/// At most so many pods are created or deleted in one pass.
constexpr size_t kBurst = 250;
constexpr int32_t kDefaultHistory = 10;
/// By which pods and revisions belong together.
constexpr std::string_view kHashLabel = api::appsv1::kDefaultDaemonSetUniqueLabelKey;
constexpr Duration kFirstDelay = std::chrono::seconds(1);
constexpr Duration kLastDelay = std::chrono::minutes(15);

api::LabelSelector selector_of(const DaemonSet& set) {
  return owner_selector(set.spec.selector ? &*set.spec.selector : nullptr);
}

}  // namespace

Duration FailedPodBackoff::take(const std::string& key, Duration now) {
  const std::lock_guard lock(mutex_);
  std::erase_if(entries_, [&](const auto& each) { return now - each.second.last > 2 * kLastDelay; });
  const auto [entry, fresh] = entries_.try_emplace(key, Entry{kFirstDelay, now});
  if (fresh) return Duration::zero();
  Entry& known = entry->second;
  const Duration due = known.last + known.delay;
  if (now < due) return due - now;
  known = {std::min(known.delay * 2, kLastDelay), now};
  return Duration::zero();
}

/// One pass over one set.
class DaemonSetController::Pass {
 public:
  Pass(DaemonSetController& controller, const DaemonSet& set)
      : controller_(controller),
        client_(controller.client()),
        set_(set),
        now_(controller.clock().now()),
        spec_(daemon_spec(set)) {}

  Result<Outcome> run();

 private:
  Status find_places();
  Status find_revisions();
  /// Revisions that store the same as the current one, as somebody may have made them, become one: their pods get its
  /// hash, so that they are not taken for old ones.
  Status merge_equal(const std::string& data);
  Result<PodPointer> relabel(const Pod& pod);
  Status carry_out(Plan plan);
  Status create_on(const std::string& node);
  Status remove(const Pod& pod);
  /// Adds those finished pods whose time has come to the pods to be removed.
  void kill_failed(Plan& plan);
  Status clean_up();
  void look_again_in(Duration delay) { look_again_ = look_again_ ? std::min(*look_again_, delay) : delay; }

  DaemonSetController& controller_;
  client::Client& client_;
  DaemonSet set_;
  const WallTime now_;
  const api::corev1::PodSpec spec_;
  std::vector<Place> places_;
  std::vector<PodPointer> homeless_;  ///< Waiting for a node that is gone.
  std::vector<RevisionPointer> revisions_;
  RevisionPointer current_;
  std::string hash_;
  std::optional<Duration> look_again_;
};

Result<Outcome> DaemonSetController::Pass::run() {
  const auto& selector = set_.spec.selector;
  if (!selector || (selector->match_labels.empty() && selector->match_expressions.empty())) {
    controller_.events_.warning(set_, "SelectingAll",
                                "This daemon set is selecting all pods. A non-empty selector is required.");
    return Outcome::done();
  }
  // The garbage collector takes pods and revisions away: none may be made now.
  if (set_.metadata.deletion_timestamp) return Outcome::done();
  TRY(find_places());
  TRY(find_revisions());
  Plan plan = plan_places(set_, places_, hash_, now_);
  plan.remove.insert(plan.remove.end(), homeless_.begin(), homeless_.end());
  kill_failed(plan);
  const bool quiet = plan.create.empty() && plan.remove.empty();
  Status failure = carry_out(std::move(plan));
  // The update looks at the same pods: it must not act on what this pass has changed already.
  if (failure.ok() && quiet) failure = carry_out(plan_update(set_, places_, hash_, now_));
  const Counts counts = count_status(set_, places_, hash_, now_);
  if (counts.look_again) look_again_in(*counts.look_again);
  TRY(write_status_unless_equal(client_, controller_.sets_.get(client::key_of(set_.metadata)), set_, counts.status));
  if (!failure.ok()) {
    if (namespace_is_ending(failure)) return Outcome::done();
    return failure;
  }
  TRY(clean_up());
  return look_again_ ? Outcome::again_after(*look_again_) : Outcome::done();
}

Status DaemonSetController::Pass::find_places() {
  const auto& metadata = set_.metadata;
  TRY_ASSIGN(
      const auto mine,
      claim_objects<Pod>(client_, client::reference_to(set_), metadata.deletion_timestamp.has_value(),
                         selector_of(set_), owned_or_orphaned(controller_.pods_, metadata.uid, metadata.namespace_),
                         [&] { return confirm_alive(client_, set_); }));
  std::map<std::string, std::vector<PodPointer>> by_node;
  for (const PodPointer& pod : mine) {
    // One that has ended and is being deleted keeps nothing from coming in its place.
    if (is_finished(*pod) && pod->metadata.deletion_timestamp) continue;
    by_node[node_of(*pod)].push_back(pod);
  }
  for (const auto& node : controller_.nodes_.list()) {
    Place place;
    place.node = node->metadata.name;
    place.wanted = eligibility(spec_, *node);
    if (const auto pods = by_node.find(place.node); pods != by_node.end()) {
      place.pods = std::move(pods->second);
      by_node.erase(pods);
    }
    places_.push_back(std::move(place));
  }
  for (const auto& [node, pods] : by_node) {
    for (const PodPointer& pod : pods) {
      // Bound ones are the pod collector's; nobody else would ever take away one that waits.
      if (pod->spec.node_name.empty() && !pod->metadata.deletion_timestamp) homeless_.push_back(pod);
    }
  }
  return {};
}

Status DaemonSetController::Pass::find_revisions() {
  const auto& metadata = set_.metadata;
  TRY_ASSIGN(revisions_,
             claim_objects<ControllerRevision>(
                 client_, client::reference_to(set_), metadata.deletion_timestamp.has_value(), selector_of(set_),
                 owned_or_orphaned(controller_.revisions_, metadata.uid, metadata.namespace_),
                 [&] { return confirm_alive(client_, set_); }));
  history::sort_revisions(revisions_);
  const std::string data = history::template_patch(set_.spec.template_);
  const history::Owner owner{client::reference_to(set_), set_.spec.template_.metadata.labels, metadata.annotations,
                             std::string(kHashLabel)};
  TRY_ASSIGN(current_, history::find_or_make(client_, owner, data, revisions_, set_.status.collision_count,
                                             [&](const ControllerRevision& written) {
                                               controller_.revisions_fence_.wrote(metadata.uid,
                                                                                  written.metadata.resource_version);
                                             }));
  hash_ = current_->metadata.labels.get(kHashLabel);
  return merge_equal(data);
}

Status DaemonSetController::Pass::merge_equal(const std::string& data) {
  for (;;) {
    std::vector<RevisionPointer> others;
    std::ranges::copy_if(revisions_, std::back_inserter(others),
                         [&](const auto& each) { return each->metadata.name != current_->metadata.name; });
    const RevisionPointer same = history::find_equal(others, data);
    if (!same) return {};
    const std::string hash = same->metadata.labels.get(kHashLabel);
    for (Place& place : places_) {
      for (PodPointer& pod : place.pods) {
        if (hash == hash_ || pod->metadata.labels.get(kHashLabel) != hash) continue;
        TRY_ASSIGN(pod, relabel(*pod));
      }
    }
    client::DeleteOptions options;
    options.uid = same->metadata.uid;
    const Status gone = client_.remove<ControllerRevision>(same->metadata.namespace_, same->metadata.name, options);
    if (!gone.ok() && !gone.is(Reason::kNotFound) && !gone.is(Reason::kConflict)) return gone;
    std::erase(revisions_, same);
  }
}

Result<PodPointer> DaemonSetController::Pass::relabel(const Pod& pod) {
  api::Value patch = api::Value::object();
  patch["metadata"]["uid"] = pod.metadata.uid;
  patch["metadata"]["labels"][kHashLabel] = hash_;
  TRY_ASSIGN(Pod changed, client_.patch<Pod>(pod.metadata.namespace_, pod.metadata.name, client::PatchType::kMerge,
                                             api::to_json(patch)));
  controller_.fence_.wrote(set_.metadata.uid, changed.metadata.resource_version);
  return std::make_shared<const Pod>(std::move(changed));
}

void DaemonSetController::Pass::kill_failed(Plan& plan) {
  for (const PodPointer& pod : plan.failed) {
    const std::string key = set_.metadata.uid + "/" + hash_ + "/" + node_of(*pod);
    const Duration left = controller_.backoff_.take(key, controller_.clock().monotonic());
    if (left > Duration::zero()) {
      look_again_in(left);
      continue;
    }
    const bool failed = pod->status.phase == api::corev1::kPodFailed;
    const std::string text =
        fmt::format("Found {} daemon pod {}/{} on node {}, will try to {} it", failed ? "failed" : "succeeded",
                    pod->metadata.namespace_, pod->metadata.name, node_of(*pod), failed ? "kill" : "delete");
    if (failed) {
      controller_.events_.warning(set_, "FailedDaemonPod", text);
    } else {
      controller_.events_.normal(set_, "SucceededDaemonPod", text);
    }
    plan.remove.push_back(pod);
  }
}

Status DaemonSetController::Pass::carry_out(Plan plan) {
  if (plan.create.size() > kBurst || plan.remove.size() > kBurst) {
    plan.create.resize(std::min(plan.create.size(), kBurst));
    plan.remove.resize(std::min(plan.remove.size(), kBurst));
    // The writes' own events bring the set back for the rest.
  }
  const bool parallel = !controller_.context().single_threaded;
  BatchResult made = slow_start(plan.create.size(), parallel, [&](size_t i) { return create_on(plan.create[i]); });
  BatchResult gone = run_batch(plan.remove.size(), parallel, [&](size_t i) { return remove(*plan.remove[i]); });
  return made.failure.ok() ? std::move(gone.failure) : std::move(made.failure);
}

Status DaemonSetController::Pass::create_on(const std::string& node) {
  const Result<Pod> made = client_.create(make_pod(set_, spec_, node, hash_));
  if (!made.ok()) {
    if (!namespace_is_ending(made.status())) {
      controller_.events_.warning(set_, "FailedCreate", "Error creating: " + made.status().message());
    }
    return made.status();
  }
  controller_.fence_.wrote(set_.metadata.uid, made->metadata.resource_version);
  controller_.events_.normal(set_, "SuccessfulCreate", "Created pod: " + made->metadata.name);
  return {};
}

Status DaemonSetController::Pass::remove(const Pod& pod) {
  client::DeleteOptions options;
  options.uid = pod.metadata.uid;
  const Status status = client_.remove<Pod>(pod.metadata.namespace_, pod.metadata.name, options);
  // A conflict: the name is another pod's by now.
  if (status.is(Reason::kNotFound) || status.is(Reason::kConflict)) return {};
  if (!status.ok()) {
    controller_.events_.warning(set_, "FailedDelete", "Error deleting: " + status.message());
    return status;
  }
  controller_.fence_.deleted(set_.metadata.uid, pod);
  controller_.events_.normal(set_, "SuccessfulDelete", "Deleted pod: " + pod.metadata.name);
  return {};
}

Status DaemonSetController::Pass::clean_up() {
  std::set<std::string> used;
  for (const Place& place : places_) {
    for (const PodPointer& pod : place.pods) {
      used.insert(pod->metadata.labels.get(kHashLabel));
    }
  }
  std::set<std::string> live{current_->metadata.name};
  for (const RevisionPointer& revision : revisions_) {
    const std::string hash = revision->metadata.labels.get(kHashLabel);
    if (!hash.empty() && used.contains(hash)) live.insert(revision->metadata.name);
  }
  return history::truncate(client_, revisions_, live, set_.spec.revision_history_limit.value_or(kDefaultHistory));
}

DaemonSetController::DaemonSetController(const ControllerContext& context)
    : Controller(context, "daemonset-controller", context.options.concurrent_daemonset_syncs),
      sets_(context.informers->informer<DaemonSet>()),
      pods_(context.informers->informer<Pod>()),
      nodes_(context.informers->informer<Node>()),
      revisions_(context.informers->informer<ControllerRevision>()),
      events_(context.events->recorder("daemonset-controller")),
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
  nodes_.add_handler([this](const auto& before, const auto& after) { on_node(before, after); });
  pods_.add_handler([this](const auto& before, const auto& after) { finder_.on_pod(before, after); });
}

/// Only the sets for which something changes: there are many nodes, and they report every few seconds.
void DaemonSetController::on_node(const NodePointer& before, const NodePointer& after) {
  if (before && after && !may_differ(*before, *after)) return;
  for (const SetPointer& set : sets_.list()) {
    const api::corev1::PodSpec spec = daemon_spec(*set);
    const Eligibility was = before ? eligibility(spec, *before) : Eligibility();
    const Eligibility is = after ? eligibility(spec, *after) : Eligibility();
    if (was.run != is.run || was.stay != is.stay) enqueue(client::key_of(set->metadata));
  }
}

Result<Outcome> DaemonSetController::reconcile(const std::string& key) {
  const SetPointer set = sets_.get(key);
  if (!set) return Outcome::done();
  if (!fence_.passed(set->metadata.uid, pods_) || !revisions_fence_.passed(set->metadata.uid, revisions_.version(), {}))
    return Outcome::done();
  return Pass(*this, *set).run();
}

}  // namespace trireme::controllers
