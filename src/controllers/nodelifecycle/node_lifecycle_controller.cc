#include "controllers/nodelifecycle/node_lifecycle_controller.h"

#include <algorithm>

#include "base/log.h"
#include "client/retry.h"
#include "controllers/support/pods.h"

namespace trireme::controllers {

using api::coordinationv1::Lease;
using api::corev1::Node;
using api::corev1::Pod;
namespace v1 = api::corev1;

namespace {

client::Scope node_leases() {
  client::Scope scope;
  scope.ns = "kube-node-lease";
  return scope;
}

bool has_execute_taint(const Node& node) {
  return std::ranges::any_of(node.spec.taints, [](const v1::Taint& taint) {
    return taint.effect == v1::kTaintEffectNoExecute &&
           (taint.key == v1::kTaintNodeNotReady || taint.key == v1::kTaintNodeUnreachable);
  });
}

/// It was heard from, and is not any more. The kubelet of a node that says itself that it is not ready goes on telling
/// which of its pods are: those on the host's network are without a network plugin, too.
bool is_silent(const Node& node) { return ready_heartbeat(node) && ready_status(node) == v1::kConditionUnknown; }

}  // namespace

NodeLifecycleController::NodeLifecycleController(const ControllerContext& context)
    : Controller(context, "node-lifecycle-controller"),
      nodes_(context.informers->informer<Node>()),
      leases_(context.informers->informer<Lease>(node_leases())),
      pods_(context.informers->informer<Pod>()),
      events_(context.events->recorder("node-controller")),
      rates_{context.options.node_eviction_rate, context.options.secondary_node_eviction_rate,
             context.options.unhealthy_zone_threshold, context.options.large_cluster_size_threshold},
      evictions_("node_collector_evictions_total",
                 "Number of Node evictions that happened since current instance of NodeController started.", {"zone"}),
      update_duration_("node_collector_update_node_health_duration_seconds",
                       "Duration in seconds for NodeController to update the health of a single node.", {},
                       metrics::exponential_bounds(0.001, 4, 8)) {
  index_by_node(pods_);
  nodes_.add_handler([this](const NodePointer& before, const NodePointer& after) {
    const std::string& name = (after ? after : before)->metadata.name;
    if (!after) {
      forget(name);
      events_.normal(*before, "RemovingNode", fmt::format("Node {0} event: Removing Node {0} from Controller", name));
      return;
    }
    if (!before)
      events_.normal(*after, "RegisteredNode", fmt::format("Node {0} event: Registered Node {0} in Controller", name));
    if (!before || ready_heartbeat(*before) != ready_heartbeat(*after)) heard_from(name);
    enqueue(name);
  });
  leases_.add_handler([this](const auto& before, const auto& after) {
    if (after && (!before || before->spec.renew_time != after->spec.renew_time)) heard_from(after->metadata.name);
  });
  pods_.add_handler([this](const PodPointer& before, const PodPointer& after) {
    // A pod that turns ready on a node that is silent: its kubelet's last words came late.
    if (!after || after->spec.node_name.empty() || !is_ready(*after) || (before && is_ready(*before))) return;
    const NodePointer node = nodes_.get("", after->spec.node_name);
    if (node && is_silent(*node)) enqueue(node->metadata.name);
  });
}

void NodeLifecycleController::heard_from(const std::string& node) {
  const std::lock_guard lock(mutex_);
  known_[node].heard = clock().monotonic();
}

void NodeLifecycleController::forget(const std::string& node) {
  const std::lock_guard lock(mutex_);
  known_.erase(node);
}

Duration NodeLifecycleController::silence_left(const Node& node) {
  const auto& options = context().options;
  const Duration grace = ready_heartbeat(node) ? options.node_monitor_grace_period : options.node_startup_grace_period;
  const Duration now = clock().monotonic();
  const std::lock_guard lock(mutex_);
  const auto [entry, fresh] = known_.try_emplace(node.metadata.name);
  if (fresh) entry->second.heard = now;
  return entry->second.heard + grace - now;
}

std::map<std::string, ZoneHealth> NodeLifecycleController::zones() const {
  std::map<std::string, ZoneHealth> out;
  for (const NodePointer& node : nodes_.list()) {
    ZoneHealth& zone = out[zone_of(*node)];
    ++(ready_status(*node) == v1::kConditionTrue ? zone.ready : zone.not_ready);
  }
  return out;
}

void NodeLifecycleController::note_readiness(const NodePointer& node) {
  const std::string now(ready_status(*node));
  std::string before;
  {
    const std::lock_guard lock(mutex_);
    before = std::exchange(known_[node->metadata.name].ready, now);
  }
  if (before == now) return;
  if (before == v1::kConditionTrue) {
    log::warning("Node is not ready", {{"node", node->metadata.name}, {"ready", now}});
    events_.normal(*node, "NodeNotReady", fmt::format("Node {} status is now: NodeNotReady", node->metadata.name));
  }
  // What may be evicted depends on how many nodes of the zone, and of the cluster, are left.
  for (const NodePointer& other : nodes_.list()) {
    if (other != node && ready_status(*other) != v1::kConditionTrue) enqueue(other->metadata.name);
  }
}

bool NodeLifecycleController::may_evict(const Node& node, Duration& wait) {
  const std::string zone = zone_of(node);
  const double rate = eviction_rate(zones(), zone, rates_);
  if (rate <= 0) return false;
  if (has_execute_taint(node)) return true;
  const Duration now = clock().monotonic();
  const std::lock_guard lock(mutex_);
  Duration& next = next_eviction_[zone];
  if (next > now) {
    wait = next - now;
    return false;
  }
  next = now + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(1 / rate));
  return true;
}

