// Figures of the scheduler: decisions per second on one core, without the API, for pods of different kinds on a
// cluster that fills up. `scheduler_bench [NODES] [PODS]` (default: 5,000 nodes, 10,000 pods).

#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "scheduler/cache.h"
#include "scheduler/cycle.h"
#include "scheduler/preemption.h"
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

using Shape = std::function<void(Pod&)>;
struct Case {
  const char* what;
  int pods;
  Shape shape;
  int before = 0;  ///< Pods of `shape_before` that are placed first and not measured.
  Shape shape_before{};
  bool siblings = false;  ///< All pods have one controller.
  bool preempts = false;
  int nodes = 0;  ///< 0: as the program is told.
};

/// The cluster without its API server: queues all pods, then decides on one after the other and assumes it, as the
/// scheduling thread does.
class Bench {
 public:
  Bench(int nodes, bool siblings) {
    cache_.set_namespace("default", {});
    if (siblings) {
      const api::LabelSelector web = api::LabelSelector::parse("app=web").value();
      cache_.set_siblings([web](const Pod&) { return web; });
    }
    for (int i = 0; i < nodes; ++i) cache_.set_node(make_node(i));
  }

  struct Outcome {
    int placed = 0;
    int preempted = 0;
    double seconds = 0;
  };
  Outcome run(int pods, const Shape& shape, bool preempts) {
    for (int i = 0; i < pods; ++i) {
      auto pod = make_pod(number_++);
      if (shape) shape(*pod);
      queue_.put(PodInfo::make(std::move(pod)), Duration(i));
    }
    Outcome outcome;
    const auto start = SteadyClock::now();
    while (const QueuedPod* queued = queue_.pop()) {
      const PodInfoPointer pod = queued->info;
      PodFilters filters(profiles_[0], cache_, nominations_, *pod);
      const Cycle::Decision decision = cycle_.decide(filters);
      if (decision.node) {
        ++outcome.placed;
        cache_.assume(pod, decision.node->name);
      } else if (preempts) {
        const Rescue rescue = preemption_.plan(filters, decision.refusal);
        if (rescue.node) {
          ++outcome.preempted;
          // The victims go at once, and the pod takes their place.
          const std::string node = rescue.node->name;
          for (const PodInfoPointer& victim : rescue.victims) cache_.remove_pod(victim->uid());
          cache_.assume(pod, node);
        }
      }
      queue_.remove(pod->uid());
    }
    outcome.seconds = std::chrono::duration<double>(SteadyClock::now() - start).count();
    return outcome;
  }

 private:
  const std::vector<Profile> profiles_ = {default_profile()};
  Cache cache_;
  Nominations nominations_;
  Queue queue_{profiles_, cache_, {}};
  Cycle cycle_{cache_, nominations_, 1};
  Preemption preemption_{cache_, nominations_, [](const std::string&) { return Preemption::Budgets(); }, 1};
  int number_ = 0;
};

void run(const Case& each, int nodes) {
  if (each.nodes != 0) nodes = each.nodes;
  Bench bench(nodes, each.siblings);
  if (each.before > 0) bench.run(each.before, each.shape_before ? each.shape_before : each.shape, false);
  const Bench::Outcome outcome = bench.run(each.pods, each.shape, each.preempts);
  fmt::print("{:<44}{:>7} nodes{:>7} + {:>5} pods{:>7} placed{:>6} preempted{:>10.0f} decisions/s\n", each.what, nodes,
             each.before, each.pods, outcome.placed, outcome.preempted, each.pods / outcome.seconds);
}

void ask_cpu(Pod& pod, int64_t cpus) {
  pod.spec.containers[0].resources.requests.insert_or_assign("cpu", Quantity::of(cpus));
}

api::corev1::PodAffinityTerm with_web(std::string_view key) {
  api::corev1::PodAffinityTerm term;
  term.topology_key = key;
  term.label_selector.emplace().match_labels.emplace("app", "web");
  return term;
}

