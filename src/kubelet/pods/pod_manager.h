#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "api/types/corev1.h"
#include "client/informer.h"
#include "kubelet/pods/node_services.h"
#include "kubelet/pods/pod_worker.h"

namespace trireme::kubelet {

/// Brings together who tells about pods (the API's watch, the runtime's events, a slow check of the runtime's books)
/// and the workers who act. Thread-safe.
class PodManager {
 public:
  explicit PodManager(NodeServices& node) : node_(node) {}
  ~PodManager() { stop(); }

  /// Takes over what runs: call once the informer has synced. Containers of pods that are gone are ended.
  void start(client::Informer<api::corev1::Pod>& pods);
  /// Workers finish their present call; containers run on.
  void stop();

  void on_pod(const std::shared_ptr<const api::corev1::Pod>& before,
              const std::shared_ptr<const api::corev1::Pod>& after);
  /// By pod uid; unknown ones are ignored.
  void wake(const std::string& uid);
  void volumes_changed(const std::string& uid);

  /// Pods with their newest status, as /pods shows them.
  std::vector<api::corev1::Pod> pods() const;
  std::shared_ptr<PodWorker> find(std::string_view ns, std::string_view name) const;
  std::shared_ptr<PodWorker> find_uid(const std::string& uid) const;
  size_t count() const;

 private:
  void watch_runtime(std::stop_token stop);
  /// Compares the runtime's books with what was seen last; wakes the workers concerned and ends orphans.
  void relist();
  void check_loop(std::stop_token stop);
  void end_orphan(const std::string& uid);
  void remove_leftovers();
  std::shared_ptr<PodWorker> worker(const std::string& uid) const;
  /// Fails a pod that this node must not run. Needs the mutex.
  void admit(const api::corev1::Pod& pod, PodWorker& worker);
  void gone(const std::string& uid);

  NodeServices& node_;
  client::Informer<api::corev1::Pod>* informer_ = nullptr;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<PodWorker>> workers_;
  std::map<std::string, int> seen_states_;     ///< Container or sandbox id to its state at the last relist.
  std::map<std::string, std::string> pod_of_;  ///< Container or sandbox id to pod uid, likewise.
  std::set<std::string> orphans_;              ///< Being ended.
  std::atomic<bool> events_flow_ = false;
  bool stopping_ = false;
  std::jthread watcher_;
  std::jthread checker_;
};

}  // namespace trireme::kubelet
