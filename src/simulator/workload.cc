#include "simulator/workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "api/types/appsv1.h"
#include "client/retry.h"
#include "controllers/support/pods.h"

namespace trireme::simulator {
namespace {

namespace corev1 = api::corev1;
using api::appsv1::ReplicaSet;

constexpr int kMostNamespaces = 20;
constexpr Duration kRetry = std::chrono::milliseconds(500);
constexpr std::string_view kPodsBySet = "set";

corev1::PodTemplateSpec pod_template(const std::string& app, Random& random) {
  corev1::PodTemplateSpec out;
  out.metadata.labels.insert_or_assign("app", app);
  auto& container = out.spec.containers.emplace_back();
  container.name = "main";
  container.image = "registry.k8s.io/pause:3.10";
  // A hundred to five hundred thousandths of a CPU, 128 to 640 MiB.
  const auto size = static_cast<int64_t>(1 + random.below(5));
  container.resources.requests.insert_or_assign("cpu", Quantity::of_milli(100 * size));
  container.resources.requests.insert_or_assign("memory", Quantity::of(size << 27, Quantity::Format::kBinarySi));
  return out;
}

std::vector<std::string> name_of_set(const corev1::Pod& pod) {
  const api::metav1::OwnerReference* owner = controllers::controller_of(pod.metadata);
  if (!owner) return {};
  return {pod.metadata.namespace_ + "/" + owner->name};
}

}  // namespace

Workload::Workload(World& world, int64_t pods) : world_(world), random_(world.random("workload")) {
  const auto spaces = static_cast<int>(std::clamp<int64_t>(pods / 100, 1, kMostNamespaces));
  for (int i = 0; i < spaces; ++i) namespaces_.push_back(fmt::format("load-{:02}", i));
  // Most are small, some are large; none is more than a quarter of all.
  const int64_t most = std::clamp<int64_t>(pods / 4, 1, 500);
  for (int64_t left = pods; left > 0;) {
    const int64_t size = random_.chance(0.8) ? 1 + static_cast<int64_t>(random_.below(30))
                                             : 30 + static_cast<int64_t>(random_.below(470));
    Set& set = sets_.emplace_back();
    set.ns = namespaces_[random_.below(namespaces_.size())];
    set.name = fmt::format("app-{:05}", sets_.size());
    set.replicas = static_cast<int32_t>(std::min({size, most, left}));
    left -= set.replicas;
  }
  world.observer().pods().add_index(std::string(kPodsBySet), name_of_set);
}

void Workload::plan(Duration over) {
  for (const std::string& name : namespaces_) {
    world_.after(Duration::zero(), [this, name] {
      corev1::Namespace ns;
      ns.metadata.name = name;
      if (const auto made = world_.client().create(ns); !made.ok())
        world_.fail("namespace: " + made.status().message());
    });
  }
  // Each at the time at which the pods before it would have been made at a steady rate.
  const auto total = std::accumulate(sets_.begin(), sets_.end(), int64_t{0},
                                     [](int64_t sum, const Set& set) { return sum + set.replicas; });
  int64_t before = 0;
  for (size_t i = 0; i < sets_.size(); ++i) {
    const double part = static_cast<double>(before) / static_cast<double>(std::max<int64_t>(1, total));
    before += sets_[i].replicas;
    world_.after(Duration(static_cast<int64_t>(part * static_cast<double>(over.count()))) + std::chrono::seconds(1),
                 [this, i] { create(i); });
  }
}

void Workload::create(size_t index) {
  Set& set = sets_[index];
  ReplicaSet made;
  made.metadata.namespace_ = set.ns;
  made.metadata.name = set.name;
  made.spec.replicas = set.replicas;
  made.spec.selector.emplace().match_labels.insert_or_assign("app", set.name);
  made.spec.template_ = pod_template(set.name, random_);
  const auto created = world_.client().create(made);
  set.created = created.ok();
  if (!set.created) world_.fail(fmt::format("cannot create {}: {}", set.name, created.status().message()));
}

void Workload::scale(size_t index, int32_t replicas) {
  Set& set = sets_[index];
  if (!set.created) return;
  auto found = world_.client().get<ReplicaSet>(set.ns, set.name);
  if (found.ok()) {
    found->spec.replicas = replicas;
    found = world_.client().update(*found);
  }
  if (found.ok()) {
    set.replicas = replicas;
  } else {
    world_.after(kRetry, [this, index, replicas] { scale(index, replicas); });
  }
}

void Workload::delete_a_pod(size_t index, Random& random) {
  const Set& set = sets_[index];
  const auto pods = world_.observer().pods().by_index(kPodsBySet, set.ns + "/" + set.name);
  if (pods.empty()) return;
  const auto& victim = *pods[random.below(pods.size())];
  (void)world_.client().remove<corev1::Pod>(set.ns, victim.metadata.name);
}

bool Workload::settled() const {
  int64_t wanted = 0;
  for (const Set& set : sets_) wanted += set.created ? set.replicas : 0;
  const Sample& now = world_.observer().now();
  return now.ready == wanted && now.pending == 0 && now.starting == 0;
}

void Workload::check() const {
  Observer& observer = world_.observer();
  for (const Set& set : sets_) {
    const auto found = world_.client().get<ReplicaSet>(set.ns, set.name);
    if (!found.ok()) {
      world_.fail(fmt::format("{}/{}: {}", set.ns, set.name, found.status().message()));
      continue;
    }
    const auto& status = found->status;
    if (status.replicas == set.replicas && status.ready_replicas == set.replicas &&
        status.available_replicas == set.replicas && status.observed_generation == found->metadata.generation) {
      continue;
    }
    world_.fail(fmt::format("ReplicaSet {}/{} asks for {} pods; its status tells of {}, {} ready, {} available", set.ns,
                            set.name, set.replicas, status.replicas, status.ready_replicas, status.available_replicas));
  }
  for (const auto& pod : observer.pods().list()) {
    const std::string& node = pod->spec.node_name;
    if (controllers::is_finished(*pod)) continue;
    if (node.empty() || (observer.nodes().get("", node) && world_.nodes().is_up(node))) continue;
    world_.fail(fmt::format("pod {}/{} is bound to {}, which is gone or does not answer", pod->metadata.namespace_,
                            pod->metadata.name, node));
  }
}

}  // namespace trireme::simulator
