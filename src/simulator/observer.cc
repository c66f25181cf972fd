#include "simulator/observer.h"

#include <fmt/format.h>

#include <algorithm>

#include "controllers/support/pods.h"

namespace trireme::simulator {
namespace {

namespace corev1 = api::corev1;

constexpr std::string_view kPodsByApp = "app";
constexpr size_t kMostSamples = 2000;
constexpr size_t kMostViolations = 20;

int64_t amount(const corev1::Pod& pod, std::string_view resource, bool milli) {
  int64_t sum = 0;
  for (const auto& container : pod.spec.containers) {
    const auto found = container.resources.requests.find(resource);
    if (found == container.resources.requests.end()) continue;
    sum += milli ? found->second.milli_value() : found->second.value();
  }
  return sum;
}

std::string app_of(const corev1::Pod& pod) {
  const auto label = pod.metadata.labels.find(Observer::kAppLabel);
  return pod.metadata.namespace_ + "/" + (label == pod.metadata.labels.end() ? std::string() : label->second);
}

bool node_ready(const corev1::Node& node) {
  return std::ranges::any_of(node.status.conditions, [](const corev1::NodeCondition& each) {
    return each.type == corev1::kNodeReady && each.status == corev1::kConditionTrue;
  });
}

int64_t allocatable(const corev1::Node& node, std::string_view resource, bool milli) {
  const auto found = node.status.allocatable.find(resource);
  if (found == node.status.allocatable.end()) return 0;
  return milli ? found->second.milli_value() : found->second.value();
}

float seconds_since(Duration begin, Duration end) {
  return static_cast<float>(std::chrono::duration<double>(end - begin).count());
}

}  // namespace

Observer::Observer(client::InformerFactory& informers, std::shared_ptr<Clock> clock)
    : clock_(std::move(clock)),
      pods_(informers.informer<Pod>()),
      nodes_(informers.informer<corev1::Node>()),
      next_sample_(clock_->monotonic()) {
  pods_.add_index(std::string(kPodsByApp), [](const Pod& pod) { return std::vector{app_of(pod)}; });
  pods_.add_handler([this](const auto& before, const auto& after) { on_pod(before, after); });
  nodes_.add_handler([this](const auto& before, const auto& after) { on_node(before.get(), after.get()); });
}

std::vector<std::shared_ptr<const corev1::Pod>> Observer::pods_of(const std::string& app) const {
  return pods_.by_index(kPodsByApp, app);
}

void Observer::count_app(const Pod& pod, Seen& seen, bool exists, State state) {
  const bool active = exists && state != State::kOver && !pod.metadata.deletion_timestamp;
  const bool ready = active && state == State::kReady;
  if (active == seen.active && ready == seen.ready) return;
  const std::string name = app_of(pod);
  App& app = apps_[name];
  app.active += (active ? 1 : 0) - (seen.active ? 1 : 0);
  app.ready += (ready ? 1 : 0) - (seen.ready ? 1 : 0);
  seen.active = active;
  seen.ready = ready;
  if (!app.bound || violations_.size() >= kMostViolations) return;
  app.was_full = app.was_full || app.ready >= app.bound->full;
  const double at = std::chrono::duration<double>(clock_->monotonic()).count();
  if (app.was_full && app.ready < app.bound->least_ready) {
    violations_.push_back(fmt::format("{} has {} ready pods at {:.3f} s, at least {} there must be", name, app.ready,
                                      at, app.bound->least_ready));
  }
  if (app.active > app.bound->most) {
    violations_.push_back(
        fmt::format("{} has {} pods at {:.3f} s, at most {} there may be", name, app.active, at, app.bound->most));
  }
}

Observer::State Observer::state_of(const Pod& pod) {
  if (controllers::is_finished(pod)) return State::kOver;
  if (pod.spec.node_name.empty()) return State::kPending;
  return controllers::is_ready(pod) ? State::kReady : State::kUnready;
}

void Observer::count(State state, int64_t by) {
  if (state == State::kPending) counts_.pending += by;
  if (state == State::kUnready) counts_.unready += by;
  if (state == State::kReady) counts_.ready += by;
}

void Observer::load(const std::string& node, const Seen& seen, int64_t sign) {
  Load& load = loads_[node];
  load.milli_cpu += sign * seen.milli_cpu;
  load.memory += sign * seen.memory;
  load.pods += sign;
  if (sign < 0) return;
  const auto capacity = capacities_.find(node);
  if (capacity == capacities_.end() || violations_.size() >= kMostViolations) return;
  if (load.milli_cpu <= capacity->second.milli_cpu && load.memory <= capacity->second.memory &&
      load.pods <= capacity->second.pods) {
    return;
  }
  violations_.push_back(fmt::format("node {} is overcommitted: {}m CPU of {}m, {} bytes of {}, {} pods of {}", node,
                                    load.milli_cpu, capacity->second.milli_cpu, load.memory, capacity->second.memory,
                                    load.pods, capacity->second.pods));
}

void Observer::on_pod(const std::shared_ptr<const Pod>& before, const std::shared_ptr<const Pod>& after) {
  const Pod& pod = after ? *after : *before;
  const auto [entry, fresh] = seen_.try_emplace(pod.metadata.uid);
  Seen& seen = entry->second;
  const Duration now = clock_->monotonic();
  if (fresh) {
    seen.created = now;
    seen.milli_cpu = amount(pod, "cpu", true);
    seen.memory = amount(pod, "memory", false);
    ++created_;
  }
  const State was = seen.state;
  const State is = after ? state_of(pod) : State::kNone;
  count(was, -1);
  count(is, 1);
  const bool had = was == State::kUnready || was == State::kReady;
  const bool has = is == State::kUnready || is == State::kReady;
  if (!had && has) {
    load(pod.spec.node_name, seen, 1);
    to_scheduled_.push_back(seconds_since(seen.created, now));
  }
  if (had && !has) load(pod.spec.node_name, seen, -1);
  if (is == State::kReady && !seen.was_ready) {
    seen.was_ready = true;
    to_ready_.push_back(seconds_since(seen.created, now));
  }
  if (is == State::kOver && was != State::kOver) ++finished_;
  count_app(pod, seen, after != nullptr, is);
  seen.state = is;
  if (!after) seen_.erase(entry);
}

void Observer::on_node(const corev1::Node* before, const corev1::Node* after) {
  ready_nodes_ += (after && node_ready(*after) ? 1 : 0) - (before && node_ready(*before) ? 1 : 0);
  if (!after) {
    capacities_.erase(before->metadata.name);
    return;
  }
  capacities_[after->metadata.name] = {allocatable(*after, "cpu", true), allocatable(*after, "memory", false),
                                       allocatable(*after, "pods", false)};
}

void Observer::take_sample() {
  counts_.at = clock_->monotonic();
  samples_.push_back(counts_);
  if (samples_.size() >= kMostSamples) {
    // Half as many, half as often: a long run costs no more than a short one.
    size_t kept = 0;
    for (size_t i = 0; i < samples_.size(); i += 2) samples_[kept++] = samples_[i];
    samples_.resize(kept);
    sample_every_ *= 2;
  }
  next_sample_ = counts_.at + sample_every_;
}

double Observer::percentile(std::vector<float> values, double fraction) {
  if (values.empty()) return 0;
  const auto at = static_cast<size_t>(fraction * static_cast<double>(values.size() - 1));
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(at));
  return values[at];
}

}  // namespace trireme::simulator
