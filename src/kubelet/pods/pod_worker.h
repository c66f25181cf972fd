#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "api/types/corev1.h"
#include "kubelet/pods/actions.h"
#include "kubelet/pods/container_runner.h"
#include "kubelet/pods/node_services.h"
#include "kubelet/pods/status.h"

namespace trireme::kubelet {

/// One pod's life on the node, from the first sight of it until nothing of it is left: a state machine that is run by
/// tasks of the pool, one at a time, whenever something that concerns it has happened. Level-triggered: each run looks
/// at what the runtime has and what the spec wants, and does what is missing.
///
/// Public calls are thread-safe and return at once.
class PodWorker : public std::enable_shared_from_this<PodWorker> {
 public:
  /// `on_gone` is called once, with the uid, when nothing of the pod is left on the node.
  PodWorker(NodeServices& node, std::shared_ptr<const api::corev1::Pod> pod,
            std::function<void(const std::string&)> on_gone);

  void update(std::shared_ptr<const api::corev1::Pod> pod);
  /// The API has no such pod any more.
  void removed();
  /// Look again.
  void wake();
  /// An object that a volume shows has changed.
  void volumes_changed();
  /// The runtime said that this container or sandbox has ended.
  void exited(const std::string& id);
  /// Ends the pod from the node's side (eviction); the status becomes Failed.
  void fail(PodFailure failure);
  /// No further runs; one that is under way returns as soon as it can.
  void stop();

  std::shared_ptr<const api::corev1::Pod> pod() const;
  /// It is in the API, and has not ended or been failed: what it asks for is taken.
  bool occupies() const;
  /// The status as last computed, merged into the pod.
  api::corev1::Pod pod_with_status() const;

 private:
  enum class Stage { kRunning, kStopped, kGone };

  void run();
  void sync(const std::shared_ptr<const api::corev1::Pod>& pod);
  void terminate(const std::shared_ptr<const api::corev1::Pod>& pod, const std::string& message);
  void clean_up(const std::shared_ptr<const api::corev1::Pod>& pod, bool in_api);

  std::optional<RuntimePod> observe(const api::corev1::Pod& pod);
  void recheck_exits(const RuntimePod& runtime);
  void read_termination_messages(const api::corev1::Pod& pod, const RuntimePod& runtime);
  void report(const std::shared_ptr<const api::corev1::Pod>& pod, const RuntimePod& runtime, bool terminal);
  bool past_deadline(const api::corev1::Pod& pod);

  struct Prepared {
    cri::SandboxConfig sandbox;
    std::string sandbox_id;
    std::vector<std::string> ips;
    std::map<std::string, ImageOutcome> images;
  };
  bool prepare(const std::shared_ptr<const api::corev1::Pod>& pod, const PodActions& actions, const RuntimePod& runtime,
               Prepared& prepared);
  /// Policies hold before anything runs in the sandbox.
  Status admit_network(const std::shared_ptr<const api::corev1::Pod>& pod, const std::string& sandbox_id,
                       const std::vector<std::string>& ips);
  bool refresh_volumes(const api::corev1::Pod& pod, const std::vector<std::string>& ips);
  Status make_cgroup(const api::corev1::Pod& pod);
  void start_containers(const std::shared_ptr<const api::corev1::Pod>& pod, const PodActions& actions,
                        const RuntimePod& runtime, Prepared& prepared);
  bool in_backoff(const api::corev1::Pod& pod, const api::corev1::Container& container, const RuntimePod& runtime);
  void kill_some(const api::corev1::Pod& pod, const std::vector<PodActions::Kill>& kills, const RuntimePod& runtime);
  void stop_all(const api::corev1::Pod& pod, const RuntimePod& runtime, std::chrono::seconds grace,
                const std::string& message);
  void collect_dead(const api::corev1::Pod& pod, const RuntimePod& runtime);
  bool interrupted() const;
  void wake_after(Duration delay);
  void retry_soon();

  NodeServices& node_;
  const std::string uid_;
  const std::function<void(const std::string&)> on_gone_;

  mutable std::mutex mutex_;
  std::shared_ptr<const api::corev1::Pod> pod_;
  bool removed_ = false;
  bool scheduled_ = false;  ///< A run is queued or under way.
  bool again_ = false;      ///< Something happened during it.
  bool volumes_stale_ = true;
  bool stopping_ = false;
  bool terminating_ = false;
  std::chrono::seconds grace_{0};        ///< Of the termination under way.
  std::set<std::string> being_stopped_;  ///< Containers that the termination waits for.
  std::map<std::string, int> pending_exits_;
  std::optional<PodFailure> failure_;
  std::optional<api::corev1::PodStatus> status_;
  std::unique_ptr<Clock::Timer> timer_;
  std::optional<Duration> timer_due_;

  // Only the run's own:
  Stage stage_ = Stage::kRunning;
  PodVolumes volumes_;
  std::map<std::string, WaitingReason> waiting_;
  std::map<std::string, std::string> termination_messages_;
  bool cgroup_made_ = false;
  std::string admitted_sandbox_;  ///< The one that the network's hook has let pass.
  int failures_ = 0;
};

}  // namespace trireme::kubelet
