#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "client/client.h"
#include "client/event_recorder.h"
#include "scheduler/pod_info.h"

namespace trireme::scheduler {

/// Writes what the scheduler decides to the API beside the scheduling thread, on a few threads of its own. What
/// concerns one pod is written in the order of the calls. A stepped writer has no threads; `step` writes. Thread-safe.
class Writer {
 public:
  enum class Mode { kThreads, kStepped };
  Writer(client::Client client, std::shared_ptr<client::EventBroadcaster> events, std::shared_ptr<Clock> clock,
         Mode mode = Mode::kThreads);
  ~Writer();

  using Task = std::function<void()>;
  /// Runs `task` after what was posted for the pod before.
  void post(const std::string& uid, Task task);

  /// Records that the pod was bound.
  void scheduled(const api::corev1::Pod& pod, const std::string& node);

  struct Failure {
    std::string reason;  ///< Of the condition: Unschedulable or SchedulerError.
    std::string message;
    std::string nominated_node;  ///< Empty clears it.
  };
  /// Sets the condition PodScheduled=False unless it is so already, and records the event.
  void report(PodPointer pod, Failure failure);

  /// Deletes `victim` to make room for `preemptor` on its node.
  void preempt(PodPointer victim, PodPointer preemptor, std::string node);
  /// Takes back the promise of a node.
  void clear_nomination(PodPointer pod);

  /// Stepped writers: does the oldest task on the caller's thread; false when there is none.
  bool step();
  /// Tasks that have not begun.
  size_t waiting() const;
  /// Finishes what is being written and drops the rest. Safe to call twice.
  void stop();

 private:
  struct Worker {
    std::mutex mutex;
    std::condition_variable_any changed;
    std::deque<Task> tasks;
    std::jthread thread;
  };
  static void run(Worker& worker, std::stop_token stop);
  void write_report(const api::corev1::Pod& pod, const Failure& failure);
  Status write_preempt(const api::corev1::Pod& victim, const std::string& scheduler);
  /// Events are signed with the name that the pod's profile has.
  client::EventRecorder recorder_for(const api::corev1::Pod& pod) const;
  void patch_status(const api::corev1::Pod& pod, std::string fields);

  client::Client client_;
  const std::shared_ptr<client::EventBroadcaster> events_;
  const std::shared_ptr<Clock> clock_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace trireme::scheduler
