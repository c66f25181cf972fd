#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "api/types/corev1.h"
#include "base/clock.h"
#include "client/event_recorder.h"
#include "kubelet/cri/runtime.h"
#include "kubelet/pods/runtime_pod.h"
#include "kubelet/probes/results.h"
#include "kubelet/task_pool.h"

namespace trireme::kubelet {

/// Probes the containers that run. Each probe has one timer and, while it is under way, one task of the pool.
/// Thread-safe.
class ProbeManager {
 public:
  /// `on_change` gets the uid of a pod of which a verdict changed; it only enqueues.
  ProbeManager(std::shared_ptr<cri::Runtime> runtime, std::shared_ptr<Clock> clock, TaskPool& pool,
               client::EventRecorder* events, ProbeResults& results, std::function<void(const std::string&)> on_change);
  ~ProbeManager() { stop(); }

  /// Probes exactly the containers of the pod that run now. Called after each look at the runtime.
  void sync(const std::shared_ptr<const api::corev1::Pod>& pod, const RuntimePod& runtime);
  void remove_pod(const std::string& pod_uid);
  void stop();

 private:
  struct Key {
    std::string pod_uid;
    std::string container;
    ProbeKind kind;
    auto operator<=>(const Key&) const = default;
  };
  struct Probe {
    std::shared_ptr<const api::corev1::Pod> pod;  ///< Keeps the container's spec alive.
    const api::corev1::Container* container = nullptr;
    const api::corev1::Probe* spec = nullptr;
    std::string container_id;
    std::string host;
    int successes = 0;
    int failures = 0;
    bool decided = false;  ///< Failed for good: the container is to be replaced.
    uint64_t generation = 0;
    std::unique_ptr<Clock::Timer> timer;
  };

  void schedule(const Key& key, Probe& probe, Duration delay);
  void run(const Key& key, uint64_t generation);
  void conclude(const Key& key, uint64_t generation, const struct HandlerOutcome& outcome);
  void drop(const Key& key);

  const std::shared_ptr<cri::Runtime> runtime_;
  const std::shared_ptr<Clock> clock_;
  TaskPool& pool_;
  client::EventRecorder* const events_;
  ProbeResults& results_;
  const std::function<void(const std::string&)> on_change_;
  std::mutex mutex_;
  std::map<Key, Probe> probes_;
  uint64_t last_generation_ = 0;
  bool stopped_ = false;
};

}  // namespace trireme::kubelet
