#include "controllers/podgc/pod_gc_controller.h"

#include <algorithm>

#include "base/log.h"
#include "controllers/support/disruption.h"
#include "controllers/support/key_kind.h"

namespace trireme::controllers {

using api::corev1::Node;
using api::corev1::Pod;

namespace {

constexpr std::string_view kFinishedKey = "finished";
constexpr KeyKind kNodeKey("node");
constexpr KeyKind kPodKey("pod");
constexpr std::string_view kFinishedIndex = "finished";
// A node may register anew under its name, or the cache may be behind.
constexpr Duration kQuarantine = std::chrono::seconds(40);

bool unscheduled_and_ending(const Pod& pod) { return pod.metadata.deletion_timestamp && pod.spec.node_name.empty(); }

}  // namespace

std::vector<PodPointer> surplus_finished(std::vector<PodPointer> finished, size_t threshold) {
  if (finished.size() <= threshold) return {};
  std::ranges::sort(finished, [](const PodPointer& a, const PodPointer& b) {
    const bool a_evicted = a->status.reason == "Evicted";
    const bool b_evicted = b->status.reason == "Evicted";
    if (a_evicted != b_evicted) return a_evicted;
    if (a->metadata.creation_timestamp != b->metadata.creation_timestamp) {
      return a->metadata.creation_timestamp < b->metadata.creation_timestamp;
    }
    return a->metadata.name < b->metadata.name;
  });
  finished.resize(finished.size() - threshold);
  return finished;
}

PodGcController::PodGcController(const ControllerContext& context)
    : Controller(context, "pod-garbage-collector-controller"),
      nodes_(context.informers->informer<Node>()),
      pods_(context.informers->informer<Pod>()),
      deletions_("pod_gc_collector_force_delete_pods_total",
                 "Number of pods that are being forcefully deleted since the Pod GC Controller started.",
                 {"namespace", "reason"}),
      errors_("pod_gc_collector_force_delete_pod_errors_total",
              "Number of errors encountered when forcefully deleting the pods since the Pod GC Controller started.",
              {"namespace", "reason"}) {
  index_by_node(pods_);
  pods_.add_index(std::string(kFinishedIndex), [](const Pod& pod) -> std::vector<std::string> {
    if (!is_finished(pod)) return {};
    return {"yes"};
  });
  nodes_.add_handler([this](const auto& before, const auto& after) {
    if (!after) enqueue_after(kNodeKey(before->metadata.name), kQuarantine);
  });
  pods_.add_handler([this](const PodPointer& before, const PodPointer& after) {
    if (!after) return;
    if (unscheduled_and_ending(*after)) enqueue(kPodKey(client::key_of(after->metadata)));
    if (is_finished(*after) && (!before || !is_finished(*before))) enqueue(std::string(kFinishedKey));
    // Bound to a node that has never been or is gone. Before the caches are full nothing can be said; see begin().
    if ((!before || before->spec.node_name.empty()) && nodes_.synced()) enqueue_if_orphaned(*after);
  });
}

void PodGcController::begin() {
  for (const PodPointer& pod : pods_.list()) enqueue_if_orphaned(*pod);
}

void PodGcController::enqueue_if_orphaned(const Pod& pod) {
  const std::string& node = pod.spec.node_name;
  if (!node.empty() && !nodes_.get("", node)) enqueue_after(kNodeKey(node), kQuarantine);
}

Result<Outcome> PodGcController::collect_node(const std::string& name) {
  if (nodes_.get("", name)) return Outcome::done();
  const std::vector<PodPointer> pods = pods_.by_index(kPodsByNode, name);
  if (pods.empty()) return Outcome::done();
  const Result<Node> live = client().get<Node>("", name);
  if (live.ok()) return Outcome::done();
  if (!live.status().is(Reason::kNotFound)) return live.status();
  Status failure;
  for (const PodPointer& pod : pods) {
    log::info("Deleting a pod whose node is gone", {{"pod", client::key_of(pod->metadata)}, {"node", name}});
    Disruption why{"DeletionByPodGC", "PodGC: node no longer exists", /*fail=*/true, /*force=*/true};
    const Status status = counted(*pod, "orphaned", disrupt(client(), *pod, why, clock().now()));
    if (!status.ok()) failure = status;
  }
  if (!failure.ok()) return failure;
  return Outcome::done();
}

Status PodGcController::collect_unscheduled(const std::string& key) {
  const PodPointer pod = pods_.get(key);
  if (!pod || !unscheduled_and_ending(*pod)) return {};
  client::DeleteOptions options;
  options.uid = pod->metadata.uid;
  options.grace_period_seconds = 0;
  const Status removed =
      counted(*pod, "unscheduled", client().remove<Pod>(pod->metadata.namespace_, pod->metadata.name, options));
  return removed.is(Reason::kNotFound) ? Status() : removed;
}

Status PodGcController::collect_finished() {
  const int threshold = context().options.terminated_pod_gc_threshold;
  if (threshold <= 0) return {};
  Status failure;
  std::vector<PodPointer> finished = pods_.by_index(kFinishedIndex, "yes");
  for (const PodPointer& pod : surplus_finished(std::move(finished), static_cast<size_t>(threshold))) {
    client::DeleteOptions options;
    options.uid = pod->metadata.uid;
    options.grace_period_seconds = 0;
    const Status removed =
        counted(*pod, "terminated", client().remove<Pod>(pod->metadata.namespace_, pod->metadata.name, options));
    if (!removed.ok() && !removed.is(Reason::kNotFound)) failure = removed;
  }
  return failure;
}

Status PodGcController::counted(const Pod& pod, std::string_view reason, Status removed) {
  const metrics::Labels labels{pod.metadata.namespace_, std::string(reason)};
  deletions_.add(labels);
  if (!removed.ok() && !removed.is(Reason::kNotFound)) errors_.add(labels);
  return removed;
}

Result<Outcome> PodGcController::reconcile(const std::string& key) {
  if (const auto node = kNodeKey.name_in(key)) return collect_node(*node);
  const auto pod = kPodKey.name_in(key);
  const Status status = pod ? collect_unscheduled(*pod) : collect_finished();
  if (!status.ok()) return status;
  return Outcome::done();
}

void PodGcController::print_metrics(std::string& out) const {
  deletions_.print(out);
  errors_.print(out);
}

}  // namespace trireme::controllers
