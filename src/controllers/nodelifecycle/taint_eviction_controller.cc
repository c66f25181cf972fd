#include "controllers/nodelifecycle/taint_eviction_controller.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/node_matching.h"
#include "base/log.h"
#include "controllers/support/disruption.h"

namespace trireme::controllers {

using api::corev1::Node;
using api::corev1::Pod;
using api::corev1::Taint;
using api::corev1::Toleration;
namespace v1 = api::corev1;

namespace {

std::vector<Taint> execute_taints(const Node& node) {
  std::vector<Taint> out;
  std::ranges::copy_if(node.spec.taints, std::back_inserter(out),
                       [](const Taint& taint) { return taint.effect == v1::kTaintEffectNoExecute; });
  return out;
}

bool same_taints(const std::vector<Taint>& a, const std::vector<Taint>& b) {
  return std::ranges::equal(a, b, [](const Taint& x, const Taint& y) { return x.key == y.key && x.value == y.value; });
}

}  // namespace

std::optional<Duration> tolerated_for(const Pod& pod, const std::vector<Taint>& taints) {
  std::optional<Duration> shortest;
  for (const Taint& taint : taints) {
    if (taint.effect != v1::kTaintEffectNoExecute) continue;
    const auto found =
        std::ranges::find_if(pod.spec.tolerations, [&](const Toleration& each) { return api::tolerates(each, taint); });
    if (found == pod.spec.tolerations.end()) return Duration::zero();
    if (!found->toleration_seconds) continue;
    const Duration allowed = std::chrono::seconds(std::max<int64_t>(*found->toleration_seconds, 0));
    if (!shortest || allowed < *shortest) shortest = allowed;
  }
  return shortest;
}

TaintEvictionController::TaintEvictionController(const ControllerContext& context)
    : Controller(context, "taint-eviction-controller", 2),
      nodes_(context.informers->informer<Node>()),
      pods_(context.informers->informer<Pod>()),
      events_(context.events->recorder("taint-eviction-controller")),
      deletions_("taint_eviction_controller_pod_deletions_total",
                 "Total number of Pods deleted by TaintEvictionController since its start."),
      deletion_latency_("taint_eviction_controller_pod_deletion_duration_seconds",
                        "Latency, in seconds, between the time when a taint effect has been activated for the Pod and "
                        "its deletion via TaintEvictionController.",
                        {}, {0.005, 0.025, 0.1, 0.5, 1, 2.5, 10, 30, 60, 120, 180, 240}) {
  index_by_node(pods_);
  nodes_.add_handler([this](const auto& before, const auto& after) {
    if (!after) return;
    const auto taints = execute_taints(*after);
    if (before ? same_taints(execute_taints(*before), taints) : taints.empty()) return;
    for (const PodPointer& pod : pods_.by_index(kPodsByNode, after->metadata.name)) {
      enqueue(client::key_of(pod->metadata));
    }
  });
  pods_.add_handler([this](const PodPointer& before, const PodPointer& after) {
    if (!after) {
      const std::lock_guard lock(mutex_);
      pending_.erase(before->metadata.uid);
      return;
    }
    if (after->spec.node_name.empty() || after->metadata.deletion_timestamp) return;
    const bool placed = !before || before->spec.node_name.empty();
    const bool relaxed = before && before->spec.tolerations.size() != after->spec.tolerations.size();
    if (placed || relaxed) enqueue(client::key_of(after->metadata));
  });
}

WallTime TaintEvictionController::tainted_since(const Pod& pod, const std::vector<Taint>& taints) {
  const std::lock_guard lock(mutex_);
  const auto [entry, fresh] = pending_.try_emplace(pod.metadata.uid, clock().now());
  if (!fresh) return entry->second;
  // The taint's own time outlives a restart of this controller; a pod that came later counts from its creation.
  std::optional<WallTime> since;
  for (const Taint& taint : taints) {
    if (taint.time_added && *taint.time_added) since = std::max(since.value_or(WallTime{}), taint.time_added->wall());
  }
  if (since && pod.metadata.creation_timestamp) {
    entry->second = std::min(entry->second, std::max(*since, pod.metadata.creation_timestamp.wall()));
  }
  return entry->second;
}

Status TaintEvictionController::evict(const Pod& pod) {
  const std::string key = client::key_of(pod.metadata);
  log::info("Evicting a pod from a tainted node", {{"pod", key}, {"node", pod.spec.node_name}});
  events_.normal(pod, "TaintManagerEviction", "Marking for deletion Pod " + key);
  return disrupt(client(), pod, {"DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint"},
                 clock().now());
}

Result<Outcome> TaintEvictionController::reconcile(const std::string& key) {
  const PodPointer pod = pods_.get(key);
  if (!pod || pod->metadata.deletion_timestamp || pod->spec.node_name.empty()) return Outcome::done();
  const auto node = nodes_.get("", pod->spec.node_name);
  const std::vector<Taint> taints = node ? execute_taints(*node) : std::vector<Taint>();
  const std::optional<Duration> allowed = tolerated_for(*pod, taints);
  if (!allowed) {
    bool cancelled = false;
    {
      const std::lock_guard lock(mutex_);
      cancelled = pending_.erase(pod->metadata.uid) > 0;
    }
    if (cancelled) events_.normal(*pod, "TaintManagerEviction", "Cancelling deletion of Pod " + key);
    return Outcome::done();
  }
  const WallTime due = tainted_since(*pod, taints) + std::chrono::duration_cast<WallTime::duration>(*allowed);
  if (*allowed > Duration::zero()) {
    if (const Duration left = due - clock().now(); left > Duration::zero()) return Outcome::again_after(left);
  }
  TRY(evict(*pod));
  deletions_.add({});
  deletion_latency_.observe({}, clock().now() - due);
  return Outcome::done();
}

void TaintEvictionController::print_metrics(std::string& out) const {
  deletions_.print(out);
  deletion_latency_.print(out);
}

}  // namespace trireme::controllers