Status NodeLifecycleController::write_taints(const NodePointer& node, bool execute) {
  std::vector<v1::Taint> taints = node->spec.taints;
  if (!apply_taints(taints, wanted_taints(*node, execute), clock().now())) return {};
  return client::retry_on_conflict(clock(), [&]() -> Status {
    TRY_ASSIGN(Node fresh, client().get<Node>("", node->metadata.name));
    // Only what this pass knew is acted on: a node that changed since comes again.
    if (ready_status(fresh) != ready_status(*node)) return {};
    const bool had = has_execute_taint(fresh);
    if (!apply_taints(fresh.spec.taints, wanted_taints(fresh, execute), clock().now())) return {};
    const bool evicts = !had && has_execute_taint(fresh);
    TRY(client().update(fresh).status());
    if (evicts) evictions_.add({zone_of(fresh)});
    return {};
  });
}

Status NodeLifecycleController::mark_pods_not_ready(const std::string& node) {
  Status failure;
  for (const PodPointer& pod : pods_.by_index(kPodsByNode, node)) {
    if (!is_ready(*pod)) continue;
    Pod changed = *pod;
    for (auto& condition : changed.status.conditions) {
      if (condition.type != v1::kPodReady) continue;
      condition.status = v1::kConditionFalse;
      condition.last_transition_time = api::Time(clock().now());
    }
    events_.warning(*pod, "NodeNotReady", "Node is not ready");
    const auto written = client().update_status(changed);
    if (!written.ok() && !written.status().is(Reason::kNotFound)) failure = written.status();
  }
  return failure;
}

Result<Outcome> NodeLifecycleController::reconcile(const std::string& key) {
  const NodePointer node = nodes_.get("", key);
  if (!node) return Outcome::done();
  const Duration begin = clock().monotonic();
  const Result<Outcome> outcome = sync(node);
  update_duration_.observe({}, clock().monotonic() - begin);
  return outcome;
}

Result<Outcome> NodeLifecycleController::sync(const NodePointer& node) {
  Duration next = silence_left(*node);
  if (next <= Duration::zero()) {
    Node changed = *node;
    if (mark_unknown(changed, clock().now())) {
      // The change comes back as an event, and the taints follow from it.
      const auto written = client().update_status(changed);
      if (written.status().is(Reason::kNotFound)) return Outcome::done();
      if (!written.ok()) return written.status();
      return Outcome::done();
    }
    next = Duration::zero();
  }
  note_readiness(node);
  const bool ready = ready_status(*node) == v1::kConditionTrue;
  Duration wait{};
  const bool execute = !ready && ready_heartbeat(*node) && may_evict(*node, wait);
  TRY(write_taints(node, execute));
  if (is_silent(*node)) TRY(mark_pods_not_ready(node->metadata.name));
  if (wait > Duration::zero() && (next <= Duration::zero() || wait < next)) next = wait;
  return Outcome::again_after(next);
}

void NodeLifecycleController::print_metrics(std::string& out) const {
  const auto all = zones();
  const auto gauge = [&](std::string_view name, std::string_view help, auto value) {
    metrics::print_head(out, name, "gauge", help);
    for (const auto& [zone, health] : all) {
      out += fmt::format("{}{} {}\n", name, metrics::label_text({"zone"}, {zone}), value(health));
    }
  };
  gauge("node_collector_zone_size", "Gauge measuring number of registered Nodes per zones.",
        [](const ZoneHealth& zone) { return zone.ready + zone.not_ready; });
  gauge("node_collector_unhealthy_nodes_in_zone", "Gauge measuring number of not Ready Nodes per zones.",
        [](const ZoneHealth& zone) { return zone.not_ready; });
  gauge("node_collector_zone_health", "Gauge measuring percentage of healthy nodes per zone.",
        [](const ZoneHealth& zone) { return 100.0 * zone.ready / (zone.ready + zone.not_ready); });
  evictions_.print(out);
  update_duration_.print(out);
}

}  // namespace trireme::controllers
