#include "simulator/hollow_nodes.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/log.h"
#include "controllers/support/pods.h"
#include "simulator/loop.h"

namespace trireme::simulator {
namespace {

namespace corev1 = api::corev1;

constexpr std::string_view kPodsByNode = "node";
constexpr std::string_view kLeaseNamespace = "kube-node-lease";
constexpr Duration kRetry = std::chrono::milliseconds(200);
constexpr int kLeaseSeconds = 40;

template <typename Condition>
Condition& condition_of(std::vector<Condition>& conditions, std::string_view type) {
  const auto found = std::ranges::find(conditions, type, &Condition::type);
  if (found != conditions.end()) return *found;
  Condition& added = conditions.emplace_back();
  added.type = type;
  return added;
}

void set_condition(corev1::PodStatus& status, std::string_view type, bool value, std::string_view reason,
                   api::Time now) {
  corev1::PodCondition& condition = condition_of(status.conditions, type);
  const std::string_view text = value ? corev1::kConditionTrue : corev1::kConditionFalse;
  if (condition.status != text) condition.last_transition_time = now;
  condition.status = text;
  condition.reason = reason;
}

}  // namespace

HollowNodes::HollowNodes(client::Client client, client::InformerFactory& informers, std::shared_ptr<Clock> clock,
                         Random random, HollowNodesOptions options)
    : client_(std::move(client)),
      clock_(std::move(clock)),
      random_(random),
      options_(options),
      pods_(informers.informer<Pod>()),
      known_nodes_(informers.informer<corev1::Node>()),
      nodes_(static_cast<size_t>(options.count)) {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    nodes_[i].name = fmt::format("node-{:05}", i);
    by_name_.emplace(nodes_[i].name, i);
    plan(Kind::kRegister, i, random_.between(Duration::zero(), options_.join_within));
  }
  pods_.add_index(std::string(kPodsByNode), [](const Pod& pod) { return std::vector{pod.spec.node_name}; });
  pods_.add_handler([this](const auto& before, const auto& after) { on_pod(before, after); });
  known_nodes_.add_handler([this](const auto&, const auto& after) { on_node(after); });
}

std::string HollowNodes::zone_name(int zone) { return fmt::format("zone-{}", zone + 1); }

bool HollowNodes::is_up(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found != by_name_.end() && nodes_[found->second].state == State::kUp;
}

void HollowNodes::plan(Kind kind, size_t node, Duration delay, std::string uid) {
  plans_.push(
      {clock_->monotonic() + delay, ++numbers_, kind, static_cast<uint32_t>(node), nodes_[node].boot, std::move(uid)});
}

Duration HollowNodes::due() const { return plans_.empty() ? kNever : plans_.top().due; }

void HollowNodes::step() {
  const Action action = plans_.top();
  plans_.pop();
  Node& node = nodes_[action.node];
  if (action.boot != node.boot) return;
  switch (action.kind) {
    case Kind::kRegister:
      return register_node(action.node);
    case Kind::kRenew:
      return renew(action.node);
    case Kind::kReport:
      return report(action.node);
    default:
      break;
  }
  const auto found = node.pods.find(action.uid);
  if (found == node.pods.end()) return;
  Running& running = found->second;
  if (action.kind == Kind::kStart) start(action.node, action.uid, running);
  if (action.kind == Kind::kFinish) finish(action.node, action.uid, running);
  if (action.kind == Kind::kStop) stop(action.node, action.uid, running);
}

// What the watches tell.

void HollowNodes::on_pod(const std::shared_ptr<const Pod>& before, const std::shared_ptr<const Pod>& after) {
  const Pod& pod = after ? *after : *before;
  const auto found = by_name_.find(pod.spec.node_name);
  if (found == by_name_.end() || nodes_[found->second].state != State::kUp) return;
  if (after) {
    consider(found->second, pod);
  } else {
    forget(found->second, pod.metadata.uid);
  }
}

void HollowNodes::on_node(const std::shared_ptr<const corev1::Node>& after) {
  if (!after) return;
  const auto found = by_name_.find(after->metadata.name);
  if (found == by_name_.end()) return;
  Node& node = nodes_[found->second];
  if (node.state != State::kUp || node.reporting) return;
  const auto ready = std::ranges::find(after->status.conditions, corev1::kNodeReady, &corev1::NodeCondition::type);
  if (ready != after->status.conditions.end() && ready->status == corev1::kConditionTrue) return;
  node.reporting = true;
  plan(Kind::kReport, found->second, random_.between(Duration::zero(), std::chrono::seconds(1)));
}

