// Figures of the scheduler: decisions per second on one core, without the API, for pods of different kinds on a
// cluster that fills up. `scheduler_bench [NODES] [PODS]` (default: 5,000 nodes, 10,000 pods).

#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>

#include "scheduler/cache.h"
#include "scheduler/cycle.h"
#include "scheduler/queue.h"
#include "scheduler/registry.h"

namespace {

using namespace trireme;
using namespace trireme::scheduler;
using api::corev1::Pod;
using SteadyClock = std::chrono::steady_clock;

constexpr int kZones = 10;

NodePointer make_node(int number) {
  auto node = std::make_shared<api::corev1::Node>();
  node->metadata.name = fmt::format("node-{}", number);
  node->metadata.labels.emplace("kubernetes.io/hostname", node->metadata.name);
  node->metadata.labels.emplace("topology.kubernetes.io/zone", fmt::format("zone-{}", number % kZones));
  node->status.allocatable.emplace("cpu", Quantity::of(32));
  node->status.allocatable.emplace("memory", Quantity::of(64LL << 30));
  node->status.allocatable.emplace("pods", Quantity::of(110));
  return node;
}

std::shared_ptr<Pod> make_pod(int number) {
  auto pod = std::make_shared<Pod>();
  pod->metadata.name = fmt::format("pod-{}", number);
  pod->metadata.namespace_ = "default";
  pod->metadata.uid = fmt::format("uid-{}", number);
  pod->metadata.labels.emplace("app", "web");
  pod->spec.scheduler_name = "default-scheduler";
  auto& container = pod->spec.containers.emplace_back();
  container.name = "c";
  container.image = "registry/app:1";
  container.resources.requests.emplace("cpu", Quantity::of_milli(100));
  container.resources.requests.emplace("memory", Quantity::of(128LL << 20));
  return pod;
}

/// Queues all pods, then decides on one after the other and assumes it, as the scheduling thread does.
void run(const char* what, int nodes, int pods, const std::function<void(Pod&)>& shape, bool siblings = false) {
  const std::vector<Profile> profiles = {default_profile()};
  const Profile& profile = profiles[0];
  Cache cache;
  Nominations nominations;
  Queue queue(profiles, cache, {});
  Cycle cycle(cache, nominations, 1);
  cache.set_namespace("default", {});
  if (siblings) {
    const api::LabelSelector web = api::LabelSelector::parse("app=web").value();
    cache.set_siblings([web](const Pod&) { return web; });
  }
  for (int i = 0; i < nodes; ++i) cache.set_node(make_node(i));
  for (int i = 0; i < pods; ++i) {
    auto pod = make_pod(i);
    shape(*pod);
    queue.put(PodInfo::make(std::move(pod)), Duration(i));
  }
  const auto start = SteadyClock::now();
  int bound = 0;
  while (const QueuedPod* queued = queue.pop()) {
    const PodInfoPointer pod = queued->info;
    PodFilters filters(profile, cache, nominations, *pod);
    const Cycle::Decision decision = cycle.decide(filters);
    if (decision.node) {
      ++bound;
      cache.assume(pod, decision.node->name);
    }
    queue.remove(pod->uid());
  }
  const double seconds = std::chrono::duration<double>(SteadyClock::now() - start).count();
  fmt::print("{:<44}{:>8} pods{:>8} placed{:>12.0f} decisions/s\n", what, pods, bound, pods / seconds);
}

}  // namespace

int main(int argc, char** argv) {
  const int nodes = argc > 1 ? std::atoi(argv[1]) : 5000;
  const int pods = argc > 2 ? std::atoi(argv[2]) : 10000;
  fmt::print("{} nodes in {} zones\n", nodes, kZones);
  run("plain pods", nodes, pods, [](Pod&) {});
  run("pods with a node selector", nodes, pods,
      [](Pod& pod) { pod.spec.node_selector.emplace("topology.kubernetes.io/zone", "zone-3"); });
  run(
      "pods of a controller (spread by default)", nodes, pods / 10, [](Pod&) {}, /*siblings=*/true);
  run("pods that fit nowhere", nodes, pods / 100,
      [](Pod& pod) { pod.spec.containers[0].resources.requests.insert_or_assign("cpu", Quantity::of(33)); });
  run("pods with a hard zone spread", nodes, pods / 100, [](Pod& pod) {
    auto& constraint = pod.spec.topology_spread_constraints.emplace_back();
    constraint.max_skew = 1;
    constraint.topology_key = "topology.kubernetes.io/zone";
    constraint.when_unsatisfiable = "DoNotSchedule";
    constraint.label_selector.emplace().match_labels.emplace("app", "web");
  });
  run("pods with anti-affinity between hosts", nodes, pods / 100, [](Pod& pod) {
    auto& term = pod.spec.affinity.emplace()
                     .pod_anti_affinity.emplace()
                     .required_during_scheduling_ignored_during_execution.emplace_back();
    term.topology_key = "kubernetes.io/hostname";
    term.label_selector.emplace().match_labels.emplace("app", "web");
  });
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  fmt::print("peak resident memory {:.1f} MiB\n", static_cast<double>(usage.ru_maxrss) / 1024);
}