Shape spread(std::string_view when, int skew) {
  return [=](Pod& pod) {
    auto& constraint = pod.spec.topology_spread_constraints.emplace_back();
    constraint.max_skew = skew;
    constraint.topology_key = "topology.kubernetes.io/zone";
    constraint.when_unsatisfiable = when;
    constraint.label_selector.emplace().match_labels.emplace("app", "web");
  };
}

void node_affinity(Pod& pod) {
  auto& requirement = pod.spec.affinity.emplace()
                          .node_affinity.emplace()
                          .required_during_scheduling_ignored_during_execution.emplace()
                          .node_selector_terms.emplace_back()
                          .match_expressions.emplace_back();
  requirement.key = "topology.kubernetes.io/zone";
  requirement.operator_ = "In";
  requirement.values = {"zone-1", "zone-2"};
}

void host_anti_affinity(Pod& pod) {
  pod.spec.affinity.emplace().pod_anti_affinity.emplace().required_during_scheduling_ignored_during_execution = {
      with_web("kubernetes.io/hostname")};
}

void zone_affinity(Pod& pod) {
  pod.spec.affinity.emplace().pod_affinity.emplace().required_during_scheduling_ignored_during_execution = {
      with_web("topology.kubernetes.io/zone")};
}

void prefer(Pod& pod, bool away) {
  api::corev1::WeightedPodAffinityTerm term;
  term.weight = 1;
  term.pod_affinity_term = with_web("kubernetes.io/hostname");
  auto& affinity = pod.spec.affinity.emplace();
  if (away) {
    affinity.pod_anti_affinity.emplace().preferred_during_scheduling_ignored_during_execution = {term};
  } else {
    affinity.pod_affinity.emplace().preferred_during_scheduling_ignored_during_execution = {term};
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int nodes = argc > 1 ? std::atoi(argv[1]) : 5000;
  const int pods = argc > 2 ? std::atoi(argv[2]) : 10000;
  const auto plain = [](Pod&) {};
  fmt::print("{} zones\n", kZones);
  const std::vector<Case> cases = {
      {"plain pods", pods, plain},
      {"pods with a node selector", pods,
       [](Pod& pod) { pod.spec.node_selector.emplace("topology.kubernetes.io/zone", "zone-3"); }},
      {.what = "pods of a controller (spread by default)", .pods = pods, .shape = plain, .siblings = true},
      {"pods that fit nowhere", pods, [](Pod& pod) { ask_cpu(pod, 33); }},
      // As the tests of upstream's scheduler_perf are shaped.
      {"SchedulingBasic", 10000, plain, 1000},
      {"SchedulingPodAntiAffinity", 2000, host_anti_affinity, 1000},
      {"SchedulingPodAffinity", 5000, zone_affinity, 5000},
      {"SchedulingPreferredPodAffinity", 5000, [](Pod& pod) { prefer(pod, false); }, 5000},
      {"SchedulingPreferredPodAntiAffinity", 5000, [](Pod& pod) { prefer(pod, true); }, 5000},
      {"SchedulingNodeAffinity", 10000, node_affinity, 5000},
      {"TopologySpreading", 5000, spread("DoNotSchedule", 5), 5000, plain},
      {"PreferredTopologySpreading", 5000, spread("ScheduleAnyway", 5), 5000, plain},
      {"Unschedulable (then plain pods)", 10000, plain, 200, [](Pod& pod) { ask_cpu(pod, 33); }},
      {.what = "PreemptionBasic",
       .pods = 500,
       .shape =
           [](Pod& pod) {
             ask_cpu(pod, 30);
             pod.spec.priority = 10;
           },
       .before = 4 * 500,
       .shape_before = [](Pod& pod) { ask_cpu(pod, 8); },
       .preempts = true,
       .nodes = 500},
  };
  for (const Case& each : cases) run(each, nodes);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  fmt::print("peak resident memory {:.1f} MiB\n", static_cast<double>(usage.ru_maxrss) / 1024);
}