void HollowNodes::consider(size_t index, const Pod& pod) {
  Node& node = nodes_[index];
  const auto [entry, fresh] = node.pods.try_emplace(pod.metadata.uid);
  Running& running = entry->second;
  if (fresh) {
    running.ns = pod.metadata.namespace_;
    running.name = pod.metadata.name;
    const api::metav1::OwnerReference* owner = controllers::controller_of(pod.metadata);
    running.sticky = owner && owner->kind == "StatefulSet";
    if (controllers::is_finished(pod)) {
      running.phase = Phase::kDone;
    } else if (!pod.metadata.deletion_timestamp) {
      plan(Kind::kStart, index, random_.between(options_.start_min, options_.start_max), pod.metadata.uid);
    }
  }
  // The node controller has called it unready while nothing was heard of the node: as a kubelet, tell how it is.
  if (running.phase == Phase::kRunning && running.told && !pod.metadata.deletion_timestamp &&
      !controllers::is_finished(pod) && !controllers::is_ready(pod)) {
    running.told = false;
    plan(Kind::kStart, index, kRetry, pod.metadata.uid);
  }
  if (!pod.metadata.deletion_timestamp || running.phase == Phase::kStopping) return;
  running.phase = Phase::kStopping;
  const Duration grace = std::chrono::seconds(pod.metadata.deletion_grace_period_seconds.value_or(30));
  plan(Kind::kStop, index, std::min(grace, random_.between(options_.stop_min, options_.stop_max)), pod.metadata.uid);
}

void HollowNodes::forget(size_t index, const std::string& uid) {
  const auto found = nodes_[index].pods.find(uid);
  if (found == nodes_[index].pods.end()) return;
  const auto name = sticky_.find(found->second.ns + "/" + found->second.name);
  if (name != sticky_.end() && name->second.first == uid) sticky_.erase(name);
  nodes_[index].pods.erase(found);
}

// Faults.

void HollowNodes::cut(size_t node) {
  if (nodes_[node].state == State::kUp) nodes_[node].state = State::kCut;
}

void HollowNodes::crash(size_t index) {
  Node& node = nodes_[index];
  node.state = State::kCrashed;
  ++node.boot;
  node.reporting = false;
  while (!node.pods.empty()) forget(index, std::string(node.pods.begin()->first));
}

void HollowNodes::restore(size_t index) {
  Node& node = nodes_[index];
  if (node.state == State::kUp) return;
  // Of a node that was only cut, too, plans were lost on the way: they are made anew.
  ++node.boot;
  node.state = State::kUp;
  node.reporting = true;
  plan(Kind::kRegister, index, random_.between(Duration::zero(), std::chrono::seconds(1)));
  std::vector<std::string> gone;
  for (auto& [uid, running] : node.pods) {
    const auto pod = pods_.get(running.ns, running.name);
    if (!pod || pod->metadata.uid != uid) {
      gone.push_back(uid);
      continue;
    }
    if (!pod->metadata.deletion_timestamp && !running.told) {
      const Kind kind = running.phase == Phase::kDone ? Kind::kFinish : Kind::kStart;
      plan(kind, index, random_.between(Duration::zero(), std::chrono::seconds(1)), uid);
    } else if (running.phase == Phase::kStopping) {
      plan(Kind::kStop, index, random_.between(Duration::zero(), std::chrono::seconds(1)), uid);
    }
    // Its end is yet to come, whether the API has heard of its beginning or not.
    if (running.phase == Phase::kRunning && pod->spec.restart_policy != corev1::kRestartPolicyAlways) {
      plan(Kind::kFinish, index, random_.between(options_.work_min, options_.work_max), uid);
    }
  }
  for (const std::string& uid : gone) forget(index, uid);
  for (const auto& pod : pods_.by_index(kPodsByNode, node.name)) consider(index, *pod);
}

// What a kubelet does.

