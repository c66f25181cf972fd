#include "kubelet/pods/pod_manager.h"

#include <algorithm>
#include <charconv>

#include "base/log.h"
#include "kubelet/pods/admission.h"
#include "kubelet/pods/labels.h"
#include "kubelet/pods/resources.h"
#include "linux/file.h"

namespace trireme::kubelet {
namespace {

using api::corev1::Pod;

constexpr std::chrono::seconds kCheckWithEvents{30};  // the safety net under the runtime's events
constexpr std::chrono::seconds kCheckWithoutEvents{1};
constexpr std::chrono::seconds kReconnect{1};
constexpr int64_t kOrphanGrace = 30;  // seconds, where the container does not tell

std::string label(const cri::StringMap& labels, std::string_view name) {
  auto entry = labels.find(std::string(name));
  return entry == labels.end() ? std::string() : entry->second;
}

/// What the pod granted, as its containers remember it.
std::chrono::seconds orphan_grace(const cri::ContainerStatus& container) {
  std::string text = label(container.annotations, labels::kPodTerminationGrace);
  int64_t seconds = kOrphanGrace;
  std::from_chars(text.data(), text.data() + text.size(), seconds);
  return std::chrono::seconds(std::max<int64_t>(seconds, 1));
}

}  // namespace

void PodManager::start(client::Informer<Pod>& pods) {
  informer_ = &pods;
  // Known pods first, so that what runs of them is no orphan.
  pods.add_handler([this](const auto& before, const auto& after) { on_pod(before, after); });
  relist();
  remove_leftovers();
  watcher_ = std::jthread([this](std::stop_token stop) { watch_runtime(stop); });
  checker_ = std::jthread([this](std::stop_token stop) { check_loop(stop); });
}

void PodManager::stop() {
  watcher_.request_stop();
  checker_.request_stop();
  if (watcher_.joinable()) watcher_.join();
  if (checker_.joinable()) checker_.join();
  std::lock_guard lock(mutex_);
  stopping_ = true;
  for (auto& [uid, worker] : workers_) worker->stop();
}

void PodManager::on_pod(const std::shared_ptr<const Pod>& before, const std::shared_ptr<const Pod>& after) {
  std::lock_guard lock(mutex_);
  if (stopping_) return;
  if (before && (!after || after->metadata.uid != before->metadata.uid)) {
    if (auto entry = workers_.find(before->metadata.uid); entry != workers_.end()) entry->second->removed();
  }
  if (!after) return;
  auto [entry, added] = workers_.try_emplace(after->metadata.uid);
  if (!added) {
    entry->second->update(after);
    return;
  }
  entry->second = std::make_shared<PodWorker>(node_, after, [this](const std::string& uid) { gone(uid); });
  admit(*after, *entry->second);
  entry->second->wake();
}

void PodManager::admit(const Pod& pod, PodWorker& worker) {
  if (!awaits_admission(pod)) return;
  std::vector<std::shared_ptr<const Pod>> others;
  for (const auto& [uid, other] : workers_) {
    if (uid != pod.metadata.uid && other->occupies()) others.push_back(other->pod());
  }
  const auto node = node_.own_node != nullptr ? node_.own_node->get("", node_.options.node_name) : nullptr;
  const auto refused = refusal(pod, others, node.get());
  if (!refused) return;
  node_.events->warning(pod, refused->reason, refused->message);
  worker.fail(*refused);
}

void PodManager::gone(const std::string& uid) {
  std::lock_guard lock(mutex_);
  workers_.erase(uid);
}

std::shared_ptr<PodWorker> PodManager::worker(const std::string& uid) const {
  std::lock_guard lock(mutex_);
  auto entry = workers_.find(uid);
  return entry == workers_.end() ? nullptr : entry->second;
}

void PodManager::wake(const std::string& uid) {
  if (auto found = worker(uid)) found->wake();
}

void PodManager::volumes_changed(const std::string& uid) {
  if (auto found = worker(uid)) found->volumes_changed();
}

std::vector<Pod> PodManager::pods() const {
  std::vector<std::shared_ptr<PodWorker>> all;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [uid, worker] : workers_) all.push_back(worker);
  }
  std::vector<Pod> result;
  for (const auto& worker : all) result.push_back(worker->pod_with_status());
  return result;
}

std::shared_ptr<PodWorker> PodManager::find(std::string_view ns, std::string_view name) const {
  std::lock_guard lock(mutex_);
  for (const auto& [uid, worker] : workers_) {
    auto pod = worker->pod();
    if (pod->metadata.name == name && pod->metadata.namespace_ == ns) return worker;
  }
  return nullptr;
}

std::shared_ptr<PodWorker> PodManager::find_uid(const std::string& uid) const { return worker(uid); }

size_t PodManager::count() const {
  std::lock_guard lock(mutex_);
  return workers_.size();
}

