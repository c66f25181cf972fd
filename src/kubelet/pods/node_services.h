#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "api/types/corev1.h"
#include "base/clock.h"
#include "client/event_recorder.h"
#include "client/informer.h"
#include "kubelet/cri/runtime.h"
#include "kubelet/images/image_manager.h"
#include "kubelet/network_hooks.h"
#include "kubelet/options.h"
#include "kubelet/pods/backoff.h"
#include "kubelet/pods/container_config.h"
#include "kubelet/pods/environment.h"
#include "kubelet/pods/runtime_pod.h"
#include "kubelet/pods/status_manager.h"
#include "kubelet/probes/probe_manager.h"
#include "kubelet/task_pool.h"
#include "kubelet/volumes/volume_manager.h"
#include "linux/cgroup.h"

namespace trireme::kubelet {

/// The node's addresses, which may change while pods run. Thread-safe; copies are snapshots.
class HostAddresses {
 public:
  HostAddresses(std::vector<std::string> addresses) : addresses_(std::move(addresses)) {}  // NOLINT: implicit by intent
  HostAddresses(const HostAddresses& other) : addresses_(other.get()) {}
  HostAddresses& operator=(const HostAddresses&) = delete;

  std::vector<std::string> get() const {
    const std::lock_guard lock(mutex_);
    return addresses_;
  }
  void set(std::vector<std::string> addresses) {
    const std::lock_guard lock(mutex_);
    addresses_ = std::move(addresses);
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> addresses_;
};

/// What all pod workers of a node share. Everything outlives the workers and is thread-safe.
struct NodeServices {
  const KubeletOptions& options;
  std::shared_ptr<Clock> clock;
  std::shared_ptr<cri::Runtime> runtime;
  TaskPool& pool;
  client::EventRecorder* events;
  client::Informer<api::corev1::Service>* services;  ///< Null: no service variables (tests).
  RuntimeObserver& observer;
  ImageManager& images;
  ObjectSource& objects;
  VolumeManager& volumes;
  ProbeResults& probe_results;
  ProbeManager& probes;
  StatusManager& statuses;
  Backoff& restarts;                      ///< Keyed "<uid>/<container>".
  std::optional<linux::Cgroups> cgroups;  ///< Absent: pods get no groups of their own.
  HostAddresses host_ips;
  std::string runtime_name = "containerd";
  NodeContext node;          ///< Without a cgroup parent, which depends on the pod.
  DownwardContext downward;  ///< Without addresses of a pod.
  NetworkHooks network = {};
  client::Informer<api::corev1::Node>* own_node = nullptr;  ///< Of this node alone; null in tests.
};

}  // namespace trireme::kubelet