void HollowNodes::fill_status(corev1::Node& node, size_t index) const {
  const api::Time now(clock_->now());
  corev1::NodeStatus& status = node.status;
  for (auto* amounts : {&status.capacity, &status.allocatable}) {
    amounts->insert_or_assign("cpu", Quantity::of_milli(options_.milli_cpu));
    amounts->insert_or_assign("memory", Quantity::of(options_.memory_bytes, Quantity::Format::kBinarySi));
    amounts->insert_or_assign("pods", Quantity::of(options_.pods));
  }
  struct Wanted {
    std::string_view type, status, reason;
  };
  constexpr Wanted kWanted[] = {{"MemoryPressure", "False", "KubeletHasSufficientMemory"},
                                {"DiskPressure", "False", "KubeletHasNoDiskPressure"},
                                {"PIDPressure", "False", "KubeletHasSufficientPID"},
                                {"Ready", "True", "KubeletReady"}};
  for (const Wanted& wanted : kWanted) {
    corev1::NodeCondition& condition = condition_of(status.conditions, wanted.type);
    if (condition.status != wanted.status) condition.last_transition_time = now;
    condition.status = wanted.status;
    condition.reason = wanted.reason;
    condition.message.clear();
    condition.last_heartbeat_time = now;
  }
  if (status.addresses.empty()) {
    auto& address = status.addresses.emplace_back();
    address.type = "InternalIP";
    address.address = fmt::format("172.{}.{}.{}", 16 + index / 65536, index / 256 % 256, index % 256);
    auto& host = status.addresses.emplace_back();
    host.type = "Hostname";
    host.address = nodes_[index].name;
  }
  status.node_info.kubelet_version = "v1.32.0";
  status.node_info.operating_system = "linux";
  status.node_info.architecture = "amd64";
}

void HollowNodes::register_node(size_t index) {
  Node& own = nodes_[index];
  if (own.state != State::kUp) return;
  corev1::Node node;
  node.metadata.name = own.name;
  auto& labels = node.metadata.labels;
  labels.insert_or_assign(std::string(corev1::kLabelHostname), own.name);
  labels.insert_or_assign(std::string(corev1::kLabelTopologyZone), zone_name(zone(index)));
  labels.insert_or_assign("topology.kubernetes.io/region", "region-1");
  labels.insert_or_assign("kubernetes.io/os", "linux");
  labels.insert_or_assign("kubernetes.io/arch", "amd64");
  fill_status(node, index);
  const auto made = client_.create(node);
  if (!made.ok() && !made.status().is(Reason::kAlreadyExists)) {
    plan(Kind::kRegister, index, kRetry);
    return;
  }
  renew(index);
  own.reporting = false;
  if (!made.ok()) report(index);
}

void HollowNodes::renew(size_t index) {
  Node& node = nodes_[index];
  if (node.state != State::kCrashed) plan(Kind::kRenew, index, options_.lease_period);
  if (node.state != State::kUp) return;
  node.lease.spec.renew_time = api::MicroTime(clock_->now());
  if (!node.lease.metadata.resource_version.empty()) {
    auto renewed = client_.update(node.lease);
    if (renewed.ok()) {
      node.lease = std::move(*renewed);
      return;
    }
    node.lease.metadata.resource_version.clear();
  }
  api::coordinationv1::Lease fresh;
  fresh.metadata.namespace_ = kLeaseNamespace;
  fresh.metadata.name = node.name;
  fresh.spec.holder_identity = node.name;
  fresh.spec.lease_duration_seconds = kLeaseSeconds;
  fresh.spec.renew_time = node.lease.spec.renew_time;
  auto made = client_.create(fresh);
  if (made.status().is(Reason::kAlreadyExists)) {
    made = client_.get<api::coordinationv1::Lease>(kLeaseNamespace, node.name);
    if (made.ok()) {
      made->spec.renew_time = fresh.spec.renew_time;
      made = client_.update(*made);
    }
  }
  if (made.ok()) node.lease = std::move(*made);
}

void HollowNodes::report(size_t index) {
  Node& own = nodes_[index];
  own.reporting = false;
  if (own.state != State::kUp) return;
  auto node = client_.get<corev1::Node>("", own.name);
  if (node.status().is(Reason::kNotFound)) {
    plan(Kind::kRegister, index, kRetry);
    return;
  }
  if (node.ok()) {
    fill_status(*node, index);
    node = client_.update_status(*node);
  }
  if (node.ok()) return;
  own.reporting = true;
  plan(Kind::kReport, index, kRetry);
}

bool HollowNodes::write_status(size_t index, const std::string& uid, Running& running, Kind again,
                               const std::function<void(Pod&)>& change) {
  running.told = false;
  if (nodes_[index].state != State::kUp) return false;
  const auto cached = pods_.get(running.ns, running.name);
  // Gone, or another of the same name: the watch tells of it.
  if (!cached || cached->metadata.uid != uid) return false;
  Pod pod = *cached;
  change(pod);
  const auto written = client_.update_status(pod);
  if (written.ok()) {
    running.told = true;
    return true;
  }
  if (!written.status().is(Reason::kNotFound)) plan(again, index, kRetry, uid);
  return false;
}

