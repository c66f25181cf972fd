#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "api/types/corev1.h"
#include "base/clock.h"
#include "client/client.h"
#include "kubelet/task_pool.h"

namespace trireme::kubelet {

/// Writes pod statuses to the API: the newest of each pod, one request of a pod at a time, retried until it is in.
/// Thread-safe.
class StatusManager {
 public:
  StatusManager(client::Client client, std::shared_ptr<Clock> clock, TaskPool& pool)
      : client_(std::move(client)), clock_(std::move(clock)), pool_(pool) {}
  ~StatusManager() { stop(); }

  /// `pod` is the API's object as last seen; its status is replaced.
  void set(std::shared_ptr<const api::corev1::Pod> pod, api::corev1::PodStatus status);
  /// Everything of the pod is gone from the node: after the last status its object is deleted with grace 0.
  void finish(std::shared_ptr<const api::corev1::Pod> pod);
  void forget(const std::string& pod_uid);
  /// No more requests; those under way end with the pool.
  void stop();

 private:
  struct Entry {
    std::shared_ptr<const api::corev1::Pod> base;
    api::corev1::PodStatus status;
    bool dirty = false;
    bool remove = false;
    bool busy = false;
    bool forgotten = false;  ///< To be dropped once it is not busy any more.
    int failures = 0;
    std::unique_ptr<Clock::Timer> retry;
  };
  void kick(const std::string& uid, Entry& entry);
  void run(const std::string& uid);
  Status write(std::shared_ptr<const api::corev1::Pod>& base, const api::corev1::PodStatus& status);

  client::Client client_;
  const std::shared_ptr<Clock> clock_;
  TaskPool& pool_;
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;
  bool stopped_ = false;
};

}  // namespace trireme::kubelet
