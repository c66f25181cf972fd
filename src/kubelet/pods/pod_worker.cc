#include "kubelet/pods/pod_worker.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/codec.h"
#include "api/conditions.h"
#include "base/log.h"
#include "kubelet/logs/cri_log.h"
#include "kubelet/pods/labels.h"
#include "kubelet/pods/resources.h"
#include "linux/file.h"

namespace trireme::kubelet {
namespace {

using api::corev1::Container;
using api::corev1::Pod;
using api::corev1::PodStatus;
using std::chrono::seconds;

constexpr int kExitRechecks = 10;
constexpr std::chrono::seconds kNetworkRetry{1};  // upstream's back-off for "network is not ready"
constexpr size_t kMaxTerminationMessage = 4096;
constexpr size_t kMaxLogMessageBytes = 2048;
constexpr size_t kMaxLogMessageLines = 80;
constexpr int64_t kDefaultGrace = 30;

/// Whether the worker has anything to do about the difference. The status is its own work.
bool differs(const Pod& a, const Pod& b) {
  const auto& x = a.metadata;
  const auto& y = b.metadata;
  auto same_map = [](const auto& p, const auto& q) { return std::equal(p.begin(), p.end(), q.begin(), q.end()); };
  if (x.deletion_timestamp != y.deletion_timestamp ||
      x.deletion_grace_period_seconds != y.deletion_grace_period_seconds || !same_map(x.labels, y.labels) ||
      !same_map(x.annotations, y.annotations) || !a.spec.readiness_gates.empty()) {
    return true;
  }
  return api::encode_json(a.spec) != api::encode_json(b.spec);
}

bool terminal_phase(const PodStatus& status) { return status.phase == "Succeeded" || status.phase == "Failed"; }

seconds grace_of(const Pod& pod) {
  if (pod.metadata.deletion_grace_period_seconds) {
    // One second is the least that a runtime is given (upstream's minimum).
    return seconds(std::max<int64_t>(*pod.metadata.deletion_grace_period_seconds, 1));
  }
  return seconds(std::max<int64_t>(pod.spec.termination_grace_period_seconds.value_or(kDefaultGrace), 1));
}

std::string annotation(const cri::ContainerStatus& container, std::string_view name) {
  auto entry = container.annotations.find(std::string(name));
  return entry == container.annotations.end() ? std::string() : entry->second;
}

}  // namespace

PodWorker::PodWorker(NodeServices& node, std::shared_ptr<const Pod> pod,
                     std::function<void(const std::string&)> on_gone)
    : node_(node), uid_(pod->metadata.uid), on_gone_(std::move(on_gone)), pod_(std::move(pod)) {}

std::shared_ptr<const Pod> PodWorker::pod() const {
  std::lock_guard lock(mutex_);
  return pod_;
}

bool PodWorker::occupies() const {
  std::lock_guard lock(mutex_);
  return !removed_ && !failure_ && !terminal_phase(pod_->status);
}

Pod PodWorker::pod_with_status() const {
  std::lock_guard lock(mutex_);
  Pod merged = *pod_;
  if (!status_) return merged;
  PodStatus status = *status_;
  // Conditions of others (readiness gates, the scheduler) are the API's to tell.
  for (const auto& condition : pod_->status.conditions) {
    static constexpr std::string_view kOwn[] = {"PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"};
    if (std::find(std::begin(kOwn), std::end(kOwn), condition.type) != std::end(kOwn)) continue;
    auto* mine = const_cast<api::corev1::PodCondition*>(api::find_condition(status.conditions, condition.type));
    if (mine != nullptr) {
      *mine = condition;
    } else {
      status.conditions.push_back(condition);
    }
  }
  merged.status = std::move(status);
  return merged;
}

void PodWorker::update(std::shared_ptr<const Pod> pod) {
  {
    std::lock_guard lock(mutex_);
    bool relevant = differs(*pod_, *pod);
    pod_ = std::move(pod);
    if (!relevant) return;
    volumes_stale_ = true;
    if (terminating_ && pod_->metadata.deletion_grace_period_seconds && grace_of(*pod_) < grace_) {
      // Somebody is in a hurry: the containers that are being waited for get the shorter time.
      grace_ = grace_of(*pod_);
      for (const std::string& id : being_stopped_) {
        node_.pool.post(
            [self = shared_from_this(), id, grace = grace_] { (void)self->node_.runtime->stop_container(id, grace); });
      }
    }
  }
  wake();
}

void PodWorker::removed() {
  {
    std::lock_guard lock(mutex_);
    removed_ = true;
  }
  wake();
}

void PodWorker::volumes_changed() {
  {
    std::lock_guard lock(mutex_);
    volumes_stale_ = true;
  }
  wake();
}

void PodWorker::exited(const std::string& id) {
  {
    std::lock_guard lock(mutex_);
    pending_exits_[id] = 0;
  }
  wake();
}

void PodWorker::fail(PodFailure failure) {
  {
    std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(failure);
  }
  wake();
}

void PodWorker::stop() {
  std::lock_guard lock(mutex_);
  stopping_ = true;
  timer_.reset();
}

void PodWorker::wake() {
  std::lock_guard lock(mutex_);
  if (stopping_) return;
  if (scheduled_) {
    again_ = true;
    return;
  }
  scheduled_ = true;
  node_.pool.post([self = shared_from_this()] { self->run(); });
}

void PodWorker::wake_after(Duration delay) {
  std::lock_guard lock(mutex_);
  Duration due = node_.clock->monotonic() + delay;
  if (stopping_ || (timer_due_ && *timer_due_ <= due && *timer_due_ > node_.clock->monotonic())) return;
  timer_due_ = due;
  // The callback must not take this worker's lock: the timer's end waits for it.
  timer_ = node_.clock->call_after(delay, [weak = weak_from_this(), &pool = node_.pool] {
    pool.post([weak] {
      if (auto self = weak.lock()) self->wake();
    });
  });
}

void PodWorker::retry_soon() { wake_after(std::chrono::milliseconds(500) * (1 << std::min(failures_++, 5))); }

bool PodWorker::interrupted() const {
  std::lock_guard lock(mutex_);
  return stopping_ || removed_ || pod_->metadata.deletion_timestamp.has_value();
}

void PodWorker::run() {
  while (true) {
    std::shared_ptr<const Pod> pod;
    bool removed, failed;
    {
      std::lock_guard lock(mutex_);
      if (stopping_) return;
      again_ = false;
      pod = pod_;
      removed = removed_;
      failed = failure_.has_value();
    }
    bool deleted = removed || pod->metadata.deletion_timestamp.has_value();
    if (stage_ == Stage::kRunning) {
      if (deleted || failed || terminal_phase(pod->status)) {
        terminate(pod, "");
      } else {
        sync(pod);
      }
    }
    if (stage_ == Stage::kStopped && deleted) clean_up(pod, !removed);
    std::lock_guard lock(mutex_);
    if (again_ && stage_ != Stage::kGone && !stopping_) continue;
    scheduled_ = false;
    return;
  }
}

std::optional<RuntimePod> PodWorker::observe(const Pod& pod) {
  auto runtime = node_.observer.observe(uid_);
  if (!runtime.ok()) {
    if (failures_ == 0) {
      log::warning("Could not read a pod's state from the runtime",
                   {{"pod", pod.metadata.name}, {"namespace", pod.metadata.namespace_}, {"error", runtime.status()}});
    }
    retry_soon();
    return std::nullopt;
  }
  recheck_exits(*runtime);
  read_termination_messages(pod, *runtime);
  return std::move(*runtime);
}

/// The runtime tells of an exit a little before its own books show it.
void PodWorker::recheck_exits(const RuntimePod& runtime) {
  std::optional<Duration> recheck;
  {
    std::lock_guard lock(mutex_);
    for (auto pending = pending_exits_.begin(); pending != pending_exits_.end();) {
      const std::string& id = pending->first;
      bool still_running =
          std::any_of(runtime.containers.begin(), runtime.containers.end(),
                      [&](const auto& c) { return c.id == id && c.state == cri::ContainerState::kRunning; }) ||
          std::any_of(runtime.sandboxes.begin(), runtime.sandboxes.end(),
                      [&](const auto& s) { return s.id == id && s.state == cri::SandboxState::kReady; });
      if (!still_running || ++pending->second > kExitRechecks) {
        pending = pending_exits_.erase(pending);
        continue;
      }
      Duration delay = std::chrono::milliseconds(5) * (1 << pending->second);
      recheck = recheck ? std::min(*recheck, delay) : delay;
      ++pending;
    }
  }
  if (recheck) wake_after(*recheck);
}

void PodWorker::read_termination_messages(const Pod& pod, const RuntimePod& runtime) {
  for (const cri::ContainerStatus& container : runtime.containers) {
    if (container.state != cri::ContainerState::kExited || termination_messages_.contains(container.id)) continue;
    std::string& message = termination_messages_[container.id];
    if (!annotation(container, labels::kTerminationMessagePath).empty()) {
      auto text = linux::read_file(node_.volumes.termination_log(uid_, container.name, container.attempt));
      if (text.ok()) message = text->substr(0, kMaxTerminationMessage);
    }
    bool from_log = annotation(container, labels::kTerminationMessagePolicy) == "FallbackToLogsOnError";
    if (message.empty() && from_log && container.exit_code != 0) {
      std::string directory =
          pod_log_directory(node_.options.pod_logs_dir, pod.metadata.namespace_, pod.metadata.name, uid_);
      message = log_tail(fmt::format("{}/{}/{}.log", directory, container.name, container.attempt), kMaxLogMessageLines,
                         kMaxLogMessageBytes);
    }
  }
}

void PodWorker::report(const std::shared_ptr<const Pod>& pod, const RuntimePod& runtime, bool terminal) {
  Pod merged = pod_with_status();
  std::optional<PodFailure> failure;
  {
    std::lock_guard lock(mutex_);
    failure = failure_;
  }
  StatusInputs inputs{merged,
                      runtime,
                      waiting_,
                      node_.probe_results,
                      node_.host_ips.get(),
                      termination_messages_,
                      node_.runtime_name,
                      terminal,
                      failure,
                      node_.clock->now()};
  PodStatus status = make_pod_status(inputs);
  {
    std::lock_guard lock(mutex_);
    const PodStatus& before = status_ ? *status_ : pod_->status;
    bool same = api::encode_json(before) == api::encode_json(status);
    status_ = status;
    if (same || removed_) return;
  }
  node_.statuses.set(pod, std::move(status));
}

bool PodWorker::past_deadline(const Pod& pod) {
  if (!pod.spec.active_deadline_seconds) return false;
  api::Time start;
  {
    std::lock_guard lock(mutex_);
    const PodStatus& status = status_ ? *status_ : pod_->status;
    if (!status.start_time) return false;
    start = *status.start_time;
  }
  Duration left = start.wall() + seconds(*pod.spec.active_deadline_seconds) - node_.clock->now();
  if (left > Duration::zero()) {
    wake_after(left);
    return false;
  }
  std::lock_guard lock(mutex_);
  failure_ = PodFailure{"DeadlineExceeded", "Pod was active on the node longer than the specified deadline"};
  return true;
}

void PodWorker::sync(const std::shared_ptr<const Pod>& pod) {
  auto runtime = observe(*pod);
  if (!runtime) return;
  if (past_deadline(*pod)) {
    node_.events->normal(*pod, "DeadlineExceeded", "Pod was active on the node longer than the specified deadline");
    terminate(pod, "");
    return;
  }
  PodActions actions = compute_actions(*pod, *runtime, node_.probe_results);
  if (actions.finished) {
    terminate(pod, "");
    return;
  }
  node_.probes.sync(pod, *runtime);
  // A container that runs again has nothing left to wait for.
  std::erase_if(waiting_, [&](const auto& entry) {
    const cri::ContainerStatus* status = runtime->latest(entry.first);
    return status != nullptr && status->state == cri::ContainerState::kRunning;
  });
  report(pod, *runtime, false);
  if (past_deadline(*pod)) return wake();

  bool acted = !actions.kill.empty();
  kill_some(*pod, actions.kill, *runtime);
  if (actions.stop_sandboxes) {
    node_.events->normal(*pod, "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.");
    stop_all(*pod, *runtime, grace_of(*pod), "Stopping container {}");
    acted = true;
  }
  if (interrupted()) return;
  Prepared prepared;
  if (actions.create_sandbox || !actions.start.empty()) {
    if (!prepare(pod, actions, *runtime, prepared)) {
      if (auto now = observe(*pod)) report(pod, *now, false);
      return;
    }
    start_containers(pod, actions, *runtime, prepared);
    acted = true;
  } else if (!refresh_volumes(*pod, runtime->ips())) {
    retry_soon();
    return;
  }
  failures_ = 0;
  if (!acted) return;
  auto now = observe(*pod);
  if (!now) return;
  node_.probes.sync(pod, *now);
  report(pod, *now, false);
  collect_dead(*pod, *now);
  // A finished init container, or one that ended at once, is the next step's beginning; nobody tells of it when it
  // happened before this look.
  PodActions next = compute_actions(*pod, *now, node_.probe_results);
  bool progress = next.finished || std::any_of(next.start.begin(), next.start.end(), [&](const Container* container) {
                    return !waiting_.contains(container->name);
                  });
  if (progress) wake();
}

Status PodWorker::make_cgroup(const Pod& pod) {
  if (!node_.cgroups || cgroup_made_) return {};
  std::string path = pod_cgroup(node_.options.cgroup_root, pod);
  TRY(node_.cgroups->create(path));
  TRY(node_.cgroups->apply(path, pod_limits(pod)));
  cgroup_made_ = true;
  return {};
}

bool PodWorker::refresh_volumes(const Pod& pod, const std::vector<std::string>& ips) {
  {
    std::lock_guard lock(mutex_);
    if (!volumes_stale_ && (!volumes_.renew_at || node_.clock->now() < *volumes_.renew_at)) return true;
    volumes_stale_ = false;
  }
  auto volumes = node_.volumes.set_up(pod, downward_context(node_, pod, ips));
  if (!volumes.ok()) {
    node_.events->warning(pod, "FailedMount", volumes.status().message());
    std::lock_guard lock(mutex_);
    volumes_stale_ = true;
    return false;
  }
  volumes_ = std::move(*volumes);
  if (volumes_.renew_at) wake_after(*volumes_.renew_at - node_.clock->now());
  return true;
}

/// What must stand before containers can start. Independent things are done side by side: the sandbox (with its
/// network), the volumes, and the images.
bool PodWorker::prepare(const std::shared_ptr<const Pod>& pod, const PodActions& actions, const RuntimePod& runtime,
                        Prepared& prepared) {
  if (Status status = make_cgroup(*pod); !status.ok()) {
    node_.events->warning(*pod, "FailedCreatePodContainer",
                          "unable to ensure pod container exists: " + status.message());
    retry_soon();
    return false;
  }
  if (Status status = check_host_name(*pod, node_.options.cluster_domain); !status.ok()) {
    node_.events->warning(*pod, "FailedCreatePodSandBox", "Failed to create pod sandbox: " + status.message());
    retry_soon();
    return false;
  }
  if (actions.create_sandbox && node_.network.ready && !host_network(*pod)) {
    if (Status status = node_.network.ready(); !status.ok()) {
      node_.events->warning(*pod, "NetworkNotReady", "network is not ready: " + status.message());
      wake_after(kNetworkRetry);
      return false;
    }
  }
  NodeContext context = node_context(node_, *pod);
  if (actions.create_sandbox) {
    std::vector<DnsWarning> warnings;
    (void)pod_dns(*pod, context, &warnings);
    for (const DnsWarning& warning : warnings) node_.events->warning(*pod, warning.reason, warning.message);
  }
  prepared.sandbox = make_sandbox_config(*pod, actions.sandbox_attempt, context);
  prepared.sandbox_id = actions.sandbox_id;
  prepared.ips = runtime.ips();

  std::vector<const Container*> due;
  for (const Container* container : actions.start) {
    if (!in_backoff(*pod, *container, runtime)) due.push_back(container);
  }
  if (due.empty() && !actions.create_sandbox) return true;
  bool volumes_ready = false;
  Status sandbox_status;
  {
    TaskGroup group(node_.pool);
    group.post([&] { volumes_ready = refresh_volumes(*pod, prepared.ips); });
    auto secrets = [&] { return pull_secrets(node_, *pod); };
    for (const Container* container : due) prepared.images[container->name];
    for (const Container* container : due) {
      group.post([&, container] {
        prepared.images[container->name] = node_.images.ensure(*pod, *container, secrets, prepared.sandbox);
      });
    }
    if (actions.create_sandbox) {
      sandbox_status = linux::make_dirs(prepared.sandbox.log_directory);
      if (sandbox_status.ok()) {
        auto id = node_.runtime->run_sandbox(prepared.sandbox);
        if (id.ok()) prepared.sandbox_id = *id;
        sandbox_status = id.status();
      }
      if (sandbox_status.ok()) {
        auto status = node_.runtime->sandbox_status(prepared.sandbox_id);
        if (status.ok()) prepared.ips = status->ips;
        sandbox_status = status.status();
      }
    }
    if (sandbox_status.ok()) sandbox_status = admit_network(pod, prepared.sandbox_id, prepared.ips);
  }
  if (!sandbox_status.ok()) {
    node_.events->warning(*pod, "FailedCreatePodSandBox", "Failed to create pod sandbox: " + sandbox_status.message());
    log::warning("Could not create a pod's sandbox",
                 {{"pod", pod->metadata.name}, {"namespace", pod->metadata.namespace_}, {"error", sandbox_status}});
    retry_soon();
    return false;
  }
  if (!volumes_ready) {
    retry_soon();
    return false;
  }
  auto host_file = host_network(*pod) ? linux::read_file("/etc/hosts") : Result<std::string>(std::string());
  Status hosts = node_.volumes.write_hosts_file(
      *pod, hosts_file(*pod, prepared.ips, host_names(*pod, node_.options.cluster_domain),
                       host_file.ok() ? *host_file : std::string()));
  if (!hosts.ok()) {
    node_.events->warning(*pod, "FailedMount", hosts.message());
    retry_soon();
    return false;
  }
  return true;
}

Status PodWorker::admit_network(const std::shared_ptr<const Pod>& pod, const std::string& sandbox_id,
                                const std::vector<std::string>& ips) {
  if (!node_.network.admit || host_network(*pod) || sandbox_id == admitted_sandbox_) return {};
  TRY(node_.network.admit(pod, ips));
  admitted_sandbox_ = sandbox_id;
  return {};
}

bool PodWorker::in_backoff(const Pod& pod, const Container& container, const RuntimePod& runtime) {
  const cri::ContainerStatus* last = runtime.latest(container.name);
  if (last == nullptr || last->state != cri::ContainerState::kExited) return false;
  std::string key = fmt::format("{}/{}", uid_, container.name);
  Duration wait = node_.restarts.remaining(key, wall_time(last->finished_at));
  if (wait <= Duration::zero()) return false;
  auto delay = std::chrono::duration_cast<seconds>(node_.restarts.delay(key));
  int64_t minutes = delay.count() / 60;
  std::string text =
      minutes > 0 ? fmt::format("{}m{}s", minutes, delay.count() % 60) : fmt::format("{}s", delay.count());
  waiting_[container.name] = {
      "CrashLoopBackOff", fmt::format("back-off {} restarting failed container={} pod={}_{}({})", text, container.name,
                                      pod.metadata.name, pod.metadata.namespace_, uid_)};
  node_.events->warning(container_reference(pod, container), "BackOff",
                        fmt::format("Back-off restarting failed container {} in pod {}_{}({})", container.name,
                                    pod.metadata.name, pod.metadata.namespace_, uid_));
  wake_after(wait);
  return true;
}

void PodWorker::start_containers(const std::shared_ptr<const Pod>& pod, const PodActions& actions,
                                 const RuntimePod& runtime, Prepared& prepared) {
  for (const Container* container : actions.start) {
    if (interrupted()) return;
    auto image = prepared.images.find(container->name);
    if (image == prepared.images.end()) continue;  // in back-off
    if (image->second.failure) {
      const ImageFailure& failure = *image->second.failure;
      waiting_[container->name] = {failure.reason, failure.message};
      wake_after(std::max<Duration>(failure.retry_after, seconds(1)));
      continue;
    }
    const cri::ContainerStatus* last = runtime.latest(container->name);
    uint32_t attempt = last == nullptr ? 0 : last->attempt + 1;
    if (last == nullptr) {
      // Collected behind our back: the count goes on from what was reported.
      Pod merged = pod_with_status();
      for (const auto* list : {&merged.status.container_statuses, &merged.status.init_container_statuses}) {
        for (const auto& status : *list) {
          if (status.name == container->name && !status.container_id.empty()) {
            attempt = static_cast<uint32_t>(status.restart_count) + 1;
          }
        }
      }
    } else if (last->state == cri::ContainerState::kExited) {
      node_.restarts.next(fmt::format("{}/{}", uid_, container->name), wall_time(last->finished_at));
    }
    StartRequest request{*pod,     *container,    attempt,     prepared.sandbox_id, prepared.sandbox,
                         volumes_, image->second, prepared.ips};
    if (auto failure = start_container(node_, request)) {
      waiting_[container->name] = failure->waiting;
      wake_after(failure->retry_after);
    } else {
      waiting_.erase(container->name);
    }
  }
}

void PodWorker::kill_some(const Pod& pod, const std::vector<PodActions::Kill>& kills, const RuntimePod& runtime) {
  TaskGroup group(node_.pool);
  for (const PodActions::Kill& kill : kills) {
    seconds grace = kill.grace ? seconds(*kill.grace) : grace_of(pod);
    group.post([&, grace] {
      kill_container(node_, &pod, find_container(pod, kill.name), kill.container_id, grace, kill.message,
                     runtime.ips());
    });
  }
}

/// Stops what runs: containers side by side, sidecars after the others, then the sandboxes.
void PodWorker::stop_all(const Pod& pod, const RuntimePod& runtime, seconds grace, const std::string& message) {
  {
    std::lock_guard lock(mutex_);
    grace_ = grace;
  }
  auto running = [](const cri::ContainerStatus& container) {
    return container.state == cri::ContainerState::kRunning || container.state == cri::ContainerState::kUnknown;
  };
  auto is_sidecar = [&](const std::string& name) {
    return std::any_of(pod.spec.init_containers.begin(), pod.spec.init_containers.end(),
                       [&](const Container& c) { return c.name == name && is_restartable_init(c); });
  };
  auto kill = [&](const cri::ContainerStatus& container) {
    seconds limit;
    {
      std::lock_guard lock(mutex_);
      being_stopped_.insert(container.id);
      limit = grace_;
    }
    const Container* spec = find_container(pod, container.name);
    kill_container(node_, &pod, spec, container.id, limit, fmt::format(fmt::runtime(message), container.name),
                   runtime.ips());
    std::lock_guard lock(mutex_);
    being_stopped_.erase(container.id);
  };
  for (bool sidecars : {false, true}) {
    TaskGroup group(node_.pool);
    for (const cri::ContainerStatus& container : runtime.containers) {
      if (running(container) && is_sidecar(container.name) == sidecars) group.post([&] { kill(container); });
    }
  }
  for (const cri::SandboxStatus& sandbox : runtime.sandboxes) {
    Status status = node_.runtime->stop_sandbox(sandbox.id);
    if (!status.ok() && !status.is(Reason::kNotFound)) {
      log::warning("Could not stop a pod's sandbox", {{"pod", pod.metadata.name}, {"error", status}});
    }
  }
}

/// Keeps the newest dead container of each name and the newest sandbox; the rest goes.
void PodWorker::collect_dead(const Pod& pod, const RuntimePod& runtime) {
  std::set<std::string> seen;
  std::vector<std::string> gone;
  std::map<std::string, int> dead;
  for (const cri::ContainerStatus& container : runtime.containers) {
    if (container.state != cri::ContainerState::kExited) continue;
    // One dead container stays per name, for its logs and its last state.
    if (++dead[container.name] <= 1) continue;
    if (!node_.runtime->remove_container(container.id).ok()) continue;
    gone.push_back(container.id);
    std::string directory =
        pod_log_directory(node_.options.pod_logs_dir, pod.metadata.namespace_, pod.metadata.name, uid_);
    for (const std::string& name : linux::list_dir(directory + "/" + container.name)) {
      // "3.log", and what rotation made of it
      if (name.starts_with(fmt::format("{}.log", container.attempt))) {
        (void)linux::remove_tree(directory + "/" + container.name + "/" + name);
      }
    }
  }
  for (size_t i = 1; i < runtime.sandboxes.size(); ++i) {
    const cri::SandboxStatus& sandbox = runtime.sandboxes[i];
    bool used = std::any_of(runtime.containers.begin(), runtime.containers.end(), [&](const auto& container) {
      return container.sandbox_id == sandbox.id && std::find(gone.begin(), gone.end(), container.id) == gone.end();
    });
    if (used || sandbox.state == cri::SandboxState::kReady) continue;
    if (node_.runtime->remove_sandbox(sandbox.id).ok()) gone.push_back(sandbox.id);
  }
  for (const std::string& id : gone) termination_messages_.erase(id);
  node_.observer.forget(gone);
}

void PodWorker::terminate(const std::shared_ptr<const Pod>& pod, const std::string&) {
  auto runtime = observe(*pod);
  if (!runtime) return;
  node_.probes.remove_pod(uid_);
  {
    std::lock_guard lock(mutex_);
    terminating_ = true;
  }
  if (pod->metadata.deletion_timestamp) report(pod, *runtime, false);
  stop_all(*pod, *runtime, grace_of(*pod), "Stopping container {}");
  auto after = observe(*pod);
  if (!after) return;
  if (after->any_running()) {
    retry_soon();
    return;
  }
  report(pod, *after, true);
  if (Status status = node_.volumes.tear_down(uid_); !status.ok()) {
    log::warning("Could not remove a pod's volumes; will try again", {{"pod", pod->metadata.name}, {"error", status}});
    retry_soon();
    return;
  }
  if (node_.cgroups) {
    if (Status status = node_.cgroups->remove(pod_cgroup(node_.options.cgroup_root, *pod)); !status.ok()) {
      log::debug("Could not remove a pod's cgroup; will try again", {{"pod", pod->metadata.name}, {"error", status}});
      retry_soon();
      return;
    }
  }
  node_.restarts.forget_prefix(uid_ + "/");
  node_.images.forget_pod(uid_);
  stage_ = Stage::kStopped;
  wake();  // deletion may have been asked for meanwhile
}

void PodWorker::clean_up(const std::shared_ptr<const Pod>& pod, bool in_api) {
  if (in_api) {
    node_.statuses.finish(pod);
  } else {
    node_.statuses.forget(uid_);
  }
  auto runtime = observe(*pod);
  if (!runtime) return;
  std::vector<std::string> gone;
  for (const cri::ContainerStatus& container : runtime->containers) {
    (void)node_.runtime->remove_container(container.id);
    gone.push_back(container.id);
  }
  for (const cri::SandboxStatus& sandbox : runtime->sandboxes) {
    Status status = node_.runtime->remove_sandbox(sandbox.id);
    if (!status.ok() && !status.is(Reason::kNotFound)) {
      retry_soon();
      return;
    }
    gone.push_back(sandbox.id);
  }
  node_.observer.forget(gone);
  (void)linux::remove_tree(
      pod_log_directory(node_.options.pod_logs_dir, pod->metadata.namespace_, pod->metadata.name, uid_));
  for (const std::string& name : linux::list_dir(node_.options.container_logs_dir)) {
    if (name.starts_with(fmt::format("{}_{}_", pod->metadata.name, pod->metadata.namespace_)) &&
        !linux::is_directory(node_.options.container_logs_dir + "/" + name)) {
      bool own =
          std::any_of(gone.begin(), gone.end(), [&](const std::string& id) { return name.ends_with(id + ".log"); });
      if (own) (void)linux::remove_tree(node_.options.container_logs_dir + "/" + name);
    }
  }
  if (node_.network.forget) node_.network.forget(*pod);
  stage_ = Stage::kGone;
  on_gone_(uid_);
}

}  // namespace trireme::kubelet