void HollowNodes::start(size_t index, const std::string& uid, Running& running) {
  if (running.phase == Phase::kStopping || running.phase == Phase::kDone) return;
  Node& node = nodes_[index];
  const bool begins = running.phase == Phase::kStarting;
  if (begins) {
    running.address = ++node.addresses;
    running.phase = Phase::kRunning;
    if (running.sticky) {
      const auto [other, alone] = sticky_.try_emplace(running.ns + "/" + running.name, uid, index);
      if (!alone && other->second.first != uid) {
        violations_.push_back(fmt::format("the StatefulSet's pod {}/{} runs on {} while another runs on {}", running.ns,
                                          running.name, node.name, nodes_[other->second.second].name));
      }
    }
    if (const auto pod = pods_.get(running.ns, running.name);
        pod && pod->metadata.uid == uid && pod->spec.restart_policy != corev1::kRestartPolicyAlways) {
      plan(Kind::kFinish, index, random_.between(options_.work_min, options_.work_max), uid);
    }
  }
  const uint32_t address = running.address;
  write_status(index, uid, running, Kind::kStart, [&](Pod& pod) {
    const api::Time now(clock_->now());
    corev1::PodStatus& status = pod.status;
    const bool restarted = begins && status.phase == corev1::kPodRunning;
    status.phase = corev1::kPodRunning;
    if (!status.start_time) status.start_time = now;
    status.host_ip = fmt::format("172.{}.{}.{}", 16 + index / 65536, index / 256 % 256, index % 256);
    status.pod_ip = fmt::format("10.{}.{}.{}", index / 256 % 256, index % 256, 1 + address % 250);
    status.host_ips.clear();
    status.host_ips.emplace_back().ip = status.host_ip;
    status.pod_ips.clear();
    status.pod_ips.emplace_back().ip = status.pod_ip;
    for (const char* type : {"PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"}) {
      set_condition(status, type, true, "", now);
    }
    status.container_statuses.resize(pod.spec.containers.size());
    for (size_t i = 0; i < pod.spec.containers.size(); ++i) {
      auto& container = status.container_statuses[i];
      container.name = pod.spec.containers[i].name;
      container.image = pod.spec.containers[i].image;
      container.image_id = container.image;
      container.ready = true;
      container.started = true;
      if (restarted) ++container.restart_count;
      container.container_id = fmt::format("hollow://{}-{}", node.name, address);
      container.state = {};
      container.state.running.emplace().started_at = now;
    }
  });
}

bool HollowNodes::fails(const Pod* pod) {
  if (!pod) return false;
  const auto found = pod->metadata.annotations.find(kFailPercentAnnotation);
  if (found == pod->metadata.annotations.end()) return false;
  int percent = 0;
  std::from_chars(found->second.data(), found->second.data() + found->second.size(), percent);
  return random_.chance(percent / 100.0);
}

void HollowNodes::finish(size_t index, const std::string& uid, Running& running) {
  if (running.phase == Phase::kStopping) return;
  if (running.phase != Phase::kDone) {
    running.phase = Phase::kDone;
    running.failed = fails(pods_.get(running.ns, running.name).get());
  }
  write_status(index, uid, running, Kind::kFinish, [&](Pod& pod) {
    const api::Time now(clock_->now());
    pod.status.phase = running.failed ? corev1::kPodFailed : corev1::kPodSucceeded;
    for (const char* type : {"Ready", "ContainersReady"}) {
      set_condition(pod.status, type, false, running.failed ? "PodFailed" : "PodCompleted", now);
    }
    for (auto& container : pod.status.container_statuses) {
      container.ready = false;
      container.started = false;
      const api::Time started = container.state.running ? container.state.running->started_at : now;
      container.state = {};
      auto& ended = container.state.terminated.emplace();
      ended.reason = running.failed ? "Error" : "Completed";
      ended.exit_code = running.failed ? 1 : 0;
      ended.started_at = started;
      ended.finished_at = now;
      ended.container_id = container.container_id;
    }
  });
}

void HollowNodes::stop(size_t index, const std::string& uid, Running& running) {
  if (nodes_[index].state != State::kUp) {
    running.told = false;
    return;
  }
  client::DeleteOptions options;
  options.grace_period_seconds = 0;
  options.uid = uid;
  const Status removed = client_.remove<Pod>(running.ns, running.name, options);
  // Gone by now, or a Conflict because another has the name: the watch tells of both.
  if (removed.ok() || removed.is(Reason::kNotFound) || removed.is(Reason::kConflict)) return;
  plan(Kind::kStop, index, kRetry, uid);
}

}  // namespace trireme::simulator
