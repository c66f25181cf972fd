#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "api/types/corev1.h"
#include "client/informer_factory.h"
#include "client/work_queue.h"

namespace trireme::controllers {

/// Plays scheduler and kubelet in suites: binds pods that have no node, makes them what the suite wants (Running and
/// ready, unless told otherwise), and takes terminating pods away. One thread; a failed write is tried again when the
/// watch brings the newer pod, or after the queue's back-off on the real clock.
class HollowKubelet {
 public:
  using Pod = api::corev1::Pod;
  struct Options {
    /// The node a pod is bound to; "" leaves it unbound and Pending.
    std::function<std::string(const Pod&)> place = [](const Pod&) { return std::string("node-1"); };
    /// Changes the status of a bound Pending pod; false leaves it as it is.
    std::function<bool(Pod&)> run = {};
    /// Whether a terminating pod ends now.
    std::function<bool(const Pod&)> end = [](const Pod&) { return true; };
  };

  /// `clock` gives the times in the pods' status.
  HollowKubelet(std::shared_ptr<client::RawClient> raw, std::shared_ptr<Clock> clock, Options options)
      : client_(raw), clock_(std::move(clock)), options_(std::move(options)), factory_(raw, real_clock()) {
    if (!options_.run) options_.run = [this](Pod& pod) { return set_ready(pod, clock_->now()), true; };
    factory_.informer<Pod>().add_handler([this](const auto&, const auto& after) {
      if (after) queue_.add(client::key_of(after->metadata));
    });
    factory_.start();
    thread_ = std::jthread([this](std::stop_token stop) {
      while (const auto key = queue_.get(stop)) {
        if (step(*key)) {
          queue_.forget(*key);
        } else {
          queue_.add_rate_limited(*key);
        }
        queue_.done(*key);
      }
    });
  }
  ~HollowKubelet() {
    thread_.request_stop();
    queue_.shut_down();
    thread_ = {};
    factory_.stop();
  }
  HollowKubelet(const HollowKubelet&) = delete;
  HollowKubelet& operator=(const HollowKubelet&) = delete;

  /// Looks at every pod again: what `Options` says may have changed.
  void look_again() {
    for (const auto& pod : factory_.informer<Pod>().list()) queue_.add(client::key_of(pod->metadata));
  }

  static void set_ready(Pod& pod, WallTime now) {
    pod.status.phase = api::corev1::kPodRunning;
    pod.status.start_time = api::Time(now);
    pod.status.conditions.clear();
    for (const char* type : {"Initialized", "Ready", "ContainersReady", "PodScheduled"}) {
      auto& condition = pod.status.conditions.emplace_back();
      condition.type = type;
      condition.status = api::corev1::kConditionTrue;
      condition.last_transition_time = api::Time(now);
    }
  }

 private:
  bool step(const std::string& key) {
    const auto cached = factory_.informer<Pod>().get(key);
    if (!cached) return true;
    Pod pod = *cached;
    const std::string& ns = pod.metadata.namespace_;
    if (pod.metadata.deletion_timestamp) {
      if (!options_.end(pod)) return true;
      client::DeleteOptions now;
      now.grace_period_seconds = 0;
      now.uid = pod.metadata.uid;
      const Status gone = client_.remove<Pod>(ns, pod.metadata.name, now);
      return gone.ok() || gone.is(Reason::kNotFound) || gone.is(Reason::kConflict);
    }
    if (pod.spec.node_name.empty()) {
      api::corev1::Binding binding;
      binding.metadata.namespace_ = ns;
      binding.metadata.name = pod.metadata.name;
      binding.target.kind = "Node";
      binding.target.name = options_.place(pod);
      if (binding.target.name.empty()) return true;
      const Status bound = client_.post<Pod>(ns, pod.metadata.name, "binding", binding);
      return bound.ok() || bound.is(Reason::kNotFound) || bound.is(Reason::kConflict);
    }
    if (pod.status.phase != api::corev1::kPodPending || !options_.run(pod)) return true;
    const Status written = client_.update_status(pod).status();
    return written.ok() || written.is(Reason::kNotFound);
  }

  client::Client client_;
  std::shared_ptr<Clock> clock_;
  Options options_;
  client::InformerFactory factory_;
  client::WorkQueue queue_{real_clock()};
  std::jthread thread_;
};

}  // namespace trireme::controllers