void PodManager::watch_runtime(std::stop_token stop) {
  bool reported = false;
  while (!stop.stop_requested()) {
    Status status = node_.runtime->watch_exits(
        stop, [&] { events_flow_ = true; },
        [&](const std::string& id) {
          reported = false;
          std::string uid;
          {
            std::lock_guard lock(mutex_);
            if (auto entry = pod_of_.find(id); entry != pod_of_.end()) uid = entry->second;
          }
          if (uid.empty()) {
            // Started since the last relist.
            auto containers = node_.runtime->list_containers({id, {}, {}});
            if (containers.ok() && !containers->empty()) uid = label(containers->front().labels, labels::kPodUid);
          }
          if (uid.empty()) {
            auto sandboxes = node_.runtime->list_sandboxes({id, {}});
            if (sandboxes.ok() && !sandboxes->empty()) uid = label(sandboxes->front().labels, labels::kPodUid);
          }
          if (auto found = worker(uid)) found->exited(id);
        });
    events_flow_ = false;
    if (stop.stop_requested()) return;
    if (status.is(Reason::kMethodNotAllowed)) {
      log::info("The runtime has no events; its state is polled", {});
      return;
    }
    if (!std::exchange(reported, true)) {
      log::warning("The runtime's events broke off; will connect again", {{"error", status}});
    }
    if (!node_.clock->sleep_for(kReconnect, stop)) return;
    relist();  // for what was missed
  }
}

void PodManager::check_loop(std::stop_token stop) {
  while (node_.clock->sleep_for(events_flow_ ? kCheckWithEvents : kCheckWithoutEvents, stop)) relist();
}

void PodManager::relist() {
  auto sandboxes = node_.runtime->list_sandboxes({});
  auto containers = node_.runtime->list_containers({});
  if (!sandboxes.ok() || !containers.ok()) return;  // reported by the workers that need it
  std::set<std::string> changed;
  std::set<std::string> present;
  {
    std::lock_guard lock(mutex_);
    std::map<std::string, int> states;
    std::map<std::string, std::string> pods;
    auto note = [&](const std::string& id, const cri::StringMap& item_labels, int state) {
      std::string uid = label(item_labels, labels::kPodUid);
      if (uid.empty()) return;
      states[id] = state;
      pods[id] = uid;
      present.insert(uid);
      auto before = seen_states_.find(id);
      if (before == seen_states_.end() || before->second != state) changed.insert(uid);
    };
    for (const cri::Sandbox& sandbox : *sandboxes) note(sandbox.id, sandbox.labels, static_cast<int>(sandbox.state));
    for (const cri::Container& container : *containers) {
      note(container.id, container.labels, 10 + static_cast<int>(container.state));
    }
    for (const auto& [id, uid] : pod_of_) {
      if (!pods.contains(id)) changed.insert(uid);
    }
    seen_states_ = std::move(states);
    pod_of_ = std::move(pods);
  }
  for (const std::string& uid : changed) wake(uid);
  for (const std::string& uid : present) {
    std::lock_guard lock(mutex_);
    if (workers_.contains(uid) || stopping_ || informer_ == nullptr || !informer_->synced()) continue;
    if (!orphans_.insert(uid).second) continue;
    node_.pool.post([this, uid] { end_orphan(uid); });
  }
}

/// The API has no such pod: it was deleted while this node was not looking.
void PodManager::end_orphan(const std::string& uid) {
  auto runtime = node_.observer.observe(uid);
  if (runtime.ok() && worker(uid) == nullptr) {
    log::info("Ending containers of a pod that is gone", {{"uid", uid}});
    TaskGroup group(node_.pool);
    for (const cri::ContainerStatus& container : runtime->containers) {
      group.post([this, &container] {
        if (container.state == cri::ContainerState::kRunning) {
          (void)node_.runtime->stop_container(container.id, orphan_grace(container));
        }
        (void)node_.runtime->remove_container(container.id);
      });
    }
    group.wait();
    std::vector<std::string> ids;
    for (const cri::ContainerStatus& container : runtime->containers) ids.push_back(container.id);
    for (const cri::SandboxStatus& sandbox : runtime->sandboxes) {
      (void)node_.runtime->stop_sandbox(sandbox.id);
      (void)node_.runtime->remove_sandbox(sandbox.id);
      ids.push_back(sandbox.id);
      (void)linux::remove_tree(
          pod_log_directory(node_.options.pod_logs_dir, sandbox.metadata.ns, sandbox.metadata.name, uid));
    }
    node_.observer.forget(ids);
    (void)node_.volumes.tear_down(uid);
    if (node_.cgroups) {
      for (QosClass qos : {QosClass::kGuaranteed, QosClass::kBurstable, QosClass::kBestEffort}) {
        (void)node_.cgroups->remove(qos_cgroup(node_.options.cgroup_root, qos) + "/pod" + uid);
      }
    }
  }
  std::lock_guard lock(mutex_);
  orphans_.erase(uid);
}

/// Directories and groups of pods that neither the API nor the runtime has any more.
void PodManager::remove_leftovers() {
  std::set<std::string> present;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [id, uid] : pod_of_) present.insert(uid);
    for (const auto& [uid, worker] : workers_) present.insert(uid);
  }
  for (const std::string& uid : node_.volumes.pods_on_disk()) {
    if (present.contains(uid)) continue;
    if (Status status = node_.volumes.tear_down(uid); !status.ok()) {
      log::warning("Could not remove a former pod's directory", {{"uid", uid}, {"error", status}});
    }
  }
  if (!node_.cgroups) return;
  for (QosClass qos : {QosClass::kGuaranteed, QosClass::kBurstable, QosClass::kBestEffort}) {
    std::string parent = qos_cgroup(node_.options.cgroup_root, qos);
    for (const std::string& name : node_.cgroups->children(parent)) {
      if (!name.starts_with("pod") || present.contains(name.substr(3))) continue;
      (void)node_.cgroups->remove(parent + "/" + name);
    }
  }
}

}  // namespace trireme::kubelet
